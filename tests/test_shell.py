"""Commands that users copy, signals, and readers that end."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench import shell
from bench.shell import ROOT


def test_the_paths_of_a_command_are_relative_if_that_is_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link to the interpreter of a virtual environment is not followed."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(shell, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    command = shell.command("run", "--resume", Path("my results"))
    assert command == "venv/bin/python run_bench.py run --resume 'my results'"
    monkeypatch.chdir("/usr/share")
    assert shell.command() == f"{python} {tmp_path}/run_bench.py"


def test_without_its_packages_the_program_prints_how_to_install_them() -> None:
    """The interpreter has none of them, like that of the system."""
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "run_bench.py"), "list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {shell.short_path(sys.executable)} has no package 'msgspec'. Run "
        "`make bench` first, or use .venv/bin/python.\n"
    )


def test_the_program_can_be_started_by_its_name() -> None:
    """The command is `./run_bench.py`."""
    assert (ROOT / "run_bench.py").stat().st_mode & 0o111 == 0o111


def test_a_stream_without_a_reader_discards_the_rest() -> None:
    """All other attributes are those of the stream."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", buffering=1) as stream:
        safe = shell.PipeSafeStream(stream)
        same = ("encoding", "fileno", "isatty", "closed")
        assert [getattr(safe, name) for name in same] == [
            getattr(stream, name) for name in same
        ]
        print("read", file=safe)
        assert os.read(reader, 99) == b"read\n"
        os.close(reader)
        for _ in range(2):
            print("not read", file=safe, flush=True)


def test_another_error_of_a_stream_is_raised() -> None:
    """A full disk is such an error."""
    with Path("/dev/full").open("w") as stream:
        print("much", file=shell.PipeSafeStream(stream))
        with pytest.raises(OSError, match="No space left on device"):
            shell.PipeSafeStream(stream).flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_a_second_interrupt_within_a_minute_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This holds for each pair of signals; afterwards the old handlers are back."""
    now = 0.0
    monkeypatch.setattr(shell.time, "monotonic", lambda: now)
    before = [signal.getsignal(number) for number in shell.ENDING]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup ignores SIGINT
    with shell.interrupted_once():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        with shell.ignoring_signals():
            now = 61.0
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before[0])
    assert [signal.getsignal(number) for number in shell.ENDING] == before


def test_ignored_signals_stay_ignored_and_other_threads_change_nothing() -> None:
    """Nohup ignores SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handlers = []

    def elsewhere() -> None:
        with shell.interrupted_once():
            handlers.append(signal.getsignal(signal.SIGTERM))

    try:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert handlers == [signal.getsignal(signal.SIGTERM)]
        with shell.interrupted_once():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
