"""These tests cover the layers that `build` may return, and others that it may not."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.errors import UsageError
from bench.measure.layers import (
    apply_layers,
    arrays_equal,
    as_layers,
    graph_function,
    supports_jit,
)

CHOICES = (
    ". It may return a keras.Layer (keras.Sequential, keras.Model and "
    "keras.layers.Pipeline are layers), a keras.utils.FeatureSpace, a function of the "
    "features, or a list of these."
)


class Doubling:
    """This callable is not a function."""

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        return features * 2


def scaled(factor: float, features: tf.Tensor) -> tf.Tensor:
    """Scale features; tests bind the first argument."""
    return features * factor


@pytest.mark.parametrize(
    "built",
    [
        lambda features: features * 2,
        Doubling(),
        functools.partial(scaled, 2.0),
        functools.partial(tf.multiply, 2.0),
        tf.function(lambda features: features * 2),
        keras.layers.Rescaling(2.0),
        [keras.layers.Rescaling(4.0), lambda features: features / 2],
        (keras.layers.Rescaling(2.0),),
        keras.Sequential([keras.layers.Rescaling(2.0)]),
        keras.layers.Pipeline([keras.layers.Rescaling(2.0)]),
    ],
)
def test_a_layer_a_function_or_a_list_is_accepted(built: object) -> None:
    layers = as_layers(built)
    batch = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_allclose(graph_function(layers)(tf.constant(batch)), 2 * batch)
    assert supports_jit(layers) in (True, False)


@pytest.mark.parametrize(
    ("built", "returned"),
    [
        (None, "None (is its `return` missing?)"),
        (keras.layers.Rescaling, "the class Rescaling and no object of it"),
        ({"a": keras.layers.Rescaling(2.0)}, "an object of dict"),
        ([keras.layers.Rescaling(2.0), "flip"], "an object of str in a list"),
        (3, "an object of int"),
    ],
)
def test_anything_else_is_refused_with_the_choices(
    built: object, returned: str
) -> None:
    with pytest.raises(UsageError) as caught:
        as_layers(built)
    assert str(caught.value) == f"build() returned {returned}{CHOICES}"


ROTATION = keras.layers.RandomRotation(0.1)  # XLA does not compile it


def by_name(layers: dict) -> Callable:
    return lambda features: {name: layers[name](features[name]) for name in features}


@pytest.mark.parametrize(
    "function", [by_name({"images": ROTATION}), lambda images: ROTATION(images)]
)
def test_layers_that_a_function_uses_are_known(function: Callable) -> None:
    """They are in a dict that the function closes over, or global names."""
    (layer,) = as_layers(function)
    assert ROTATION in layer._flatten_layers()
    assert not supports_jit([layer])


def test_a_model_of_columns_adds_the_axis_that_it_declares() -> None:
    """In a larger model as in a dataset, where Keras adds the axis to tensors."""
    inputs = {name: keras.Input((1,), name=name) for name in ("a", "b")}
    joined = keras.Model(inputs, keras.layers.Concatenate()([*inputs.values()]))
    columns = {name: keras.Input((), name=name) for name in inputs}
    whole = keras.Model(columns, apply_layers([joined], columns))
    batch = {"a": tf.constant([1.0, 2.0, 3.0]), "b": tf.constant([4.0, 5.0, 6.0])}
    assert whole.output.shape == (None, 2)
    expected = [[1, 4], [2, 5], [3, 6]]
    np.testing.assert_array_equal(whole(batch), expected)
    np.testing.assert_array_equal(apply_layers([joined], batch), expected)


def test_nan_equals_nan() -> None:
    """Otherwise a layer that returns NaN would seem random."""
    values = np.array([1.0, np.nan])
    assert arrays_equal(values, values.copy())
    assert not arrays_equal(values, np.array([1.0, 2.0]))
    assert arrays_equal(np.array([b"a"], object), np.array([b"a"], object))
