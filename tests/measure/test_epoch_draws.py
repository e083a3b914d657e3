"""Augmentation that draws the same in every epoch, found by going through some."""

from pathlib import Path

import pytest
import shelf
import tensorflow as tf

from bench.measure import epoch_draws, randomness
from bench.measure.assembly import Assembly

WORKLOAD = '''"""Numbers with noise from one source or another."""
import keras
import numpy as np
import tensorflow as tf

KIND = "structured"
EXAMPLES = 64
DETERMINISTIC = {deterministic}

class Noise(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.generator = keras.random.SeedGenerator(1)
        self.own = tf.random.Generator.from_seed(1)

    def call(self, x):
        return x + {noise}

def examples(rng, count):
    return rng.normal(size=(count, 3)).astype(np.float32)
{decode}
def build(examples):
    return Noise()

def check(batch, output):
    assert batch.shape == output.shape
'''
DECODE = """
def decode(record):
    return record + tf.random.normal([3]{seed})
"""


@pytest.fixture
def made(tmp_path: Path):
    """A workload whose noise is this expression."""

    def make(noise: str, decode: str = "", **axes: object) -> Assembly:
        file = tmp_path / "noise.py"
        text = WORKLOAD.format(noise=noise, decode=decode, deterministic=noise == "0.0")
        file.write_text(text)
        return shelf.work(str(file), **axes)

    return make


@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        ("tf.random.normal(tf.shape(x), seed=3)", "yes"),
        ("tf.random.normal(tf.shape(x))", "once seeded"),
        ("keras.random.normal(tf.shape(x), seed=self.generator)", "no"),
        ("self.own.normal(tf.shape(x))", "no"),
    ],
)
def test_operations_with_a_seed_begin_again(made, noise, order, expected) -> None:
    work = made(noise, order=order)
    found = randomness.facts(work, "drain")
    assert found["epochs_repeat"] == expected
    praised = {"yes": epoch_draws.REPRODUCIBLE}.get(expected, found["reproducible"])
    assert found["reproducible"] == praised
    assert tf.compat.v1.random.get_seed(None)[0] is None


def test_a_users_global_seed_makes_epochs_repeat(made) -> None:
    tf.random.set_seed(4)
    try:
        found = epoch_draws.facts(
            made("tf.random.normal(tf.shape(x))"), begins_again=True
        )
        assert tf.compat.v1.random.get_seed(None)[0] == 4
    finally:
        tf.random.set_seed(None)
    assert found == {"epochs_repeat": "yes"}


@pytest.mark.parametrize("placement", ["dataset", "model"])
def test_a_decode_that_draws_is_seen_wherever_the_layers_are(made, placement) -> None:
    """Also where the layers are deterministic; then nothing good is said of it."""
    for seed, expected in ((", seed=3", "yes"), ("", "once seeded")):
        work = made("0.0", DECODE.format(seed=seed), placement=placement)
        assert epoch_draws.facts(work) == {"epochs_repeat": expected}
    assert epoch_draws.facts(made("0.0", "\ndef decode(x):\n    return x * 2\n")) == {}


@pytest.mark.parametrize("axes", [{"placement": "model"}, {"cache": "mapped"}])
def test_what_does_not_draw_in_the_dataset_has_no_epochs(made, axes) -> None:
    assert epoch_draws.facts(made("tf.random.normal(tf.shape(x))", **axes)) == {}
