"""Rounds with a fake executor, and real processes that hang, die and chatter."""

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
from bench.run.executors import Begun, Executor, ForkServer, Outcome, Spawner
from bench.run.rounds import rounds
from bench.trial import Effort, Failure, Measured, Run, Trial

TRIALS = [factory.trial(prefetch=n) for n in range(6)]
EFFORT = Effort(rounds=3)
HEAVY_SHARE = machine.HEAVY_SHARE
PATIENCE_SECONDS = 300  # for what must come, however busy the machine is


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy test machine repeats nothing: a pause of 0.1 s within a run would do."""
    monkeypatch.setattr(machine, "HEAVY_SHARE", math.inf)


@pytest.fixture
def repeating(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside these tests."""
    monkeypatch.setattr(machine, "HEAVY_SHARE", HEAVY_SHARE)


class Fake:
    """Answers at once, and notes what it was asked."""

    def __init__(self, failing: str = "") -> None:
        """Fails for the trial with this key."""
        self.failing, self.log, self.seeds = failing, [], []
        self.sought = []  # whether slow facts were

    def start(self) -> None:
        """A round begins."""
        self.log.append("start")

    def stop(self) -> None:
        """A round ends."""
        self.log.append("stop")

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Three samples, or the failure."""
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


def made(fake: Fake, seed: int = 5, **settings: object) -> list[Run]:
    """All runs of the trials."""
    return list(rounds(TRIALS, fake, EFFORT, sweep="mine", seed=seed, **settings))


def test_every_trial_is_run_once_a_round_in_another_order() -> None:
    """Each round between a start and a stop; positions are those of the order."""
    fake = Fake()
    runs = made(fake)
    keys = [trial.key for trial in TRIALS]
    orders = [[run.key for run in runs if run.round == n] for n in range(3)]
    assert fake.sought == [run.round == 0 for run in runs]
    assert [sorted(order) for order in orders] == [sorted(keys)] * 3
    assert len({tuple(order) for order in orders}) == 3
    assert [run.position for run in runs] == [*range(6)] * 3
    assert fake.log == [part for order in orders for part in ("start", *order, "stop")]


def test_the_order_follows_the_seed() -> None:
    """The same again, or another; and each round has a seed of its own."""
    first, again, other = Fake(), Fake(), Fake()
    made(first), made(again), made(other, seed=6)
    assert first.log == again.log != other.log
    assert first.seeds == [5] * 6 + [6] * 6 + [7] * 6


def test_a_run_records_what_was_measured_and_around_it() -> None:
    """What was spent beside the worker's phases is the rest."""
    run = made(Fake())[0]
    assert (run.sweep, run.seed, run.effort, run.seconds) == ("mine", 5, EFFORT, 1.0)
    assert run.measured.samples == [0.1, 0.2, 0.3]
    assert run.measured.overhead["rest"] == pytest.approx(1.0 - 0.6 - 0.01)
    assert run.key == run.trial.key
    assert run.machine["tensorflow"]
    assert {"load_at_start", "steal_share", "foreign_cpu_share"} <= set(run.conditions)
    assert run.repeat == 0


def test_resuming_makes_what_is_missing_in_the_places_of_its_round() -> None:
    """A round that is done starts nothing."""
    whole = made(Fake())
    done = frozenset((run.key, run.round) for run in whole[:8])
    fake = Fake()
    rest = made(fake, done=done)
    assert [(run.key, run.round, run.position) for run in rest] == [
        (run.key, run.round, run.position) for run in whole[8:]
    ]
    assert fake.log.count("start") == 2


def test_a_failure_is_a_row_and_the_sweep_goes_on() -> None:
    """With its type and message."""
    runs = made(Fake(failing=TRIALS[2].key))
    failed = [run for run in runs if run.measured.error]
    assert {run.key for run in failed} == {TRIALS[2].key}
    assert failed[0].measured.error == Failure(type="Timeout", message="too long")
    assert (len(runs), len(failed), failed[0].seconds) == (18, 3, 9.0)
    # What it took itself is not known, so neither is what others took.
    assert "foreign_cpu_share" not in failed[0].conditions


def test_when_the_time_is_up_no_run_is_begun() -> None:
    """Runs that were made stay."""
    asked = iter([False] * 9 + [True] * 20)
    fake = Fake()
    runs = made(fake, time_is_up=lambda: next(asked))
    assert len(runs) == 7  # asked once more at the head of each of two rounds
    assert fake.log[-1] == "stop"
    assert fake.log.count("start") == 2


def test_the_executor_is_stopped_when_the_consumer_leaves() -> None:
    """As after Ctrl-C, in the middle of a round, or while it starts."""
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
        made(fake)
    assert fake.log == ["start", "stop"]


def test_each_round_asks_which_trials_it_needs_and_with_what_effort() -> None:
    """When all runs before it are handed out; an empty answer ends the sweep."""
    wants = [{t.key: EFFORT for t in TRIALS}, {TRIALS[4].key: EFFORT}, {}]
    seen: list[Run] = []
    asked: list[tuple[int, int]] = []

    def wanted(number: int) -> dict[str, Effort]:
        asked.append((number, len(seen)))
        return wants[number]

    fake = Fake()
    for run in rounds(TRIALS, fake, EFFORT, sweep="mine", seed=5, wanted=wanted):
        seen.append(run)
    assert asked == [(0, 0), (1, 6), (2, 7)]
    assert (seen[-1].key, seen[-1].round) == (TRIALS[4].key, 1)
    whole = made(Fake())
    assert [run.position for run in seen] == [
        run.position for run in whole[:12] if run.round == 0 or run.key == TRIALS[4].key
    ]


class Beside:
    """Conditions of runs as they are told, in order; quiet when the list has ended."""

    def __init__(self, *shares: float) -> None:
        """Shares of CPU that others take."""
        self.shares = iter(shares)

    def __call__(self) -> "Beside":
        """The conditions of one run."""
        return self

    def read(self, run_cpu_seconds: float) -> dict[str, float]:
        """At its end."""
        return {"foreign_cpu_share": next(self.shares, 0.0), "steal_share": 0.0}


def test_a_run_beside_heavy_load_is_made_once_more_at_the_end_of_its_round(
    repeating: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst first, at most a tenth of the runs made; both are kept."""
    limit = HEAVY_SHARE
    monkeypatch.setattr(
        machine, "Conditions", Beside(0.0, limit + 0.1, 0.0, 0.9, limit, 0.0, 0.8)
    )
    fake = Fake()
    runs = made(fake)
    again = [run for run in runs if run.repeat]
    first = [run for run in runs if not run.repeat]
    assert len(first) == 18
    assert [(run.key, run.round, run.position) for run in again] == [
        (first[3].key, 0, 3),  # the other one of this round is beyond a tenth of six
    ]
    assert again[0].conditions["foreign_cpu_share"] == 0.8  # it is not made thrice
    assert runs.index(again[0]) == 6
    assert fake.sought == [run.round == 0 for run in runs]  # it may stand for the first
    assert fake.log.count("start") == fake.log.count("stop") == 3


def test_repeats_are_a_tenth_of_a_sweep_that_is_always_disturbed(
    repeating: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounded up."""
    monkeypatch.setattr(machine, "Conditions", Beside(*[0.9] * 50))
    assert [run.round for run in made(Fake()) if run.repeat] == [0, 1]


def test_neither_a_failed_run_nor_one_out_of_time_is_repeated(
    repeating: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would fail again; a budget is a budget."""
    monkeypatch.setattr(machine, "Conditions", Beside(*[0.9] * 50))
    runs = made(Fake(failing=TRIALS[2].key))
    assert {run.key for run in runs if run.repeat}.isdisjoint({TRIALS[2].key})
    asked = iter([False] * 7 + [True])
    assert len(made(Fake(), time_is_up=lambda: next(asked))) == 6


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
    """The path of a user's file."""
    path = tmp_path_factory.mktemp("workload") / "mine.py"
    path.write_text(WORKLOAD)
    return str(path)


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """One server for all that its children can do; none is left after it."""
    running = ForkServer()
    running.start()
    yield running
    running.stop()


def measured(outcome: Outcome) -> Measured:
    """What a worker wrote."""
    assert outcome.failure is None
    return msgspec.json.decode(outcome.result, type=Measured)


def test_a_forked_run_is_measured(server: ForkServer, workload: str) -> None:
    """And costs little beyond TensorFlow's own start, which was the server's.

    Both are processor time, as a busy machine takes any time on the clock.
    """
    outcome = server.execute("measure", Trial(workload=workload), QUICK, 1)
    found = measured(outcome)
    assert found.error is None
    assert len(found.samples) >= 3
    assert all(sample > 0 for sample in found.samples)
    assert {"fork", "tensorflow", "inputs", "check", "graph"} <= set(found.overhead)
    start = sum(psutil.Process(server._server.pid).cpu_times()[:2])
    assert 0 < found.process_cpu_seconds < start / 2


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
    """The server outlives what it has forked, and no child is left."""
    effort = Effort(limit_seconds=limit)
    outcome = server.execute("measure", Trial(workload=f"{workload}:{how}"), effort, 1)
    assert outcome.failure.type == type_
    assert outcome.failure.message == message
    assert psutil.Process(server._server.pid).children() == []
    after = server.execute("measure", Trial(workload=workload), QUICK, 1)
    assert measured(after).error is None


def test_a_run_that_leaves_says_its_last_words(
    server: ForkServer, workload: str
) -> None:
    """Its own, and not those of a run before it."""
    outcome = server.execute("measure", Trial(workload=f"{workload}:leaves"), QUICK, 1)
    assert outcome.failure.type == "Died"
    assert outcome.failure.message.startswith("left with status 1: ")
    assert outcome.failure.message.endswith("| SystemExit: 3")


def test_an_exception_is_written_by_the_worker(
    server: ForkServer, workload: str
) -> None:
    """Type, message and phase; no sample."""
    outcome = server.execute("measure", Trial(workload=f"{workload}:raises"), QUICK, 1)
    found = measured(outcome)
    lines = Path(workload).read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "no such thing" in text)
    assert found.error == Failure(
        type="KeyError",
        message=f"'no such thing' (mine.py, line {line}, in build)",
        phase="adapt",
    )
    assert found.samples == []


def test_what_a_workload_prints_disturbs_nothing(
    server: ForkServer, workload: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The result has a channel of its own."""
    trial = Trial(workload=f"{workload}:chatters")
    assert measured(server.execute("measure", trial, QUICK, 1)).error is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("seen", ["by its status", "by its channel"])
def test_a_server_that_was_killed_is_replaced(
    server: ForkServer, workload: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lost server must not cost the rest of a round.

    On a busy machine its channel is closed some time before its status can be had.
    """
    lost = server._server.pid
    os.kill(lost, signal.SIGKILL)
    server._server.wait()
    if seen == "by its channel":
        monkeypatch.setattr(server._server, "poll", lambda: None)
    outcome = server.execute("measure", Trial(workload=workload), QUICK, 1)
    assert measured(outcome).error is None
    assert server._server.pid != lost


def hanging(server: ForkServer, workload: str) -> tuple[Begun, psutil.Process]:
    """A run that hangs, with its process, as soon as that leads a group of its own."""
    begun = server.begin("measure", Trial(workload=f"{workload}:hangs"), QUICK, 1)
    process = psutil.Process(server._server.pid)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(os.getsid(child.pid) == child.pid for child in process.children()):
        assert time.monotonic() < deadline, server._log_tail()
        time.sleep(0.01)
    return begun, process.children()[0]


def demand_gone(pid: int) -> None:
    """It has ended, whether or not somebody has asked for its status."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_when_the_runner_goes_away_the_run_is_killed(
    server: ForkServer, workload: str
) -> None:
    """The server sees its input close, in the middle of a run, and leaves by itself.

    What ended the runner does not end it before, though a terminal or `timeout` sends
    it to both.
    """
    _, child = hanging(server, workload)
    left = server._server
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        left.send_signal(number)
    left.stdin.close()  # all that it sees of a runner that is gone
    assert left.wait(PATIENCE_SECONDS) == 0
    assert psutil.wait_procs([child], timeout=PATIENCE_SECONDS)[1] == []
    server.stop()


def test_when_server_and_runner_are_killed_the_run_is_too(
    server: ForkServer, workload: str
) -> None:
    """As by `kill -9` of a group, which leaves nobody to end it."""
    _, child = hanging(server, workload)
    server._server.kill()
    demand_gone(child.pid)
    server._server.wait()


def test_a_run_may_be_ended_by_hand(server: ForkServer, workload: str) -> None:
    """It does not ignore what its server ignores."""
    begun, child = hanging(server, workload)
    child.terminate()
    outcome = server.finish(begun, QUICK)
    assert outcome.failure.type == "Killed"
    assert outcome.failure.message.startswith("ended by SIGTERM")


def test_what_a_killed_server_was_running_is_killed_too(
    server: ForkServer, workload: str
) -> None:
    """At once: the run holds no end of the channel by which the server is seen."""
    begun, child = hanging(server, workload)
    server._server.kill()
    outcome = server.finish(begun, QUICK)
    assert outcome.failure.type == "Lost"
    assert outcome.failure.message.startswith("the fork server is gone")
    assert failures.from_outside(outcome.failure)
    demand_gone(child.pid)


@pytest.mark.parametrize("leads", [True, False])
def test_a_limit_counts_from_when_a_run_was_asked_for(
    server: ForkServer, workload: str, leads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that three that hang, begun together, take one limit and a little more.

    It ends one that has just begun too, and leads no group yet.
    """

    def missing(group: int, number: int) -> None:
        raise ProcessLookupError

    if not leads:
        monkeypatch.setattr(os, "killpg", missing)
    monkeypatch.setattr(executors, "GRACE_SECONDS", 0.1)
    begun, child = hanging(server, workload)
    before = replace(begun, asked=begun.asked - QUICK.limit_seconds)
    outcome = server.finish(before, QUICK)
    assert outcome.failure.type == "Timeout"
    limit = f"after its limit of {PATIENCE_SECONDS} s; raise it with --limit"
    assert outcome.failure.message.endswith(limit)
    demand_gone(child.pid)


@pytest.mark.parametrize("made", ["forked", "spawned"])
def test_what_a_users_file_has_started_ends_with_its_run(
    server: ForkServer, workload: str, made: str
) -> None:
    """Though the run went well: it would disturb all that follow."""
    executor: Executor = server if made == "forked" else Spawner()
    outcome = executor.execute("measure", Trial(workload=f"{workload}:helps"), QUICK, 1)
    assert measured(outcome).error is None
    demand_gone(int(Path(workload).with_suffix(".helper").read_text()))


def test_where_no_process_has_a_handle_runs_are_spawned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in some containers, whose Python has the call all the same."""

    def refused(pid: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(machine, "gpus", list)
    assert isinstance(executors.executor(), ForkServer)
    monkeypatch.setattr(os, "pidfd_open", refused)
    assert isinstance(executors.executor(), Spawner)


@pytest.mark.parametrize("made", [ForkServer, Spawner])
def test_an_executor_that_is_let_go_leaves_no_folder(made: type) -> None:
    """And warns of nothing, which would be an error here."""
    executor = made()
    folder = executor._scratch
    assert folder.is_dir()
    del executor
    gc.collect()
    assert not folder.exists()


def test_a_spawned_run_hangs_and_the_next_one_works(workload: str) -> None:
    """As where a GPU is: each run has an interpreter of its own."""
    spawner = Spawner()
    spawner.start()
    trial = Trial(workload=f"{workload}:hangs")
    late = spawner.execute("measure", trial, Effort(limit_seconds=1.5), 1)
    assert late.failure.type == "Timeout"
    limit = "after its limit of 1.5 s; raise it with --limit"
    assert late.failure.message.endswith(limit)
    assert spawner._running == {}
    found = measured(spawner.execute("measure", Trial(workload=workload), QUICK, 1))
    assert found.error is None
    assert len(found.samples) >= 3
    spawner.stop()


def test_a_spawned_run_that_leaves_says_its_last_words(workload: str) -> None:
    """And is no crash of Python, whose thread waits for the runner to go away."""
    trial = Trial(workload=f"{workload}:leaves")
    failure = Spawner().execute("measure", trial, QUICK, 1).failure
    assert failure.type == "Died"
    assert failure.message.startswith("left with status 1: ")
    assert failure.message.endswith("SystemExit: 3")
