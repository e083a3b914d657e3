"""The fork server: imports TensorFlow and Keras once, then a fresh process per run.

It runs no op itself, because a process forked after one op hangs. It reads one request
a line on standard input and answers two lines on its own channel for each: the child's
process number, then how the child ended. When standard input closes it kills the child
and leaves, so that nothing outlives the runner.
"""

import gc
import json
import os
import select
import signal
import sys
import traceback
from typing import IO

from bench import worker  # TensorFlow and Keras, before any fork


def serve(requests: int, answers: IO[str], log: int) -> None:
    """Answer requests until there are no more.

    Args:
        requests: File descriptor to read from.
        answers: Where the two lines go.
        log: File descriptor for whatever a child prints.
    """
    gc.collect()
    gc.freeze()  # or each child's collector would walk, and copy, all of Keras
    _answer(answers, ready=os.getpid())
    pending = b""
    while True:
        received = os.read(requests, 1 << 20)
        if not received:
            return
        pending += received
        while b"\n" in pending:
            line, _, pending = pending.partition(b"\n")
            child = os.fork()
            if child == 0:
                _run(line, log)
            _answer(answers, pid=child)
            _answer(answers, status=_wait(child, requests))


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


def _wait(child: int, requests: int) -> int:
    """The child's wait status; if the runner goes away, the child is killed."""
    handle = os.pidfd_open(child)
    try:
        while True:
            ready, _, _ = select.select([handle, requests], [], [])
            if handle in ready:
                return os.waitpid(child, 0)[1]
            try:
                os.killpg(child, signal.SIGKILL)
            except ProcessLookupError:  # it leads no group yet: it has just begun
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise SystemExit("the runner went away during a run")
    finally:
        os.close(handle)


def _answer(answers: IO[str], **values: int) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


if __name__ == "__main__":
    channel = os.fdopen(int(sys.argv[1]), "w")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's to handle
    serve(0, channel, log=2)
