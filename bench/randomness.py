"""What is random about layers: draws an example or a batch, seeds, and inference."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from bench import gate
from bench.errors import UsageError
from bench.pipeline import Pipeline, build
from bench.preprocess import (
    CALLS,
    alone,
    apply_layers,
    as_layers,
    repeats,
    to_numpy,
)
from bench.work import Work

COPIES = 64
EXAMPLES = 16  # one alone may by chance be drawn the same three times
SMALL_BATCH = 2  # so that the copies make many calls, which may overtake each other
TRIES = 4  # of a parallel map, which may by chance repeat itself
ALIKE = 1e-5


def facts(work: Work, consumer: str) -> dict[str, float | str]:
    """Facts on draws for layers, on inference for models; the same in every run.

    Args:
        work: The trial's workload.
        consumer: What pulls the batches.

    Returns:
        For a random layer `draws`, `distinct_draws` and, with placement=dataset,
        `reproducible`; for a model with random layers `identity_outside_training`, and
        the layers that are not.
    """
    found: dict[str, float | str] = {}
    if work.entry.deterministic:
        return found
    batch = tf.concat(work.raw_batches(EXAMPLES), axis=0)[:EXAMPLES]
    if work.entry.shelf != "workloads":
        found |= draws(work, batch[0])
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
    if same:
        raise UsageError(
            f"DETERMINISTIC = False, but {CALLS} calls with one batch gave the same: "
            "nothing is random."
        )


def draws(work: Work, example: tf.Tensor) -> dict[str, float | str]:
    """How many draws 64 copies of one example get, and whether a seed repeats them.

    With placement=dataset and order=map_batch the layers meet bare examples, so each
    has a draw of its own whatever the layer; otherwise they meet the copies as a batch.

    Args:
        work: Made anew from the same seeds, to see whether a run repeats.
        example: One raw example, decoded.
    """
    p = work.pipeline
    bare = work.meets_examples
    found: dict[str, float | str] = {}
    if p.placement == "dataset":
        drawn = repeated(_made_anew(work), example)
        others = (
            repeated(_made_anew(work), example)
            for _ in range(TRIES - 1 if p.map_parallel_calls else 1)
        )
        same = all(np.array_equal(drawn, other) for other in others)
        found["reproducible"] = "yes" if same else "no"
    if not bare:
        copies = tf.repeat(example[None], COPIES, axis=0)
        drawn = to_numpy(work.alone(copies))
    count = distinct(drawn)
    return {
        "draws": "per example" if count > 1 else "per batch",
        "distinct_draws": count,
        **found,
    }


def repeated(work: Work, example: tf.Tensor) -> np.ndarray:
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
    return gate.joined([batch[0] for batch in dataset])


def distinct(outputs: np.ndarray) -> int:
    """How many of the outputs differ from all others before them."""
    flat = outputs.reshape(len(outputs), -1)
    return len(np.unique(flat, axis=0))


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


def _made_anew(work: Work) -> Work:
    layers = as_layers(work.module.build(work.inputs.features, **work.entry.variant))
    return replace(work, layers=layers)


def _alike(before: np.ndarray, after: np.ndarray) -> bool:
    return before.shape == after.shape and np.allclose(
        before.astype(after.dtype), after, rtol=ALIKE, atol=ALIKE
    )
