"""These tests hold every workload to its contract: examples, layers, model."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench import catalog
from bench.data.components import named
from bench.measure import nests
from bench.measure.equality import demand_equal
from bench.measure.layers import apply_layers, as_layers, to_numpy

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
        rng = np.random.default_rng(0)
        if self.entry.has_source:
            source = self.module.source(rng, COUNT)
            raw, _ = next(source.batch(COUNT).as_numpy_iterator())
        elif self.entry.reads_files:
            raw, labels = write_files(self.module, folder)
            source = tf.data.Dataset.from_tensor_slices((raw, labels))
            source = source.interleave(self.module.read, cycle_length=1)
        else:
            raw, *others = self.module.examples(rng, COUNT)
            source = tf.data.Dataset.from_tensor_slices((raw, *others))
        built = self.module.build(raw, **self.entry.variant)
        self.layers = as_layers(built, with_labels=self.entry.takes_labels)
        if self.entry.decodes_batches:
            source = source.batch(COUNT).map(self.module.decode).unbatch()
        elif self.entry.decodes:
            source = source.map(self.module.decode)
        self.features, self.labels, *weights = next(iter(source.batch(COUNT)))
        self.weights = weights[0] if weights else None
        pairs = source.map(lambda features, labels, *_: (features, labels))
        self.source = pairs if self.entry.takes_labels else pairs.map(lambda x, _: x)
        self.batch = next(iter(self.source.batch(COUNT)))

    def apply(self, batch: object) -> object:
        """Apply the layers in order to what they get, as in the worker."""
        return apply_layers(self.layers, batch)

    def apply_to_example(self, *example: object) -> object:
        """Apply the layers to one example; an extra axis is dropped."""
        ranks = tf.nest.map_structure(lambda x: x.shape.rank - 1, self.eager)
        given = self.given(*example)
        return apply_layers(self.layers, given, ranks=lambda _: ranks)

    def given(self, *parts: object) -> object:
        """Return the parts of a record as the layers get them: features, or all."""
        return parts if self.entry.takes_labels else parts[0]

    @functools.cached_property
    def eager(self) -> object:
        """The output of the layers for the batch, called eagerly."""
        return self.apply(self.batch)

    def check(self, output: object) -> None:
        """Run the workload's own check against the decoded examples."""
        self.module.check(to_numpy(self.batch), output, **self.entry.variant)


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
    if entry.has_source:
        record = next(module.source(rng, COUNT).batch(COUNT).as_numpy_iterator())
    else:
        record = module.examples(rng, COUNT)
    return [np.asarray(array).tobytes() for array in named(record, "").values()]


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
    """Their number is the requested one; labels are integers, below CLASSES."""
    assert {len(part) for part in tf.nest.flatten(prepared.features)} == {COUNT}
    labels = prepared.labels
    if prepared.entry.takes_labels:  # a mask, of the size of its image
        assert labels.dtype == tf.uint8
        assert labels.shape[:-1] == prepared.features.shape[:-1]
    else:
        assert labels.dtype == tf.int64
        assert labels.shape == (COUNT,)
    classes = prepared.entry.constants["CLASSES"]
    present = set(labels.numpy().ravel())
    assert present <= set(range(classes))
    assert len(present) > 1
    assert prepared.entry.kind in ("image", "structured", "text", "audio")
    assert prepared.entry.summary


def test_weights_give_each_class_the_same_share() -> None:
    """Frauds are few, and weigh as much as all the rest."""
    module = catalog.load(catalog.find("weighted_fraud"))
    _, labels, weights = module.examples(np.random.default_rng(0), COUNT)
    assert len(set(weights)) == 2
    np.testing.assert_allclose(np.bincount(labels, weights), COUNT / 2, rtol=1e-5)


def test_called_eagerly_the_output_is_right(prepared: Prepared) -> None:
    """The layers get one batch."""
    prepared.check(to_numpy(prepared.eager))


def test_an_offset_is_refused(prepared: Prepared) -> None:
    """The check refuses small errors, in each component of the output."""
    output = to_numpy(prepared.eager)
    prepared.check(output)
    for wrong in each_changed(output, shifted):
        with pytest.raises(AssertionError):
            prepared.check(wrong)


def test_a_constant_is_refused(prepared: Prepared) -> None:
    """The check refuses layers that lose the examples, in each component."""
    output = to_numpy(prepared.eager)
    for wrong in each_changed(output, lambda x: np.repeat(x[:1], len(x), axis=0)):
        with pytest.raises(AssertionError):
            prepared.check(wrong)


def shifted(output: np.ndarray) -> np.ndarray:
    """Add 1 to whole numbers, and 0.1 to others."""
    offset = 1 if np.issubdtype(output.dtype, np.integer) else 0.1
    return output + np.asarray(offset, dtype=output.dtype)


def each_changed(output: object, change: Callable) -> Iterator[object]:
    """Yield outputs in which one component is changed."""
    parts = tf.nest.flatten(output)
    for place, part in enumerate(parts):
        changed = [*parts[:place], change(part), *parts[place + 1 :]]
        yield tf.nest.pack_sequence_as(output, changed)


@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
def test_in_map_the_output_is_right(prepared: Prepared, order: str) -> None:
    """The dataset maps the layers over bare examples or over batches."""
    eager = to_numpy(prepared.eager)
    if order == "batch_map":
        batches = prepared.source.batch(COUNT)
        dataset = batches.map(lambda *batch: prepared.apply(prepared.given(*batch)))
    else:
        dataset = prepared.source.map(prepared.apply_to_example)
        if nests.has_ragged(prepared.eager):
            dataset = dataset.ragged_batch(COUNT)
        else:
            dataset = dataset.batch(COUNT)
    output = to_numpy(next(iter(dataset)))
    shapes = tf.nest.map_structure(np.shape, output)
    assert shapes == tf.nest.map_structure(np.shape, eager)
    prepared.check(output)
    if prepared.entry.deterministic:
        tolerance = prepared.entry.constants.get("TOLERANCE", 1e-5)
        demand_equal(eager, output, tolerance, order)


def test_in_a_model_the_output_is_right_and_a_step_is_finite(
    prepared: Prepared,
) -> None:
    """The layers come first in a functional model, which then trains on a batch.

    Layers that change labels stay outside of the model, which gets their output.
    """
    batch, labels = prepared.features, prepared.labels
    if prepared.entry.takes_labels:
        batch, labels = prepared.eager
        inputs = features = nests.keras_inputs(batch)
    else:
        inputs = nests.keras_inputs(batch)
        features = prepared.apply(inputs)
        front = keras.Model(inputs, features)
        output = front(batch, training=True)
        for symbolic, part in zip(
            *map(tf.nest.flatten, (features, output)), strict=True
        ):
            assert tuple(symbolic.shape[1:]) == tuple(part.shape[1:])
        prepared.check(to_numpy(output))

    whole = keras.Model(inputs, prepared.module.model(features))
    constants = prepared.entry.constants
    whole.compile(
        optimizer=constants.get("OPTIMIZER", "adam"),
        loss=constants.get("LOSS", "sparse_categorical_crossentropy"),
        run_eagerly=True,  # the graph of ResNet50 alone would take 17 s to trace
    )
    weights = None if prepared.weights is None else prepared.weights[:8]
    first = tf.nest.map_structure(lambda part: part[:8], batch)
    loss = whole.train_on_batch(first, labels[:8], sample_weight=weights)
    assert np.isfinite(loss)


@pytest.mark.parametrize("form", ["layers", "feature_space"])
def test_a_users_table_has_other_columns(form: str) -> None:
    """Its text is bytes, and a column may have no values at all."""
    rng = np.random.default_rng(1)
    ages = rng.integers(18, 80, COUNT).astype(np.float32)
    ages[::7] = np.nan
    table = {
        "age": ages,
        "city": rng.choice(np.array([b"Rome", b"Bonn"], object), COUNT),
        "empty": np.full(COUNT, np.nan, np.float32),
    }
    module = catalog.load(catalog.find("columns"))
    layers = as_layers(module.build(table, form=form))
    output = to_numpy(apply_layers(layers, tf.nest.map_structure(tf.constant, table)))
    assert output.shape == (COUNT, 7)
    module.check(table, output, form=form)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda before, after: (after[0], np.roll(after[1], 1, axis=0)), "fit their"),
        (lambda before, after: (after[0], before[1]), "fit their"),
        (lambda before, after: (np.float32(before[0] / 255), before[1]), "0% of the"),
        (lambda before, after: (after[0], after[1].astype("float32")), "float32"),
    ],
    ids=["another mask", "a mask that stayed", "nothing changed", "another type"],
)
def test_masks_that_do_not_follow_their_images_are_refused(
    tmp_path: Path, change: Callable, message: str
) -> None:
    prepared = Prepared("segmentation", tmp_path)
    wrong = change(to_numpy(prepared.batch), to_numpy(prepared.eager))
    with pytest.raises(AssertionError, match=message):
        prepared.check(wrong)
