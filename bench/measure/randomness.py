"""What is random about layers: their draws, seeds, epochs, and inference."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from bench.errors import UsageError
from bench.measure import check, epoch_draws
from bench.measure import draws as drawing
from bench.measure.assembly import Assembly
from bench.measure.draws import distinct
from bench.measure.layers import (
    CALLS,
    alone,
    apply_layers,
    as_layers,
    repeats,
    to_numpy,
)
from bench.measure.tf_data import build
from bench.pipeline import Pipeline

COPIES = 64
SHARING = 8  # copies in each of as many calls, which show what a batch shares
EXAMPLES = 16  # one alone may by chance be drawn the same three times
SMALL_BATCH = 2  # so that the copies make many calls, which may overtake each other
TRIES = 4  # of a parallel map, which may by chance repeat itself
ALIKE = 1e-5


def facts(work: Assembly, consumer: str) -> dict[str, float | str]:
    """Facts on draws for layers, on inference for models; the same in every run.

    Args:
        work: The trial's workload.
        consumer: What pulls the batches.

    Returns:
        For a random layer `draws`, `distinct_draws` and, with placement=dataset,
        `reproducible`; `epochs_repeat` where the dataset draws; for a model with random
        layers `identity_outside_training`, and the layers that are not.
    """
    ours = work.entry.shelf == "workloads"
    if work.entry.deterministic:
        return {} if ours else epoch_draws.facts(work)
    found: dict[str, float | str] = {}
    batch = tf.concat(work.raw_batches(EXAMPLES), axis=0)[:EXAMPLES]
    if not ours:
        met = batch[0] if work.meets_examples else _copies(batch[0], SHARING)
        traced = drawing.traced(work.layers, met)
        found |= draws(work, batch, frozen=traced.frozen)
        found |= epoch_draws.facts(work, begins_again=traced.begins_again)
        if found.get("epochs_repeat") == "yes":
            found["reproducible"] = epoch_draws.EVERY
    if consumer in ("train", "model", "serve"):
        found |= outside_training(work.layers, batch)
    return found


def demand(layers: Sequence[keras.Layer], features: np.ndarray) -> None:
    """Refuse layers that are said to be random and are not.

    Args:
        layers: Applied in turn.
        features: Raw examples, which need no reading and decoding.

    Raises:
        UsageError: Of one batch they make the same again and again.
    """
    try:
        same = repeats(alone(layers), tf.constant(features[:COPIES]))
    except Exception:  # they may take bare examples alone: what is wrong, the gate says
        return
    if not same:
        return
    why = "nothing is random."
    if drawing.traced(layers, tf.constant(features[:COPIES])).frozen:
        why = (
            "what is random is drawn while the layers are traced, and never again. "
            "Draw by keras.random or tf.random, not by Python's or NumPy's random."
        )
    raise UsageError(
        f"DETERMINISTIC = False, but {CALLS} calls with one batch gave the same: {why}"
    )


def draws(
    work: Assembly, batch: tf.Tensor, *, frozen: bool = False
) -> dict[str, float | str]:
    """What shares a draw, and whether a seed repeats the draws.

    With placement=dataset and order=map_batch the layers meet bare examples, so each
    has a draw of its own whatever the layer; otherwise they meet the copies as a batch.

    Args:
        work: Made anew from the same seeds, to see whether a run repeats.
        batch: Raw examples, decoded; the first is the one that is copied.
        frozen: Whether a choice is drawn while the layers are traced.

    Returns:
        `draws`, in words such as `per example and per batch`; `distinct_draws`, how
        many of 64 copies come out different; with placement=dataset `reproducible`.
    """
    p, example = work.pipeline, batch[0]
    found: dict[str, float | str] = {}
    if p.place.maps_layers:
        drawn = repeated(_made_anew(work), example)
        others = (
            repeated(_made_anew(work), example)
            for _ in range(TRIES - 1 if p.map_parallel_calls else 1)
        )
        same = all(np.array_equal(drawn, other) for other in others)
        found["reproducible"] = "yes" if same else "no"
    if not work.meets_examples:
        drawn = to_numpy(work.alone(_copies(example, COPIES)))
    count = distinct(drawn)
    levels = _levels(work, batch[0], count) + ["trace"] * frozen
    if not levels:  # copies show no draws, so that they are the same proves nothing
        found = {}
    return {"draws": _spelled(work, batch, levels), "distinct_draws": count, **found}


def _levels(work: Assembly, example: tf.Tensor, count: int) -> list[str]:
    """What has a draw of its own; `count` copies of the example came out different."""
    if work.meets_examples:
        return ["example"] if count > 1 else []
    copies = _copies(example, SHARING)
    return drawing.levels([to_numpy(work.alone(copies)) for _ in range(SHARING)])


def _spelled(work: Assembly, batch: tf.Tensor, levels: Sequence[str]) -> str:
    if levels:
        return " and ".join(f"per {level}" for level in levels)
    # What mixes examples makes of copies the same again, whatever it draws.
    mixes = not work.meets_examples and not repeats(work.alone, batch)
    return "among the examples of a batch" if mixes else "none"


def _copies(example: tf.Tensor, count: int) -> tf.Tensor:
    return tf.repeat(example[None], count, axis=0)


def repeated(work: Assembly, example: tf.Tensor) -> np.ndarray:
    """What the placement's own pipeline makes of 64 copies, from its first batch on."""
    p = replace(
        Pipeline(),
        batch_size=SMALL_BATCH,
        **{
            name: getattr(work.pipeline, name)
            for name in (
                "order",
                "map_parallel_calls",
                "deterministic",
                "rewrites",
                "threadpool_size",
            )
        },
    )
    rank = work.known_rank if p.order == "map_batch" else None
    dataset = build(
        p,
        tf.data.Dataset.from_tensors((example,)).repeat(COPIES),
        lambda *record: record,
        lambda features: apply_layers(work.layers, features, rank=rank),
        decodes=False,
        repeat=False,
    )
    return check.joined([batch[0] for batch in dataset])


def outside_training(layers: Sequence[keras.Layer], batch: tf.Tensor) -> dict[str, str]:
    """What random layers do in `evaluate` and `predict`, which call them so.

    Args:
        layers: Applied in turn; those that repeat themselves are not random.
        batch: Raw examples.

    Returns:
        `identity_outside_training`: `yes`; `deterministic` where one of them does
        something to the examples, but always the same; `no` where one still draws.
        `not_identity_outside_training` names those. `shape_outside_training` where an
        example leaves a layer in another shape than in training, as RandomCrop's does
        (keras #21868).
    """
    verdict, named, shapes = "yes", [], []
    for layer in layers:
        before = batch
        trained, served = alone([layer]), alone([layer], training=False)
        outside = to_numpy(served(before))
        batch = tf.constant(outside)
        if repeats(trained, before):
            continue
        name = type(layer).__name__
        shape, in_training = outside.shape[1:], trained(before).shape[1:]
        if shape != in_training:
            shapes.append(f"{name}: {shape}, in training {tuple(in_training)}")
        if not repeats(served, before):
            verdict = "no"
        elif _alike(to_numpy(before), outside):
            continue
        elif verdict == "yes":
            verdict = "deterministic"
        named.append(name)
    found = {"identity_outside_training": verdict}
    if named:
        found["not_identity_outside_training"] = ", ".join(named)
    if shapes:
        found["shape_outside_training"] = "; ".join(shapes)
    return found


def _made_anew(work: Assembly) -> Assembly:
    layers = as_layers(work.module.build(work.inputs.features, **work.entry.variant))
    return replace(work, layers=layers)


def _alike(before: np.ndarray, after: np.ndarray) -> bool:
    return before.shape == after.shape and np.allclose(
        before.astype(after.dtype), after, rtol=ALIKE, atol=ALIKE
    )
