"""Shards that a cluster runs; submitit's local executor stands in for Slurm."""

import shlex
import sys
from pathlib import Path

import pytest

import run_bench
from bench import shell, store
from bench.commands import jobs, report
from bench.errors import Exit, UsageError
from bench.run import submission

submitit = pytest.importorskip("submitit", reason="submitit is not installed")

# Stands in for this program: it records its arguments, and makes a plan as `run` does.
PROGRAM = """#!/bin/bash
echo "$@" >> {calls}
if [[ "$*" = *"--shard 2/2"* ]] && [ ! -e {calls}.failed ]; then
  touch {calls}.failed
  echo "made up: no space left" >&2
  exit 3
fi
while [ "$#" -gt 1 ]; do
  if [ "$1" = --out ]; then mkdir -p "$2"; touch "$2/plan.json" "$2/runs.jsonl"; fi
  shift
done
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in in place of the program; return the file of its calls."""
    file, program = tmp_path / "calls", tmp_path / "program"
    program.write_text(PROGRAM.format(calls=shlex.quote(str(file))))
    program.chmod(0o755)
    monkeypatch.setattr(
        shell, "command", lambda *words: shlex.join([str(program), *map(str, words)])
    )
    return file


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the local jobs often."""
    monkeypatch.setattr(submission, "POLL_SECONDS", 0.05)


def submitted(folders: list[Path], logs: Path) -> list[str]:
    """Run the shards of `quick` and return the sentences on those that failed."""
    tasks = submission.submit(["run", "quick"], folders, logs, 2, {}, cluster="local")
    assert len(tasks) == len(folders)
    return submission.wait(tasks)


def test_shards_run_and_those_that_failed_are_named_and_run_again(
    calls: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / "out put" / f"shard-{n}-of-2" for n in (1, 2)]
    (sentence,) = submitted(folders, tmp_path / "logs")
    assert sentence.startswith(f"Shard 2/2 failed. Its log is {tmp_path}/logs/")
    log = Path(sentence.partition(" log is ")[2].rstrip("."))
    assert "made up: no space left" in log.read_text()
    assert sorted(calls.read_text().splitlines()) == [
        f"run quick --shard {n}/2 --out {folder}" for n, folder in enumerate(folders, 1)
    ]
    calls.unlink()
    assert submitted(folders, tmp_path / "logs") == []
    assert sorted(calls.read_text().splitlines()) == [
        f"run --resume {folders[0]}",
        f"run quick --shard 2/2 --out {folders[1]}",
    ]


def test_the_command_submits_waits_and_reports(
    calls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The time limit follows from the budget, and sbatch gets its own options."""
    asked, shown = [], []
    submit = submission.submit

    def local(*arguments: object) -> list:
        asked.append(arguments)
        return submit(*arguments, cluster="local")

    def show(folders: list[Path], out: Path, formats: object, as_json: bool) -> bool:
        shown.append((folders, out))
        return True

    monkeypatch.setattr(submission, "submit", local)
    monkeypatch.setattr(report, "show", show)
    out = tmp_path / "out"
    words = ["run", "quick", "--budget", "10m"]
    more = ["--shards", "2", "--out", str(out), "--on", "slurm"]
    more += ["--sbatch", "partition=gpu"]
    assert run_bench.main([*words, *more]) == Exit.OK
    ((own, folders, _, minutes, settings),) = asked
    assert own == ["run", "quick", "--budget", "600.0s"]
    assert (minutes, settings) == (60, {"partition": "gpu"})
    done = [folder for folder in folders if (folder / store.FILE).exists()]
    assert shown == [(done, out / "report")]
    printed = capsys.readouterr().err
    assert "Submitted 2 shards to slurm: " in printed
    assert "Shard 2/2 failed. Its log is " in printed


def test_slurm_gets_an_array_of_whole_machines(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of Slurm are stand-ins; submitit writes the script."""
    for name in ("srun", "sbatch"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f'#!/bin/bash\ncp "$1" {shlex.quote(str(tmp_path / "script"))}\n'
            "echo Submitted batch job 12\n"
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    folders = [tmp_path / f"shard-{n}-of-3" for n in (1, 2, 3)]
    settings = {"partition": "gpu", "requeue": True}
    tasks = submission.submit(["run", "quick"], folders, tmp_path / "l", 90, settings)
    assert [task.job_id for task in tasks] == ["12_0", "12_1", "12_2"]
    lines = (tmp_path / "script").read_text().splitlines()
    assert {
        *("#SBATCH --array=0-2%3", "#SBATCH --exclusive", "#SBATCH --nodes=1"),
        *("#SBATCH --partition=gpu", "#SBATCH --requeue", "#SBATCH --time=90"),
    } <= set(lines)


def test_a_machine_without_slurm_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        submission.submit(["run", "quick"], [tmp_path / "a"], tmp_path / "l", 5, {})
    assert str(caught.value) == (
        'The shards cannot be submitted to slurm: Could not detect "srun", are you '
        "indeed on a slurm cluster? Submit from a machine that has srun and sbatch, or "
        "print a job with --write-job."
    )


def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError) as caught:
        submission.submit(["run", "quick"], [tmp_path / "a"], tmp_path / "l", 5, {})
    python = shell.short_path(shell.ROOT / ".venv" / "bin" / "python")
    assert str(caught.value) == (
        f"--on slurm needs the package submitit. Install it with {python} -m pip "
        "install submitit, or print a job with --write-job."
    )


def test_settings_of_sbatch() -> None:
    assert jobs._setting("gres=gpu:1") == ("gres", "gpu:1")
    assert jobs._setting("--requeue") == ("requeue", True)
