"""Applying layers to examples and to batches, and checking what they made."""

import hashlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.autograph.impl.api import autograph_artifact

# AutoGraph would first rewrite the harness's own functions, in every process anew, and
# trace them the slower for it. Marked so they run as written, and what they call is
# treated as before: `do_not_convert` would switch AutoGraph off in a user's layers too.
as_written = autograph_artifact


def as_layers(built: keras.Layer | Sequence[keras.Layer]) -> list[keras.Layer]:
    """What `build` returned, as a list applied in turn."""
    return list(built) if isinstance(built, (list, tuple)) else [built]


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


def demand_equal(
    reference: np.ndarray, output: np.ndarray, tolerance: float, what: str
) -> None:
    """Refuse an output that differs from what the layers make by themselves.

    Raises:
        AssertionError: Shape, type or values differ.
    """
    given = (output.shape, output.dtype)
    wanted = (reference.shape, reference.dtype)
    assert given == wanted, f"{what} gives {given}, the layers themselves {wanted}"
    if np.issubdtype(reference.dtype, np.number):
        equal = np.isclose(output, reference, rtol=tolerance, atol=tolerance)
    else:
        equal = output == reference
    share = 1 - equal.mean()
    assert equal.all(), (
        f"{what} differs from the layers themselves in {share:.1%} of the values "
        f"(tolerance {tolerance:g})"
    )


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
