"""Turns over real sockets: orders, stops, lost processes, other harnesses."""

import functools
import itertools
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import msgspec
import psutil
import pytest

from bench.errors import UsageError
from bench.guard import trio
from bench.pipeline import Pipeline
from bench.run import turns
from bench.run.protocol import Outcome
from bench.run.turns import (
    ORDERS,
    PROTOCOL,
    Dismissed,
    Ready,
    Turn,
    TurnCaller,
    TurnWork,
    TurnWorker,
    socket_folder,
    take_rounds,
)
from bench.shell import ROOT
from bench.trial import Effort, Failure, Measured, Trial


class Clock:
    """A clock whose seconds pass only when a test adds them."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Process:
    """A stand-in for a measured process runs in a thread, on a clock of its own."""

    def __init__(self, folder, name, log, seconds, *, lead_in=0):
        self.caller, self.clock = TurnCaller(folder, name), Clock()
        self.name, self.log, self.seconds = name, log, seconds
        self.lead_in, self.turns, self.example = lead_in, None, None
        self.thread = threading.Thread(target=self._work)
        self.thread.start()
        assert self.caller.arrived(60, gone=lambda: False)

    def _work(self):
        worker = TurnWorker(self.caller.path)
        self.example = worker.example()

        def window():
            self.log.append(self.name)
            self.clock.now += self.seconds

        work = TurnWork(window, 2, self.lead_in, [(0, 1), (2, 9)])
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
    assert log[:4] == ["a", "b", "c", "b"]
    assert [turn.seconds for turn in processes[2].turns] == [0.5] * 12
    twice = log[: 2 * 3 * len(ORDERS)]
    places = [twice[start : start + 3] for start in range(0, len(twice), 3)]
    for place in zip(*places, strict=True):
        assert Counter(place) == dict.fromkeys("abc", 4)
    cycle = log[: 3 * len(ORDERS) + 1]
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


def test_the_windows_of_a_lead_in_are_not_timed(tmp_path, monkeypatch):
    log, stops = [], []
    monkeypatch.setattr(turns, "_stop", lambda: stops.append(len(log)))
    monkeypatch.setattr(turns, "_continue_when_the_parent_ends", lambda: None)
    monkeypatch.setattr(turns, "_state", lambda process: "T")
    monkeypatch.setattr(turns.os, "killpg", lambda *signal: None)
    one = Process(tmp_path, "a", log, 1.0, lead_in=3)
    one.caller.ready({})
    assert one.caller.turn() == Turn(0.5, pytest.approx(0.0, abs=1.0))
    one.leave()
    assert log == ["a"] * 4
    assert stops == [0, 4]


WORKING = """
import subprocess, sys, threading, time
from bench.run.turns import TurnWork, TurnWorker

def work():
    while True:
        ticks[0] += 1
        time.sleep(0.001)

ticks = [0]
threading.Thread(target=work, daemon=True).start()
subprocess.Popen([sys.executable, "-c", "while True: print(flush=True)"],
                 stdout=open(sys.argv[2], "wb"))
worker = TurnWorker(sys.argv[1])
worker.example()
worker.serve(TurnWork(lambda: time.sleep(0.02), 1, 1), lambda: ticks[0])
"""


@pytest.fixture
def started(tmp_path):
    """A process that never rests of itself, nor does its own child."""
    caller, written = TurnCaller(tmp_path, "a"), tmp_path / "written"
    process = subprocess.Popen(
        [sys.executable, "-c", WORKING, caller.path, str(written)],
        cwd=ROOT,
        start_new_session=True,
    )
    assert caller.arrived(60, gone=lambda: False)
    yield caller, process, written
    caller.close()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_between_turns_a_process_and_all_that_it_started_do_nothing(started):
    """Its thread counts, and its child writes, in its own turns alone."""
    caller, process, written = started
    assert caller.ready({})
    while not written.stat().st_size:  # it starts in the turns as well
        assert caller.turn().quiet
    for _ in range(3):
        turn = caller.turn()
        assert turn.quiet
        assert 0 < turn.seconds < 60  # the thread's counts within the window
        time.sleep(0.01)
        size, used = written.stat().st_size, psutil.Process(process.pid).cpu_times()
        time.sleep(0.1)
        assert written.stat().st_size == size
        assert psutil.Process(process.pid).cpu_times()[:2] == used[:2]
    caller.close()
    assert process.wait(60) == 0


def test_a_process_that_cannot_be_stopped_disturbs(started, monkeypatch):
    caller, _, _ = started
    assert caller.ready({})
    monkeypatch.setattr(turns, "STOP_SECONDS", 0.01)
    monkeypatch.setattr(turns, "_state", lambda process: "R")
    assert not caller.turn().quiet


def test_a_stopped_process_whose_parent_ends_goes_on(tmp_path):
    """Otherwise it would stay for ever, and hold its memory."""
    caller = TurnCaller(tmp_path, "a")
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys\n"
            "subprocess.run([sys.executable, '-c', *sys.argv[1:]], "
            "start_new_session=True)",
            WORKING,
            caller.path,
            str(tmp_path / "written"),
        ],
        cwd=ROOT,
    )
    assert caller.arrived(60, gone=lambda: False)
    assert caller.ready({})
    assert turns._state(caller._process) == "T"
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60
    while turns._state(caller._process) == "T" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert turns._state(caller._process) in ("R", "S")
    os.killpg(caller._process, signal.SIGKILL)
    caller.close()


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


def test_a_harness_with_other_turns_is_refused_when_its_process_arrives():
    with pytest.raises(UsageError) as error:
        after_a_trio(4)
    assert str(error.value) == (
        "The harness in /base takes turns by protocol 4 and this one by 5: they cannot "
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
            work = TurnWork(lambda: None, 3, 0, pulled)
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


@pytest.mark.parametrize(
    ("slow", "fast", "alike"),
    [
        (
            Trial(workload="prose", pipeline=Pipeline(order="map_batch")),
            Trial(workload="prose", pipeline=Pipeline(order="batch_map")),
            False,
        ),
        (Trial(workload="task-1.json"), Trial(workload="task-2.json"), False),
        (Trial(workload="base/own.py"), Trial(workload="head/own.py"), True),
    ],
)
def test_each_of_two_pipelines_finds_a_window_of_its_own(slow, fast, alike):
    """A window for the slower one would take the faster less time than waking up.

    Two states of one file have equal windows, as the start of a window takes time.
    """
    server = Working()
    slow, fast = (trio.Side(server, trial) for trial in (slow, fast))
    result = trio.run_trio(slow, fast, Effort(), seconds=0.01, seed=0, number=0)
    for thread in server.threads:
        thread.join(60)
    whole = Ready(batches=3, pulled=[(0, 1), (1, 2), (3, 5)])
    assert server.examples == [None, whole, whole if alike else None]
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
                worker.serve(TurnWork(lambda: None, 1), Clock())
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
            worker.serve(TurnWork(lambda: waited.wait(60), 1), Clock())
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


def test_what_a_window_leaves_behind_is_freed_untimed(tmp_path):
    """An epoch leaves its iterator, which may take long to free."""
    caller, clock, log = TurnCaller(tmp_path, "one"), Clock(), []

    def release():
        log.append("freed")
        clock.now += 100

    def work():
        worker = TurnWorker(caller.path)
        worker.example()
        window = functools.partial(log.append, "epoch")
        worker.serve(TurnWork(window, 1, release=release), clock)

    thread = threading.Thread(target=work)
    thread.start()
    assert caller.arrived(60, gone=lambda: False)
    caller.ready({})
    seconds = [caller.turn().seconds for _ in range(2)]
    caller.close()
    thread.join(60)
    assert (log, seconds) == (["epoch", "freed"] * 2, [0, 0])
