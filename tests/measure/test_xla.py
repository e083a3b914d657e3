"""These tests compile layers with XLA, and read why that fails."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.measure import xla

IMAGES = tf.constant(np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)), tf.float32)
L = keras.layers


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([L.Rescaling(2.0), L.RandomFlip(seed=1)], ""),
        ([L.Resizing(4, 4)], ""),
        ([L.Resizing(4, 4, "bicubic")], "XLA has no ResizeBicubic on this device"),
        ([L.MixUp(seed=1)], "XLA has no StatelessRandomGammaV3 on this device"),
        (
            [L.Rescaling(2.0), L.RandomRotation(0.1), L.RandomCrop(4, 4)],
            "Keras declares supports_jit=False for RandomRotation, RandomCrop",
        ),
    ],
)
def test_a_refusal_has_its_reason(layers: list, expected: str) -> None:
    assert xla.refusal(layers, IMAGES) == expected


def test_an_error_in_tracing_is_not_a_refusal_by_xla() -> None:
    with pytest.raises(ValueError, match="Exception encountered when calling Reshape"):
        xla.refusal([L.Reshape([7])], IMAGES)


def test_other_refusals_are_shortened_to_their_first_line() -> None:
    changing = (
        "Input 1 to node `random_elastic_transform/range` with op Range must be a "
        "compile-time constant.\n\nXLA compilation requires"
    )
    assert xla.reason(changing) == (
        "Input 1 of Range changes from call to call, and XLA fixes it"
    )
    assert xla.reason("Something new.\nmore") == "XLA reports: Something new."
    assert xla.reason("") == "XLA reports: no reason"
