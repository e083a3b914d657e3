"""These tests find augmentation that draws the same in every epoch."""

from pathlib import Path

import pytest
import shelf
import tensorflow as tf

from bench.measure import epoch_repetition, randomness
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
def make(tmp_path: Path):
    """Return a function that makes an assembly with noise from an expression."""

    def make_assembly(noise: str, decode: str = "", **axes: object) -> Assembly:
        file = tmp_path / "noise.py"
        text = WORKLOAD.format(noise=noise, decode=decode, deterministic=noise == "0.0")
        file.write_text(text)
        return shelf.assembly(str(file), **axes)

    return make_assembly


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
def test_operations_with_a_seed_restart(make, noise, order, expected) -> None:
    assembly = make(noise, order=order)
    facts = randomness.facts(assembly, "drain")
    assert facts["epochs_repeat"] == expected
    words = {"yes": epoch_repetition.REPRODUCIBLE}.get(expected, facts["reproducible"])
    assert facts["reproducible"] == words
    assert tf.compat.v1.random.get_seed(None)[0] is None


def test_a_users_global_seed_makes_epochs_repeat(make) -> None:
    tf.random.set_seed(4)
    try:
        facts = epoch_repetition.facts(
            make("tf.random.normal(tf.shape(x))"), begins_again=True
        )
        assert tf.compat.v1.random.get_seed(None)[0] == 4
    finally:
        tf.random.set_seed(None)
    assert facts == {"epochs_repeat": "yes"}


@pytest.mark.parametrize("placement", ["dataset", "model"])
def test_a_random_decode_is_detected_in_every_placement(make, placement) -> None:
    """The layers are deterministic, so there is no fact where epochs do not repeat."""
    for seed, expected in ((", seed=3", "yes"), ("", "once seeded")):
        assembly = make("0.0", DECODE.format(seed=seed), placement=placement)
        assert epoch_repetition.facts(assembly) == {"epochs_repeat": expected}
    assert (
        epoch_repetition.facts(make("0.0", "\ndef decode(x):\n    return x * 2\n"))
        == {}
    )


@pytest.mark.parametrize("axes", [{"placement": "model"}, {"cache": "mapped"}])
def test_layers_that_do_not_draw_in_the_dataset_have_no_fact(make, axes) -> None:
    assert epoch_repetition.facts(make("tf.random.normal(tf.shape(x))", **axes)) == {}
