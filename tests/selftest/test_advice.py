"""The program that tests `advise` on twelve pipelines, without measuring."""

import ast
import json
import sys
from pathlib import Path

import pytest

from bench.selftest import advice

RATES = {
    "written": [100.0, 110.0, 90.0],
    "advised": [400.0, 440.0, 360.0],
    "best_practice": [200.0, 210.0, 190.0],
    "ceiling": [8000.0],
}
RECORD = {
    "verdict": "faster",
    "low": 0.2,
    "high": 0.25,
    "seconds": 90.0,
    "attempts": [
        {"state": "kept", "change": "line 3: insert .cache()", "reason": ""},
        {"state": "refused", "change": "line 4: move .map(f)", "reason": "it draws"},
    ],
    "notes": [],
}


def row(name: str, **record: object) -> dict[str, object]:
    summary = advice.summary(RECORD | record, RATES)
    return {"name": name, "what": name, "budget": "180s", **summary}


def test_each_pipeline_has_its_best_practice() -> None:
    files = {path.stem: path for path in advice.PIPELINES.glob("*.py")}
    assert {*files} - {"make_data", "time_by_hand"} == {*advice.CASES}
    assert len(advice.CASES) == 12
    for name in advice.CASES:
        tree = ast.parse(files[name].read_text())
        names = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        names |= {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
        }
        assert {"train_dataset", "best_practice"} <= names, name


def test_the_figures_of_a_row() -> None:
    summary = advice.summary(RECORD, RATES)
    assert (summary["written"], summary["advised"]) == (100.0, 400.0)
    assert (summary["promise"], summary["by_hand"]) == ([4.0, 5.0], 4.0)
    assert (summary["promise_held"], summary["minutes"]) == (True, 1.5)
    assert summary["kept"] == ["line 3: insert .cache()"]
    assert summary["trail"][1] == ["refused", "line 4: move .map(f)", "it draws"]
    assert advice.line(row("a")) == (
        "| a | 100 | 200 | 400 | 8,000 | 5.00% | 1.5 | faster | line 3: insert "
        ".cache() | 4.0 to 5.0, by hand 4.0 | yes |"
    )


@pytest.mark.parametrize(
    ("record", "held"),
    [
        ({"high": 0.23}, True),  # 4.35 times as fast, less 10 %
        ({"high": 0.22}, False),
        ({"verdict": "", "low": None, "high": None}, None),
    ],
)
def test_when_a_promise_is_held(record: dict, held: bool | None) -> None:
    assert advice.summary(RECORD | record, RATES)["promise_held"] is held


def test_the_page_has_the_mean_over_best_practice() -> None:
    failed = {"name": "b", "what": "b", "budget": "1s", "error": "run_bench.py: no"}
    page = advice.markdown_page([row("a"), failed])
    assert "| b |  |  |  |  |  |  | failed | run\\_bench.py: no |  |  |" in page
    assert "Over 1 pipelines the advised one is 2.0 times as fast as best" in page


def test_it_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row with an error, or with another budget, is measured anew."""
    out, measured = tmp_path / "advice.json", []
    monkeypatch.setattr(advice, "_output", lambda command, folder: "")

    def measure(name: str, home: Path, options: object) -> dict[str, object]:
        measured.append(name)
        if len(measured) == 4:
            raise KeyboardInterrupt
        if len(measured) == 2:
            return {"name": name, "what": name, "budget": "180s", "error": "no"}
        return row(name)

    monkeypatch.setattr(advice, "measure", measure)
    names = list(advice.CASES)
    monkeypatch.setattr(sys, "argv", ["advice", "--out", str(out)])
    with pytest.raises(KeyboardInterrupt):
        advice.main()
    assert list(json.loads(out.read_text())["rows"]) == names[:3]
    assert advice.main() == 0
    assert measured == [*names[:4], names[1], *names[3:]]
    assert out.with_suffix(".md").read_text().count("| faster |") == 12
    monkeypatch.setattr(
        sys, "argv", ["advice", "--out", str(out), "--budget", "9s", "--only", "masks"]
    )
    advice.main()
    assert measured[-1] == "masks"
