"""What commands print with --json has the keys that results/README.md documents."""

import gc
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import factory
import pytest

import run_bench
from bench import machine, store
from bench.commands import doctor
from bench.guard import history
from bench.guard.record import GuardResult, Row
from bench.report import advice
from bench.report.advice_record import Advice, Attempt
from bench.run.user_pipeline import Lift, PipelineReading, Stage
from bench.selftest.criteria import Bar
from bench.shell import ROOT
from bench.trial import Failure

HEADING = "## What commands print with `--json`\n"
TUNED = factory.trial("autotuned", workload="random_flip")
PLAIN = factory.trial("vectorized", workload="random_flip")
SURE = factory.trial("vectorized", workload="random_flip", op_determinism=True)
PRICES = [factory.trial(workload="prices"), factory.trial("vectorized", "prices")]
FAILURE = Failure(type="E", message="m")


def documented() -> dict[str, set[str]]:
    """Return the keys of each document, by the heading of its table."""
    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    section = text.partition(HEADING)[2].partition("\n## ")[0]
    keys: dict[str, set[str]] = {}
    for part in section.split("\n### ")[1:]:
        heading, _, body = part.partition("\n")
        own = keys.setdefault(heading.replace("`", ""), set())
        for line in re.findall(r"^\| (?!in |---).*", body, re.MULTILINE):
            places, names = (
                re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:3]
            )
            paths = [f"{at}.{name}" for at in places for name in names]
            own |= set(paths if places else names)
    return keys


DOCUMENTED = documented()


def paths(value: object, known: set[str], at: str = "") -> Iterator[str]:
    """Yield the keys of a document; `*` where the names of an object may be any."""
    if isinstance(value, dict):
        if f"{at}.*" in known:
            yield f"{at}.*"
            return
        for name, inner in value.items():
            yield from paths(inner, known, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from paths(inner, known, f"{at}[]")
    elif not (isinstance(value, list) and any(k.startswith(f"{at}[]") for k in known)):
        yield at


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Write two result folders with rows in every section of a report."""
    runs = factory.runs({TUNED: 0.01, PLAIN: 0.02, SURE: 0.03}, rounds=8)
    runs += factory.runs(dict(zip(PRICES, (0.02, 0.01), strict=True)), rounds=8)
    runs.append(factory.run(factory.trial("parallel"), error=FAILURE))
    more = factory.runs({factory.trial(workload="text_gru"): 0.01})
    names = []
    for own in (runs, runs[:-1] + more):
        folder = tmp_path_factory.mktemp("results")
        for run in own:
            store.append(folder, run)
        names.append(str(folder))
    return names


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable]:
    """Return a function that runs a command and returns the JSON that it prints."""

    def run(*arguments: str) -> object:
        run_bench.main([*arguments, "--json"])
        return json.loads(capsys.readouterr().out)

    yield run
    gc.enable()  # `report` stops garbage collection, since its process ends soon


def assert_documented(document: object, heading: str) -> None:
    known = DOCUMENTED[heading]
    assert set(paths(document, known)) == known


def test_a_key_that_is_missing_or_new_is_seen() -> None:
    known = {"a", "b[].c", "d.*"}
    assert set(paths({"a": 1, "b": [{"c": 2}], "d": {"x": 1}}, known)) == known
    assert set(paths({"a": 1, "b": [], "d": {}}, known)) == {"a", "d.*"}
    assert set(paths({"a": 1, "e": []}, known)) == {"a", "e"}


def test_the_report(folders: list[str], tmp_path: Path, printed: Callable) -> None:
    """Another machine measured some of the trials too."""
    machine = factory.MACHINE | {"cpu": "Other CPU"}
    for run in factory.runs(dict.fromkeys(PRICES, 0.02), rounds=8, machine=machine):
        store.append(tmp_path, run)
    document = printed("report", folders[0], str(tmp_path))
    assert_documented(document, "run, report")


def test_the_report_of_a_history(tmp_path: Path, printed: Callable) -> None:
    path = tmp_path / "guards.jsonl"
    for day in range(1, 29):
        guarded = GuardResult(
            base="a",
            head="b",
            how="lockstep",
            rows=[],
            reference=0.002,
            seconds_per_example={"prose": 0.01 + 0.005 * (day > 14) + 1e-6 * (day % 3)},
            started=f"2025-01-{day:02}T00:00:00+00:00",
            machine=factory.MACHINE,
        )
        history.append(path, guarded)
    assert_documented(printed("report", str(path)), "report of a history")


def test_a_comparison(folders: list[str], printed: Callable) -> None:
    assert_documented(printed("compare", *folders), "compare")


def test_a_guard(folders: list[str], printed: Callable) -> None:
    document = printed("guard", *folders)
    assert document["how"] == "stored"
    document["control"] = [asdict(Row(key="prose", metric="m", verdict="unchanged"))]
    assert_documented(document, "guard")


def test_advice() -> None:
    """The command prints what `as_json` returns."""
    stage = Stage(method="map", wait=1.0, chosen={"num_parallel_calls": 2})
    lift = Lift(constraint="stage", stage=0, factor=3.0)
    record = Advice(
        path="a.py",
        call="make()",
        reading=PipelineReading(stages=[stage], lifts=[lift]),
        original="a\n",
        tuned="b\n",
        attempts=[Attempt(proposal="cache", stage="map", change="x", state="kept")],
    )
    assert_documented(json.loads(advice.as_json(record)), "advise")


def test_the_findings_of_doctor(
    monkeypatch: pytest.MonkeyPatch, printed: Callable
) -> None:
    finding = doctor.Finding("processor", "one", True)
    monkeypatch.setattr(doctor, "tensorflow_sees", lambda: [finding])
    monkeypatch.setattr(doctor, "examine", list)
    assert_documented(printed("doctor"), "doctor")


def test_the_bars_of_the_self_test() -> None:
    """The command prints each bar as a dict."""
    bar = asdict(Bar(name="a", wanted="b", found="c", held=True))
    assert_documented([bar], "doctor --selftest")


def test_the_claims(folders: list[str], printed: Callable) -> None:
    assert_documented(printed("claims", folders[0]), "claims")


def test_the_list(printed: Callable) -> None:
    assert_documented(printed("list"), "list")


def test_every_verb_is_documented() -> None:
    words = set(re.findall(r"[a-z]+", " ".join(DOCUMENTED)))
    assert set(run_bench.VERBS) <= words


def test_the_machine_of_a_run_is_documented() -> None:
    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `machine` \| object \|.*", text, re.MULTILINE)
    assert {n for n in machine.fingerprint() if f"`{n}`" not in row} == set()
