"""How this program is called from here, and how it ends in order.

Commands to copy out of what is printed; signals; readers that leave; the environment of
a git hook.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bench.errors import Exit

if TYPE_CHECKING:
    from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 60.0  # no end takes as long
# The start of the program: all processes that it starts have the same one.
STARTED = os.environ.get("FEEDRATE_STARTED") or str(time.time_ns())
# Where its repository is, as git tells its hooks: `git rev-parse --local-env-vars`.
OF_A_REPOSITORY = (
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG"),
    *("GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_DIR", "GIT_GRAFT_FILE"),
    *("GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS"),
    *("GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE"),
    *("GIT_SHALLOW_FILE", "GIT_WORK_TREE"),
)


def command(*arguments: object) -> str:
    """A command line with the interpreter that runs now, quoted for a shell.

    Args:
        arguments: The verb and what follows it.
    """
    words = [
        short_path(sys.executable),
        short_path(ROOT / "run_bench.py"),
        *map(str, arguments),
    ]
    return shlex.join(words)


def short_path(path: str | Path) -> str:
    """A path, relative to the working folder where that is shorter.

    Links are not followed: an interpreter is what its folder makes of it.
    """
    whole = str(Path(path).absolute())
    near = os.path.relpath(whole)
    return near if len(near) < len(whole) else whole


def environment_outside_hooks() -> dict[str, str]:
    """The environment of a git that is to find the repository by its folder alone.

    In a hook it would mean the hook's own, and write that one's index.
    """
    found = os.environ.items()
    return {name: value for name, value in found if name not in OF_A_REPOSITORY}


@contextlib.contextmanager
def interrupted_once() -> Iterator[None]:
    """Within, Ctrl-C, SIGTERM and SIGHUP interrupt once, and no more for a minute.

    A second one would cut short the end that the first began, and what it has to tell.

    Raises:
        KeyboardInterrupt: At the first.
    """
    heard = float("-inf")

    def interrupt(number: int, frame: object) -> None:
        nonlocal heard
        now = time.monotonic()
        if now - heard > AGAIN_SECONDS:
            heard = now
            raise KeyboardInterrupt

    with _handled(interrupt):
        yield


@contextlib.contextmanager
def ignoring_signals() -> Iterator[None]:
    """Within, Ctrl-C, SIGTERM and SIGHUP do nothing, nor in what is started there."""
    with _handled(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handled(handler: Callable | signal.Handlers) -> Iterator[None]:
    """Handle so what ends a program, but for what is ignored, as SIGHUP is by nohup.

    Only the main thread can: in others nothing is changed.
    """
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in ENDING if main}
    before = {n: h for n, h in before.items() if h not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)


class PipeSafeStream:
    """A text stream whose reader may leave, as `head` does, and the work goes on."""

    def __init__(self, stream: IO[str]) -> None:
        """Stand for this one."""
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        """Everything else is the stream's own."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream does; to nowhere when its reader has left."""
        with self._left():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """The same."""
        with self._left():
            self._stream.flush()

    @contextlib.contextmanager
    def _left(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):  # EIO: a closed terminal
                raise
            reader_left(self._stream)


def reader_left(stream: IO[str]) -> None:
    """Lead a stream whose reader has enough, as `head` does, to nowhere.

    Else Python's exit fails once more. Source: signal's note on SIGPIPE at
    docs.python.org.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def console(**settings: object) -> Console:
    """A terminal by rich that outlives its reader, such as `head`.

    rich itself would end the program with 1, which is a verdict of a guard.

    Args:
        settings: Those of `rich.console.Console`.
    """
    import rich.console  # late: `list` and `--help` print without it

    class PipeSafeConsole(rich.console.Console):
        def on_broken_pipe(self) -> None:
            """Show nothing any more; files are still written, the exit code stays."""
            self.quiet = True
            reader_left(self.file)

    return PipeSafeConsole(**settings)


def report_missing_package(missing: ModuleNotFoundError) -> int:
    """Say what to do where a package is not installed; returns the exit code.

    Raises:
        ModuleNotFoundError: It is a module of ours.
    """
    package = (missing.name or "").partition(".")[0]
    if package in ("", "bench"):
        raise missing
    installed = short_path(ROOT / ".venv" / "bin" / "python")
    python = short_path(sys.executable)
    print(
        f"error: {python} has no package '{package}'. Run `make bench` first, or use "
        f"{installed}.",
        file=sys.stderr,
    )
    return Exit.BAD_USE
