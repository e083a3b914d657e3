"""The user's data are read once for a start, and anew where they have changed."""

import os
from pathlib import Path

import numpy as np
import pytest

from bench import catalog
from bench.data import inputs, user, user_inputs

CSV = "age,town,label\n" + "".join(f"{n},{'ab'[n % 2]},{n % 2}\n" for n in range(40))
WORKLOAD = '''"""A table."""
ACCEPTS = "{}"
def examples(rng, count): ...
def build(examples): ...
def check(batch, output): ...
'''


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDRATE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the data's name each time they are read."""
    names: list[str] = []
    for name in ("load", "stream"):
        function = getattr(user, name)

        def noting(data: str, accepts: str, function=function) -> object:
            result = function(data, accepts)
            names.extend([data] if result is not None else [])
            return result

        monkeypatch.setattr(user, name, noting)
    return names


def entry(folder: Path, accepts: str) -> catalog.Entry:
    path = folder / "mine.py"
    path.write_text(WORKLOAD.format(accepts))
    return catalog.find(str(path))


def texts(folder: Path) -> Path:
    for name in ("good", "bad"):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.txt").write_text(f"{name} words")
    return folder


def test_a_table_is_read_once_and_its_columns_come_back(tmp_path, readings) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(CSV)
    first, second = (
        user_inputs.prepare(entry(tmp_path, "table"), str(path)) for _ in range(2)
    )
    assert readings == [str(path)]
    assert second.fingerprint == first.fingerprint
    assert second.stream.known["town"].tolist() == ["a", "b"] * 20
    np.testing.assert_array_equal(second.stream.known["age"], np.arange(40, dtype="f4"))
    assert repr(second.stream.fields) == repr(first.stream.fields)


def test_data_in_memory_come_back_as_they_were(tmp_path, readings) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        CSV.replace("town", "height").replace("a,", "1,").replace("b,", "2,")
    )
    data = f"memory:{path}"
    first, second = (
        user_inputs.prepare(entry(tmp_path, "rows"), data) for _ in range(2)
    )
    assert readings == [data]
    np.testing.assert_array_equal(second.features, user.load(data, "rows")[0])
    np.testing.assert_array_equal(second.labels, [0, 1] * 20)
    assert (second.fingerprint, second.parts) == (first.fingerprint, first.parts)


@pytest.mark.parametrize("change", ["content", "time", "another file", "one file less"])
def test_changed_files_are_read_anew(tmp_path, readings, change) -> None:
    folder = texts(tmp_path / "texts")
    mine = entry(tmp_path, "text")
    first = user_inputs.prepare(mine, str(folder))
    path = folder / "good" / "a.txt"
    if change == "content":
        path.write_text("other words")
    elif change == "time":
        os.utime(path, ns=(1, 1))
    elif change == "another file":
        (folder / "bad" / "b.txt").write_text("one more")
    else:
        (folder / "bad" / "b.txt").write_text("one more")
        user_inputs.prepare(mine, str(folder))
        (folder / "bad" / "b.txt").unlink()
    second = user_inputs.prepare(mine, str(folder))
    assert len(readings) == (3 if change == "one file less" else 2)
    other = change in ("content", "another file")
    assert (second.fingerprint != first.fingerprint) == other
    assert second.count == 2 + (change == "another file")
    assert sorted(second.stream.known.tolist()) == sorted(
        Path(one).read_bytes() for one in second.features
    )


def test_what_was_kept_lies_in_the_cache_alone(tmp_path) -> None:
    folder = texts(tmp_path / "texts")
    user_inputs.prepare(entry(tmp_path, "text"), str(folder))
    assert sorted(p.name for p in folder.rglob("*")) == [
        "a.txt",
        "a.txt",
        "bad",
        "good",
    ]
    (kept,) = inputs.root().iterdir()
    assert kept.name.startswith(inputs.OWN)
