"""Commands to copy: they start with the interpreter that works, from here."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import program
from bench.catalog import ROOT


def test_a_command_is_relative_where_that_is_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter of a virtual environment stays the link that it is."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    told = program.command("run", "--resume", Path("my results"))
    assert told == "venv/bin/python run_bench.py run --resume 'my results'"
    monkeypatch.chdir("/usr/share")
    assert program.command() == f"{python} {tmp_path}/run_bench.py"


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
        f"error: {program.shown(sys.executable)} has no package 'msgspec'. Run `make "
        "bench` first, or use .venv/bin/python.\n"
    )


def test_it_can_be_started_by_its_name() -> None:
    """As `./run_bench.py`."""
    assert (ROOT / "run_bench.py").stat().st_mode & 0o111 == 0o111
