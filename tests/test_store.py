"""Runs as lines: no run is lost, and a folder belongs to one sweep at a time."""

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import factory
import pytest

from bench import store
from bench.errors import UsageError
from bench.trial import Failure


def saved(folder: Path, count: int) -> list:
    """Append a number of runs to a folder."""
    runs = [factory.run(factory.trial(), round=number) for number in range(count)]
    for run in runs:
        store.append(folder, run)
    return runs


def error_of(folder: Path) -> str:
    """Return the message of the error when a folder is loaded."""
    with pytest.raises(UsageError) as error:
        store.load(folder)
    return str(error.value)


def test_runs_come_back_as_they_were(tmp_path: Path) -> None:
    """All runs come back in order, with every field."""
    runs = saved(tmp_path, 3)
    assert store.load(tmp_path) == (runs, [])
    assert store.load(tmp_path / store.FILE) == (runs, [])


def test_an_incomplete_last_line_is_left_out_with_a_note(tmp_path: Path) -> None:
    """An interrupt loses at most one run."""
    runs = saved(tmp_path, 2)
    file = tmp_path / store.FILE
    file.write_bytes(file.read_bytes()[:-40])
    assert store.load(tmp_path) == (
        runs[:1],
        [f"{file}: the last line is cut off (an interrupted write); it is left out."],
    )


def test_append_removes_an_incomplete_line_first(tmp_path: Path) -> None:
    """Otherwise the incomplete line would break the next line."""
    runs = saved(tmp_path, 2)
    file = tmp_path / store.FILE
    file.write_bytes(file.read_bytes()[:-1])
    store.append(tmp_path, runs[1])
    assert store.load(tmp_path) == (runs, [])


def test_append_replaces_an_incomplete_only_line(tmp_path: Path) -> None:
    """The file then has the new run alone."""
    (tmp_path / store.FILE).write_bytes(b'{"schema": 1, "ke')
    runs = saved(tmp_path, 1)
    assert store.load(tmp_path) == (runs, [])


def test_a_broken_line_is_an_error_with_its_number(tmp_path: Path) -> None:
    """A broken line does not silently reduce the number of results."""
    saved(tmp_path, 2)
    file = tmp_path / store.FILE
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b"{broken\n" + lines[1])
    assert error_of(tmp_path) == (
        f"{file}, line 2: not a run: JSON is malformed: object keys must be strings "
        "(byte 1)."
    )


def test_a_line_that_lacks_a_field_is_an_error(tmp_path: Path) -> None:
    """The message names the field."""
    file = tmp_path / store.FILE
    file.write_text('{"schema": 1}\n')
    assert error_of(tmp_path) == (
        f"{file}, line 1: not a run: Object missing required field `key`."
    )


def test_another_schema_is_an_error(tmp_path: Path) -> None:
    """The message has both numbers."""
    saved(tmp_path, 1)
    file = tmp_path / store.FILE
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | {"schema": 99}) + "\n")
    assert error_of(tmp_path) == (
        f"{file}, line 1: schema 99, and this version reads 1; see results/README.md."
    )


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """The message explains what a result folder is."""
    assert error_of(tmp_path / "none") == (
        f"No results at '{tmp_path}/none': No such file or directory. A result folder "
        "holds runs.jsonl, which `run_bench.py run` writes."
    )


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The error comes before anything is measured."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as error, store.locked(tmp_path / "file" / "out"):
        pass
    assert str(error.value) == (
        f"Cannot write to the result folder '{tmp_path}/file/out': Not a directory. "
        "Name another with --out."
    )


HOLD = """
import sys
from pathlib import Path
from bench import store
with store.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    """This holds too if the first process was killed: a lock ends with its process."""
    for end in ("close", "kill"):
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(UsageError) as error, store.locked(tmp_path):
                pass
            other.stdin.close() if end == "close" else other.kill()
        assert str(error.value) == (
            f"Another sweep is writing to '{tmp_path}'. Wait for it, or name another "
            "folder with --out."
        )
        with store.locked(tmp_path):
            assert store.load(tmp_path) == ([], [])


def test_the_end_of_a_sweep_is_a_note(tmp_path: Path) -> None:
    """The note comes from the plan; a missing or broken plan does no harm."""
    store.append(tmp_path, factory.run(factory.trial()))
    assert store.load(tmp_path)[1] == []
    plan = tmp_path / store.PLAN
    plan.write_text('{"sweep": "mine"}')
    assert store.load(tmp_path)[1] == []
    plan.write_text('{"notes": ["prose: cut short by the budget."]}')
    assert store.load(tmp_path)[1] == ["prose: cut short by the budget."]
    plan.write_text("{")
    runs, notes = store.load(tmp_path)
    assert len(runs) == 1
    assert notes == [
        f"{plan}: how the sweep ended cannot be read: Input data was truncated."
    ]


def test_an_empty_new_folder_is_removed(tmp_path: Path) -> None:
    """A folder that existed before stays, and so does one with a plan or a run."""
    out = tmp_path / "out"
    with store.locked(out):
        assert out.is_dir()
    assert not out.exists()
    with store.locked(out):
        (out / store.PLAN).touch()
    assert (out / store.PLAN).exists()
    with store.locked(tmp_path):
        assert (tmp_path / store.FILE).exists()
    assert (tmp_path / store.FILE).exists()


@pytest.mark.parametrize(("first", "again", "counts"), [(0.4, 0.1, 1), (0.3, 0.5, 0)])
def test_of_a_run_and_its_repeat_the_one_with_less_load_counts(
    first: float, again: float, counts: int
) -> None:
    """Each folder counts by itself: every folder has a round 0."""
    trial = factory.trial()
    pair = [
        replace(
            factory.run(trial, conditions={"foreign_cpu_share": share}), repeat=number
        )
        for number, share in enumerate((first, again))
    ]
    other = factory.run(trial, round=1)
    runs = [*pair, other, *pair]
    assert store.without_repeats(runs) == [pair[counts], other, pair[counts]]


def test_a_repeat_that_failed_does_not_count() -> None:
    trial, lost = factory.trial(), Failure(type="Killed", message="ended by SIGKILL")
    good = factory.run(trial, conditions={"foreign_cpu_share": 0.9})
    failed = replace(factory.run(trial, error=lost), repeat=1)
    assert store.without_repeats([good, failed]) == [good]


@dataclass(frozen=True, kw_only=True)
class Note:
    schema: int = 2
    texts: list[str] = field(default_factory=list)


def decode(content: bytes, remedy: str = "") -> Note:
    return store.decode(content, Note, "a.json", "a note", remedy)


def test_a_record_is_written_with_its_schema_and_read_back(tmp_path: Path) -> None:
    note = Note(texts=["a", "b"])
    path = tmp_path / "a.json"
    store.write(path, note)
    assert json.loads(path.read_text())["schema"] == 2
    assert decode(path.read_bytes()) == note
    with pytest.raises(UsageError, match=r"Cannot write '.*/none/a\.json'"):
        store.write(tmp_path / "none" / "a.json", note)


@pytest.mark.parametrize(
    ("content", "remedy", "message"),
    [
        (b"{", "", "a.json: not a note: Input data was truncated."),
        (
            b'{"texts": []}',
            "",
            "a.json: not a note: Object missing required field `schema`.",
        ),
        (
            b'{"schema": 2, "texts": 3}',
            "",
            "a.json: not a note: Expected `array`, got `int` - at `$.texts`.",
        ),
        (b'{"schema": 1}', "", "a.json: schema 1, and this version reads 2."),
        (
            b'{"schema": 3, "texts": 3}',
            "save it again",
            "a.json: schema 3, and this version reads 2; save it again.",
        ),
    ],
)
def test_another_record_or_schema_is_refused_with_one_sentence(
    content: bytes, remedy: str, message: str
) -> None:
    with pytest.raises(UsageError) as error:
        decode(content, remedy)
    assert str(error.value) == message


OUTSIDE = Failure(type="Killed", message="ended by SIGKILL", phase="steady")
LATE = Failure(type="Timeout", message="stopped", phase="adapt")
OWN = Failure(type="KeyError", message="'a'", phase="adapt")


@pytest.mark.parametrize(
    ("error", "limit", "again"),
    [
        (None, 600.0, False),
        (OUTSIDE, 120.0, True),
        (OWN, 600.0, False),
        (LATE, 120.0, False),
        (LATE, 600.0, True),  # the limit is longer now, or the budget had ended it
    ],
)
def test_a_run_that_something_outside_ended_is_repeated(
    error: Failure | None, limit: float, again: bool
) -> None:
    run = factory.run(factory.trial(), error=error)
    assert run.effort.limit_seconds == 120.0
    assert store.must_repeat(run, limit) == again


def test_the_repetition_of_a_failed_run_replaces_the_failed_run(
    tmp_path: Path,
) -> None:
    """The file has both runs; the same round on another machine is another run."""
    trial = factory.trial()
    lost = factory.run(trial, error=OUTSIDE)
    elsewhere = replace(lost, machine={**factory.MACHINE, "cpu": "Other CPU"})
    good = factory.run(trial)
    others = [factory.run(trial, round=1, error=OWN), good, replace(good, repeat=1)]
    for run in (lost, lost, elsewhere, *others):
        store.append(tmp_path, run)
    assert store.load(tmp_path)[0] == [elsewhere, *others]
    assert (tmp_path / store.FILE).read_bytes().count(b"\n") == 6


def test_an_error_of_an_earlier_version_is_unwrapped(tmp_path: Path) -> None:
    """Earlier versions stored the texts that TensorFlow wraps around an error."""
    wrapped = "in user code: (__autograph_generated_filex.py, line 1, in tf__decode)"
    frames = '    File "/home/me/mine.py", line 4, in decode  *\n        x[9]'
    message = f"{wrapped}\n\n{frames}\n\n    IndexError: out of range"
    error = Failure(type="IndexError", message=message, phase="build")
    store.append(tmp_path, factory.run(factory.trial(), error=error))
    ((run,), _) = store.load(tmp_path)
    assert run.measured.error.message == "out of range (mine.py, line 4, in decode)"
