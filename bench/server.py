"""The fork server: imports TensorFlow and Keras once, then a fresh process per run.

It runs no op itself, because a process forked after one op hangs. It reads one request
a line on standard input, forks at once, and answers two lines on its own channel for
each: the child's process number, and later how the child ended, both with the request's
own number. When standard input closes it kills its children and leaves, so that nothing
outlives the runner.
"""

import gc
import json
import os
import select
import signal
import sys
import traceback
from typing import IO

# Keras imports Matplotlib where it finds it, for galleries that no measured process
# draws: a sixth of the server's start. Only Keras does without: a user's file may not.
sys.modules["matplotlib"] = None
from bench import worker  # noqa: E402  TensorFlow and Keras, before any fork
from bench.turns import PROTOCOL  # noqa: E402

del sys.modules["matplotlib"]


def serve(requests: int, answers: IO[str], log: int) -> None:
    """Answer requests until there are no more.

    Args:
        requests: File descriptor to read from.
        answers: Where the two lines go.
        log: File descriptor for whatever a child prints.
    """
    gc.collect()
    gc.freeze()  # or each child's collector would walk, and copy, all of Keras
    _answer(answers, ready=os.getpid(), protocol=PROTOCOL)
    children: dict[int, tuple[int, int]] = {}  # by its handle: process, request
    pending, number = b"", 0
    while True:
        ready, _, _ = select.select([requests, *children], [], [])
        for handle in [each for each in ready if each != requests]:
            child, asked = children.pop(handle)
            os.close(handle)
            _answer(answers, request=asked, status=os.waitpid(child, 0)[1])
        if requests not in ready:
            continue
        received = os.read(requests, 1 << 20)
        if not received:
            _kill(children)
            return
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            number += 1
            child = os.fork()
            if child == 0:
                _run(line, log)
            children[os.pidfd_open(child)] = child, number
            _answer(answers, request=number, pid=child)


def _run(request: bytes, log: int) -> None:
    """In the child: one run, then out, past everything the parent had open."""
    status = 1
    try:
        gc.disable()  # a run lives for seconds, and tracing would be collected within
        os.setsid()  # so that a limit kills its helpers with it
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


def _kill(children: dict[int, tuple[int, int]]) -> None:
    """The runner went away, or is done: what still runs is of no use to anybody."""
    for child, _ in children.values():
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:  # it leads no group yet: it has just begun
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _answer(answers: IO[str], **values: int) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


if __name__ == "__main__":
    channel = os.fdopen(int(sys.argv[1]), "w")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's to handle
    serve(0, channel, log=2)
