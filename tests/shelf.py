"""The shelves for tests: every layer and variant, prepared once; a trial's workload."""

import functools
from collections.abc import Callable
from types import ModuleType

import keras
import numpy as np
import tensorflow as tf

from bench import catalog
from bench.data import inputs
from bench.measure.assembly import Assembly
from bench.measure.layers import apply_layers, as_layers, to_numpy
from bench.pipeline import Pipeline

COUNT = 64
ENTRIES = [
    catalog.find(name)
    for entry in catalog.entries("layers").values()
    for name in (entry.name, *(f"{entry.name}:{v}" for v in entry.variants))
]


@functools.cache
def module(stem: str) -> ModuleType:
    """A file, imported once for all its variants."""
    return catalog.load(catalog.find(stem))


@functools.cache
def features(stem: str) -> np.ndarray:
    """64 raw examples, the same for all variants."""
    made = module(stem).examples(np.random.default_rng(11), COUNT)
    return made[0] if isinstance(made, tuple) else made


def work(name: str, **axes: object) -> Assembly:
    """A trial's workload as the worker has it, before anything is traced."""
    p, entry = Pipeline(**axes), catalog.find(name)
    module = catalog.load(entry)
    made = inputs.prepare(entry, module, p)
    built = as_layers(module.build(made.features, **entry.variant))
    return Assembly(p, entry, module, made, built, 0, "/CPU:0")


def layers(entry: catalog.Entry) -> list[keras.Layer]:
    """New layers, so that no random state is shared between tests."""
    raw = features(entry.path.stem)
    return as_layers(module(entry.path.stem).build(raw, **entry.variant))


def eager(entry: catalog.Entry) -> np.ndarray:
    """The layers called on a batch, op by op.

    Bytes are given as float32: called eagerly, Keras 3.15 leaves them bytes, and then
    Resizing rounds, RandomContrast refuses and RandomBrightness wraps around. In
    tf.data and in tf.function the layers make them float32 themselves.
    """
    batch = tf.constant(features(entry.path.stem))
    batch = tf.cast(batch, tf.float32) if batch.dtype == tf.uint8 else batch
    return to_numpy(apply_layers(layers(entry), batch))


def map_batch(entry: catalog.Entry) -> np.ndarray:
    """The layers in tf.data on each example, then batched."""
    built, raw = layers(entry), features(entry.path.stem)
    spec = tf.TensorSpec([None, *raw.shape[1:]], tf.constant(raw[:1]).dtype)
    traced = tf.function(functools.partial(apply_layers, built))
    rank = traced.get_concrete_function(spec).structured_outputs.shape.rank - 1
    return _only(
        tf.data.Dataset.from_tensor_slices(raw)
        .map(lambda example: apply_layers(built, example, rank=lambda _: rank))
        .batch(COUNT, drop_remainder=True)
    )


def batch_map(entry: catalog.Entry) -> np.ndarray:
    """Batched, then the layers in tf.data on each batch."""
    built, raw = layers(entry), features(entry.path.stem)
    return _only(
        tf.data.Dataset.from_tensor_slices(raw)
        .batch(COUNT, drop_remainder=True)
        .map(lambda batch: apply_layers(built, batch))
    )


def in_model(entry: catalog.Entry) -> np.ndarray:
    """The layers as the first of a functional model, in a compiled training call."""
    batch = tf.constant(features(entry.path.stem))
    inputs = keras.Input(batch.shape[1:], dtype=batch.dtype.name)
    model = keras.Model(inputs, apply_layers(layers(entry), inputs))
    call = tf.function(lambda features: model(features, training=True))
    return to_numpy(call(batch))


def inference(entry: catalog.Entry) -> np.ndarray:
    """The layers as in `predict`, where random ones must do nothing random."""
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
    """What the layers make of the 64 examples there, made once."""
    return PLACES[place](catalog.find(entry_name))


def _only(dataset: tf.data.Dataset) -> np.ndarray:
    (batch,) = dataset.take(1)
    return to_numpy(batch)
