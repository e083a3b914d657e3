"""How this program is called from here: for commands to copy out of what is printed."""

import os
import shlex
import sys
from pathlib import Path
from typing import IO

BAD_USE = 2
ROOT = Path(__file__).resolve().parent.parent


def command(*arguments: object) -> str:
    """A command line with the interpreter that runs now, quoted for a shell.

    Args:
        arguments: The verb and what follows it.
    """
    words = [shown(sys.executable), shown(ROOT / "run_bench.py"), *map(str, arguments)]
    return shlex.join(words)


def shown(path: str | Path) -> str:
    """A path, relative to the working folder where that is shorter.

    Links are not followed: an interpreter is what its folder makes of it.
    """
    whole = str(Path(path).absolute())
    near = os.path.relpath(whole)
    return near if len(near) < len(whole) else whole


def reader_left(stream: IO[str]) -> None:
    """Lead a stream whose reader has enough, as `head` does, to nowhere.

    Else Python's exit fails once more. Source: signal's note on SIGPIPE at
    docs.python.org.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def without(missing: ModuleNotFoundError) -> int:
    """Say what to do where a package is not installed; returns the exit code.

    Raises:
        ModuleNotFoundError: It is a module of ours.
    """
    package = (missing.name or "").partition(".")[0]
    if package in ("", "bench"):
        raise missing
    installed = shown(ROOT / ".venv" / "bin" / "python")
    print(
        f"error: {shown(sys.executable)} has no package '{package}'. Run `make bench` "
        f"first, or use {installed}.",
        file=sys.stderr,
    )
    return BAD_USE
