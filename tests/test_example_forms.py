"""Examples of any form are measured in every placement, order, cache and consumer."""

import time
from contextlib import nullcontext
from pathlib import Path

import factory
import pytest

from bench import worker
from bench.measure import export_model, serving
from bench.run.protocol import Request
from bench.trial import Effort, Measured

HEAD = '''"""Examples of some form."""
import keras
import numpy as np
import tensorflow as tf
EXAMPLES = 96
L = keras.layers
'''
FORMS = {
    "columns": """
LOSS = "mse"
class Columns(L.Layer):
    def call(self, columns):
        seen = dict(columns)
        first, second = seen.pop("pair")
        return {"sum": first + tf.cast(second, tf.float32), **seen}
def examples(rng, count):
    pair = rng.normal(size=(count, 2)).astype("float32"), rng.integers(0, 9, (count, 2))
    features = {"pair": pair, "age": rng.normal(size=(count, 1)).astype("float32")}
    return features, rng.normal(size=count), rng.random(count)
def build(examples):
    assert set(examples) == {"pair", "age"} and len(examples["pair"][0]) == 96
    return Columns()
def check(batch, output):
    np.testing.assert_allclose(output["sum"], batch["pair"][0] + batch["pair"][1])
    np.testing.assert_array_equal(output["age"], batch["age"])
def model(features):
    return L.Dense(1)(L.Concatenate()([features["sum"], features["age"]]))
""",
    "tuple": """
def examples(rng, count):
    texts, sizes = rng.choice(["red", "blue"], count), rng.normal(size=(count, 3))
    return {"text": texts, "size": sizes}, rng.integers(0, 2, count)
def decode(record, label):
    return (record["size"][:1], record["text"]), label
def build(examples):
    lookup = L.StringLookup(vocabulary=["blue", "red"])
    return lambda pair: (pair[0] * 2, lookup(pair[1]))
def check(batch, output):
    np.testing.assert_allclose(output[0], batch[0] * 2, rtol=1e-5)
    np.testing.assert_array_equal(output[1], 1 + (batch[1] == b"red"))
def model(features):
    size, color = features
    color = L.Flatten()(L.Embedding(3, 2)(color))
    return L.Dense(2, activation="softmax")(L.Concatenate()([size, color]))
""",
    "two_inputs": """
def examples(rng, count):
    return {"a": rng.normal(size=(count, 2)), "b": rng.normal(size=(count, 3))}, (
        rng.integers(0, 2, count))
def build(examples):
    inputs = {name: keras.Input((n,), name=name) for name, n in (("a", 2), ("b", 3))}
    return keras.Model(inputs, L.Rescaling(2.0)(L.Concatenate()([*inputs.values()])))
def check(batch, output):
    both = np.concatenate([batch["a"], batch["b"]], axis=1)
    np.testing.assert_allclose(output, 2 * both, rtol=1e-5)
def model(features):
    return L.Dense(2, activation="softmax")(features)
""",
    "feature_space": """
def examples(rng, count):
    cities = rng.choice(["Rome", "Bonn"], count)
    return {"age": rng.normal(50, 10, count), "city": cities}, rng.integers(0, 2, count)
def build(examples):
    kinds = keras.utils.FeatureSpace
    space = kinds({"age": kinds.float_normalized(),
                   "city": kinds.string_categorical(num_oov_indices=0)})
    space.adapt(tf.data.Dataset.from_tensor_slices(examples).batch(32))
    return space
def check(batch, output):
    assert output.shape == (len(batch["age"]), 3)
    assert ((output == 1).sum(axis=1) == 1).all() and abs(output.mean()) < 1
def model(features):
    return L.Dense(2, activation="softmax")(features)
""",
    "masks": """
KIND = "image"
def examples(rng, count):
    return rng.integers(0, 256, (count, 8, 8, 3)).astype("uint8"), (
        rng.integers(0, 3, (count, 8, 8)))
def build(examples):
    return L.Rescaling(1 / 255)
def check(batch, output):
    np.testing.assert_allclose(output, batch / 255, rtol=1e-5)
def model(features):
    return L.Conv2D(3, 3, activation="softmax", padding="same")(features)
""",
    "own_loss": """
def LOSS(labels, predictions):
    return keras.losses.mean_squared_error(labels, predictions)
def examples(rng, count):
    return rng.normal(size=(count, 2)), {"target": rng.normal(size=(count, 1))}
def build(examples):
    return L.Rescaling(2.0)
def check(batch, output):
    np.testing.assert_allclose(output, batch * 2, rtol=1e-5)
def model(features):
    return {"target": L.Dense(1)(features)}
""",
    "uneven": """
class Uneven(L.Layer):
    def call(self, features):
        total = tf.reduce_sum(features["ragged"], axis=-1, keepdims=True)
        raw = tf.io.decode_raw(features["bytes"], tf.uint8, fixed_length=8)
        dense = tf.reshape(tf.sparse.to_dense(features["sparse"]), [-1, 6])
        dense = dense if raw.shape.rank == 2 else dense[0]
        return tf.concat([total, tf.cast(raw, tf.float32), dense], axis=-1)
def examples(rng, count):
    ragged = [[float(n) for n in range(row % 5)] for row in range(count)]
    sparse = (rng.random((count, 6)) < 0.3).astype("float32")
    zeros = [bytes([row % 3] * (row % 8)) + bytes(8 - row % 8) for row in range(count)]
    return {"ragged": tf.ragged.constant(ragged), "bytes": zeros,
            "sparse": tf.sparse.from_dense(sparse)}, rng.integers(0, 2, count)
def build(examples):
    assert isinstance(examples["ragged"], tf.RaggedTensor)
    return Uneven()
def check(batch, output):
    np.testing.assert_allclose(output[:, 0], batch["ragged"].sum(axis=1))
    assert output[:, 1:9].astype("uint8").tolist() == [*map(list, batch["bytes"])]
    np.testing.assert_array_equal(output[:, 9:], batch["sparse"])
def model(features):
    return L.Dense(2, activation="softmax")(features)
""",
    "words": """
def examples(rng, count):
    return [" ".join(["red"] * (1 + row % 7)) for row in range(count)]
def build(examples):
    return L.TextVectorization(vocabulary=["red"], ragged=RAGGED)
def check(batch, output):
    assert ((output > 0).sum(axis=1) == [len(text.split()) for text in batch]).all()
RAGGED = True
""",
    "mixed": """
KIND = "image"
DETERMINISTIC = False
ON = "example"
LOSS = "categorical_crossentropy"
def examples(rng, count):
    labels = np.eye(4, dtype="float32")[rng.integers(0, 4, count)]
    return rng.integers(0, 256, (count, 8, 8, 3)).astype("uint8"), labels
def build(examples):
    return [L.RandomFlip(), L.CutMix(factor=0.9)]
def check(batch, output):
    (images, labels), (mixed, soft) = batch, output
    assert images.shape == mixed.shape and (soft != labels).any()
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-4)
def model(features):
    return L.Dense(4, activation="softmax")(L.Flatten()(features))
""",
    "centred": """
def examples(rng, count):
    return rng.normal(size=(count, 3)).astype("float32")
def build(examples):
    return lambda x: x - tf.reduce_mean(x, axis=0) if x.shape.rank == 2 else x - x + OWN
OWN = 0.0
def check(batch, output):
    assert abs(output.mean()) < 0.1
""",
    "sizes": """
KIND = "image"
def examples(rng, count):
    pixels = [bytes([row % 250]) * (16 + 16 * (row % 3)) for row in range(count)]
    return pixels, rng.integers(0, 2, count)
def decode(record, label):
    return tf.reshape(tf.io.decode_raw(record, tf.uint8), [-1, 4, 1]), label
def build(examples):
    return [L.Resizing(2, 2), L.Rescaling(1 / 255)]
def check(batch, output):
    assert {image.shape for image in batch} == {(4, 4, 1), (8, 4, 1), (12, 4, 1)}
    want = [np.full((2, 2, 1), image.mean() / 255) for image in batch]
    np.testing.assert_allclose(output, want, atol=1e-5)
def model(features):
    return L.Dense(2, activation="softmax")(L.Flatten()(features))
""",
    "stream": """
def source(rng, count):
    numbers = rng.normal(size=(count, 2)).astype("float32")
    records = [_record(row, n) for n, row in enumerate(numbers)]
    return tf.data.Dataset.from_tensor_slices(records)
def _record(row, label):
    kinds = tf.train.Feature, tf.train.FloatList, tf.train.Int64List
    feature = {"x": kinds[0](float_list=kinds[1](value=row)),
               "y": kinds[0](int64_list=kinds[2](value=[label % 2]))}
    record = tf.train.Example(features=tf.train.Features(feature=feature))
    return record.SerializeToString()
DECODE = "batch"
def decode(records):
    spec = {"x": tf.io.FixedLenFeature([2], tf.float32),
            "y": tf.io.FixedLenFeature([], tf.int64)}
    parsed = tf.io.parse_example(records, spec)
    return parsed["x"], parsed["y"]
def build():
    return L.Rescaling(2.0)
def check(batch, output):
    np.testing.assert_allclose(output, batch * 2, rtol=1e-5)
def model(features):
    return L.Dense(2, activation="softmax")(features)
""",
}
PLACES = {
    "naive": {},
    "vectorized": {"order": "batch_map", "map_parallel_calls": 2},
    "model": {"placement": "model"},
    "offline": {"placement": "offline"},
    "cached": {"cache": "mapped", "cache_storage": "disk"},
    "cached_batches": {"cache": "mapped", "order": "batch_map"},
    "shuffled": {"cache": "raw", "shuffle_buffer": 32},
    "train": {"consumer": "train"},
    "train_in_model": {"consumer": "train", "placement": "model"},
    "held": {"consumer": "model"},
    "serve": {"consumer": "serve"},
    "serve_in_model": {"consumer": "serve", "placement": "model"},
}
QUICK = Effort(steady_seconds=0.01, window_seconds=0.001, warmup_seconds=0.01, epochs=3)


def measured(folder: Path, form: str, **settings: object) -> Measured:
    """Make one run of a form's file in this process."""
    file = folder / f"{form}.py"
    file.write_text(HEAD + FORMS[form])
    request = Request(
        verb="measure",
        trial=factory.trial(workload=str(file), **{"batch_size": 16, **settings}),
        effort=QUICK,
        seed=1,
        asked=time.monotonic(),
        result=str(folder / "result.json"),
    )
    return worker.measure(request, time.monotonic())


@pytest.mark.parametrize(
    ("form", "place"),
    [
        *(("columns", place) for place in PLACES),
        *(("tuple", place) for place in ("naive", "offline", "train")),
    ],
)
def test_a_nest_is_measured_in_every_place(
    tmp_path: Path, form: str, place: str
) -> None:
    run = measured(tmp_path, form, **PLACES[place])
    assert run.error is None
    assert len(run.samples) >= 3


@pytest.mark.parametrize("place", ["naive", "vectorized", "train"])
@pytest.mark.parametrize("form", ["two_inputs", "feature_space", "masks"])
def test_other_forms_are_measured(tmp_path: Path, form: str, place: str) -> None:
    run = measured(tmp_path, form, **PLACES[place])
    assert run.error is None
    assert len(run.samples) >= 3


def test_the_identity_of_the_inputs_has_a_part_for_each_component(
    tmp_path: Path,
) -> None:
    run = measured(tmp_path, "columns")
    assert {path: str(part) for path, part in run.input_parts.items()} == {
        "features['pair'][0]": "float32[96, 2]",
        "features['pair'][1]": "int64[96, 2]",
        "features['age']": "float32[96, 1]",
        "labels": "float64[96]",
        "weights": "float64[96]",
    }


def test_the_loss_may_be_a_function_of_the_file(tmp_path: Path) -> None:
    """Keras passes it the labels of each output."""
    assert measured(tmp_path, "own_loss", consumer="train").error is None


@pytest.mark.parametrize("place", ["train", "held"])
def test_the_loss_and_the_optimizer_may_be_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Each model has a copy of the optimizer; `held` makes two models."""
    objects = """LOSS = {"target": keras.losses.MeanSquaredError()}
OPTIMIZER = keras.optimizers.SGD(1e-3, momentum=0.9)
"""
    text = FORMS["own_loss"]
    monkeypatch.setitem(FORMS, "own_loss", objects + text[text.index("def examples") :])
    assert measured(tmp_path, "own_loss", **PLACES[place]).error is None


@pytest.mark.parametrize("place", ["serve", "serve_in_model"])
def test_a_model_with_several_outputs_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    text = FORMS["own_loss"].replace("def LOSS", "def unused")
    text = text.replace('{"target": L.Dense(1)(features)}', "OUTPUTS(features)")
    text = text.replace('"target": rng', '"other": rng.random(count), "target": rng')
    outputs = """LOSS = "mse"
def OUTPUTS(features):
    return {"target": L.Dense(1)(features), "other": L.Dense(1)(features)}
"""
    monkeypatch.setitem(FORMS, "own_loss", outputs + text)
    run = measured(tmp_path, "own_loss", **PLACES[place])
    assert run.error is None
    assert run.facts["export_max_difference"] < 1e-4


@pytest.mark.parametrize(
    "place",
    ["naive", "vectorized", "model", "offline", "cached", "cached_batches", "train"],
)
def test_ragged_sparse_and_binary_components_are_measured(
    tmp_path: Path, place: str
) -> None:
    run = measured(tmp_path, "uneven", **PLACES[place])
    assert run.error is None
    assert len(run.samples) >= 3


def test_requests_are_dense(tmp_path: Path) -> None:
    run = measured(tmp_path, "uneven", consumer="serve")
    assert run.error.message == (
        "serve: requests are dense, and a component of the features is a RaggedTensor. "
        "Use --consumer drain or train."
    )


def test_what_a_client_sends_is_dense(tmp_path: Path) -> None:
    run = measured(tmp_path, "words", consumer="serve")
    assert run.error.message == (
        "serve: requests are dense, and the layers make a RaggedTensor. Use "
        "placement=model, where the layers are in the served model, or --consumer "
        "drain or train."
    )


@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
def test_layers_may_make_ragged_batches(tmp_path: Path, order: str) -> None:
    assert measured(tmp_path, "words", order=order).error is None


def test_outputs_of_several_shapes_are_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMS, "words", FORMS["words"].replace("= True", "= False"))
    run = measured(tmp_path, "words")
    assert run.error.message == (
        "The outputs of two examples have the shapes [1] and [2], which no batch can "
        "hold: let the layers give a fixed one, as TextVectorization does with "
        "output_sequence_length, or a ragged one, or use order=batch_map"
    )


@pytest.mark.parametrize(
    "settings",
    [{}, {"consumer": "train", "map_parallel_calls": 2}, {"cache": "mapped"}],
)
def test_layers_may_mix_labels(tmp_path: Path, settings: dict) -> None:
    run = measured(tmp_path, "mixed", order="batch_map", **settings)
    assert run.error is None
    if "cache" not in settings:
        assert run.facts["draws"].startswith("per example")


def test_layers_that_mix_labels_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMS, "mixed", FORMS["mixed"].replace("ON =", "NOT_ON ="))
    run = measured(tmp_path, "mixed", order="batch_map")
    assert run.error.message == (
        "CutMix mixes examples and their labels, but the labels do not reach it. Set "
        "ON = \"example\" in the file, so that the layers get {'images': features, "
        "'labels': labels}."
    )


@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
def test_statistics_of_a_batch_are_determined_by_trying(
    tmp_path: Path, order: str
) -> None:
    """The gate compares single examples with batches of one."""
    run = measured(tmp_path, "centred", order=order)
    assert run.error is None
    assert run.facts["statistics"] == "batch"
    assert "batch_statistics" in run.flags


def test_single_examples_must_equal_batches_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMS, "centred", FORMS["centred"].replace("0.0", "0.05"))
    run = measured(tmp_path, "centred")
    assert "differs from the layers themselves" in run.error.message


@pytest.mark.parametrize("place", ["naive", "offline", "cached", "train"])
def test_layers_may_make_examples_of_several_sizes_one_size(
    tmp_path: Path, place: str
) -> None:
    """The file's check gets the raw examples as they are."""
    run = measured(tmp_path, "sizes", **PLACES[place])
    assert run.error is None
    assert len(run.samples) >= 3


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"order": "batch_map"}, "order=batch_map"),
        ({"placement": "model"}, "placement=model"),
        ({"consumer": "serve"}, "serve"),
    ],
)
def test_examples_of_several_sizes_are_not_batched_first(
    tmp_path: Path, settings: dict, what: str
) -> None:
    run = measured(tmp_path, "sizes", **settings)
    assert run.error.message == (
        f"{what}: the examples have 3 sizes, from [4, 4, 1] to [12, 4, 1], and a batch "
        "needs one. Resize them in decode(), or use order=map_batch with a layer that "
        "makes them one size."
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"order": "batch_map"},
        {"order": "batch_map", "cache": "mapped"},
        {"order": "batch_map_unbatch", "cache": "mapped", "shuffle_buffer": 32},
        {"order": "batch_map", "consumer": "train"},
        {"placement": "model", "consumer": "train"},
        {"placement": "offline"},
        {"order": "batch_map", "unit": "epoch"},
    ],
)
def test_the_users_own_dataset_is_measured_and_decoded_by_batches(
    tmp_path: Path, settings: dict
) -> None:
    run = measured(tmp_path, "stream", **settings)
    assert run.error is None
    assert len(run.samples) >= 3
    assert {path: str(part) for path, part in run.input_parts.items()} == {
        "features": "bytes[96]"
    }


@pytest.mark.parametrize("place", ["held", "serve"])
def test_a_batch_that_is_held_or_sent_is_decoded_as_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """No order is named, since no pipeline is timed.

    Other tests load models in a clean process, which takes seconds.
    """
    monkeypatch.setattr(serving, "CleanInterpreter", lambda *_: nullcontext())
    monkeypatch.setattr(export_model, "clean_process_facts", lambda *_: {})
    assert measured(tmp_path, "stream", **PLACES[place]).error is None


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            "return tf.data.Dataset.range(8).repeat()",
            "source() returned an endless dataset. Return one epoch: leave out "
            "repeat().",
        ),
        (
            "return 3",
            "source() returned an object of int. It must return a tf.data.Dataset of "
            "raw records, (features[, labels[, weights]]).",
        ),
        (
            "return tf.data.Dataset.range(8).take(0)",
            "source() returned a dataset without any record.",
        ),
    ],
)
def test_a_source_that_cannot_be_used_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, returned: str, message: str
) -> None:
    text = FORMS["stream"].replace("    numbers =", f"    {returned}\n    numbers =")
    monkeypatch.setitem(FORMS, "stream", text)
    run = measured(tmp_path, "stream", order="batch_map")
    assert run.error.message == message
