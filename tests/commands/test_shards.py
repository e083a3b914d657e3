"""A small sweep in three shards on this machine, one of them killed and resumed."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

import run_bench
from bench import machine, store
from bench.catalog import ROOT
from bench.commands import run
from bench.plan import plan
from bench.report import formats

SWEEP = """
[effort]
rounds = 1
steady_seconds = 0.05
warmup_seconds = 0.05

[[block]]
workloads = ["prices", "rescaling", "center_crop"]
strategies = ["naive", "vectorized"]
"""


def killed_after_its_first_run(words: list[str], out: Path) -> None:
    """Run the command in a process of its own; kill it once a run is stored."""
    command = [sys.executable, str(ROOT / "run_bench.py"), *words, "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    file = out / store.FILE
    while not (file.exists() and file.read_bytes().count(b"\n")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.wait()


def test_three_shards_one_of_them_killed_are_the_whole_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs have the keys, rounds and seeds that one machine would plan."""
    monkeypatch.setattr(machine, "HEAVY_SHARE", 9.0)  # repeats need a quiet machine
    sweep = tmp_path / "mine.toml"
    sweep.write_text(SWEEP)
    words = ["run", str(sweep), "--seed", "4"]
    _, whole = run.make_plan(run_bench.parsed(words))
    folders = [tmp_path / f"shard-{number}" for number in (1, 2, 3)]
    killed_after_its_first_run([*words, "--shard", "1/3"], folders[0])
    assert not all(
        trial.key in keys(folders[0]) for trial in plan.load(folders[0]).trials
    )
    run.make_runs(run_bench.parsed(["run", "--resume", str(folders[0])]))
    for number, folder in zip((2, 3), folders[1:], strict=True):
        shard = ["--shard", f"{number}/3", "--out", str(folder)]
        run.make_runs(run_bench.parsed([*words, *shard]))
    runs = [one for folder in folders for one in store.load(folder)[0]]
    assert all(one.measured.error is None for one in runs)
    assert sorted((one.key, one.round, one.seed) for one in runs) == sorted(
        (trial.key, 0, 4) for trial in whole.trials
    )
    assert {one.effort.steady_seconds for one in runs} == {0.05}
    report = formats.gather(folders)
    assert (report.content["runs"], report.content["trials"]) == (6, 6)
    assert report.content["notes"] == [
        "All 3 shards of the sweep 'mine' are here: together they are its 6 trials."
    ]


def keys(folder: Path) -> list[str]:
    return [one.key for one in store.load(folder)[0]]
