"""This module finds what is random about layers: draws, seeds, epochs, inference."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from bench.data.components import named
from bench.errors import UsageError
from bench.measure import (
    check,
    epoch_repetition,
    grain_host,
    nests,
    plain_data,
    random_draws,
)
from bench.measure.assembly import Assembly, build_result
from bench.measure.layers import (
    CALLS,
    apply_layers,
    as_layers,
    graph_function,
    repeats,
    to_numpy,
)
from bench.measure.tf_data import build
from bench.pipeline import Pipeline

COPIES = 64
SHARED_COPIES = 8  # in each of as many calls, which show what a batch shares
EXAMPLES = 16  # a single one may by chance be drawn the same three times
SMALL_BATCH = 2  # so that the copies make many calls, which may overtake each other
RUNS = 4  # of a parallel map, which may by chance repeat itself
TOLERANCE = 1e-5


def facts(assembly: Assembly, consumer: str) -> dict[str, float | str]:
    """Return facts on the draws of layers and on their inference.

    They are the same in every run.

    Args:
        assembly: The trial's assembly.
        consumer: The name of the consumer.

    Returns:
        For a random layer `draws`, `distinct_draws` and, where the dataset maps the
        layers, `reproducible`; `epochs_repeat` where the dataset draws. For a model
        with random layers the facts of `outside_training`.
    """
    shipped = assembly.entry.shelf == "workloads"
    if assembly.entry.deterministic:
        return {} if shipped else epoch_repetition.facts(assembly)
    facts: dict[str, float | str] = {}
    batch = assembly.first_examples(EXAMPLES)
    if not shipped:
        if assembly.pipeline.in_grain:  # calls the layers eagerly, so nothing is traced
            facts |= draw_facts(assembly, batch)
        else:
            facts |= _traced_draw_facts(assembly, batch)
        if facts.get("epochs_repeat") == "yes":
            facts["reproducible"] = epoch_repetition.REPRODUCIBLE
    if consumer in ("train", "model", "serve"):
        facts |= outside_training(assembly.layers, batch)
    return facts


def _traced_draw_facts(assembly: Assembly, batch: object) -> dict[str, float | str]:
    """Return facts on draws where the layers are traced before they run."""
    features = tf.nest.map_structure(lambda part: part[0], batch)
    if not assembly.maps_examples:
        features = _copies(batch, SHARED_COPIES)
    traces = random_draws.compare_traces(assembly.layers, features)
    facts = draw_facts(assembly, batch, frozen=traces.frozen)
    begins_again = traces.begins_again
    return facts | epoch_repetition.facts(assembly, begins_again=begins_again)


def demand_random(layers: Sequence[keras.Layer], features: object) -> None:
    """Refuse layers that are declared random and are not.

    Args:
        layers: Layers, applied in order.
        features: Raw examples, which need no reading and decoding.

    Raises:
        UsageError: All calls with one batch give the same output.
    """
    try:
        batch = next(
            iter(tf.data.Dataset.from_tensor_slices((features,)).batch(COPIES))
        )[0]
        same = repeats(graph_function(layers), batch)
    except Exception:  # they may take only bare examples; the check reports real errors
        return
    if not same:
        return
    plain = plain_data.sentence(tf.nest.map_structure(to_numpy, batch))
    reason = f"{plain}. Use other data." if plain else "nothing is random."
    if random_draws.compare_traces(layers, batch).frozen:
        reason = (
            "the layers draw only while they are traced. Draw by keras.random or "
            "tf.random, not by Python's or NumPy's random."
        )
    raise UsageError(
        f"DETERMINISTIC = False, but {CALLS} calls with one batch gave the same: "
        f"{reason}"
    )


def draw_facts(
    assembly: Assembly, batch: object, *, frozen: bool = False
) -> dict[str, float | str]:
    """Return facts on what is drawn together, and on whether a seed repeats the draws.

    Where the dataset maps the layers over bare examples, each example has its own draw
    with any layer. Otherwise the layers get the copies as a batch.

    Args:
        assembly: The trial's assembly; its layers are built again from the same seeds,
            to see whether a run repeats.
        batch: Raw examples, decoded; the first example is copied.
        frozen: Whether a choice is drawn while the layers are traced.

    Returns:
        `draws`, in words such as `per example and per batch`; `distinct_draws`, the
        number of different outputs for 64 copies; `reproducible` where the dataset maps
        the layers; `repeated_draws` where Grain uses draws again.
    """
    p = assembly.pipeline
    facts: dict[str, float | str] = {}
    if p.place.maps_layers:
        output = pipeline_output(_rebuilt(assembly), batch)
        others = (
            pipeline_output(_rebuilt(assembly), batch)
            for _ in range(RUNS - 1 if p.map_parallel_calls else 1)
        )
        same = all(np.array_equal(output, other) for other in others)
        facts["reproducible"] = "yes" if same else "no"
        if p.in_grain and (repeaters := _repeaters(assembly, batch, output)):
            facts["repeated_draws"] = repeaters
    if not assembly.maps_examples:
        output = _joined(_call(assembly)(_copies(batch, COPIES)))
    count = random_draws.count_distinct(output)
    levels = _levels(assembly, batch, count) + ["trace"] * frozen
    if not levels:  # copies show no draws, so equal outputs prove nothing
        facts = {}
    words = _words(assembly, batch, levels)
    return {"draws": words, "distinct_draws": count, **facts}


def _repeaters(assembly: Assembly, batch: object, output: np.ndarray) -> str:
    """Return who uses draws of others again in Grain: `processes`, `threads`, or none.

    Each worker process gets a copy of the layers, and with them a copy of their seeds.
    Threads share the seeds without a lock, so two may read a seed before one moves it.

    Args:
        assembly: The trial's assembly.
        batch: Raw examples; the first example is copied.
        output: The output of the pipeline for these copies, `[copies, ...]`, whose
            batches come from the worker processes in turn.
    """
    p = assembly.pipeline
    if p.worker_count > 1:
        whole = len(output) // (p.worker_count * SMALL_BATCH)
        used = output[: whole * p.worker_count * SMALL_BATCH]
        turns = used.reshape(whole, p.worker_count, SMALL_BATCH, *output.shape[1:])
        if whole and np.array_equal(turns, np.repeat(turns[:, :1], p.worker_count, 1)):
            return "processes"
    if p.map_parallel_calls:
        alone = replace(assembly, pipeline=replace(p, map_parallel_calls=0))
        sequential = pipeline_output(_rebuilt(alone), batch)
        if random_draws.count_distinct(output) < random_draws.count_distinct(
            sequential
        ):
            return "threads"
    return ""


def _levels(assembly: Assembly, batch: object, count: int) -> list[str]:
    """Return which units have a draw of their own, as `random_draws.levels` does.

    The copies of one example had `count` different outputs.
    """
    if assembly.maps_examples:
        return ["example"] if count > 1 else []
    copies = _copies(batch, SHARED_COPIES)
    calls = [_joined(_call(assembly)(copies)) for _ in range(SHARED_COPIES)]
    return random_draws.levels(calls)


def _call(assembly: Assembly) -> Callable[[object], object]:
    """Return the layers as the host calls them on a batch: in a graph, or eagerly."""
    if assembly.pipeline.in_grain:
        return lambda batch: assembly.call(to_numpy(batch))
    return assembly.reference_output


def _words(assembly: Assembly, batch: object, levels: Sequence[str]) -> str:
    if levels:
        return " and ".join(f"per {level}" for level in levels)
    # Layers that mix examples return equal copies for equal copies, whatever they draw.
    mixes = not assembly.maps_examples and not repeats(_call(assembly), batch)
    return "among the examples of a batch" if mixes else "none"


def _copies(batch: object, count: int) -> object:
    """Return a batch of copies of the first example."""
    return nests.rows(batch, [0] * count)


def _joined(output: object) -> np.ndarray:
    return random_draws.joined(to_numpy(output))


def pipeline_output(assembly: Assembly, batch: object) -> np.ndarray:
    """Return the output of the trial's own map for 64 copies of the first example."""
    p = replace(
        Pipeline(),
        batch_size=SMALL_BATCH,
        **{
            name: getattr(assembly.pipeline, name)
            for name in (
                "host",
                "worker_count",
                "order",
                "map_parallel_calls",
                "deterministic",
                "rewrites",
                "threadpool_size",
            )
        },
    )
    copies = _copies(batch, COPIES)
    if p.in_grain:
        dataset = assembly.grain_dataset(p, (to_numpy(copies),), repeat=False)
        batches = grain_host.first_batches(dataset, COPIES)
        return random_draws.joined(check.concatenate([batch[0] for batch in batches]))
    ranks = assembly.output_ranks if p.order == "map_batch" else None
    dataset = build(
        p,
        tf.data.Dataset.from_tensor_slices((copies,)),
        lambda *record: record,
        lambda record: (apply_layers(assembly.layers, *record, ranks=ranks),),
        decodes=False,
        repeat=False,
    )
    return random_draws.joined(check.concatenate([batch[0] for batch in dataset]))


def outside_training(layers: Sequence[keras.Layer], batch: object) -> dict[str, str]:
    """Return what random layers do outside training, as in `evaluate` and `predict`.

    Args:
        layers: Layers, applied in order; layers that repeat their output are not
            random.
        batch: Raw examples.

    Returns:
        `identity_outside_training`: `yes`; `deterministic` where a layer changes the
        examples, but always in the same way; `no` where a layer still draws.
        `not_identity_outside_training` names these layers. `shape_outside_training`
        has the layers whose output shape differs from training, as RandomCrop's does
        (keras #21868).
    """
    identity, names, shapes = "yes", [], []
    for layer in layers:
        before = batch
        training = graph_function([layer])
        inference = graph_function([layer], training=False)
        batch = inference(before)
        outside = to_numpy(batch)
        if repeats(training, before):
            continue
        name = type(layer).__name__
        shape, in_training = _shapes(batch), _shapes(training(before))
        if shape != in_training:
            shapes.append(f"{name}: {shape}, in training {in_training}")
        if not repeats(inference, before):
            identity = "no"
        elif _is_close(to_numpy(before), outside):
            continue
        elif identity == "yes":
            identity = "deterministic"
        names.append(name)
    facts = {"identity_outside_training": identity}
    if names:
        facts["not_identity_outside_training"] = ", ".join(names)
    if shapes:
        facts["shape_outside_training"] = "; ".join(shapes)
    return facts


def _rebuilt(assembly: Assembly) -> Assembly:
    built = build_result(assembly.entry, assembly.module, assembly.inputs)
    with_labels = assembly.entry.takes_labels
    return replace(assembly, layers=as_layers(built, with_labels=with_labels))


def _shapes(batch: object) -> str:
    """Return the shapes of one example's components."""
    shapes = [tuple(part.shape[1:]) for part in tf.nest.flatten(batch)]
    return ", ".join(map(str, shapes))


def _is_close(before: object, after: object) -> bool:
    parts, others = named(before, ""), named(after, "")
    return parts.keys() == others.keys() and all(
        part.shape == others[path].shape
        and np.allclose(
            part.astype(others[path].dtype),
            others[path],
            rtol=TOLERANCE,
            atol=TOLERANCE,
        )
        for path, part in parts.items()
    )
