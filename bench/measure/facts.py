"""Facts that are the same in every run of a trial, and the flags that they raise."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from bench.measure import check, marked_images, randomness, xla
from bench.measure.assembly import Assembly
from bench.measure.draws import generators_restored
from bench.measure.layers import alone

Facts = dict[str, float | str]
Pairs = Sequence[tuple[tf.Tensor, tf.Tensor]]
# A flag, and the facts that raise it: part of the fact's text, or any value at all.
RAISED = {
    "frozen_trace": ("draws", "per trace"),
    "draws_shared": ("draws", "per batch"),
    "epochs_repeat": ("epochs_repeat", "yes"),
    "epochs_repeat_seeded": ("epochs_repeat", "once seeded"),
    "masks_left": ("masks_left", ""),
    "output_is_input": ("unchanged_examples", ""),
}


def facts(work: Assembly, consumer: str, pairs: Pairs) -> Facts:
    """Gather the facts on XLA, draws, labels and layers that do nothing.

    Args:
        work: The trial's workload, past its gate.
        consumer: What pulls the batches.
        pairs: Raw batches, and what the placement makes of them.
    """
    with generators_restored():  # or the rounds without these facts draw otherwise
        reason = refusal(work)
        found: Facts = {"supports_jit": "no" if reason else "yes"}
        if reason:
            found["jit_refusal"] = reason
        found |= unchanged(work.layers, pairs, random=not work.entry.deterministic)
        found |= randomness.facts(work, consumer)
        if work.entry.shelf != "workloads":
            found |= marked_images.facts(work)
    return found


def flags(found: Mapping[str, float | str]) -> list[str]:
    """The flags that facts raise; `bench.flags` has their words."""
    return [
        flag
        for flag, (name, part) in RAISED.items()
        if name in found and part in str(found[name])
    ]


def refusal(work: Assembly) -> str:
    """Why XLA does not compile the layers where the model runs; empty if it does."""
    features, *_ = work.raw_batch()
    with tf.device(work.device):
        return xla.refusal(work.layers, features)


def unchanged(
    layers: Sequence[keras.Layer], pairs: Pairs, *, random: bool
) -> dict[str, float | str]:
    """`unchanged_examples`: how many were checked, where the output is the input.

    A layer whose work is another type may leave the values as they are. So values alone
    count only where something random or adapted should have changed them. Within a
    chain, each layer that can be adapted is compared with its own input, and
    `unchanged_layers` names those that do nothing.

    Args:
        layers: Applied in turn; an empty list and `Identity` do nothing on purpose.
        pairs: Raw batches, and what the placement makes of them.
        random: Whether the layers are said to be random.
    """
    parts = [part for layer in layers for part in layer._flatten_layers()]
    if all(isinstance(part, keras.layers.Identity) for part in parts):
        return {}
    adapted = any(hasattr(part, "adapt") for part in parts)
    raw = check.joined([batch for batch, _ in pairs])
    output = check.joined([made for _, made in pairs])
    owes = random or adapted or raw.dtype == output.dtype
    if owes and _equal(raw, output):
        return {"unchanged_examples": len(raw)}
    names = _idle(layers, [batch for batch, _ in pairs]) if adapted else []
    if not names:
        return {}
    return {"unchanged_examples": len(raw), "unchanged_layers": ", ".join(names)}


def _idle(layers: Sequence[keras.Layer], batches: Sequence[tf.Tensor]) -> list[str]:
    """Names of the layers that can be adapted and give back what they get."""
    names = []
    for layer in layers:
        call = alone([layer])
        made = [call(batch) for batch in batches]
        if hasattr(layer, "adapt") and _equal(
            check.joined(batches), check.joined(made)
        ):
            names.append(type(layer).__name__)
        batches = made
    return names


def _equal(raw: np.ndarray, output: np.ndarray) -> bool:
    numbers = [np.issubdtype(array.dtype, np.number) for array in (raw, output)]
    if raw.shape != output.shape or len(set(numbers)) > 1:
        return False
    floats = np.issubdtype(output.dtype, np.inexact)
    same_type = raw.astype(output.dtype) if all(numbers) else raw
    return bool(np.array_equal(same_type, output, equal_nan=floats))
