"""This module collects facts that are the same in every run, and their flags."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import msgspec
import numpy as np
import tensorflow as tf

from bench.data.components import named
from bench.errors import write_atomically
from bench.flags import FLAGS
from bench.measure import check, image_geometry, nests, randomness, xla
from bench.measure.assembly import Assembly
from bench.measure.equality import is_close
from bench.measure.layers import graph_function, to_numpy
from bench.measure.random_draws import generators_restored
from bench.pipeline import AXES, differences

Facts = dict[str, float | str]
Pairs = Sequence[tuple[object, object]]  # nests of tensors
# Flag -> (fact, text): the flag is raised if the fact contains the text, which may be
# empty.
RAISED = {name: flag.raised_by for name, flag in FLAGS.items() if flag.raised_by}
COMPARED = 8  # examples, with their batch and one by one
ALONE = 16  # a random layer leaves that many examples alone once in 65,000 runs
# Slow facts describe layers and a way to call them, at any size and with XLA or not.
LEFT_OUT = ("batch_size", "image_size", "jit")

ROUNDING = 1e-6  # relative, of float32


def facts(assembly: Assembly, consumer: str, pairs: Pairs, folder: Path) -> Facts:
    """Collect the facts on XLA, draws, labels, sizes and layers that do nothing.

    Args:
        assembly: The trial's assembly, after its check.
        consumer: The name of the consumer.
        pairs: Raw batches, each with the placement's output.
        folder: A folder of the sweep. The slow facts of a trial are stored there, and
            the trials that differ only in `LEFT_OUT` read them.
    """
    with generators_restored():  # or rounds without these facts would draw differently
        random = not assembly.entry.deterministic
        idle = unchanged(assembly.layers, pairs, random=random)
        path = folder / f"facts-{_shared_name(assembly, consumer)}.json"
        if path.exists():
            shared = msgspec.json.decode(path.read_bytes(), type=dict[str, float | str])
        else:
            shared = _shared_facts(assembly, consumer)
            write_atomically(path, msgspec.json.encode(shared))
    if "unchanged_examples" in idle:
        shared.pop("alone", None)  # it is no news where a batch stays as it is, too
    return shared | idle | size_facts(pairs)


def _shared_name(assembly: Assembly, consumer: str) -> str:
    """Return a digest of the settings and the file that the shared facts depend on."""
    p = replace(assembly.pipeline, **{name: AXES[name].default for name in LEFT_OUT})
    own = assembly.entry.name, differences(p), consumer, assembly.device
    content = repr(own).encode() + assembly.entry.path.read_bytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _shared_facts(assembly: Assembly, consumer: str) -> Facts:
    """Return the facts that do not depend on the axes `LEFT_OUT`."""
    reason = jit_refusal(assembly)
    draws = randomness.facts(assembly, consumer)
    shipped = assembly.entry.shelf == "workloads"
    masks = {} if shipped else image_geometry.facts(assembly)
    statistics = {} if shipped else statistics_facts(assembly)
    alone = alone_facts(assembly) if assembly.entry.shelf == "layers" else {}
    jit = {"jit_refusal": reason} if reason else {}
    facts = {"supports_jit": "no" if reason else "yes"} | jit | draws | masks
    return facts | statistics | alone


def statistics_facts(assembly: Assembly) -> dict[str, str]:
    """Return the fact `statistics`: `batch` where an output depends on its batch.

    Args:
        assembly: The trial's assembly, after its check. Random layers have no such
            fact, since their outputs differ anyway.
    """
    if not assembly.entry.deterministic:
        return {}
    batch = assembly.first_examples(COMPARED)
    together = check.concatenate([assembly.reference_output(batch)])
    apart = check.one_by_one(assembly.reference_output, [batch])
    tolerance = float(assembly.entry.constants.get("TOLERANCE", 1e-5))
    return {} if is_close(together, apart, tolerance) else {"statistics": "batch"}


def alone_facts(assembly: Assembly) -> dict[str, str]:
    """Return the fact `alone`: `unchanged` if the layers do not change batches of one.

    Layers that mix the examples of a batch do nothing to a single example.

    Args:
        assembly: The trial's assembly, after its check.
    """
    batch = assembly.first_examples(ALONE)
    rows = (nests.rows(batch, [row]) for row in range(nests.count(batch)))
    changed = any(
        not _equal(to_numpy(row), to_numpy(assembly.reference_output(row)))
        for row in rows
    )
    return {} if changed else {"alone": "unchanged"}


def size_facts(pairs: Pairs) -> dict[str, float]:
    """Return the bytes of an example before and after the layers.

    Args:
        pairs: Raw batches, each with the placement's output. Text counts the bytes of
            its characters; ragged and sparse components count as dense ones.
    """
    raw = check.concatenate([batch for batch, _ in pairs], several_sizes=True)
    output = check.concatenate([output for _, output in pairs])
    return {
        "input_bytes_per_example": _bytes_per_example(raw),
        "output_bytes_per_example": _bytes_per_example(output),
    }


def _bytes_per_example(nest: object) -> float:
    parts = list(named(nest, "").values())
    return sum(map(_bytes, parts)) / len(parts[0])


def _bytes(array: np.ndarray) -> int:
    """Return the bytes of an array; for objects, the sum of the bytes of each."""
    if array.dtype != object:
        return array.nbytes
    return sum(
        value.nbytes if isinstance(value, np.ndarray) else len(value)
        for value in array.flat
    )


def flags(facts: Mapping[str, float | str]) -> list[str]:
    """Return the flags that the facts raise; `bench.flags` has their words."""
    return [
        flag
        for flag, (name, part) in RAISED.items()
        if name in facts and part in str(facts[name])
    ]


def jit_refusal(assembly: Assembly) -> str:
    """Return why XLA does not compile the layers on the model's device, if so."""
    (batch, *_) = assembly.raw_batches(1)
    with tf.device(assembly.device):
        return xla.refusal(assembly.layers, batch)


def unchanged(
    layers: Sequence[keras.Layer], pairs: Pairs, *, random: bool
) -> dict[str, float | str]:
    """Return the fact `unchanged_examples` where the output equals the input.

    The fact is the number of examples that were checked. A layer that only changes the
    type may leave the values as they are. Such values count as unchanged only where a
    random or adapted layer should have changed them. Within a chain, each layer that
    can be adapted is compared with its own input, and `unchanged_layers` names the
    layers that do nothing.

    Args:
        layers: Layers, applied in order; `Identity` and an empty list are exempt.
        pairs: Raw batches, each with the placement's output.
        random: Whether the file declares random layers.
    """
    parts = [part for layer in layers for part in layer._flatten_layers()]
    if all(isinstance(part, keras.layers.Identity) for part in parts):
        return {}
    adapted = any(hasattr(part, "adapt") for part in parts)
    raw = check.concatenate([batch for batch, _ in pairs], several_sizes=True)
    output = check.concatenate([output for _, output in pairs])
    count = len(next(iter(named(raw, "").values())))
    if _equal(raw, output) and (random or adapted or _types(raw) == _types(output)):
        return {"unchanged_examples": count}
    names = _idle(layers, [batch for batch, _ in pairs]) if adapted else []
    if not names:
        return {}
    return {"unchanged_examples": count, "unchanged_layers": ", ".join(names)}


def _types(nest: object) -> list[np.dtype]:
    return [part.dtype for part in tf.nest.flatten(nest)]


def _idle(layers: Sequence[keras.Layer], batches: Sequence[object]) -> list[str]:
    """Return names of the layers that can be adapted and return their own input."""
    names = []
    for layer in layers:
        call = graph_function([layer])
        outputs = [call(batch) for batch in batches]
        if hasattr(layer, "adapt") and _equal(
            check.concatenate(batches, several_sizes=True),
            check.concatenate(outputs, several_sizes=True),
        ):
            names.append(type(layer).__name__)
        batches = outputs
    return names


def _equal(raw: object, output: object) -> bool:
    """Whether all components have the same values, perhaps in other types."""
    before, after = named(raw, ""), named(output, "")
    return before.keys() == after.keys() and all(
        _equal_arrays(part, after[path]) for path, part in before.items()
    )


def _equal_arrays(raw: np.ndarray, output: np.ndarray) -> bool:
    numbers = [np.issubdtype(array.dtype, np.number) for array in (raw, output)]
    if raw.shape != output.shape or len(set(numbers)) > 1:
        return False
    floats = np.issubdtype(output.dtype, np.inexact)
    same_type = raw.astype(output.dtype) if all(numbers) else raw
    if not floats:
        return bool(np.array_equal(same_type, output))
    # An example that is mixed with itself differs by rounding.
    return np.allclose(same_type, output, rtol=ROUNDING, atol=0.0, equal_nan=True)
