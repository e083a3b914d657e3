"""Traps: where every change looks faster, still nothing illegal is kept.

The reading and the gate are the real ones, in this process; no rate is measured.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from bench.advise.search import Search
from bench.guard.record import Row
from bench.measure import user_pipeline
from bench.measure.user_function import make_dataset
from bench.report.advice_record import Advice
from bench.run.protocol import Outcome
from bench.trial import Trial

HEAD = """import keras
import numpy as np
import tensorflow as tf

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3)).astype("float32")
LABELS = np.arange(24)
COUNTER = tf.Variable(0, dtype=tf.int64)

def count(x):
    return x, COUNTER.assign_add(1)

def draws():
    yield from np.random.permutation(24)

def make():
    images = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    numbers = tf.data.Dataset.range(50)
"""
MOVES = {"batch_before_map", "shuffle_before_map", "parse_in_batches"}


def with_layer(layer: str, cache: str = "") -> str:
    """A pipeline that maps a layer over single images."""
    return (
        f"    layer = keras.layers.{layer}\n"
        "    images = images.map(lambda x, y: (layer(x), y))\n"
        f"    return images{cache}.shuffle(24).batch(8)\n"
    )


# By trap: the end of the file, and the proposals that would be illegal there. Layers
# that take long to trace (AugMix, Equalization, MixUp) are in test_gate.py.
TRAPS = {
    "RandomCrop": (with_layer("RandomCrop(4, 4)"), MOVES | {"cache", "parallel_map"}),
    "a cache behind draws": (
        with_layer("RandomFlip()", cache=".cache()"),
        MOVES | {"cache", "parallel_map", "redundant_stage"},
    ),
    "a filter behind the map that it depends on": (
        "    return numbers.map(lambda x: x // 2).filter(lambda x: x > 9).batch(4)\n",
        MOVES,
    ),
    "repeat before shuffle": (
        "    return numbers.repeat(2).shuffle(100, seed=1).batch(4)\n",
        MOVES | {"cache", "redundant_stage"},
    ),
    "a smaller last batch": (
        "    return numbers.map(lambda x: x * 2).batch(8)\n",
        {"drop_remainder"},
    ),
    "two shuffles that keep labels together": (
        "    sides = (numbers.shuffle(50, seed=1), numbers.shuffle(50, seed=1))\n"
        "    return tf.data.Dataset.zip(sides).map(lambda x, y: (x * 2, y)).batch(5)\n",
        {"shuffle_before_map", "redundant_stage"},
    ),
    "a counter": (
        "    return numbers.map(count).batch(5)\n",
        MOVES | {"cache", "parallel_map"},
    ),
    "other draws in every epoch": (
        "    return tf.data.Dataset.from_generator(\n"
        "        draws, output_signature=tf.TensorSpec([], tf.int64)).batch(5)\n",
        {"cache"},
    ),
    "another dataset each time it is made": (
        "    rng = np.random.default_rng()\n"
        "    return numbers.map(lambda x: x + rng.integers(0, 999)).batch(5)\n",
        MOVES | {"cache", "parallel_map", "prefetch", "drop_remainder"},
    ),
}


@dataclass
class Greedy:
    """A machine on which every change looks twice as fast."""

    now: float = 0.0

    def clock(self) -> float:
        return self.now

    def execute(self, verb: str, trial: Trial, *rest: object) -> Outcome:
        verbs = {
            "read_pipeline": user_pipeline.read_pipeline,
            "compare_pipelines": user_pipeline.compare_pipelines,
        }
        return Outcome(msgspec.json.encode(verbs[verb](trial)), None, 1.0)

    def compare(self, *sides: Trial, **how: object) -> Row:
        figures = {"ratio": 0.5, "low": 0.45, "high": 0.55, "count": 5}
        return Row(key="advice", metric="seconds", verdict="faster", **figures)


def advise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Advice:
    for name in ("LOOK_SECONDS", "SHORT_WINDOW_SECONDS", "WARM_SECONDS"):
        monkeypatch.setattr(user_pipeline, name, 0.001)
    monkeypatch.setattr(user_pipeline.stage_times, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(user_pipeline, "_first_look", lambda *sides: 0.5)
    monkeypatch.setattr(user_pipeline.binding, "add_waits", lambda *rest: ([], ""))
    path, machine = tmp_path / "pipeline.py", Greedy()
    path.write_text(text)
    return Search(
        path=str(path),
        call="make()",
        server=machine,
        scratch=tmp_path,
        budget_seconds=300.0,
        clock=machine.clock,
        compare=machine.compare,
    ).run()


def epochs(tmp_path: Path, text: str) -> list[np.ndarray]:
    """All components of two epochs, batches put together."""
    dataset = make_dataset(str(tmp_path / "pipeline.py"), text, "make()")
    parts = [tf.nest.flatten(element) for _ in range(2) for element in dataset]
    return [np.concatenate(component) for component in zip(*parts, strict=True)]


@pytest.mark.parametrize("name", TRAPS)
def test_nothing_illegal_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    body, illegal = TRAPS[name]
    advice = advise(tmp_path, monkeypatch, HEAD + body)
    tried = {(a.proposal, a.state) for a in advice.attempts if a.proposal in illegal}
    assert {state for _, state in tried} <= {"refused", "not_allowed", "failed"}, tried
    kept = {one.proposal for one in advice.attempts if one.state == "kept"}
    assert not kept & illegal
    assert bool(kept) == (advice.tuned != advice.original)
    if kept:
        pairs = zip(
            epochs(tmp_path, advice.original),
            epochs(tmp_path, advice.tuned),
            strict=True,
        )
        for before, after in pairs:
            np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


def test_a_generator_that_yields_the_same_may_be_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is Python code, so only the comparison of two whole epochs shows that."""
    body, _ = TRAPS["other draws in every epoch"]
    text = (HEAD + body).replace("np.random.permutation(24)", "range(24)")
    advice = advise(tmp_path, monkeypatch, text)
    assert "cache" in {one.proposal for one in advice.attempts if one.state == "kept"}
    assert ".batch(5).cache()" in advice.tuned
