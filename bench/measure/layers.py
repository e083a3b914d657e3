"""This module applies layers to examples and batches, and compares their outputs."""

import hashlib
import inspect
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.autograph.impl.api import autograph_artifact

from bench.errors import UsageError

CALLS = 12  # with one batch: a layer that draws one of 5 repeats itself once in 5**11

# AutoGraph would rewrite the harness's own functions in every process, and would trace
# them more slowly. This mark makes them run as written and still lets AutoGraph convert
# the functions that they call; `do_not_convert` would also exclude a user's layers.
as_written = autograph_artifact


def as_layers(built: object) -> list[keras.Layer]:
    """Return what `build` returned as a list of layers, to be applied in order.

    Args:
        built: A layer (a `keras.Sequential`, a `keras.Model` and a
            `keras.layers.Pipeline` are layers), a function of a tensor, or a list or
            tuple of these.

    Raises:
        UsageError: `build` returned something else.
    """
    parts = built if isinstance(built, (list, tuple)) else [built]
    return [_as_layer(part, built) for part in parts]


def _as_layer(part: object, built: object) -> keras.Layer:
    """Return one part as a layer; a function becomes a Lambda layer."""
    if isinstance(part, keras.Layer):
        return part
    if callable(part) and not isinstance(part, type):
        return keras.layers.Lambda(_plain(part))
    returned = f"an object of {type(part).__name__}"
    if part is None:
        returned = "None (is its `return` missing?)"
    elif isinstance(part, type):
        returned = f"the class {part.__name__} and no object of it"
    inside = "" if part is built else f" in a {type(built).__name__}"
    raise UsageError(
        f"build() returned {returned}{inside}. It may return a keras.Layer "
        "(keras.Sequential, keras.Model and keras.layers.Pipeline are layers), a "
        "function of a tensor, or a list of these."
    )


def _plain(function: Callable) -> Callable:
    """Return a callable as a function whose arguments Keras's Lambda can read."""
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
    """Apply the layers in order.

    Args:
        layers: Keras layers.
        features: A bare example or a batch.
        rank: Returns the output's rank for a bare example; None for batches. Some
            layers, such as Normalization, make a batch of one from a bare example. Its
            leading axis is dropped, or the two orders would give different shapes. The
            function is called only where the output could be such a batch, since it
            takes a trace.
        training: Whether to apply the layers as in training; random layers do nothing
            outside training.
    """
    example = features
    for layer in layers:
        if getattr(layer, "_call_has_training_arg", False):
            features = layer(features, training=training)
        else:
            features = layer(features)
    shape = features.shape
    maybe_batch_of_one = rank and shape.rank and shape[0] in (1, None)
    if maybe_batch_of_one and shape.rank == rank(example) + 1:
        features = tf.squeeze(features, axis=0)
    return features


def graph_function(layers: Sequence[Callable], *, training: bool = True) -> Callable:
    """Return a graph function that applies the layers to a batch, and nothing else.

    Eager calls would differ: Keras 3.15 then passes bytes to image layers unchanged.
    Resizing rounds, RandomBrightness wraps around, and RandomContrast refuses. In a
    graph, as in tf.data and in a model, the layers convert bytes to float32 first.
    """

    @as_written
    def call(batch: tf.Tensor) -> tf.Tensor:
        return apply_layers(layers, batch, training=training)

    return tf.function(call)


def supports_jit(layers: Sequence[keras.Layer]) -> bool:
    """Whether Keras declares that every layer, nested ones too, compiles with XLA."""
    return all(
        part.supports_jit for layer in layers for part in layer._flatten_layers()
    )


def to_numpy(value: tf.Tensor) -> np.ndarray:
    """Return a NumPy array, dense even where the tensor is ragged or sparse."""
    if isinstance(value, tf.RaggedTensor):
        return value.to_tensor().numpy()
    if isinstance(value, tf.SparseTensor):
        return tf.sparse.to_dense(value).numpy()
    return value.numpy()


def repeats(apply: Callable, batch: tf.Tensor) -> bool:
    """Whether `CALLS` calls with one batch give equal outputs."""
    first = to_numpy(apply(batch))
    return all(arrays_equal(first, to_numpy(apply(batch))) for _ in range(CALLS - 1))


def arrays_equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are equal; NaN is equal to NaN in the same place."""
    inexact = all(np.issubdtype(part.dtype, np.inexact) for part in (one, other))
    return np.array_equal(one, other, equal_nan=inexact)


def fingerprint(output: np.ndarray) -> str:
    """Return 16 hexadecimal digits of an output, its floats rounded to 4 decimals."""
    if np.issubdtype(output.dtype, np.floating):
        output = np.round(output.astype(np.float64), 4) + 0.0  # -0.0 becomes 0.0
    digest = hashlib.sha256(f"{output.shape}{output.dtype}".encode())
    if output.dtype == object:  # texts, whose own bytes are addresses
        digest.update(repr(output.tolist()).encode())
    else:
        digest.update(np.ascontiguousarray(output))
    return digest.hexdigest()[:16]
