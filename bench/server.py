"""The fork server: imports TensorFlow and Keras once, then a fresh process per run.

It runs no op itself, because a process forked after one op hangs. It reads one request
a line on standard input, forks at once, and answers two lines on its own channel for
each: the child's process number, and later how the child ended, both with the request's
own number. When standard input closes it kills its children and leaves, so that nothing
outlives the runner. What ends a runner, as Ctrl-C or `timeout`, does not end it before;
and what kills it too ends its children all the same.
"""

import contextlib
import gc
import json
import os
import select
import signal
import sys
import threading
import traceback
from typing import IO

# Keras imports Matplotlib where it finds it, for galleries that no measured process
# draws: a sixth of the server's start. Only Keras does without: a user's file may not.
sys.modules["matplotlib"] = None
from bench import worker  # noqa: E402  TensorFlow and Keras, before any fork
from bench.run.protocol import kill_run  # noqa: E402
from bench.run.turns import PROTOCOL  # noqa: E402

del sys.modules["matplotlib"]

# What ends a runner: a terminal or `timeout` sends it to the whole process group.
RUNNERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def serve(requests: int, answers: IO[str], log: int) -> None:
    """Answer requests until there are no more.

    Args:
        requests: File descriptor to read from.
        answers: Where the two lines go.
        log: File descriptor for whatever a child prints.
    """
    gc.collect()
    gc.freeze()  # or each child's collector would walk, and copy, all of Keras
    children: dict[int, tuple[int, int]] = {}  # by its handle: process, request
    try:
        with contextlib.suppress(BrokenPipeError):  # the runner went while it was told
            _answer(answers, ready=os.getpid(), protocol=PROTOCOL)
            _serve(requests, answers, log, children)
    finally:
        _kill(children)


def _serve(
    requests: int, answers: IO[str], log: int, children: dict[int, tuple[int, int]]
) -> None:
    pending, number = b"", 0
    alive = os.pipe()  # its second end is open for as long as this process lives
    while True:
        ready, _, _ = select.select([requests, *children], [], [])
        for handle in [each for each in ready if each != requests]:
            child, asked = children.pop(handle)
            os.close(handle)
            _answer(answers, request=asked, status=_ended(child))
        if requests not in ready:
            continue
        received = os.read(requests, 1 << 20)
        if not received:
            return
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            number += 1
            child = os.fork()
            if child == 0:
                os.close(alive[1])
                _run(line, answers, log, alive[0])
            children[os.pidfd_open(child)] = child, number
            _answer(answers, request=number, pid=child)


def _run(request: bytes, answers: IO[str], log: int, alive: int) -> None:
    """In the child: one run, then out, past everything the parent had open."""
    status = 1
    try:
        for number in RUNNERS:
            signal.signal(number, signal.SIG_DFL)
        answers.close()  # or the runner would not see that the server has died
        gc.disable()  # a run lives for seconds, and tracing would be collected within
        os.setsid()  # so that a limit kills its helpers with it
        ending = threading.Thread(
            target=_end_with_the_server, args=(alive,), daemon=True
        )
        ending.start()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        worker.main(request)
        status = 0
    except BaseException:  # as of sys.exit() in a user's file: else it would be lost
        traceback.print_exc()
    finally:
        os._exit(status)  # no interpreter teardown: the result is on disk


def _end_with_the_server(alive: int) -> None:
    """Leave, with all that this run has started, when the server is gone."""
    os.read(alive, 1)
    os.killpg(0, signal.SIGKILL)


def _ended(child: int) -> int:
    """The status of a child that has ended; what it had started ends with it."""
    with contextlib.suppress(ProcessLookupError):  # it ended before it led a group
        os.killpg(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _kill(children: dict[int, tuple[int, int]]) -> None:
    """The runner went away, or is done: what still runs is of no use to anybody."""
    for child, _ in children.values():
        kill_run(child)
        os.waitpid(child, 0)


def _answer(answers: IO[str], **values: int) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


if __name__ == "__main__":
    channel = os.fdopen(int(sys.argv[1]), "w")
    for each in RUNNERS:  # it handles them, and then closes our input
        signal.signal(each, signal.SIG_IGN)
    serve(0, channel, log=2)
