"""Commands to copy: they start with the interpreter that works, from here."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench import shell
from bench.catalog import ROOT


def test_a_command_is_relative_where_that_is_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter of a virtual environment stays the link that it is."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(shell, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    told = shell.command("run", "--resume", Path("my results"))
    assert told == "venv/bin/python run_bench.py run --resume 'my results'"
    monkeypatch.chdir("/usr/share")
    assert shell.command() == f"{python} {tmp_path}/run_bench.py"


def test_without_its_packages_it_says_what_to_do() -> None:
    """An interpreter that has none of them, as the system's own."""
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


def test_it_can_be_started_by_its_name() -> None:
    """As `./run_bench.py`."""
    assert (ROOT / "run_bench.py").stat().st_mode & 0o111 == 0o111


def test_a_stream_whose_reader_has_left_swallows_what_follows() -> None:
    """And is else as the stream itself is."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", buffering=1) as stream:
        leavable = shell.PipeSafeStream(stream)
        same = ("encoding", "fileno", "isatty", "closed")
        assert [getattr(leavable, name) for name in same] == [
            getattr(stream, name) for name in same
        ]
        print("heard", file=leavable)
        assert os.read(reader, 99) == b"heard\n"
        os.close(reader)
        for _ in range(2):
            print("not heard", file=leavable, flush=True)


def test_another_fault_of_a_stream_is_not_swallowed() -> None:
    """As of a file on a full disk."""
    with Path("/dev/full").open("w") as stream:
        print("much", file=shell.PipeSafeStream(stream))
        with pytest.raises(OSError, match="No space left on device"):
            shell.PipeSafeStream(stream).flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_the_second_interrupt_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever either is, for a minute; afterwards all is handled as it was before."""
    now = 0.0
    monkeypatch.setattr(shell.time, "monotonic", lambda: now)
    before = [signal.getsignal(number) for number in shell.ENDING]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup has it ignored
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


def test_what_is_ignored_stays_so_and_other_threads_handle_nothing() -> None:
    """As SIGHUP by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    seen = []

    def elsewhere() -> None:
        with shell.interrupted_once():
            seen.append(signal.getsignal(signal.SIGTERM))

    try:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert seen == [signal.getsignal(signal.SIGTERM)]
        with shell.interrupted_once():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
