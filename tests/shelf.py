"""This module gives tests every layer and variant, and the assembly of a trial."""

import functools
from collections.abc import Callable
from types import ModuleType

import keras
import numpy as np
import tensorflow as tf

from bench import catalog
from bench.data import inputs
from bench.measure.assembly import Assembly
from bench.measure.layers import apply_layers, as_layers, graph_function, to_numpy
from bench.pipeline import Pipeline

COUNT = 64
# RandomElasticTransform's graph has a part for each image: 64 take 11 s to trace.
FEWER = {"random_elastic_transform": 8}
# Layers whose examples are dicts, or that change labels: see test_structured_layers.py.
STRUCTURED = ("cut_mix", "feature_space", "max_num_bounding_boxes", "mix_up")
ENTRIES = [
    catalog.find(name)
    for entry in catalog.entries("layers").values()
    if entry.name not in STRUCTURED
    for name in (entry.name, *(f"{entry.name}:{v}" for v in entry.variants))
]


@functools.cache
def module(stem: str) -> ModuleType:
    """Import a file, once for all its variants."""
    return catalog.load(catalog.find(stem))


@functools.cache
def features(stem: str) -> np.ndarray:
    """Return 64 raw examples, the same for all variants."""
    examples = module(stem).examples(np.random.default_rng(11), FEWER.get(stem, COUNT))
    return examples[0] if isinstance(examples, tuple) else examples


def assembly(name: str, **axes: object) -> Assembly:
    """Return a trial's assembly as in the worker, before anything is traced."""
    p, entry = Pipeline(**axes), catalog.find(name)
    module = catalog.load(entry)
    prepared = inputs.prepare(entry, module, p)
    layers = as_layers(module.build(prepared.features, **entry.variant))
    return Assembly(p, entry, module, prepared, layers, 0, "/CPU:0")


def layers(entry: catalog.Entry) -> list[keras.Layer]:
    """Build new layers, so that tests share no random state."""
    raw = features(entry.path.stem)
    return as_layers(module(entry.path.stem).build(raw, **entry.variant))


def eager(entry: catalog.Entry) -> np.ndarray:
    """Call the layers on a batch, op by op.

    Bytes are converted to float32 first. In eager calls Keras 3.15 does not convert
    them, and then Resizing rounds, RandomContrast refuses and RandomBrightness wraps
    around. In tf.data and in tf.function the layers convert them.
    """
    batch = tf.constant(features(entry.path.stem))
    batch = tf.cast(batch, tf.float32) if batch.dtype == tf.uint8 else batch
    return to_numpy(apply_layers(layers(entry), batch))


def one_by_one(entry: catalog.Entry) -> np.ndarray:
    """Call the layers in a graph on batches of one example, and join their outputs."""
    call = graph_function(layers(entry))
    batch = tf.constant(features(entry.path.stem))
    return np.concatenate([to_numpy(call(batch[i : i + 1])) for i in range(COUNT)])


def map_batch(entry: catalog.Entry) -> np.ndarray:
    """Apply the layers in tf.data to each example, then batch."""
    built, raw = layers(entry), features(entry.path.stem)
    rank = output(entry.name, "eager").ndim - 1
    return _only(
        tf.data.Dataset.from_tensor_slices(raw)
        .map(lambda example: apply_layers(built, example, ranks=lambda _: rank))
        .batch(len(raw), drop_remainder=True)
    )


def batch_map(entry: catalog.Entry) -> np.ndarray:
    """Batch, then apply the layers in tf.data to each batch."""
    built, raw = layers(entry), features(entry.path.stem)
    return _only(
        tf.data.Dataset.from_tensor_slices(raw)
        .batch(len(raw), drop_remainder=True)
        .map(lambda batch: apply_layers(built, batch))
    )


def in_model(entry: catalog.Entry) -> np.ndarray:
    """Apply the layers at the front of a functional model, in a training call."""
    batch = tf.constant(features(entry.path.stem))
    inputs = keras.Input(batch.shape[1:], dtype=batch.dtype.name)
    model = keras.Model(inputs, apply_layers(layers(entry), inputs))
    call = tf.function(lambda features: model(features, training=True))
    return to_numpy(call(batch))


def inference(entry: catalog.Entry) -> np.ndarray:
    """Apply the layers as in `predict`, where random layers must not draw."""
    batch = tf.constant(features(entry.path.stem))
    built = layers(entry)
    return to_numpy(
        tf.function(lambda b: apply_layers(built, b, training=False))(batch)
    )


PLACES: dict[str, Callable[[catalog.Entry], np.ndarray]] = {
    "eager": eager,
    "map_batch": map_batch,
    "batch_map": batch_map,
    "in_model": in_model,
}


@functools.cache
def output(entry_name: str, place: str) -> np.ndarray:
    """Return the layers' output for the 64 examples in a place, computed once."""
    return PLACES[place](catalog.find(entry_name))


def _only(dataset: tf.data.Dataset) -> np.ndarray:
    (batch,) = dataset.take(1)
    return to_numpy(batch)
