"""The command line: bad use fails at once, with one line and exit code 2."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import factory
import msgspec
import psutil
import pytest

import run_bench
from bench import errors, machine, shell, store
from bench.catalog import ROOT
from bench.commands import run, values
from bench.commands.report import show_files
from bench.pipeline import AXES, STRATEGIES
from bench.plan import plan, sweeps
from bench.report import formats
from bench.run import executors
from bench.run.executors import Outcome
from bench.text import duration_text
from bench.trial import Effort, Failure, Measured, Trial


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run"],
            "run needs a sweep: a name from `run_bench.py list`, or a FILE.toml. To "
            "continue an earlier sweep, use --resume DIR.",
        ),
        (["run", "quik"], "No sweep named 'quik'. Did you mean 'quick'?"),
        (["run", "my.toml"], "No sweep file at 'my.toml'."),
        (
            ["run", "quick", "--workload", "photograph"],
            "No workload named 'photograph'. Did you mean 'photographs'?",
        ),
        (["run", "quick", "--workload", "a.py"], "No workload file at 'a.py'."),
        (
            ["run", "quick", "--strategy", "vectorised"],
            "No strategy named 'vectorised'. Did you mean 'vectorized'?",
        ),
        (
            ["run", "quick", "--axis", "batchsize=3"],
            "No axis named 'batchsize'. Did you mean 'batch_size'?",
        ),
        (
            ["run", "quick", "--axis", "placement=gpu"],
            "placement must be 'dataset', 'model' or 'offline', got 'gpu'.",
        ),
        (
            ["run", "quick", "--axis", "prefetch"],
            "--axis takes name=value,value, got 'prefetch'.",
        ),
        (
            ["run", "--resume", "no/where"],
            "Nothing to resume at 'no/where': it has no plan.json, which `run` writes.",
        ),
        (
            ["run", "quick", "--resume", "no/where", "--out", "x", "--seed", "1"],
            "--resume DIR continues a stored plan and takes only --precision, "
            "--budget, --limit and --json besides; got a sweep and --seed and --out.",
        ),
        (
            ["report", "results/reference/quick", "--format", "html,pfd"],
            "No report format named 'pfd'. There are: html, md, csv, png, parquet, "
            "json, layers, pytest-benchmark, bmf, github-action-benchmark, perfetto.",
        ),
        (
            ["guard", "a", "b", "--threshold", "-3%"],
            "A threshold is spelled 3% or 0.03, got '-3%'.",
        ),
        (
            ["report", "no/where"],
            "No results at 'no/where': No such file or directory. A result folder "
            "holds runs.jsonl, which `run_bench.py run` writes.",
        ),
    ],
)
def test_bad_names_and_values_get_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line has the bad value and the allowed ones; no folder is created."""
    before = set((ROOT / "results").iterdir())
    assert run_bench.main(arguments) == 2
    assert capsys.readouterr() == ("", f"error: {message}\n")
    assert set((ROOT / "results").iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "argument VERB: invalid choice: 'rnu'"),
        (
            ["run", "quick", "--consumer", "x"],
            "argument --consumer: invalid choice: 'x'",
        ),
        (
            ["run", "quick", "--budget", "soon"],
            "argument --budget: a time such as 90s, 10m or 1h, got 'soon'",
        ),
        (
            ["run", "quick", "--budget", "-5m"],
            "argument --budget: a time such as 90s, 10m or 1h, got '-5m'",
        ),
        (
            ["run", "quick", "--budget", "0s"],
            "argument --budget: a time such as 90s, 10m or 1h, got '0s'",
        ),
        *(
            (
                ["doctor", "--selftest", "--minutes", value],
                f"argument --minutes: minutes above 0, such as 5, got '{value}'",
            )
            for value in ("-1", "0", "nan", "soon")
        ),
        (
            ["run", "quick", "--rounds", "0"],
            "argument --rounds: a whole number from 1, got '0'",
        ),
        *(
            (
                ["run", "quick", "--precision", value],
                "run_bench.py run: error: argument --precision: a share from 0.1% to "
                f"50%, such as 2% or 0.02, got '{value}'\n",
            )
            for value in ("fine", "2 %", "0", "2", "60%")
        ),
    ],
)
def test_bad_options_are_named_after_the_usage(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Argparse prints both and exits with 2."""
    with pytest.raises(SystemExit) as caught:
        run_bench.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_with_runs_is_refused_without_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.append(tmp_path, factory.run(factory.trial()))
    assert run_bench.main(["run", "quick", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: '{tmp_path}' holds 1 run already. Continue with --resume "
        f"{tmp_path}, or name another folder with --out.\n"
    )


def test_no_traceback_comes_out_of_the_program() -> None:
    """The process prints one line on stderr, and nothing on stdout."""
    command = [sys.executable, "run_bench.py", "run", "quick", "--strategy", "naiv"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "error: No strategy named 'naiv'. Did you mean 'naive'?\n",
    )


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """Each name has a line, as text and as JSON."""
    assert run_bench.main(["list", "--json"]) == 0
    shelves = json.loads(capsys.readouterr().out)
    assert {"photographs", "prose", "prices"} <= set(shelves["workloads"])
    assert shelves["layers"]["normalization:given"] == "normalization with state=given"
    assert set(shelves["strategies"]) == set(STRATEGIES)
    assert set(shelves["axes"]) == set(AXES)
    assert shelves["sweeps"] == sweeps.names()
    assert all(line for shelf in shelves.values() for line in shelf.values())
    assert shelves["axes"]["jit"] == "XLA for the model (off|on|auto; off)"
    assert run_bench.main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for shelf in shelves.values() for name in shelf)
    assert max(map(len, printed.splitlines())) <= 80
    words = " ".join(printed.split())
    lines = [line for shelf in shelves.values() for line in shelf.values()]
    assert all(line.replace("|", " | ") in words for line in lines)


@pytest.mark.parametrize("verb", [["report"], ["compare", "results/reference/quick"]])
def test_a_folder_that_cannot_be_written_is_named_before_anything_is_read(
    verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder's parent is a file."""
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    arguments = [*verb, "results/reference/quick", "--out", str(out)]
    assert run_bench.main(arguments) == 2
    assert capsys.readouterr() == (
        "",
        f"error: Cannot write to '{out}': Not a directory. Name another folder with "
        "--out.\n",
    )


def test_a_folder_on_a_read_only_disk_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that can be written is left as it was."""
    errors.check_folder(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []

    def refuse(**where: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(errors.tempfile, "TemporaryFile", refuse)
    message = f"^Cannot write to '{tmp_path}': Read-only file system. "
    with pytest.raises(errors.UsageError, match=message):
        errors.check_folder(tmp_path)


def test_a_report_names_the_files_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the plots, only the folder is named."""
    show_files([tmp_path / "plots" / "a.png", tmp_path / "plots" / "b.png"])
    show_files([tmp_path / "table.csv", tmp_path / "report.md"])
    assert capsys.readouterr().out.splitlines() == [
        f"Figures: {tmp_path}/plots",
        f"Written: {tmp_path}/table.csv",
        f"Report: {tmp_path}/report.md",
    ]


def test_the_report_of_several_folders_replaces_none_of_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        store.append(folder, factory.run(factory.trial()))
    monkeypatch.setattr(store, "new_folder", lambda name: tmp_path / name)
    arguments = ["report", *map(str, folders), "--format", "md"]
    assert run_bench.main(arguments) == 0
    assert [path.name for path in folders[0].iterdir()] == [store.FILE]
    assert (tmp_path / "report" / "report.md").is_file()
    printed = " ".join(capsys.readouterr().out.split())
    assert "Runs of equal trials in these 2 folders are pooled" in printed


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200)]
)
def test_durations(text: str, seconds: float) -> None:
    """A duration has a unit, or is in seconds."""
    assert values.duration(text) == seconds


class Interrupting:
    """This executor measures without a process, until Ctrl-C."""

    prepares = True

    def __init__(self, runs: int, error: Failure | None = None) -> None:
        """Set the number of runs before Ctrl-C, and the failure of each run."""
        self.left, self.running, self.error = runs, False, error

    def start(self) -> None:
        """Begin a round."""
        self.running = True

    def stop(self) -> None:
        """End a round."""
        self.running = False

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Return facts of the layers, or three samples, or raise Ctrl-C."""
        if verb == "prepare" and not self.prepares:
            raise KeyboardInterrupt
        if verb == "prepare":
            traits = {"supports_jit": True, "examples": 1024, "error": None}
            return Outcome(json.dumps(traits).encode(), None, 0.1)
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        measured = Measured(samples=[0.1, 0.2, 0.3])
        if self.error:
            measured = Measured(error=self.error)
        return Outcome(msgspec.json.encode(measured), None, 1.0)


@pytest.mark.parametrize("count", [0, 3])
def test_ctrl_c_stores_finished_runs_and_prints_how_to_continue(
    count: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No process is left, and the folder can be resumed."""
    executor = Interrupting(count)
    monkeypatch.setattr(executors, "executor", lambda: executor)
    out = tmp_path / "out"
    assert run_bench.main(["run", "quick", "--out", str(out)]) == 130
    assert not executor.running
    assert len(store.load(out)[0]) == count
    planned = plan.load(out)
    printed = capsys.readouterr().err.splitlines()
    assert printed[:2] == [
        "Making inputs and checking layers ...",
        f"quick: {len(planned.trials)} trials x {planned.effort.rounds} rounds = "
        f"{planned.runs} runs, about {duration_text(planned.seconds)}; results in "
        f"{out}",
    ]
    assert [line.partition("]")[0] for line in printed[2 : 2 + count]] == [
        f"[{n + 1}/{planned.runs}" for n in range(count)
    ]
    assert printed[2 + count :] == [
        "",
        f"Interrupted. {count} runs stored in {out}; continue with",
        f"  {shell.command('run', '--resume', out)}",
    ]


def test_ctrl_c_before_the_plan_leaves_no_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The message says that nothing was measured."""
    executor = Interrupting(0)
    executor.prepares = False
    monkeypatch.setattr(executors, "executor", lambda: executor)
    out = tmp_path / "out"
    assert run_bench.main(["run", "quick", "--out", str(out)]) == 130
    assert capsys.readouterr().err.splitlines() == [
        "Making inputs and checking layers ...",
        "",
        "Interrupted before anything was measured.",
    ]
    assert not out.exists()


def test_ctrl_c_does_not_wait_for_a_starting_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C comes while the server imports TensorFlow, which takes seconds."""
    server = executors.ForkServer()

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "_answer", interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    importing = server._server
    server.stop()
    assert importing.returncode == -signal.SIGKILL  # else it would have left by itself


def test_the_exit_code_is_1_if_every_run_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is a report all the same; with one good run the code is 0."""
    # Else a busy machine, in the instant of it, has a run repeated.
    monkeypatch.setattr(machine, "HEAVY_SHARE", math.inf)
    failed = Failure(type="ValueError", message="no")
    out = tmp_path / "out"
    arguments = ["run", "quick", "--workload", "prices", "--strategy", "naive"]
    for error, code in ((failed, 1), (None, 0)):
        executor = Interrupting(1, error)
        monkeypatch.setattr(executors, "executor", lambda executor=executor: executor)
        words = [*arguments, "--rounds", "1", "--json", "--out", f"{out}{code}"]
        assert run_bench.main(words) == code
        assert json.loads(capsys.readouterr().out)["scenes" if not code else "errors"]


def test_the_terminal_shows_the_first_line_of_a_long_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """NumPy's error has eight lines, which the page shows."""
    dump = Failure(type="AssertionError", message="Not equal\nMismatched: 512")
    content = formats.summed([factory.run(factory.trial(), error=dump)])
    formats.terminal(content)
    printed = capsys.readouterr().out
    assert "prose: AssertionError: Not equal\n" in printed
    assert "Mismatched" not in printed


@pytest.mark.parametrize(
    ("budget", "cut"),
    [
        ("1h", ""),
        ("2m", "A budget of 2 min leaves 2 of 4 rounds.\n"),
        ("5s", "A budget of 5 s leaves 1 of 4 rounds, 0.25 of 0.65 s steady a run.\n"),
    ],
)
def test_the_cut_by_a_short_budget_is_printed(
    budget: str, cut: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", "quick", "--rounds", "4", "--budget", budget]
    run.make_plan(run_bench.parsed(arguments))
    assert capsys.readouterr().err == cut


def test_the_reader_of_the_output_may_end_early() -> None:
    """`head` does so; there is no traceback."""
    command = [sys.executable, ROOT / "run_bench.py", "list"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_reader_of_the_errors_may_end_early() -> None:
    """The exit code stays the same."""
    command = [sys.executable, "run_bench.py", "run", "quick", "--strategy", "naiv"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as running:
        running.stderr.close()
    assert running.returncode == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_a_program_interrupt_it(
    number: signal.Signals, tmp_path: Path
) -> None:
    """`timeout` and a closed terminal send such signals."""
    out = tmp_path / "out"
    command = [sys.executable, ROOT / "run_bench.py", "run", "quick", "--out", out]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup ignores it
    ) as running:
        assert running.stderr.readline() == "Making inputs and checking layers ...\n"
        running.send_signal(number)
        printed = running.stderr.read()
    assert running.returncode == 130
    assert printed.splitlines()[-1] == "Interrupted before anything was measured."
    assert not out.exists()


def test_a_sweep_prints_its_budget_and_the_time_left_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The time left follows from the stored runs."""
    monkeypatch.setattr(executors, "executor", lambda: Interrupting(3))
    out = tmp_path / "out"
    run_bench.main(["run", "quick", "--budget", "145s", "--out", str(out)])
    planned = plan.load(out)
    first = capsys.readouterr().err.splitlines()[1]
    assert first == (
        "quick: 21 trials x 3 rounds = 63 runs, about "
        f"{duration_text(planned.seconds)}, at most 2 min 25 s (--budget); results in "
        f"{out}"
    )
    run_bench.main(["run", "--resume", str(out), "--budget", "10m"])
    left = 60 * 1.0 + 60 / 21 * plan.ROUND_SECONDS
    assert capsys.readouterr().err.splitlines()[1] == (
        "quick: 21 trials x 3 rounds = 63 runs, 3 runs stored, about "
        f"{duration_text(left)} more, at most 10 min (--budget); results in {out}"
    )


def test_a_full_disk_ends_the_sweep_and_finished_runs_stay(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A line has the way to continue, and no process is left."""
    executor, append = Interrupting(9), store.append

    def full(folder: Path, run: object) -> None:
        if len(store.load(folder)[0]) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(folder, run)

    monkeypatch.setattr(executors, "executor", lambda: executor)
    monkeypatch.setattr(store, "append", full)
    out = tmp_path / "out"
    assert run_bench.main(["run", "quick", "--out", str(out)]) == 2
    assert not executor.running
    assert len(store.load(out)[0]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: Cannot write to '{out}': No space left on device. Finished runs are "
        f"stored; correct this, then continue with --resume {out}."
    )


WORKLOAD = '''"""Adds one, slowly enough for a kill in the middle."""
import keras
import numpy as np

def examples(rng, count):
    return np.arange(count, dtype=np.float32)[:, None]

def build(examples):
    return keras.layers.Rescaling(1.0, offset=1.0)

def check(batch, output):
    np.testing.assert_array_equal(output, batch + 1)
'''


def test_after_a_kill_no_process_is_left_and_resume_makes_missing_runs(
    tmp_path: Path,
) -> None:
    """Runs from before the kill stay as they are, and there is a report."""
    (tmp_path / "mine.py").write_text(WORKLOAD)
    (tmp_path / "mine.toml").write_text(
        "[effort]\nrounds = 1\nsteady_seconds = 0.4\nwarmup_seconds = 0.1\n"
        '[[block]]\nworkloads = ["mine.py"]\naxes = {prefetch = [0, 1, 2]}\n'
    )
    out = tmp_path / "out"
    program = [sys.executable, str(ROOT / "run_bench.py"), "run"]
    with (tmp_path / "log").open("wb") as log:
        sweep = subprocess.Popen(
            [*program, "mine.toml", "--out", str(out)],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
    file = out / store.FILE
    deadline = time.monotonic() + 300
    while not (file.exists() and file.read_bytes().count(b"\n")):
        assert sweep.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = psutil.Process(sweep.pid).children(recursive=True)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    assert children
    assert psutil.wait_procs(children, timeout=120)[1] == []
    before = file.read_bytes()

    done = subprocess.run(
        [*program, "--resume", str(out)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    runs, notes = store.load(out)
    assert file.read_bytes().startswith(before)
    assert notes == []
    assert sorted(run.key for run in runs if not run.repeat) == [
        "mine.py",
        "mine.py[prefetch=1]",
        "mine.py[prefetch=2]",
    ]
    assert {run.measured.error for run in runs} == {None}
    assert {p.name for p in out.iterdir()} >= {"report.html", "report.md", "table.csv"}
