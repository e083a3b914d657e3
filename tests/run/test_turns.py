"""Turns over real sockets: orders, quiet, lost processes, older harnesses."""

import itertools
import select
import socket
import tempfile
import threading
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from bench.errors import UsageError
from bench.guard import trio
from bench.pipeline import Pipeline
from bench.run import turns
from bench.run.protocol import Outcome
from bench.run.turns import (
    ORDERS,
    PROTOCOL,
    UNPLACED,
    Dismissed,
    Ready,
    Turn,
    TurnCaller,
    TurnWork,
    TurnWorker,
    socket_folder,
    take_rounds,
)
from bench.trial import Effort, Failure, Measured, Trial


class Clock:
    """A clock whose seconds pass only when a test adds them."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Process:
    """A stand-in for a measured process runs in a thread, on a clock of its own."""

    def __init__(self, folder, name, log, seconds, *, flushes=True):
        self.caller, self.clock = TurnCaller(folder, name), Clock()
        self.name, self.log, self.seconds = name, log, seconds
        self.flushes, self.turns, self.example = flushes, None, None
        self.thread = threading.Thread(target=self._work)
        self.thread.start()
        assert self.caller.arrived(60, gone=lambda: False)

    def _work(self):
        worker = TurnWorker(self.caller.path)
        self.example = worker.example()

        def window():
            self.log.append(self.name)
            self.clock.now += self.seconds

        flush = (
            (lambda: self.log.append(f"{self.name} flush") or True)
            if self.flushes
            else None
        )
        work = TurnWork(flush=flush, window=window, batches=2, pulled=[(0, 1), (2, 9)])
        self.turns = worker.serve(work, self.clock)

    def leave(self):
        self.caller.close()
        self.thread.join(60)


def _seconds(rounds):
    return [tuple(turn.seconds for turn in row) for row in rounds]


def test_each_process_follows_each_other_one_as_often_and_never_itself(tmp_path):
    """A turn after a process's own turn has warm caches, and would seem faster."""
    log, ticks = [], iter(range(100))
    processes = [Process(tmp_path, name, log, 0.5 * i) for i, name in enumerate("abc")]
    callers = [one.caller for one in processes]
    for caller in callers:
        assert caller.ready({}) == {"batches": 2, "pulled": [(0, 1), (2, 9)]}
    rounds = take_rounds(callers, seconds=13, clock=lambda: next(ticks))
    for one in processes:
        one.leave()
    # Seconds a batch, two batches a window, in the order of the callers.
    assert _seconds(rounds) == [(0.0, 0.25, 0.5)] * 12
    assert log[:4] == ["a flush", "a", "b flush", "b"]
    assert [turn.seconds for turn in processes[2].turns] == [0.5] * 12
    turns = [entry for entry in log if "flush" not in entry]
    twice = turns[: 2 * 3 * len(ORDERS)]
    places = [twice[start : start + 3] for start in range(0, len(twice), 3)]
    for place in zip(*places, strict=True):
        assert Counter(place) == dict.fromkeys("abc", 4)
    cycle = turns[: 3 * len(ORDERS) + 1]
    assert set(Counter(itertools.pairwise(cycle)).values()) == {3}
    assert len(Counter(itertools.pairwise(cycle))) == 6


def test_all_orders_are_gone_through_even_when_the_time_is_up(tmp_path):
    ticks = iter(range(0, 1000, 100))
    processes = [Process(tmp_path, name, [], 1.0) for name in "abc"]
    callers = [one.caller for one in processes]
    for caller in callers:
        caller.ready({})
    rounds = take_rounds(callers, seconds=1, clock=lambda: next(ticks))
    for one in processes:
        one.leave()
    assert len(rounds) == len(ORDERS)


def test_a_pipeline_that_prepares_nothing_is_not_flushed(tmp_path):
    log = []
    one = Process(tmp_path, "a", log, 1.0, flushes=False)
    one.caller.ready({})
    assert isinstance(one.caller.turn(), Turn)
    one.leave()
    assert log == ["a"]


def test_a_process_whose_threads_work_on_is_not_quiet(monkeypatch):
    monkeypatch.setattr(turns, "cpu_seconds", itertools.count().__next__)
    assert not turns.become_quiet(0.01)
    monkeypatch.setattr(turns, "cpu_seconds", lambda: 1.0)
    assert turns.become_quiet(60)


def test_a_turn_states_whether_its_process_became_quiet_within_some_windows(
    tmp_path, monkeypatch
):
    """A buffer of batches of 0.1 s takes longer to fill than one of batches of 5 ms."""
    limits = []

    def restless(limit_seconds):
        limits.append(limit_seconds)
        return False

    monkeypatch.setattr(turns, "become_quiet", restless)
    one = Process(tmp_path, "a", [], 0.1)
    still = Process(tmp_path, "b", [], 0.1, flushes=False)
    for process, quiet in ((one, False), (still, True)):
        process.caller.ready({})
        assert process.caller.turn().quiet == quiet
        process.leave()
    assert limits == pytest.approx([5.0, 2.0])
    assert [turns._quiet_limit(seconds) for seconds in (0.005, 9.0)] == [0.25, 5.0]


def test_a_process_receives_another_s_way_to_get_ready(tmp_path):
    one = Process(tmp_path, "a", [], 1.0)
    one.caller.ready({"batches": 7, "pulled": [[7, 3]]})
    one.leave()
    assert one.example == Ready(batches=7, pulled=[(7, 3)])


def test_a_lost_process_ends_the_rounds(tmp_path):
    one = Process(tmp_path, "a", [], 1.0)
    gone = TurnCaller(tmp_path, "b")

    def leave():
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(gone.path)
            channel.sendall(b"{}\n")

    thread = threading.Thread(target=leave)
    thread.start()
    assert gone.arrived(60, gone=lambda: False)
    thread.join(60)
    assert (one.caller.protocol, gone.protocol) == (PROTOCOL, 0)
    one.caller.ready({})
    assert gone.ready({}) is None
    assert take_rounds([one.caller, gone, one.caller], seconds=5, clock=Clock()) == []
    one.leave()
    gone.close()


class Spawned:
    """A stand-in for spawned processes, whose protocol is known when they arrive."""

    protocol = PROTOCOL

    def __init__(self, answered):
        self.answered, self.threads = answered, []

    def begin(self, verb, trial, effort, seed, place):
        def arrive():
            with socket.socket(socket.AF_UNIX) as channel:
                channel.connect(place.channel)
                channel.sendall(b'{"protocol": %d}\n' % self.answered)
                channel.recv(99)  # a request, or the end of the channel

        self.threads.append(threading.Thread(target=arrive))
        self.threads[-1].start()

    def ended(self, begun):
        return False

    def finish(self, begun, effort):
        return Outcome(b"", Failure(type="Died", message="as planned"), 0.0)


def after_a_trio(protocol):
    server = Spawned(protocol)
    side = trio.Side(server, Trial(workload="prose"), "/base")
    try:
        trio.run_trio(side, side, Effort(), seconds=0.1, seed=0, number=0)
    finally:
        for thread in server.threads:
            thread.join(60)
    return server


def test_processes_of_an_older_harness_are_known_when_they_arrive():
    """A harness whose turns do not fit is refused; other old ones are noted."""
    for older in UNPLACED:
        assert after_a_trio(older).protocol == older
    with pytest.raises(UsageError) as error:
        after_a_trio(0)
    assert str(error.value) == (
        "The harness in /base takes turns by protocol 0 and this one by 4: they cannot "
        "be compared live. Compare result folders: guard A B."
    )


class Working(Spawned):
    """Stand-ins that take turns, and store the examples by which they get ready."""

    def __init__(self):
        super().__init__(PROTOCOL)
        self.examples = []

    def begin(self, verb, trial, effort, seed, place):
        def work():
            worker = TurnWorker(place.channel)
            example = worker.example()
            self.examples.append(example)
            pulled = example.pulled if example else [(0, 1), (1, 2), (3, 5)]
            work = TurnWork(None, lambda: None, 3, pulled)
            worker.serve(work, itertools.count().__next__)

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    def finish(self, begun, effort):
        return Outcome(msgspec.json.encode(Measured()), None, 0.1)


def test_a_trio_repeats_an_earlier_one_but_for_its_calibrating():
    """Steps replace the windows of other lengths, which only calibration made."""
    server, trial = Working(), Trial(workload="prose")
    side = trio.Side(server, trial)
    first = trio.run_trio(side, side, Effort(), seconds=0.01, seed=0, number=0)
    ready = {"batches": 3, "pulled": [[0, 1], [0, 2], [3, 5]]}
    assert first.preparation == dict.fromkeys(trio.ROLES, ready)
    again = trio.run_trio(
        side,
        side,
        Effort(),
        seconds=0.01,
        seed=0,
        number=1,
        preparation=first.preparation,
    )
    for thread in server.threads:
        thread.join(60)
    whole = Ready(batches=3, pulled=[(0, 1), (1, 2), (3, 5)])
    later = [Ready(batches=3, pulled=[(0, 1), (0, 2), (3, 5)])] * 3
    assert server.examples == [None, whole, whole, *later]
    assert again.preparation == first.preparation
    assert len(again.turns) >= len(ORDERS)


def test_each_of_two_pipelines_finds_a_window_of_its_own():
    """A window for the slower one would take the faster less time than waking up."""
    server = Working()
    slow, fast = (
        trio.Side(server, Trial(workload="prose", pipeline=Pipeline(order=order)))
        for order in ("map_batch", "batch_map")
    )
    result = trio.run_trio(slow, fast, Effort(), seconds=0.01, seed=0, number=0)
    for thread in server.threads:
        thread.join(60)
    whole = Ready(batches=3, pulled=[(0, 1), (1, 2), (3, 5)])
    assert server.examples == [None, whole, None]
    assert set(result.preparation) == set(trio.ROLES)


def test_nobody_waits_for_a_process_that_has_ended(tmp_path):
    caller = TurnCaller(tmp_path, "never")
    assert not caller.arrived(60, gone=lambda: True)
    assert not caller.late
    assert not caller.arrived(0.0, gone=lambda: False)
    assert caller.late
    caller.close()


def test_a_process_that_answers_too_late_is_late_and_is_dismissed(tmp_path):
    caller, events, closed = TurnCaller(tmp_path, "a"), [], threading.Event()

    def work():
        worker = TurnWorker(caller.path)
        worker.example()
        closed.wait(60)
        with pytest.raises(Dismissed):
            for _ in range(3):  # the first may still fit into the socket
                worker.serve(TurnWork(None, lambda: None, batches=1), Clock())
        events.append("dismissed")

    thread = threading.Thread(target=work)
    thread.start()
    assert caller.arrived(60, gone=lambda: False)
    caller._channel.settimeout(0.01)
    assert caller.ready({}) is None
    assert caller.late
    caller.close()
    closed.set()
    thread.join(60)
    assert events == ["dismissed"]


def test_a_turn_that_nobody_waits_for_is_dismissed_too(tmp_path):
    """The answer lies unread when the other side leaves, which resets the channel."""
    caller, events, waited = TurnCaller(tmp_path, "a"), [], threading.Event()

    def work():
        worker = TurnWorker(caller.path)
        worker.example()
        with pytest.raises(Dismissed):
            worker.serve(TurnWork(None, lambda: waited.wait(60), batches=1), Clock())
        events.append("dismissed")

    thread = threading.Thread(target=work)
    thread.start()
    assert caller.arrived(60, gone=lambda: False)
    assert caller.ready({}) == {"batches": 1, "pulled": []}
    caller._channel.settimeout(0.01)
    assert caller.turn() is None
    assert caller.late
    waited.set()
    assert select.select([caller._channel], [], [], 60)[0]
    caller.close()
    thread.join(60)
    assert events == ["dismissed"]


def test_a_process_that_is_dismissed_before_the_turns_has_the_reason(tmp_path):
    caller, messages = TurnCaller(tmp_path, "a"), []

    def work():
        worker = TurnWorker(caller.path)
        with pytest.raises(Dismissed) as error:
            worker.example()
        messages.append(str(error.value))

    thread = threading.Thread(target=work)
    thread.start()
    assert caller.arrived(60, gone=lambda: False)
    caller.close()
    thread.join(60)
    assert messages == ["no turns were taken: another process was lost"]


def test_a_process_that_arrives_when_nobody_listens_is_dismissed(tmp_path):
    caller = TurnCaller(tmp_path, "a")
    caller.close()
    with pytest.raises(Dismissed):
        TurnWorker(caller.path)


@pytest.mark.parametrize("name", ["short", "long" * 40])
def test_sockets_fit_whatever_the_temporary_folder(tmp_path, monkeypatch, name):
    usual = tmp_path / name
    usual.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(usual))
    with socket_folder() as folder:
        TurnCaller(Path(folder), "a").close()
    assert not Path(folder).exists()
