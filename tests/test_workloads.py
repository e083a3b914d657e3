"""These tests hold every workload to its contract: examples, layers, model."""

import functools
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench import catalog

COUNT = 96
ENTRIES = catalog.entries("workloads")
NAMES = [
    name
    for entry in ENTRIES.values()
    for name in (entry.name, *(f"{entry.name}:{v}" for v in entry.variants))
]


class Prepared:
    """A prepared workload has examples and built layers."""

    def __init__(self, name: str, folder: Path) -> None:
        """Make the examples, read and decode them, and build the layers."""
        self.entry = catalog.find(name)
        self.module = catalog.load(self.entry)
        if self.entry.reads_files:
            paths, labels = write_files(self.module, folder)
            raw = paths
            source = tf.data.Dataset.from_tensor_slices((paths, labels))
            source = source.interleave(self.module.read, cycle_length=1)
        else:
            raw, labels = self.module.examples(np.random.default_rng(0), COUNT)
            source = tf.data.Dataset.from_tensor_slices((raw, labels))
        built = self.module.build(raw, **self.entry.variant)
        self.layers = built if isinstance(built, list) else [built]
        if self.entry.decodes:
            source = source.map(self.module.decode)
        self.source = source
        self.features, self.labels = next(iter(source.batch(COUNT)))

    def apply(self, features: tf.Tensor) -> tf.Tensor:
        """Apply the layers in order, as in the worker."""
        return functools.reduce(lambda x, layer: layer(x), self.layers, features)

    def check(self, output: np.ndarray) -> None:
        """Run the workload's own check against the decoded features."""
        self.module.check(self.features.numpy(), output, **self.entry.variant)


def write_files(module: ModuleType, folder: Path) -> tuple[list[str], np.ndarray]:
    """Write the workload's files; return their paths and the index of each folder."""
    module.examples(np.random.default_rng(0), COUNT, folder=str(folder))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    folders = sorted({path.parent for path in files})
    labels = np.array([folders.index(path.parent) for path in files], dtype=np.int64)
    return [str(path) for path in files], labels


@pytest.fixture(scope="module", params=NAMES)
def prepared(request: pytest.FixtureRequest, tmp_path_factory) -> Prepared:
    """Prepare each workload and variant once."""
    return Prepared(request.param, tmp_path_factory.mktemp("examples"))


def as_bytes(entry: catalog.Entry, seed: int, folder: Path) -> list[bytes]:
    """Return the bytes of all examples that follow from a seed."""
    module, rng = catalog.load(entry), np.random.default_rng(seed)
    if entry.reads_files:
        module.examples(rng, COUNT, folder=str(folder))
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return [
            str(path.relative_to(folder)).encode() + path.read_bytes() for path in files
        ]
    return [np.asarray(array).tobytes() for array in module.examples(rng, COUNT)]


@pytest.mark.parametrize("name", ENTRIES)
def test_examples_follow_the_seed_alone(name: str, tmp_path: Path) -> None:
    """The same seed gives the same bytes, another seed gives others."""
    contents = [
        as_bytes(ENTRIES[name], seed, tmp_path / folder)
        for folder, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_features_and_labels_are_complete(prepared: Prepared) -> None:
    """Their number is the requested one; labels are int64, below CLASSES."""
    assert len(prepared.features) == COUNT
    assert prepared.labels.dtype == tf.int64
    assert prepared.labels.shape == (COUNT,)
    classes = prepared.entry.constants["CLASSES"]
    assert set(prepared.labels.numpy()) <= set(range(classes))
    assert len(set(prepared.labels.numpy())) > 1
    assert prepared.entry.kind in ("image", "structured", "text", "audio")
    assert prepared.entry.summary


def test_called_eagerly_the_output_is_right(prepared: Prepared) -> None:
    """The layers get one batch."""
    prepared.check(prepared.apply(prepared.features).numpy())


def test_an_offset_is_refused(prepared: Prepared) -> None:
    """The check refuses small errors."""
    output = prepared.apply(prepared.features).numpy()
    offset = 1 if np.issubdtype(output.dtype, np.integer) else 0.1
    with pytest.raises(AssertionError):
        prepared.check(output + np.asarray(offset, dtype=output.dtype))


def test_a_constant_is_refused(prepared: Prepared) -> None:
    """The check refuses layers that lose the examples."""
    output = prepared.apply(prepared.features).numpy()
    with pytest.raises(AssertionError):
        prepared.check(np.repeat(output[:1], len(output), axis=0))


@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
def test_in_map_the_output_is_right(prepared: Prepared, order: str) -> None:
    """The dataset maps the layers over bare examples or over batches."""
    eager = prepared.apply(prepared.features)
    if order == "batch_map":
        dataset = prepared.source.batch(COUNT).map(lambda x, y: prepared.apply(x))
    else:
        dataset = prepared.source.map(lambda x, y: bare(prepared, x, eager.shape.rank))
        dataset = dataset.batch(COUNT)
    output = next(iter(dataset)).numpy()
    assert output.shape == eager.shape
    prepared.check(output)
    if prepared.entry.deterministic:
        tolerance = prepared.entry.constants.get("TOLERANCE", 1e-5)
        np.testing.assert_allclose(output, eager, rtol=tolerance, atol=tolerance)


def bare(prepared: Prepared, example: tf.Tensor, batch_rank: int) -> tf.Tensor:
    """Apply the layers to one example; an extra axis is dropped, as in the worker."""
    output = prepared.apply(example)
    return output if output.shape.rank < batch_rank else tf.squeeze(output, axis=0)


def test_in_a_model_the_output_is_right_and_a_step_is_finite(
    prepared: Prepared,
) -> None:
    """The layers come first in a functional model, which then trains on a batch."""
    inputs = keras.Input(prepared.features.shape[1:], dtype=prepared.features.dtype)
    features = prepared.apply(inputs)
    front = keras.Model(inputs, features)
    output = front(prepared.features, training=True)
    assert tuple(features.shape[1:]) == tuple(output.shape[1:])
    prepared.check(output.numpy())

    whole = keras.Model(inputs, prepared.module.model(features))
    constants = prepared.entry.constants
    whole.compile(
        optimizer=constants.get("OPTIMIZER", "adam"),
        loss=constants.get("LOSS", "sparse_categorical_crossentropy"),
        run_eagerly=True,  # the graph of ResNet50 alone would take 17 s to trace
    )
    loss = whole.train_on_batch(prepared.features[:8], prepared.labels[:8])
    assert np.isfinite(loss)
