"""What `adapt` learned is the same in a process that takes it from another one."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.measure import adapted_state

layers = keras.layers
NUMBERS = np.random.default_rng(1).normal(3, 2, (50, 4)).astype(np.float32)
WHOLE = np.random.default_rng(2).integers(0, 9, (50, 1))
WORDS = np.array(["a b\nc", "b b", "c a a", "d"] * 5, object)
CASES = {
    "normalization": (layers.Normalization, NUMBERS),
    "normalization of one number": (lambda: layers.Normalization(axis=None), NUMBERS),
    "discretization": (lambda: layers.Discretization(num_bins=5), NUMBERS),
    "strings": (lambda: layers.StringLookup(output_mode="multi_hot"), WORDS),
    "strings back": (lambda: layers.StringLookup(), WORDS),
    "integers": (lambda: layers.IntegerLookup(output_mode="count"), WHOLE),
    "text": (layers.TextVectorization, WORDS),
    "text without splits": (
        lambda: layers.TextVectorization(split=None, standardize=None),
        WORDS,
    ),
    "weights": (lambda: layers.TextVectorization(output_mode="tf_idf"), WORDS),
    "weights, filled up": (
        lambda: layers.TextVectorization(
            output_mode="tf_idf", max_tokens=9, pad_to_max_tokens=True
        ),
        WORDS,
    ),
}


def learned(make: Callable[[], keras.Layer], data: object) -> tuple[keras.Layer, list]:
    """Return an adapted layer, and the layers that were noted meanwhile."""
    with adapted_state.adapting(None) as noted:
        layer = make()
        layer.adapt(data)
    return layer, noted


def forbidden(*_: object) -> None:
    raise AssertionError("the data were read")


@pytest.mark.parametrize(("make", "data"), CASES.values(), ids=CASES.keys())
def test_a_layer_with_a_kept_state_gives_the_same(
    tmp_path: Path, make: Callable[[], keras.Layer], data: np.ndarray
) -> None:
    first, noted = learned(make, data)
    place = tmp_path / "kept"
    adapted_state.save(place, noted, 1.5, 1.0)
    kept = adapted_state.load(place)
    assert (kept.seconds, kept.work) == (1.5, 1.0)
    unread = tf.data.Dataset.from_tensor_slices(data).batch(5)
    unread = unread.map(lambda batch: tf.py_function(forbidden, [batch], batch.dtype))
    with adapted_state.adapting(kept):
        second = make()
        second.adapt(unread)
    expected, output = first(tf.constant(data)), second(tf.constant(data))
    np.testing.assert_array_equal(np.asarray(output), np.asarray(expected))


def test_a_feature_space_adapts_from_kept_states(tmp_path: Path) -> None:
    data = {"number": NUMBERS[:, 0], "word": np.array(["x", "y"] * 25)}

    def build(source: dict) -> keras.utils.FeatureSpace:
        space = keras.utils.FeatureSpace(
            {"number": "float_normalized", "word": "string_categorical"},
            output_mode="concat",
        )
        space.adapt(tf.data.Dataset.from_tensor_slices(source))
        return space

    with adapted_state.adapting(None) as noted:
        first = build(data)
    assert [type(layer).__name__ for layer in noted] == [
        "Normalization",
        "StringLookup",
    ]
    adapted_state.save(tmp_path / "kept", noted, 1.0, 1.0)
    other = {"number": NUMBERS[:, 1], "word": np.array(["p", "q"] * 25)}
    with adapted_state.adapting(adapted_state.load(tmp_path / "kept")):
        second = build(other)
    tensors = {name: tf.constant(column) for name, column in data.items()}
    np.testing.assert_array_equal(first(tensors), second(tensors))


def test_another_layer_than_the_kept_one_adapts_itself(tmp_path: Path) -> None:
    _, noted = learned(layers.Normalization, NUMBERS)
    adapted_state.save(tmp_path / "kept", noted, 1.0, 1.0)
    with adapted_state.adapting(adapted_state.load(tmp_path / "kept")):
        layer = layers.StringLookup()
        layer.adapt(WORDS)
    assert sorted(layer.get_vocabulary()[1:]) == sorted(set(WORDS))


def test_adapting_is_as_before_afterwards() -> None:
    before = layers.Normalization.adapt
    with pytest.raises(ZeroDivisionError), adapted_state.adapting(None):
        _ = 1 / 0
    assert layers.Normalization.adapt is before
