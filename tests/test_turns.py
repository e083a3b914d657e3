import threading

from bench.turns import Caller, Lane, serve, take


class Clock:
    """Seconds that pass only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def _process(folder, name, log, seconds, batches=2):
    """A stand-in for a measured process, in a thread, on a clock of its own."""
    caller, clock = Caller(folder, name), Clock()

    def window():
        log.append(name)
        clock.now += seconds

    lane = Lane(
        flush=lambda: log.append(f"{name} flush"), window=window, batches=batches
    )
    found = []
    thread = threading.Thread(
        target=lambda: found.extend(serve(caller.path, lane, clock))
    )
    thread.start()
    assert caller.ready(seconds=10)
    return caller, thread, found


def test_two_processes_take_turns_and_swap_who_goes_first(tmp_path):
    log, ticks = [], iter(range(100))
    first, one, kept = _process(tmp_path, "a", log, 0.5)
    second, two, _ = _process(tmp_path, "b", log, 1.0)
    pairs = take(first, second, seconds=4, clock=lambda: next(ticks))
    first.close()
    second.close()
    one.join(10)
    two.join(10)
    assert pairs == [(0.25, 0.5)] * 3  # seconds a batch, two batches a window
    assert kept == [0.25] * 3
    turns = [entry for entry in log if "flush" not in entry]
    assert turns == ["a", "b", "b", "a", "a", "b"]
    assert log[:4] == ["a flush", "a", "b flush", "b"]


def test_pairs_are_made_even_when_the_time_is_up(tmp_path):
    log, ticks = [], iter(range(0, 1000, 100))
    first, one, _ = _process(tmp_path, "a", log, 1.0)
    second, two, _ = _process(tmp_path, "b", log, 1.0)
    assert len(take(first, second, seconds=1, clock=lambda: next(ticks))) == 3
    for caller, thread in ((first, one), (second, two)):
        caller.close()
        thread.join(10)


def test_a_lost_process_ends_the_pairs(tmp_path):
    log = []
    first, one, _ = _process(tmp_path, "a", log, 1.0)
    gone = Caller(tmp_path, "b")

    def leave():
        import socket

        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(gone.path)
            channel.sendall(b"{}\n")

    thread = threading.Thread(target=leave)
    thread.start()
    assert gone.ready(seconds=10)
    thread.join(10)
    assert take(first, gone, seconds=5, clock=Clock()) == []
    first.close()
    one.join(10)
    gone.close()


def test_a_process_that_never_comes_is_not_ready(tmp_path):
    caller = Caller(tmp_path, "never")
    assert not caller.ready(seconds=0.01)
    caller.close()
