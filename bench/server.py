"""The fork server imports TensorFlow and Keras once, and forks a process for each run.

The runner is the process that started the server. The server runs no operation itself,
because a process forked after an operation hangs. It reads one request a line on
standard input and forks at once. A pipe to the runner gets two answers for each
request: the child's process number, and later the child's wait status. When standard
input closes, the server kills its children and ends, so that nothing outlives the
runner. A signal that ends the runner, such as Ctrl-C, does not end the server first. If
the server itself is killed, its children end too.
"""

import contextlib
import gc
import os
import select
import signal
import sys
import threading
import traceback
from typing import IO

# Keras imports Matplotlib, where installed, for galleries that no measured process
# draws: a sixth of the server's start. It is hidden from Keras, not from a user's file.
sys.modules["matplotlib"] = None
from bench import worker  # noqa: E402  TensorFlow and Keras, before any fork
from bench.run.protocol import ServerAnswer, kill_run  # noqa: E402
from bench.run.turns import PROTOCOL  # noqa: E402

del sys.modules["matplotlib"]

# A terminal or `timeout` sends these to the whole process group of a runner.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def serve(requests: int, answers: IO[bytes], log: int) -> None:
    """Fork a process for each request, until the stream of requests ends.

    Args:
        requests: The file descriptor of the requests.
        answers: The stream for the answers.
        log: The file descriptor for the output of all children.
    """
    gc.collect()
    gc.freeze()  # or each child's collector would walk, and copy, all of Keras
    children: dict[int, tuple[int, int]] = {}  # by process handle: process, request
    try:
        with contextlib.suppress(BrokenPipeError):  # the runner ended meanwhile
            _answer(answers, ServerAnswer(ready=os.getpid(), protocol=PROTOCOL))
            _serve(requests, answers, log, children)
    finally:
        _kill(children)


def _serve(
    requests: int, answers: IO[bytes], log: int, children: dict[int, tuple[int, int]]
) -> None:
    pending, number = b"", 0
    alive = os.pipe()  # its second end is open for as long as this process lives
    while True:
        ready, _, _ = select.select([requests, *children], [], [])
        for handle in [each for each in ready if each != requests]:
            child, ended = children.pop(handle)
            os.close(handle)
            _answer(answers, ServerAnswer(request=ended, status=_status(child)))
        if requests not in ready:
            continue
        content = os.read(requests, 1 << 20)
        if not content:
            return
        *lines, pending = (pending + content).split(b"\n")
        for line in lines:
            number += 1
            child = os.fork()
            if child == 0:
                os.close(alive[1])
                _run(line, answers, log, alive[0])
            children[os.pidfd_open(child)] = child, number
            _answer(answers, ServerAnswer(request=number, pid=child))


def _run(request: bytes, answers: IO[bytes], log: int, alive: int) -> None:
    """Carry out one request in the forked child, then exit at once.

    The exit skips Python's cleanup, which would touch files that the parent has open.

    Args:
        request: The request as JSON.
        answers: The server's stream, which the child closes.
        log: The file descriptor for the child's output.
        alive: The end of a pipe that closes when the server has ended.
    """
    status = 1
    try:
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        answers.close()  # or the runner would not see that the server has ended
        gc.disable()  # a run takes seconds, and a collection would fall into tracing
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
    except BaseException:  # such as sys.exit() in a user's file, which leaves no trace
        traceback.print_exc()
    finally:
        os._exit(status)  # no interpreter teardown: the result is on disk


def _end_with_the_server(alive: int) -> None:
    """Wait until the server ends, then kill this process and all that it started."""
    os.read(alive, 1)
    os.killpg(0, signal.SIGKILL)


def _status(child: int) -> int:
    """Return an ended child's wait status, and kill all processes it had started."""
    with contextlib.suppress(ProcessLookupError):  # it ended before it led a group
        os.killpg(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _kill(children: dict[int, tuple[int, int]]) -> None:
    """Kill all children that still run."""
    for child, _ in children.values():
        kill_run(child)
        os.waitpid(child, 0)


def _answer(answers: IO[bytes], answer: ServerAnswer) -> None:
    answers.write(answer.line())
    answers.flush()


if __name__ == "__main__":
    channel = os.fdopen(int(sys.argv[1]), "wb")
    for each in ENDING:  # the runner handles them, and then closes our input
        signal.signal(each, signal.SIG_IGN)
    serve(0, channel, log=2)
