"""This module checks that two pipelines give the same examples.

`advise` times an edited pipeline only after this check. The module splits batches into
examples, so that another batch size is no difference. Numbers may differ by rounding,
because an operation on a batch may add in another order than on each example.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from bench.run.user_pipeline import PipelineComparison

TOLERANCE = 1e-4  # relative, and absolute for values below 1
MOST_EXAMPLES = 20_000
MOST_BYTES = 2**28  # of examples that are held

Example = tuple[np.ndarray, ...]


def examples(
    dataset: tf.data.Dataset, batched: bool, seconds: float, most: int = MOST_EXAMPLES
) -> tuple[list[Example], bool]:
    """Return the first examples of a dataset, and whether these are all.

    Args:
        dataset: The dataset.
        batched: Whether an element is a batch of examples.
        seconds: How long to pull at the most; one element at least is pulled.
        most: Examples at the most.
    """
    pulled: list[Example] = []
    held, deadline = 0, time.monotonic() + seconds
    for element in dataset:
        parts = [_array(part) for part in tf.nest.flatten(element)]
        lengths = {len(part) if part.ndim else -1 for part in parts}
        if batched and len(lengths) == 1 and -1 not in lengths:
            count = lengths.pop()
            pulled += [tuple(part[i] for part in parts) for i in range(count)]
        else:
            pulled.append(tuple(parts))
        held += sum(part.nbytes for part in parts)
        if time.monotonic() > deadline or len(pulled) >= most or held > MOST_BYTES:
            return pulled, False
    return pulled, True


def compare(
    base: Sequence[Example],
    head: Sequence[Example],
    whole: tuple[bool, bool],
    again: Sequence[Example] | None = None,
) -> PipelineComparison:
    """Compare the first examples of two pipelines.

    Args:
        base: The examples of the original pipeline.
        head: The examples of the edited pipeline.
        whole: For base and head, whether these are all examples of an epoch.
        again: The examples of the original pipeline, made a second time; None if it
            repeats itself. Components that differ between the two are random. Of these
            only shapes, types and numbers of distinct values are compared.
    """
    count = min(len(base), len(head))
    both = whole[0] and whole[1]
    extent = {"examples": count, "whole": both}
    if not count:
        return PipelineComparison(outcome="unknown", reason="there are no examples")
    kinds = [[_kind(one) for one in side[0]] for side in (base, head)]
    if kinds[0] != kinds[1]:
        reason = (
            f"an example is {', '.join(kinds[1])} in place of {', '.join(kinds[0])}"
        )
        return PipelineComparison(outcome="differs", reason=reason, **extent)
    random = _random_components(base, again) if again is not None else set()
    fixed = [n for n in range(len(base[0])) if n not in random]
    place = _first_difference(base[:count], head[:count], fixed)
    if place is None and (
        (whole[0] and len(head) > len(base)) or (whole[1] and len(head) < len(base))
    ):
        outcome = "remainder" if len(head) < len(base) else "differs"
        at_least = "" if both else "at least "
        longer, shorter = max(len(base), len(head)), min(len(base), len(head))
        counts = (f"{at_least}{longer:,}", f"{shorter:,}")
        ours, theirs = counts if outcome == "remainder" else reversed(counts)
        reason = f"an epoch has {theirs} examples in place of {ours}"
        return PipelineComparison(outcome=outcome, reason=reason, **extent)
    if place is None and not random:
        return PipelineComparison(outcome="same", **extent)
    if place is None:
        return _compare_random(base[:count], head[:count], random, extent)
    if not both:
        reason = (
            f"example {place:,} differs, and the epoch is too long to compare whole: "
            "nobody can say whether only the order changed"
        )
        return PipelineComparison(outcome="differs", reason=reason, **extent)
    if _bags(base, fixed) == _bags(head, fixed):
        reason = f"the same {count:,} examples come in another order"
        return PipelineComparison(outcome="order", reason=reason, **extent)
    reason = f"example {place:,} differs: {_shown(base[place], head[place], fixed)}"
    return PipelineComparison(outcome="differs", reason=reason, **extent)


def same(one: Sequence[Example], other: Sequence[Example]) -> bool:
    """Whether two pipelines give the same examples in the same order, bit for bit."""
    return len(one) == len(other) and all(map(_equal, one, other))


def _compare_random(
    base: Sequence[Example], head: Sequence[Example], random: set[int], extent: dict
) -> PipelineComparison:
    """Compare random components by their numbers of distinct values."""
    for number in sorted(random):
        ours, theirs = (
            len({_digest(example[number]) for example in side}) for side in (base, head)
        )
        if theirs < 0.9 * ours:
            reason = f"{theirs:,} distinct draws in place of {ours:,}"
            return PipelineComparison(outcome="differs", reason=reason, **extent)
    reason = (
        f"{len(random)} of {len(base[0])} components are random: their shapes, types "
        "and numbers of distinct draws were compared"
    )
    return PipelineComparison(outcome="same", reason=reason, **extent)


def _random_components(base: Sequence[Example], again: Sequence[Example]) -> set[int]:
    pairs = list(zip(base, again, strict=False))
    return {
        number
        for number in range(len(base[0]))
        if not all(_same_array(one[number], other[number]) for one, other in pairs)
    }


def _first_difference(
    base: Sequence[Example], head: Sequence[Example], components: Sequence[int]
) -> int | None:
    for place, (ours, theirs) in enumerate(zip(base, head, strict=True)):
        if not all(_close(ours[n], theirs[n]) for n in components):
            return place
    return None


def _bags(side: Sequence[Example], components: Sequence[int]) -> Counter:
    return Counter(tuple(_digest(one[n]) for n in components) for one in side)


def _digest(array: np.ndarray) -> bytes:
    if array.dtype == object:
        content = repr(array.tolist()).encode()
    else:
        content = np.ascontiguousarray(array).tobytes()
    return hashlib.blake2b(content + str(array.shape).encode(), digest_size=12).digest()


def _equal(one: Example, other: Example) -> bool:
    return all(_same_array(a, b) for a, b in zip(one, other, strict=True))


def _same_array(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and _digest(one) == _digest(other)


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if np.issubdtype(one.dtype, np.inexact):
        return np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return bool(np.array_equal(one, other))


def _kind(array: np.ndarray) -> str:
    """Return the type and the rank of an array; its sizes may differ among examples."""
    name = "string" if array.dtype == object else array.dtype.name
    return f"{name} of rank {array.ndim}"


def _shown(base: Example, head: Example, components: Sequence[int]) -> str:
    for number in components:
        one, other = base[number], head[number]
        if _close(one, other):
            continue
        if one.shape != other.shape:
            return f"shape {list(other.shape)} in place of {list(one.shape)}"
        unequal = np.flatnonzero(np.ravel(one != other))
        place = int(unequal[0]) if len(unequal) else 0
        values = (str(np.ravel(side)[place])[:40] for side in (other, one))
        share = len(unequal) / max(1, one.size)
        return f"{share:.0%} of its values, first " + " in place of ".join(values)
    return ""


def _array(part: object) -> np.ndarray:
    """Return a component as an array; rows of a ragged one become objects in it."""
    if isinstance(part, tf.RaggedTensor):
        rows = part.to_list()
        array = np.empty(len(rows), object)
        array[:] = [np.asarray(row) for row in rows]
        return array
    if isinstance(part, tf.SparseTensor):
        part = tf.sparse.to_dense(part)
    return np.asarray(part)
