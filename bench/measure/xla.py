"""This module compiles layers with XLA and returns why that fails."""

import re
from collections.abc import Sequence

import keras
import tensorflow as tf

from bench.measure.layers import apply_layers, as_written, supports_jit

LONGEST = 200  # characters of XLA's own message that are shown


def refusal(layers: Sequence[keras.Layer], batch: object) -> str:
    """Return why XLA does not compile the layers; empty where it does.

    Args:
        layers: Layers, applied in order.
        batch: One batch, as the layers get it in a model.

    Returns:
        A clause such as `XLA has no ResizeBicubic on this device`. The function does
        not try layers that Keras declares as not compilable.
    """
    if not supports_jit(layers):
        return f"Keras declares supports_jit=False for {', '.join(_declared(layers))}"

    @as_written
    def call(features: object) -> object:
        return apply_layers(layers, features)

    # Outside the `try`, since an error in tracing is not XLA's.
    traced = tf.function(call, jit_compile=True).get_concrete_function(batch)
    try:
        traced(batch)
    except tf.errors.OpError as error:
        return reason(str(error))
    return ""


def reason(message: str) -> str:
    """Shorten XLA's message, without names of graph nodes or lines of Keras's code.

    Args:
        message: The message of the error that TensorFlow raises.
    """
    missing = re.findall(r"No registered '(\w+)' OpKernel for XLA", message)
    if missing:
        return f"XLA has no {', '.join(dict.fromkeys(missing))} on this device"
    first = message.strip().partition("\n")[0] or "no reason"
    shape = re.match(r"(Input \d+) to node `\S+` with op (\w+) must be a comp", first)
    if shape:
        return f"{shape[1]} of {shape[2]} changes from call to call, and XLA fixes it"
    return f"XLA reports: {first[:LONGEST]}"


def _declared(layers: Sequence[keras.Layer]) -> list[str]:
    """Return the layers, nested ones too, that declare supports_jit=False."""
    parts = (part for layer in layers for part in layer._flatten_layers())
    names = [type(part).__name__ for part in parts if not part.supports_jit]
    return list(dict.fromkeys(names))
