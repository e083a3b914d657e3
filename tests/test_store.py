"""Runs as lines: nothing lost, nothing guessed, one sweep a folder."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import factory
import pytest

from bench import store
from bench.errors import UsageError
from bench.trial import Failure


def saved(folder: Path, count: int) -> list:
    """So many runs in a folder."""
    runs = [factory.run(factory.trial(), round=number) for number in range(count)]
    for run in runs:
        store.append(folder, run)
    return runs


def error_of(folder: Path) -> str:
    """What loading a folder says."""
    with pytest.raises(UsageError) as caught:
        store.load(folder)
    return str(caught.value)


def test_runs_come_back_as_they_were(tmp_path: Path) -> None:
    """All of them, in order, with every field."""
    runs = saved(tmp_path, 3)
    assert store.load(tmp_path) == (runs, [])
    assert store.load(tmp_path / store.FILE) == (runs, [])


def test_a_torn_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    """An interrupt loses one run at most."""
    runs = saved(tmp_path, 2)
    file = tmp_path / store.FILE
    file.write_bytes(file.read_bytes()[:-40])
    assert store.load(tmp_path) == (
        runs[:1],
        [f"{file}: the last line is cut off (an interrupted write); it is left out."],
    )


def test_appending_cuts_a_torn_line_away_first(tmp_path: Path) -> None:
    """Else it would break the line that follows."""
    runs = saved(tmp_path, 2)
    file = tmp_path / store.FILE
    file.write_bytes(file.read_bytes()[:-1])
    store.append(tmp_path, runs[1])
    assert store.load(tmp_path) == (runs, [])


def test_a_file_that_is_one_torn_line_can_be_gone_on_with(tmp_path: Path) -> None:
    """Nothing of it is kept."""
    (tmp_path / store.FILE).write_bytes(b'{"schema": 1, "ke')
    runs = saved(tmp_path, 1)
    assert store.load(tmp_path) == (runs, [])


def test_a_broken_line_is_an_error_with_its_number(tmp_path: Path) -> None:
    """Results are not silently fewer than they were."""
    saved(tmp_path, 2)
    file = tmp_path / store.FILE
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b"{broken\n" + lines[1])
    assert error_of(tmp_path) == (
        f"{file}, line 2: not a run: JSON is malformed: object keys must be strings "
        "(byte 1)."
    )


def test_a_line_that_lacks_a_field_is_an_error(tmp_path: Path) -> None:
    """With the field."""
    file = tmp_path / store.FILE
    file.write_text('{"schema": 1}\n')
    assert error_of(tmp_path) == (
        f"{file}, line 1: not a run: Object missing required field `key`."
    )


def test_another_schema_is_an_error(tmp_path: Path) -> None:
    """With both numbers."""
    saved(tmp_path, 1)
    file = tmp_path / store.FILE
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | {"schema": 99}) + "\n")
    assert error_of(tmp_path) == (
        f"{file}, line 1: schema 99, and this version reads 1; see results/README.md."
    )


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """That says what a result folder is."""
    assert error_of(tmp_path / "none") == (
        f"No results at '{tmp_path}/none': No such file or directory. A result folder "
        "holds runs.jsonl, which `run_bench.py run` writes."
    )


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Before anything is measured."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as caught, store.locked(tmp_path / "file" / "out"):
        pass
    assert str(caught.value) == (
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
    """Also when the first was killed: no lock outlives its process."""
    for end in ("close", "kill"):
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(UsageError) as caught, store.locked(tmp_path):
                pass
            other.stdin.close() if end == "close" else other.kill()
        assert str(caught.value) == (
            f"Another sweep is writing to '{tmp_path}'. Wait for it, or name another "
            "folder with --out."
        )
        with store.locked(tmp_path):
            assert store.load(tmp_path) == ([], [])


def test_how_a_sweep_ended_is_a_note(tmp_path: Path) -> None:
    """From its plan; runs are read without one, and beside a broken one."""
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


def test_a_folder_in_which_nothing_was_written_is_not_left(tmp_path: Path) -> None:
    """But one that was there before is, and one that holds a plan or a run."""
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
def test_of_a_run_and_its_repeat_that_beside_less_load_counts(
    first: float, again: float, counts: int
) -> None:
    """In each folder by itself: a second one has a round 0 too."""
    trial = factory.trial()
    pair = [
        replace(
            factory.run(trial, conditions={"foreign_cpu_share": share}), repeat=number
        )
        for number, share in enumerate((first, again))
    ]
    other = factory.run(trial, round=1)
    runs = [*pair, other, *pair]
    assert store.one_a_round(runs) == [pair[counts], other, pair[counts]]


def test_a_repeat_that_failed_does_not_count() -> None:
    trial, lost = factory.trial(), Failure(type="Killed", message="ended by SIGKILL")
    good = factory.run(trial, conditions={"foreign_cpu_share": 0.9})
    failed = replace(factory.run(trial, error=lost), repeat=1)
    assert store.one_a_round([good, failed]) == [good]


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
        (LATE, 600.0, True),  # with a longer limit, or after a budget cut it short
    ],
)
def test_what_did_not_end_by_itself_is_made_again(
    error: Failure | None, limit: float, again: bool
) -> None:
    run = factory.run(factory.trial(), error=error)
    assert run.effort.limit_seconds == 120.0
    assert store.to_make_again(run, limit) == again


def test_a_run_that_was_made_again_stands_for_the_one_that_failed(
    tmp_path: Path,
) -> None:
    """The file keeps both; on another machine the same round is another run."""
    trial = factory.trial()
    lost = factory.run(trial, error=OUTSIDE)
    elsewhere = replace(lost, machine={**factory.MACHINE, "cpu": "Other CPU"})
    good = factory.run(trial)
    kept = [factory.run(trial, round=1, error=OWN), good, replace(good, repeat=1)]
    for run in (lost, lost, elsewhere, *kept):
        store.append(tmp_path, run)
    assert store.load(tmp_path)[0] == [elsewhere, *kept]
    assert (tmp_path / store.FILE).read_bytes().count(b"\n") == 6


def test_an_error_of_an_earlier_version_is_read_with_its_cause(tmp_path: Path) -> None:
    """And not with what was wrapped around it."""
    wrapped = "in user code: (__autograph_generated_filex.py, line 1, in tf__decode)"
    frames = '    File "/home/me/mine.py", line 4, in decode  *\n        x[9]'
    message = f"{wrapped}\n\n{frames}\n\n    IndexError: out of range"
    error = Failure(type="IndexError", message=message, phase="build")
    store.append(tmp_path, factory.run(factory.trial(), error=error))
    ((run,), _) = store.load(tmp_path)
    assert run.measured.error.message == "out of range (mine.py, line 4, in decode)"
