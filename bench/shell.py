"""This module connects the program with its shell: commands, signals, closed pipes."""

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
AGAIN_SECONDS = 60.0  # an orderly end takes less
# The start of the program; all processes that it starts share this value.
STARTED = os.environ.get("FEEDRATE_STARTED") or str(time.time_ns())
# Variables that git sets for its hooks: `git rev-parse --local-env-vars`.
REPOSITORY_VARIABLES = (
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG"),
    *("GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_DIR", "GIT_GRAFT_FILE"),
    *("GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS"),
    *("GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE"),
    *("GIT_SHALLOW_FILE", "GIT_WORK_TREE"),
)


def command(*arguments: object) -> str:
    """Return a command line with the running interpreter, quoted for a shell.

    Args:
        arguments: The verb and its options.
    """
    words = [
        short_path(sys.executable),
        short_path(ROOT / "run_bench.py"),
        *map(str, arguments),
    ]
    return shlex.join(words)


def short_path(path: str | Path) -> str:
    """Return a path, relative to the working folder if that is shorter.

    Links are not followed, since an interpreter behaves as the folder of its link says.
    """
    absolute = str(Path(path).absolute())
    relative = os.path.relpath(absolute)
    return relative if len(relative) < len(absolute) else absolute


def environment_outside_hooks() -> dict[str, str]:
    """Return an environment in which git finds a repository by its folder alone.

    Within a hook, git would otherwise use the hook's repository and write its index.
    """
    variables = os.environ.items()
    return {
        name: value for name, value in variables if name not in REPOSITORY_VARIABLES
    }


@contextlib.contextmanager
def interrupted_once() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP interrupt the block once a minute at most.

    A second signal would cut short the orderly end that the first signal began.

    Raises:
        KeyboardInterrupt: A signal arrived, the first within a minute.
    """
    last = float("-inf")

    def interrupt(number: int, frame: object) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > AGAIN_SECONDS:
            last = now
            raise KeyboardInterrupt

    with _handled(interrupt):
        yield


@contextlib.contextmanager
def ignoring_signals() -> Iterator[None]:
    """Ignore Ctrl-C, SIGTERM and SIGHUP in the block and in processes it starts."""
    with _handled(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handled(handler: Callable | signal.Handlers) -> Iterator[None]:
    """Set a signal handler for `ENDING` within the block.

    A signal that is ignored remains ignored, such as SIGHUP under nohup. Only the main
    thread can set handlers: in other threads nothing changes.
    """
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in ENDING if main}
    before = {n: h for n, h in before.items() if h not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


class PipeSafeStream:
    """This text stream lets the program go on after its reader has ended."""

    def __init__(self, stream: IO[str]) -> None:
        """Wrap a stream."""
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        """Return any other attribute from the stream."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; discard the text if the reader has ended."""
        with self._discarding():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, unless the reader has ended."""
        with self._discarding():
            self._stream.flush()

    @contextlib.contextmanager
    def _discarding(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):  # EIO: a closed terminal
                raise
            discard_output(self._stream)


def discard_output(stream: IO[str]) -> None:
    """Send further output of a stream to /dev/null, after its reader has ended.

    Otherwise Python fails again when it flushes the stream at exit. Source: the note on
    SIGPIPE in the documentation of Python's module `signal`.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def console(**settings: object) -> Console:
    """Return a console of rich that lets the program go on when the reader ends.

    rich itself would end the program with exit code 1, the guard's code of a slow-down.

    Args:
        settings: The settings of `rich.console.Console`.
    """
    import rich.console  # late: `list` and `--help` print without it

    class PipeSafeConsole(rich.console.Console):
        def on_broken_pipe(self) -> None:
            """Print nothing more; files are still written, and the exit code stays."""
            self.quiet = True
            discard_output(self.file)

    return PipeSafeConsole(**settings)


def report_missing_package(missing: ModuleNotFoundError) -> int:
    """Print how to install a missing package; return the exit code.

    Raises:
        ModuleNotFoundError: The module is one of this program.
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
