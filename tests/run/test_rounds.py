"""Rounds with a fake executor, and real processes that hang, die and print."""

import contextlib
import errno
import gc
import math
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import factory
import msgspec
import psutil
import pytest

from bench import failures, machine
from bench.run import executors
from bench.run.executors import Executor, ForkServer, Outcome, PendingRequest, Spawner
from bench.run.rounds import rounds
from bench.trial import Effort, Failure, Measured, Run, Trial

TRIALS = [factory.trial(prefetch=n) for n in range(6)]
EFFORT = Effort(rounds=3)
HEAVY_SHARE = machine.HEAVY_SHARE
PATIENCE_SECONDS = 300  # the longest wait, for the busiest machine


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat nothing on a busy test machine, where pauses of 0.1 s would cause it."""
    monkeypatch.setattr(machine, "HEAVY_SHARE", math.inf)


@pytest.fixture
def repeating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat runs beside heavy load, as outside these tests."""
    monkeypatch.setattr(machine, "HEAVY_SHARE", HEAVY_SHARE)


class Fake:
    """An executor that answers at once, and stores its requests."""

    def __init__(self, failing: str = "") -> None:
        """Fail for the trial with this key."""
        self.failing, self.log, self.seeds = failing, [], []
        self.sought = []  # whether each request seeks slow facts

    def start(self) -> None:
        """Note that a round begins."""
        self.log.append("start")

    def stop(self) -> None:
        """Note that a round ends."""
        self.log.append("stop")

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Return three samples, or the failure."""
        assert (verb, replace(effort, facts=True)) == ("measure", EFFORT)
        self.sought.append(effort.facts)
        self.log.append(trial.key)
        self.seeds.append(seed)
        if trial.key == self.failing:
            return Outcome(b"", Failure(type="Timeout", message="too long"), 9.0)
        measured = Measured(
            samples=[0.1, 0.2, 0.3], phases={"steady": 0.6}, overhead={"fork": 0.01}
        )
        return Outcome(msgspec.json.encode(measured), None, 1.0)


def make_runs(fake: Fake, seed: int = 5, **settings: object) -> list[Run]:
    """Make all runs of the trials."""
    return list(rounds(TRIALS, fake, EFFORT, sweep="mine", seed=seed, **settings))


def test_every_trial_is_run_once_a_round_in_another_order() -> None:
    """A start and a stop enclose each round; positions are those of the order."""
    fake = Fake()
    runs = make_runs(fake)
    keys = [trial.key for trial in TRIALS]
    orders = [[run.key for run in runs if run.round == n] for n in range(3)]
    assert fake.sought == [run.round == 0 for run in runs]
    assert [sorted(order) for order in orders] == [sorted(keys)] * 3
    assert len({tuple(order) for order in orders}) == 3
    assert [run.position for run in runs] == [*range(6)] * 3
    assert fake.log == [part for order in orders for part in ("start", *order, "stop")]


def test_the_order_follows_the_seed() -> None:
    """One seed gives one order; each round has a seed of its own."""
    first, again, other = Fake(), Fake(), Fake()
    make_runs(first), make_runs(again), make_runs(other, seed=6)
    assert first.log == again.log != other.log
    assert first.seeds == [5] * 6 + [6] * 6 + [7] * 6


def test_a_run_records_its_measurements_and_conditions() -> None:
    """The rest is the time outside the worker's phases."""
    run = make_runs(Fake())[0]
    assert (run.sweep, run.seed, run.effort, run.seconds) == ("mine", 5, EFFORT, 1.0)
    assert run.measured.samples == [0.1, 0.2, 0.3]
    assert run.measured.overhead["rest"] == pytest.approx(1.0 - 0.6 - 0.01)
    assert run.key == run.trial.key
    assert run.machine["tensorflow"]
    assert {"load_at_start", "steal_share", "foreign_cpu_share"} <= set(run.conditions)
    assert run.repeat == 0


def test_resuming_makes_missing_runs_at_their_positions() -> None:
    """A complete round starts nothing."""
    whole = make_runs(Fake())
    done = frozenset((run.key, run.round) for run in whole[:8])
    fake = Fake()
    rest = make_runs(fake, done=done)
    assert [(run.key, run.round, run.position) for run in rest] == [
        (run.key, run.round, run.position) for run in whole[8:]
    ]
    assert fake.log.count("start") == 2


def test_a_failure_is_a_row_and_the_sweep_goes_on() -> None:
    """The row has the type and the message."""
    runs = make_runs(Fake(failing=TRIALS[2].key))
    failed = [run for run in runs if run.measured.error]
    assert {run.key for run in failed} == {TRIALS[2].key}
    assert failed[0].measured.error == Failure(type="Timeout", message="too long")
    assert (len(runs), len(failed), failed[0].seconds) == (18, 3, 9.0)
    # The CPU time of the run is unknown, and so is that of other processes.
    assert "foreign_cpu_share" not in failed[0].conditions


def test_a_sweep_whose_trials_all_fail_ends_after_its_first_round() -> None:
    """Each failed for a reason of its own, which a further round would meet again."""

    class Failing(Fake):
        def execute(self, *request: object) -> Outcome:
            self.failing = request[1].key
            return super().execute(*request)

    runs = make_runs(Failing())
    assert [run.round for run in runs] == [0] * len(TRIALS)
    assert all(run.measured.error for run in runs)


def test_when_the_time_is_up_no_run_is_begun() -> None:
    """Earlier runs stay."""
    answers = iter([False] * 9 + [True] * 20)
    fake = Fake()
    runs = make_runs(fake, time_is_up=lambda: next(answers))
    assert len(runs) == 7  # two of nine answers are for the beginnings of rounds
    assert fake.log[-1] == "stop"
    assert fake.log.count("start") == 2


def test_the_executor_is_stopped_when_the_consumer_leaves() -> None:
    """Ctrl-C may come in the middle of a round, or while a round starts."""
    fake = Fake()
    runs = rounds(TRIALS, fake, EFFORT, sweep="mine", seed=5)
    next(runs)
    runs.close()
    assert fake.log[-1] == "stop"

    class Interrupted(Fake):
        def start(self) -> None:
            super().start()
            raise KeyboardInterrupt

    fake = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        make_runs(fake)
    assert fake.log == ["start", "stop"]


def test_each_round_calls_for_the_trials_and_efforts_that_it_needs() -> None:
    """The call comes after all earlier runs; an empty answer ends the sweep."""
    answers = [{t.key: EFFORT for t in TRIALS}, {TRIALS[4].key: EFFORT}, {}]
    seen: list[Run] = []
    calls: list[tuple[int, int]] = []

    def wanted(number: int) -> dict[str, Effort]:
        calls.append((number, len(seen)))
        return answers[number]

    fake = Fake()
    for run in rounds(TRIALS, fake, EFFORT, sweep="mine", seed=5, wanted=wanted):
        seen.append(run)
    assert calls == [(0, 0), (1, 6), (2, 7)]
    assert (seen[-1].key, seen[-1].round) == (TRIALS[4].key, 1)
    whole = make_runs(Fake())
    assert [run.position for run in seen] == [
        run.position for run in whole[:12] if run.round == 0 or run.key == TRIALS[4].key
    ]


class Beside:
    """Conditions of runs come from a list; after its end the machine is quiet."""

    def __init__(self, *shares: float) -> None:
        """Take the shares of CPU that others use."""
        self.shares = iter(shares)

    def __call__(self) -> "Beside":
        """Begin one run."""
        return self

    def read(self, run_cpu_seconds: float) -> dict[str, float]:
        """Return the conditions at the end of the run."""
        return {"foreign_cpu_share": next(self.shares, 0.0), "steal_share": 0.0}


def test_a_run_beside_heavy_load_is_made_once_more_at_the_end_of_its_round(
    repeating: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst run comes first; a tenth of the runs is repeated; both are stored."""
    limit = HEAVY_SHARE
    monkeypatch.setattr(
        machine, "Conditions", Beside(0.0, limit + 0.1, 0.0, 0.9, limit, 0.0, 0.8)
    )
    fake = Fake()
    runs = make_runs(fake)
    again = [run for run in runs if run.repeat]
    first = [run for run in runs if not run.repeat]
    assert len(first) == 18
    assert [(run.key, run.round, run.position) for run in again] == [
        (first[3].key, 0, 3),  # another repeat would exceed a tenth of six runs
    ]
    assert again[0].conditions["foreign_cpu_share"] == 0.8  # and is not repeated again
    assert runs.index(again[0]) == 6
    assert fake.sought == [
        run.round == 0 for run in runs
    ]  # a repeat may replace the first run
    assert fake.log.count("start") == fake.log.count("stop") == 3


def test_repeats_are_a_tenth_of_a_sweep_that_is_always_disturbed(
    repeating: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number is rounded up."""
    monkeypatch.setattr(machine, "Conditions", Beside(*[0.9] * 50))
    assert [run.round for run in make_runs(Fake()) if run.repeat] == [0, 1]


def test_neither_a_failed_run_nor_one_out_of_time_is_repeated(
    repeating: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed run would fail again, and a budget holds for repeats."""
    monkeypatch.setattr(machine, "Conditions", Beside(*[0.9] * 50))
    runs = make_runs(Fake(failing=TRIALS[2].key))
    assert {run.key for run in runs if run.repeat}.isdisjoint({TRIALS[2].key})
    answers = iter([False] * 7 + [True])
    assert len(make_runs(Fake(), time_is_up=lambda: next(answers))) == 6


WORKLOAD = '''"""Misbehaves as its variant says."""
import os, signal, subprocess, sys, time
from pathlib import Path
import keras
import numpy as np

VARIANTS = {
    "hangs": {"how": "hangs"},
    "kills": {"how": "kills"},
    "leaves": {"how": "leaves"},
    "raises": {"how": "raises"},
    "chatters": {"how": "chatters"},
    "draws": {"how": "draws"},
    "helps": {"how": "helps"},
}

def examples(rng, count):
    return np.arange(count, dtype=np.float32)[:, None]

def build(examples, how=""):
    if how == "hangs":
        time.sleep(600)
    if how == "kills":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "leaves":
        print("out of ink", file=sys.stderr)
        sys.exit(3)
    if how == "raises":
        raise KeyError("no such thing")
    if how == "chatters":
        print("{}\\n" * 1000, flush=True)
        os.write(1, b"x" * 100_000)
    if how == "draws":
        assert "matplotlib" not in sys.modules  # Keras would have imported it
        import matplotlib.figure
    if how == "helps":
        helper = subprocess.Popen(["sleep", "600"])
        Path(__file__).with_suffix(".helper").write_text(str(helper.pid))
    return keras.layers.Rescaling(1.0, offset=1.0)

def check(batch, output, how=""):
    np.testing.assert_array_equal(output, batch + 1)
'''
QUICK = Effort(
    rounds=1,
    steady_seconds=0.02,
    window_seconds=0.002,
    warmup_seconds=0.01,
    limit_seconds=PATIENCE_SECONDS,
)


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a user's file."""
    path = tmp_path_factory.mktemp("workload") / "mine.py"
    path.write_text(WORKLOAD)
    return str(path)


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """Return one server for all tests, and stop it after them."""
    running = ForkServer()
    running.start()
    yield running
    running.stop()


def measured(outcome: Outcome) -> Measured:
    """Decode the result that a worker wrote."""
    assert outcome.failure is None
    return msgspec.json.decode(outcome.result, type=Measured)


def test_a_forked_run_is_measured(server: ForkServer, workload: str) -> None:
    """It costs little beyond TensorFlow's own start, which was the server's.

    Both are processor times, as a busy machine may take any time on the clock.
    """
    outcome = server.execute("measure", Trial(workload=workload), QUICK, 1)
    run = measured(outcome)
    assert run.error is None
    assert len(run.samples) >= 3
    assert all(sample > 0 for sample in run.samples)
    assert {"fork", "tensorflow", "inputs", "check", "graph"} <= set(run.overhead)
    start = sum(psutil.Process(server._server.pid).cpu_times()[:2])
    assert 0 < run.process_cpu_seconds < start / 2


def test_keras_starts_without_matplotlib_and_a_users_file_may_have_it(
    server: ForkServer, workload: str
) -> None:
    outcome = server.execute("measure", Trial(workload=f"{workload}:draws"), QUICK, 1)
    assert measured(outcome).error is None


@pytest.mark.parametrize(
    ("how", "limit", "type_", "message"),
    [
        (
            "hangs",
            1.5,
            "Timeout",
            "stopped while build() makes the layers, after its limit of 1.5 s; raise "
            "it with --limit",
        ),
        (
            "kills",
            PATIENCE_SECONDS,
            "Killed",
            "ended by SIGKILL (often: out of memory)",
        ),
    ],
)
def test_a_run_that_never_answers_is_a_row_and_the_next_one_works(
    server: ForkServer, workload: str, how: str, limit: float, type_: str, message: str
) -> None:
    """The server outlives its children, and no child is left."""
    effort = Effort(limit_seconds=limit)
    outcome = server.execute("measure", Trial(workload=f"{workload}:{how}"), effort, 1)
    assert outcome.failure.type == type_
    assert outcome.failure.message == message
    assert psutil.Process(server._server.pid).children() == []
    after = server.execute("measure", Trial(workload=workload), QUICK, 1)
    assert measured(after).error is None


def test_the_failure_of_a_run_that_exits_has_its_last_lines(
    server: ForkServer, workload: str
) -> None:
    """The lines are its own, not those of an earlier run."""
    outcome = server.execute("measure", Trial(workload=f"{workload}:leaves"), QUICK, 1)
    assert outcome.failure.type == "Died"
    assert outcome.failure.message.startswith("left with status 1: ")
    assert outcome.failure.message.endswith("| SystemExit: 3")


def test_an_exception_is_written_by_the_worker(
    server: ForkServer, workload: str
) -> None:
    """The result has type, message and phase, and no sample."""
    outcome = server.execute("measure", Trial(workload=f"{workload}:raises"), QUICK, 1)
    run = measured(outcome)
    lines = Path(workload).read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "no such thing" in text)
    assert run.error == Failure(
        type="KeyError",
        message=f"'no such thing' (mine.py, line {line}, in build)",
        phase="adapt",
    )
    assert run.samples == []


def test_the_output_of_a_workload_disturbs_nothing(
    server: ForkServer, workload: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The result has a file of its own."""
    trial = Trial(workload=f"{workload}:chatters")
    assert measured(server.execute("measure", trial, QUICK, 1)).error is None
    assert capfd.readouterr() == ("", "")


def demand_replaced(server: ForkServer, lost: int, workload: str) -> None:
    """Demand that a run has a new server: a lost one must not cost the whole round."""
    outcome = server.execute("measure", Trial(workload=workload), QUICK, 1)
    assert measured(outcome).error is None
    assert server._server.pid != lost


def hanging(server: ForkServer, workload: str) -> tuple[PendingRequest, psutil.Process]:
    """Begin a run that hangs; its process already leads a group of its own."""
    begun = server.begin("measure", Trial(workload=f"{workload}:hangs"), QUICK, 1)
    process = psutil.Process(server._server.pid)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(os.getsid(child.pid) == child.pid for child in process.children()):
        assert time.monotonic() < deadline, server._log_tail()
        time.sleep(0.01)
    return begun, process.children()[0]


def demand_gone(pid: int) -> None:
    """Demand that a process has ended, though its status may be unread."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_run_is_killed_when_its_server_and_runner_are(
    server: ForkServer, workload: str
) -> None:
    """After `kill -9` of the group nobody else is left to end the run.

    Where the runner lives, it notices by the server's status, and starts a new one.
    """
    _, child = hanging(server, workload)
    lost = server._server.pid
    server._server.kill()
    demand_gone(child.pid)
    server._server.wait()
    demand_replaced(server, lost, workload)


def test_a_run_may_be_ended_by_hand(server: ForkServer, workload: str) -> None:
    """The run does not ignore the signals that its server ignores."""
    begun, child = hanging(server, workload)
    child.terminate()
    outcome = server.finish(begun, QUICK)
    assert outcome.failure.type == "Killed"
    assert outcome.failure.message.startswith("ended by SIGTERM")


def test_the_run_of_a_killed_server_is_killed_too(
    server: ForkServer, workload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner notices at once, as the run does not hold the channel open.

    On a busy machine the channel closes some time before the system has the status of
    the server. The next run has a new server all the same.
    """
    begun, child = hanging(server, workload)
    lost = server._server.pid
    server._server.kill()
    outcome = server.finish(begun, QUICK)
    assert outcome.failure.type == "Lost"
    assert outcome.failure.message.startswith("the fork server is gone")
    assert failures.is_from_outside(outcome.failure)
    demand_gone(child.pid)
    server._server.wait()
    monkeypatch.setattr(server._server, "poll", lambda: None)
    demand_replaced(server, lost, workload)


@pytest.mark.parametrize("leads", [True, False])
def test_a_limit_counts_from_the_sending_of_the_request(
    server: ForkServer, workload: str, leads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three runs that hang, begun together, thus take little more than one limit.

    The limit also ends a run that has just begun and leads no group yet.
    """

    def missing(group: int, number: int) -> None:
        raise ProcessLookupError

    if not leads:
        monkeypatch.setattr(os, "killpg", missing)
    monkeypatch.setattr(executors, "GRACE_SECONDS", 0.1)
    begun, child = hanging(server, workload)
    before = replace(begun, sent=begun.sent - QUICK.limit_seconds)
    outcome = server.finish(before, QUICK)
    assert outcome.failure.type == "Timeout"
    limit = f"after its limit of {PATIENCE_SECONDS} s; raise it with --limit"
    assert outcome.failure.message.endswith(limit)
    demand_gone(child.pid)


def helped(executor: Executor, workload: str) -> Measured:
    """Measure a file that starts a process, which must end with its run.

    It would disturb all later runs, even if this run went well.
    """
    outcome = executor.execute("measure", Trial(workload=f"{workload}:helps"), QUICK, 1)
    demand_gone(int(Path(workload).with_suffix(".helper").read_text()))
    return measured(outcome)


def test_processes_that_a_users_file_starts_end_with_its_run(
    server: ForkServer, workload: str
) -> None:
    assert helped(server, workload).error is None


def test_a_run_is_killed_when_its_runner_ends(
    server: ForkServer, workload: str
) -> None:
    """The server sees its input close, in the middle of a run, and ends by itself.

    A signal that ends the runner does not end the server first, though a terminal or
    `timeout` sends the signal to both.
    """
    _, child = hanging(server, workload)
    left = server._server
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        left.send_signal(number)
    left.stdin.close()  # the only sign of a runner that has ended
    assert left.wait(PATIENCE_SECONDS) == 0
    assert psutil.wait_procs([child], timeout=PATIENCE_SECONDS)[1] == []
    server.stop()


def test_where_no_process_has_a_handle_runs_are_spawned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some containers have none, though their Python has the call."""

    def refused(pid: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(machine, "gpus", list)
    assert isinstance(executors.executor(), ForkServer)
    monkeypatch.setattr(os, "pidfd_open", refused)
    assert isinstance(executors.executor(), Spawner)


@pytest.mark.parametrize("kind", [ForkServer, Spawner])
def test_a_deleted_executor_leaves_no_folder(kind: type) -> None:
    """No warning is issued either, which would be an error here."""
    executor = kind()
    folder = executor._scratch
    assert folder.is_dir()
    del executor
    gc.collect()
    assert not folder.exists()


def test_a_spawned_run_hangs_and_the_next_one_works(workload: str) -> None:
    """Each run has an interpreter of its own, as on machines with a GPU.

    The processes that a user's file starts end with its run here, too.
    """
    spawner = Spawner()
    spawner.start()
    trial = Trial(workload=f"{workload}:hangs")
    late = spawner.execute("measure", trial, Effort(limit_seconds=1.5), 1)
    assert late.failure.type == "Timeout"
    limit = "after its limit of 1.5 s; raise it with --limit"
    assert late.failure.message.endswith(limit)
    assert spawner._running == {}
    run = helped(spawner, workload)
    assert run.error is None
    assert len(run.samples) >= 3
    spawner.stop()


def test_the_failure_of_a_spawned_run_that_exits_has_its_last_lines(
    workload: str,
) -> None:
    """It is no crash of Python, whose thread waits for the end of the runner."""
    trial = Trial(workload=f"{workload}:leaves")
    failure = Spawner().execute("measure", trial, QUICK, 1).failure
    assert failure.type == "Died"
    assert failure.message.startswith("left with status 1: ")
    assert failure.message.endswith("SystemExit: 3")
