"""Applying layers to examples and to batches, and checking what they made."""

import hashlib
import inspect
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.autograph.impl.api import autograph_artifact

from bench.errors import UsageError

CALLS = 12  # of one batch: a layer that draws one of 5 repeats itself once in 5**11

# AutoGraph would first rewrite the harness's own functions, in every process anew, and
# trace them the slower for it. Marked so they run as written, and what they call is
# treated as before: `do_not_convert` would switch AutoGraph off in a user's layers too.
as_written = autograph_artifact


def as_layers(built: object) -> list[keras.Layer]:
    """What `build` returned, as a list applied in turn.

    Args:
        built: A layer, which a `keras.Sequential`, a `keras.Model` and a
            `keras.layers.Pipeline` are too; or a function of a tensor; or a list or a
            tuple of these.

    Raises:
        UsageError: It is something else.
    """
    parts = built if isinstance(built, (list, tuple)) else [built]
    return [_as_layer(part, built) for part in parts]


def _as_layer(part: object, built: object) -> keras.Layer:
    """One part of what `build` returned; a function becomes a Lambda layer."""
    if isinstance(part, keras.Layer):
        return part
    if callable(part) and not isinstance(part, type):
        return keras.layers.Lambda(_plain(part))
    given = f"an object of {type(part).__name__}"
    if part is None:
        given = "None (is its `return` missing?)"
    elif isinstance(part, type):
        given = f"the class {part.__name__} and no object of it"
    inside = "" if part is built else f" in a {type(built).__name__}"
    raise UsageError(
        f"build() returned {given}{inside}. It may return a keras.Layer "
        "(keras.Sequential, keras.Model and keras.layers.Pipeline are layers), a "
        "function of a tensor, or a list of these."
    )


def _plain(function: Callable) -> Callable:
    """A callable as a function whose arguments Keras's Lambda can read."""
    try:
        inspect.getfullargspec(function)
    except TypeError:
        return lambda features: function(features)
    return function


@as_written
def apply_layers(
    layers: Sequence[Callable],
    features: tf.Tensor,
    *,
    rank: Callable[[tf.Tensor], int] | None = None,
    training: bool = True,
) -> tf.Tensor:
    """The layers in turn, as in training.

    Args:
        layers: Keras layers.
        features: A bare example or a batch.
        rank: Tells the output's rank for a bare example, given that; None of a batch.
            Some layers, such as Normalization, answer a bare example with a batch of
            one, whose leading axis is then dropped, or the batches of two orders would
            differ in shape. Only asked of what could be such a batch: it takes a trace.
        training: Random layers do nothing outside training.
    """
    example = features
    for layer in layers:
        if getattr(layer, "_call_has_training_arg", False):
            features = layer(features, training=training)
        else:
            features = layer(features)
    shape = features.shape
    could_be_one = rank and shape.rank and shape[0] in (1, None)
    if could_be_one and shape.rank == rank(example) + 1:
        features = tf.squeeze(features, axis=0)
    return features


def alone(layers: Sequence[Callable], *, training: bool = True) -> Callable:
    """The layers by themselves, batch to batch, in a graph of their own.

    Called eagerly, Keras 3.15 hands image layers their bytes as they are: Resizing
    rounds, RandomBrightness wraps around, RandomContrast refuses. In tf.data, in a
    model and here they make them float32 first.
    """

    @as_written
    def call(batch: tf.Tensor) -> tf.Tensor:
        return apply_layers(layers, batch, training=training)

    return tf.function(call)


def supports_jit(layers: Sequence[keras.Layer]) -> bool:
    """Whether Keras says that every layer, nested ones too, compiles with XLA."""
    return all(
        part.supports_jit for layer in layers for part in layer._flatten_layers()
    )


def to_numpy(value: tf.Tensor) -> np.ndarray:
    """A NumPy array, dense even where the tensor is ragged or sparse."""
    if isinstance(value, tf.RaggedTensor):
        return value.to_tensor().numpy()
    if isinstance(value, tf.SparseTensor):
        return tf.sparse.to_dense(value).numpy()
    return value.numpy()


def repeats(apply: Callable, batch: tf.Tensor) -> bool:
    """Whether one batch gives the same again and again; the first other ends it."""
    first = to_numpy(apply(batch))
    return all(same(first, to_numpy(apply(batch))) for _ in range(CALLS - 1))


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are equal; NaN is equal to NaN in the same place."""
    inexact = all(np.issubdtype(part.dtype, np.inexact) for part in (one, other))
    return np.array_equal(one, other, equal_nan=inexact)


def fingerprint(output: np.ndarray) -> str:
    """Of a checked output: 16 hexadecimal digits, floats rounded to 4 digits."""
    if np.issubdtype(output.dtype, np.floating):
        output = np.round(output.astype(np.float64), 4) + 0.0  # -0.0 becomes 0.0
    found = hashlib.sha256(f"{output.shape}{output.dtype}".encode())
    if output.dtype == object:  # texts, whose own bytes are addresses
        found.update(repr(output.tolist()).encode())
    else:
        found.update(np.ascontiguousarray(output))
    return found.hexdigest()[:16]
