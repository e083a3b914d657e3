"""The verb `advise` as a user types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.catalog import ROOT

SLOW = '''"""A pipeline that does on each number what it could do on whole batches."""

import tensorflow as tf


def costly(x):
    x = tf.cast(x, tf.float32)
    for _ in range(20):
        x = tf.sin(x) + 1.0
    return x


def make(count):
    return (
        tf.data.Dataset.range(count)
        .shuffle(64)  # behind it nothing can be cached: one change is all
        .map(costly)  # a hundred operations
        .batch(32)
        .repeat()
        .prefetch(2)
    )
'''


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "run_bench.py", "advise", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("no.py:make",), "No file at 'no.py'. Name it as path/to/file.py:function."),
        (
            ("slow.py",),
            "Name the function that returns the dataset, as slow.py:function. slow.py "
            "has: costly, make.",
        ),
        (
            ("slow.py:other",),
            "slow.py has no function 'other'. It has: costly, make.",
        ),
        (
            ("slow.py:make",),
            "make needs arguments: give the call, as --call 'make(count)'.",
        ),
    ],
)
def test_bad_use_is_said_at_once(
    tmp_path: Path, arguments: tuple[str, ...], error: str
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (2, f"error: {error}\n")


@pytest.mark.alone
def test_a_badly_built_pipeline_gets_a_diff_that_applies(tmp_path: Path) -> None:
    """The search ends long before its budget, when nothing is left to propose."""
    path = tmp_path / "slow.py"
    path.write_text(SLOW)
    call = ("slow.py:make", "--call", "make(4096)", "--budget", "150s")
    done = run(tmp_path, *call, "--out", "out", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    kept = [one for one in record["attempts"] if one["state"] == "kept"]
    assert kept, done.stdout
    assert record["verdict"] == "faster"
    assert record["high"] < 0.9
    assert path.read_text() == SLOW
    subprocess.run(["git", "apply", "out/advice.diff"], cwd=tmp_path, check=True)
    assert path.read_text() == record["tuned"] == (tmp_path / "out/slow.py").read_text()
    assert "  # a hundred operations" in record["tuned"]
    subprocess.run(["git", "apply", "-R", "out/advice.diff"], cwd=tmp_path, check=True)
    assert path.read_text() == SLOW


READY = """import tensorflow as tf


def make():
    pair = tf.ones([8, 1]), tf.ones([8, 1])
    return tf.data.Dataset.from_tensors(pair).repeat()
"""
MODEL = '''"""A model whose step takes 0.25 s, whatever the pipeline does."""

import time

import keras
import tensorflow as tf


def rest():
    time.sleep(0.25)
    return 0.0


class Slow(keras.Sequential):
    def train_step(self, data):
        tf.numpy_function(rest, [], tf.float64)
        return super().train_step(data)


def build():
    model = Slow([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse", jit_compile=False)
    return model
'''


@pytest.mark.alone
def test_a_pipeline_behind_a_slow_model_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ready.py").write_text(READY)
    (tmp_path / "models.py").write_text(MODEL)
    call = ("ready.py:make", "--model", "models.py:build")
    done = run(tmp_path, *call, "--out", "out", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["model"] == "models.py:build()"
    assert record["attempts"] == []
    assert "hidden behind the model" in record["notes"][-1]
    times = [
        record["reading"][f"{one}_seconds_per_batch"] for one in ("model", "training")
    ]
    assert all(0.25 < seconds < 0.5 for seconds in times)
