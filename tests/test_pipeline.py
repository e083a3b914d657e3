"""Every axis is parsed, is refused without a meaning, and has its effect."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bench import pipeline as pipelines
from bench.catalog import Entry
from bench.errors import UsageError
from bench.measure import tf_data
from bench.measure.graph import executed_graph
from bench.measure.tf_data import build, interleave
from bench.pipeline import AXES, STRATEGIES, Pipeline, steps
from bench.plan.refusals import refusal

WORDS = {
    "placement": "'dataset', 'model' or 'offline'",
    "host": "'tf.data' or 'grain'",
    "worker_count": "a whole number from 0",
    "device": "'auto', 'cpu' or 'gpu'",
    "batch_size": "a whole number from 1",
    "order": "'map_batch', 'batch_map' or 'batch_map_unbatch'",
    "map_parallel_calls": "'autotune' or a whole number from 0",
    "cache": "'none', 'raw', 'decoded' or 'mapped'",
    "cache_storage": "'memory' or 'disk'",
    "shuffle_buffer": "a whole number from 0",
    "resample": "'none', 'filter', 'rejection', 'rejection_known' or 'split'",
    "prefetch": "'autotune' or a whole number from 0",
    "interleave_cycle_length": "a whole number from 1",
    "interleave_block_length": "a whole number from 1",
    "interleave_parallel_calls": "'autotune' or a whole number from 0",
    "storage": "'warm' or 'cold'",
    "read_latency_ms": "a whole number from 0",
    "deterministic": "true or false",
    "rewrites": "'off' or 'default'",
    "threadpool_size": "a whole number from 0",
    "cpus": "a whole number from 0",
    "jit": "'off', 'on' or 'auto'",
    "op_determinism": "true or false",
    "image_size": "a whole number from 0",
}


@pytest.mark.parametrize("name", WORDS)
def test_a_bad_value_of_an_axis_gets_a_full_message(name: str) -> None:
    """The message has the bad value and the allowed values."""
    for text in ("x1", "-1", "2.5"):
        with pytest.raises(UsageError) as caught:
            pipelines.parse(name, text)
        assert str(caught.value) == f"{name} must be {WORDS[name]}, got '{text}'."


@pytest.mark.parametrize("name", AXES)
def test_every_axis_has_a_description_and_parses_its_own_values(name: str) -> None:
    """This includes new axes: the default and all words come back."""
    assert AXES[name].metadata["doc"]
    words, _ = pipelines.allowed(name)
    for value in (AXES[name].default, *words):
        assert pipelines.parse(name, str(value).upper()) == value
    with pytest.raises(UsageError, match=f"^{name} must be .+, got 'x1'.$"):
        pipelines.parse(name, "x1")


def test_values_are_parsed_from_text_and_toml() -> None:
    """They are numbers, truth values, and `none` for the number 0."""
    texts = {"prefetch": "none", "batch_size": 64, "deterministic": False, "jit": "On"}
    assert pipelines.pipeline(texts) == Pipeline(
        prefetch=0, batch_size=64, deterministic=False, jit="on"
    )


def test_an_unknown_axis_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        pipelines.parse("batchsize", "1")
    assert str(caught.value) == (
        "No axis named 'batchsize'. Did you mean 'batch_size'?"
    )


ARRAYS = Entry("mine", "user", Path("mine.py"), "", {"examples": ("rng", "count")}, {})
FILES = Entry(
    "files",
    "user",
    Path("files.py"),
    "",
    {"examples": ("size",), "read": (), "decode": (), "model": ()},
    {"BINARY_LABELS": True},
)
BATCHES = Entry(
    "batches",
    "user",
    Path("b.py"),
    "",
    {"decode": (), "model": ()},
    {"DECODE": "batch"},
)
NOT_HERE = "nothing is mapped"
LATENCY = "storage and read_latency_ms need files, and 'mine' has arrays"
# (the reason, entry, consumer, unit, axes) and axes that mend it
REFUSED = [
    (
        "'mine' has no model to train: use --consumer drain",
        (ARRAYS, "train", "window", {}),
        (FILES, "train", "window", {}),
    ),
    (
        "jit needs a model: --consumer train, or placement=model",
        (FILES, "drain", "window", {"jit": "on"}),
        (ARRAYS, "drain", "window", {"jit": "on", "placement": "model"}),
    ),
    (
        "device needs a model: --consumer train, or placement=model",
        (FILES, "drain", "window", {"device": "cpu"}),
        (FILES, "train", "window", {"device": "cpu"}),
    ),
    (
        f"order: with placement=model {NOT_HERE} in the dataset",
        (ARRAYS, "drain", "window", {"order": "batch_map", "placement": "model"}),
        (ARRAYS, "drain", "window", {"order": "batch_map"}),
    ),
    (
        f"cache=mapped: with placement=offline {NOT_HERE} here",
        (ARRAYS, "drain", "window", {"cache": "mapped", "placement": "offline"}),
        (ARRAYS, "drain", "window", {"cache": "raw", "placement": "offline"}),
    ),
    (
        f"map_parallel_calls: with placement=model {NOT_HERE}",
        (ARRAYS, "drain", "window", {"map_parallel_calls": 2, "placement": "model"}),
        (FILES, "drain", "window", {"map_parallel_calls": 2, "placement": "model"}),
    ),
    (
        "cache=decoded: 'mine' decodes nothing: use raw or mapped",
        (ARRAYS, "drain", "window", {"cache": "decoded"}),
        (FILES, "drain", "window", {"cache": "decoded"}),
    ),
    (
        "slack needs a prefetch, which it delays",
        (ARRAYS, "drain", "window", {"slack": True}),
        (ARRAYS, "drain", "window", {"slack": True, "prefetch": 2}),
    ),
    (
        "cache_storage needs a cache: add cache=raw, decoded or mapped",
        (ARRAYS, "drain", "window", {"cache_storage": "disk"}),
        (ARRAYS, "drain", "window", {"cache_storage": "disk", "cache": "raw"}),
    ),
    (
        "interleave needs files, and 'mine' is made of arrays",
        (ARRAYS, "drain", "window", {"interleave_cycle_length": 2}),
        (FILES, "drain", "window", {"interleave_cycle_length": 2}),
    ),
    (
        "interleave: with placement=offline the files are read once, before timing",
        (
            FILES,
            "drain",
            "window",
            {"interleave_cycle_length": 2, "placement": "offline"},
        ),
        (FILES, "drain", "window", {"placement": "offline"}),
    ),
    (
        "interleave_block_length needs interleave_cycle_length above 1",
        (FILES, "drain", "window", {"interleave_block_length": 4}),
        (
            FILES,
            "drain",
            "window",
            {"interleave_block_length": 4, "interleave_cycle_length": 2},
        ),
    ),
    (
        "interleave_parallel_calls=3 is more than interleave_cycle_length=2 files open",
        (
            FILES,
            "drain",
            "window",
            {"interleave_parallel_calls": 3, "interleave_cycle_length": 2},
        ),
        (
            FILES,
            "drain",
            "window",
            {"interleave_parallel_calls": "autotune", "interleave_cycle_length": 2},
        ),
    ),
    (
        LATENCY,
        (ARRAYS, "drain", "window", {"read_latency_ms": 5}),
        (FILES, "drain", "window", {"read_latency_ms": 5}),
    ),
    (
        LATENCY,
        (ARRAYS, "drain", "epoch", {"storage": "cold"}),
        (FILES, "drain", "epoch", {"storage": "cold"}),
    ),
    (
        "storage=cold needs unit=epoch: the pages are dropped before each epoch",
        (FILES, "drain", "window", {"storage": "cold"}),
        (FILES, "drain", "epoch", {"storage": "cold"}),
    ),
    (
        "resample streams have no epochs: use unit=window",
        (FILES, "drain", "epoch", {"resample": "filter"}),
        (FILES, "drain", "window", {"resample": "filter"}),
    ),
    (
        "deterministic=false needs a parallel step, whose order it frees",
        (ARRAYS, "drain", "window", {"deterministic": False}),
        (ARRAYS, "drain", "window", {"deterministic": False, "map_parallel_calls": 2}),
    ),
    (
        "resample needs two classes, and 'mine' has no BINARY_LABELS",
        (ARRAYS, "drain", "window", {"resample": "split"}),
        (FILES, "drain", "window", {"resample": "split"}),
    ),
    (
        "resample: with cache=mapped the resampled stream would be frozen",
        (FILES, "drain", "window", {"resample": "split", "cache": "mapped"}),
        (FILES, "drain", "window", {"resample": "split", "cache": "raw"}),
    ),
    (
        "image_size: the examples of 'mine' come in one size",
        (ARRAYS, "drain", "window", {"image_size": 96}),
        (FILES, "drain", "window", {"image_size": 96}),
    ),
    (
        "serve: a request comes raw, so its layers cannot have run before: use "
        "placement=dataset (in the client) or placement=model",
        (FILES, "serve", "window", {"placement": "offline"}),
        (FILES, "serve", "window", {"placement": "model"}),
    ),
    (
        "serve: requests come from clients, not from a dataset: leave out prefetch",
        (FILES, "serve", "window", {"prefetch": 2}),
        (FILES, "serve", "window", {"batch_size": 1}),
    ),
    (
        "serve has no epochs: use unit=window",
        (FILES, "serve", "epoch", {}),
        (FILES, "serve", "window", {}),
    ),
    *(
        (
            "order=map_batch: decode() of 'batches' gets whole batches (DECODE = "
            '"batch"), and so do its layers: use order=batch_map or batch_map_unbatch',
            (BATCHES, "train", "window", {}),
            near,
        )
        for near in (
            (BATCHES, "train", "window", {"order": "batch_map"}),
            (BATCHES, "model", "window", {}),
            (BATCHES, "serve", "window", {}),
        )
    ),
]


@pytest.mark.parametrize(("reason", "refused", "near"), REFUSED)
def test_a_combination_without_a_meaning_is_refused_with_its_reason(
    reason: str, refused: tuple, near: tuple
) -> None:
    """The nearest combination with a meaning is accepted."""
    entry, consumer, unit, axes = refused
    assert refusal(Pipeline(**axes), consumer, unit, entry) == reason
    entry, consumer, unit, axes = near
    assert refusal(Pipeline(**axes), consumer, unit, entry) is None


def test_no_strategy_is_refused_on_a_plain_entry() -> None:
    """Every workload and layer takes every strategy."""
    for settings in STRATEGIES.values():
        for entry in (ARRAYS, FILES):
            assert refusal(Pipeline(**settings), "drain", "window", entry) is None


class Counted:
    """This source yields numbers with labels, and counts the examples of every step."""

    def __init__(self, count: int = 8) -> None:
        """Set all counts to 0."""
        self.counts = {
            name: tf.Variable(0, dtype=tf.int64) for name in ("read", "decode", "layer")
        }
        self.ranks: list[int] = []
        numbers = np.arange(count)
        self.source = tf.data.Dataset.from_tensor_slices((numbers, -numbers))
        self.source = self.source.map(self.step("read"))

    def step(self, name: str) -> Callable:
        """Count a record and return it."""

        def record(features: tf.Tensor, label: tf.Tensor) -> tuple:
            self.counts[name].assign_add(1)
            return features, label

        return record

    def layer(self, record: tuple) -> tuple:
        """Count the numbers and return ten times as much."""
        features, *labels = record
        self.ranks.append(features.shape.rank)
        self.counts["layer"].assign_add(tf.size(features, tf.int64))
        return 10 * features, *labels

    def build(self, decodes: bool = True, **axes: object) -> tf.data.Dataset:
        """Return a dataset with these axes, in batches of 2."""
        keywords = {
            name: axes.pop(name)
            for name in ("repeat", "seed", "cache_path")
            if name in axes
        }
        if sampler := axes.pop("sampler", None):
            keywords["resample"], axes["resample"] = sampler, "filter"
        p = Pipeline(**{"batch_size": 2, **axes})
        return build(
            p,
            self.source,
            self.step("decode"),
            self.layer,
            decodes=decodes,
            **keywords,
        )

    def taken(self) -> dict[str, int]:
        """Return the examples of each step since the last call."""
        actual = {name: int(count) for name, count in self.counts.items()}
        for count in self.counts.values():
            count.assign(0)
        return actual


def epoch(dataset: tf.data.Dataset) -> list[int]:
    """Return all features of a finite dataset, in order."""
    return [int(x) for batch, _ in dataset.as_numpy_iterator() for x in batch]


def nodes(dataset: tf.data.Dataset, pulled: int = 1) -> list[dict]:
    """Run a dataset; return its graph without the root."""
    iterator = iter(dataset)
    for _ in range(pulled):
        next(iterator)
    return executed_graph(iterator)[:-1]


def names(dataset: tf.data.Dataset) -> list[str]:
    """Return the names of the nodes after the counting source."""
    return [str(node["name"]) for node in nodes(dataset)][2:]


@pytest.mark.parametrize(
    ("order", "rank"), [("map_batch", 0), ("batch_map", 1), ("batch_map_unbatch", 1)]
)
def test_order_passes_examples_or_batches_to_the_layers(order: str, rank: int) -> None:
    """The elements are the same, and labels stay beside their features."""
    counted = Counted()
    batches = list(counted.build(order=order, repeat=False).as_numpy_iterator())
    assert [batch[0].tolist() for batch in batches] == [
        [0, 10],
        [20, 30],
        [40, 50],
        [60, 70],
    ]
    assert batches[1][1].tolist() == [-2, -3]
    assert set(counted.ranks) == {rank}
    assert counted.taken() == {"read": 8, "decode": 8, "layer": 8}


def test_batches_are_whole() -> None:
    """A smaller last batch would retrace a model, so it is dropped."""
    dataset = Counted(7).build(batch_size=3, repeat=False)
    assert epoch(dataset) == [0, 10, 20, 30, 40, 50]
    assert dataset.element_spec[0].shape == (3,)


def test_the_pipeline_is_endless_unless_it_is_an_epoch() -> None:
    """A batch may have examples of two epochs."""
    batches = Counted(3).build().take(3).as_numpy_iterator()
    assert [batch[0].tolist() for batch in batches] == [[0, 10], [20, 0], [10, 20]]


@pytest.mark.parametrize(
    ("placement", "decodes", "passed"),
    [
        ("model", True, {"read": 8, "decode": 8, "layer": 0}),
        ("offline", False, {"read": 8, "decode": 0, "layer": 0}),
    ],
)
def test_other_placements_map_no_layer(
    placement: str, decodes: bool, passed: dict
) -> None:
    """A model gets decoded examples; with offline, stored ones."""
    counted = Counted()
    dataset = counted.build(placement=placement, decodes=decodes, repeat=False)
    assert epoch(dataset) == list(range(8))
    assert counted.taken() == passed


@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
@pytest.mark.parametrize("storage", ["memory", "disk"])
@pytest.mark.parametrize(
    ("cache", "passed"),
    [
        ("none", {"read": 8, "decode": 8, "layer": 8}),
        ("raw", {"read": 0, "decode": 8, "layer": 8}),
        ("decoded", {"read": 0, "decode": 0, "layer": 8}),
        ("mapped", {"read": 0, "decode": 0, "layer": 0}),
    ],
)
def test_a_cache_spares_the_steps_before_it(
    cache: str, passed: dict, storage: str, order: str, tmp_path: Path
) -> None:
    """The first epoch runs each step once."""
    counted = Counted()
    path = str(tmp_path / "cache") if storage == "disk" else ""
    axes = {"cache": cache, "cache_storage": storage, "order": order}
    dataset = counted.build(**axes, cache_path=path, repeat=False)
    expected = [10 * n for n in range(8)]
    assert epoch(dataset) == expected
    assert counted.taken() == {"read": 8, "decode": 8, "layer": 8}
    assert epoch(dataset) == expected
    assert counted.taken() == passed
    assert bool(list(tmp_path.iterdir())) is (storage == "disk" and cache != "none")


@pytest.mark.parametrize("order", ["map_batch", "batch_map", "batch_map_unbatch"])
def test_a_mapped_cache_serves_an_endless_pipeline(order: str) -> None:
    """The repeat comes after the cache, which is otherwise never complete."""
    counted = Counted()
    dataset = counted.build(cache="mapped", order=order)
    assert len(epoch(dataset.take(12))) == 24
    assert counted.taken() == {"read": 8, "decode": 8, "layer": 8}


@pytest.mark.parametrize("cache", ["none", "raw", "decoded"])
def test_a_shuffle_loses_no_example_and_follows_the_seed(cache: str) -> None:
    """Each epoch has another order; the same seed gives the same orders."""
    expected = [10 * n for n in range(64)]

    def epochs(seed: int) -> list[list[int]]:
        dataset = Counted(64).build(
            shuffle_buffer=64, seed=seed, repeat=False, cache=cache
        )
        return [epoch(dataset), epoch(dataset)]

    first, second = epochs(1)
    assert sorted(first) == sorted(second) == expected
    assert expected != first != second != expected
    assert epochs(1) == [first, second]
    assert epochs(2)[0] != first


def test_a_shuffle_after_a_mapped_cache_is_not_frozen() -> None:
    """Every epoch has a new order."""
    dataset = Counted(64).build(shuffle_buffer=64, cache="mapped", repeat=False)
    assert epoch(dataset) != epoch(dataset)


@pytest.mark.parametrize("calls", [1, 2])
def test_parallel_calls_and_prefetch_are_as_set(calls: int) -> None:
    """The graph has these nodes and no others."""
    actual = nodes(
        Counted().build(
            decodes=False, map_parallel_calls=calls, prefetch=3, order="batch_map"
        )
    )[2:]
    assert [node["name"] for node in actual] == [
        "ForeverRepeat",
        "BatchV2",
        "ParallelMapV2",
        "Prefetch",
    ]
    assert actual[2]["parallelism"] == calls
    assert actual[3]["buffer_size"] == 3


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({}, "read → repeat → decode_and_layers → batch (32)"),
        ({"placement": "model"}, "read → repeat → decode → batch (32)"),
        (
            {"order": "batch_map", "map_parallel_calls": 2, "prefetch": 2},
            "read → repeat → decode (2 at a time) → batch (32) → "
            "layers (2 at a time) → prefetch (2)",
        ),
        (
            {"cache": "decoded", "shuffle_buffer": 8},
            "read → decode → cache (memory) → shuffle (8) → repeat → layers → "
            "batch (32)",
        ),
        (
            {"cache": "mapped", "cache_storage": "disk", "resample": "split"},
            "read → decode_and_layers → cache (disk) → resample (split) → batch (32)",
        ),
        (
            {"cache": "mapped", "order": "batch_map", "interleave_cycle_length": 4},
            "read (4 files open) → decode → batch (32) → layers → cache (memory) → "
            "repeat",
        ),
        (
            {"cache": "mapped", "order": "batch_map_unbatch", "shuffle_buffer": 8},
            "read → decode → layers_batch (32) → layers → unbatch → cache (memory) → "
            "shuffle (8) → repeat → batch (32)",
        ),
        (
            {"cache": "decoded", "order": "batch_map_unbatch"},
            "read → decode → cache (memory) → layers_batch (32) → layers → unbatch → "
            "repeat → batch (32)",
        ),
        (
            {"cache": "raw", "interleave_parallel_calls": "autotune"},
            "read (1 files open, autotune at a time) → cache (memory) → repeat → "
            "decode_and_layers → batch (32)",
        ),
    ],
)
def test_the_steps_are_in_the_order_of_the_data_s_path(
    axes: dict, expected: str
) -> None:
    assert " → ".join(map(str, steps(Pipeline(**axes)))) == expected


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({"order": "batch_map"}, "repeat batch decode_and_layers"),
        ({"placement": "model"}, "repeat batch decode"),
        (
            {"order": "batch_map", "cache": "mapped"},
            "batch decode_and_layers cache repeat",
        ),
        (
            {"order": "batch_map_unbatch"},
            "layers_batch decode_and_layers unbatch repeat batch",
        ),
    ],
)
def test_a_batch_may_be_decoded_at_a_time(axes: dict, expected: str) -> None:
    listed = steps(Pipeline(**axes), decodes_batches=True)
    assert [step.name for step in listed] == ["read", *expected.split()]


def test_an_epoch_without_decoding_has_no_repeat_and_no_decode() -> None:
    names = [step.name for step in steps(Pipeline(), decodes=False, repeat=False)]
    assert names == ["read", "layers", "batch"]


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({}, ["ForeverRepeat", "Map", "BatchV2"]),
        ({"order": "batch_map"}, ["ForeverRepeat", "Map", "BatchV2", "Map"]),
        ({"placement": "model"}, ["ForeverRepeat", "Map", "BatchV2"]),
        (
            {"map_parallel_calls": "autotune", "prefetch": "autotune"},
            ["ForeverRepeat", "ParallelMapV2", "BatchV2", "Prefetch"],
        ),
    ],
)
def test_without_rewrites_the_graph_is_as_written(axes: dict, expected: list) -> None:
    """tf.data adds no node; decode and layers on an example are one map."""
    assert names(Counted().build(**axes)) == expected


def test_rewrites_change_the_graph_if_they_are_on() -> None:
    """They fuse a stateless map with batch, and make the map parallel."""
    source = tf.data.Dataset.range(8).map(lambda x: (x, x))

    def node_names(rewrites: str) -> list[str]:
        p = Pipeline(batch_size=2, rewrites=rewrites)
        dataset = build(p, source, None, lambda r: (r[0] + 1, r[1]), decodes=False)
        return [str(node["name"]) for node in nodes(dataset)]

    assert node_names("off") == ["Range", "Map", "ForeverRepeat", "Map", "BatchV2"]
    assert "MapAndBatch" in " ".join(node_names("default"))


def test_every_option_has_a_fixed_value() -> None:
    """A default of TensorFlow may change with its version."""
    p = Pipeline(deterministic=False, rewrites="default", threadpool_size=3)
    actual = tf_data.options(p)
    assert actual.deterministic is False
    assert actual.experimental_optimization.apply_default_optimizations is True
    assert actual.threading.private_threadpool_size == 3
    assert (actual.experimental_slack, actual.experimental_warm_start) == (False, False)
    actual = Counted().build().options()
    assert actual.deterministic is True
    assert actual.experimental_optimization.apply_default_optimizations is False
    assert actual.threading.private_threadpool_size is None


def test_resampling_stands_between_repeat_and_batch() -> None:
    """Resampling takes single records and makes the stream endless itself."""
    dataset = Counted().build(
        sampler=lambda records: records.filter(lambda x, y: x % 2 == 1).repeat()
    )
    assert epoch(dataset.take(3)) == [10, 30, 50, 70, 10, 30]


OPENED = tf.Variable(0, dtype=tf.int64)


@pytest.fixture
def files() -> Iterator[tuple[tf.data.Dataset, Callable]]:
    """Write four files of three records; return a reader that counts opened files."""
    OPENED.assign(0)

    def read(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
        OPENED.assign_add(1)
        return tf.data.Dataset.range(3).map(lambda n: (path, n))

    paths = tf.data.Dataset.from_tensor_slices((list("abcd"), range(4)))
    yield paths, read


@pytest.mark.parametrize(
    ("cycle", "block", "order"),
    [
        (1, 1, "a0 a1 a2 b0 b1 b2 c0 c1 c2 d0 d1 d2"),
        (2, 1, "a0 b0 a1 b1 a2 b2 c0 d0 c1 d1 c2 d2"),
        (2, 2, "a0 a1 b0 b1 a2 b2 c0 c1 d0 d1 c2 d2"),
        (4, 1, "a0 b0 c0 d0 a1 b1 c1 d1 a2 b2 c2 d2"),
    ],
)
def test_interleave_opens_a_file_when_an_earlier_one_ends(
    files: tuple, cycle: int, block: int, order: str
) -> None:
    """At most the cycle length of files are open at a time."""
    axes = {"interleave_cycle_length": cycle, "interleave_block_length": block}
    dataset = interleave(Pipeline(**axes), *files)
    seen = []
    for path, number in dataset.with_options(tf_data.options(Pipeline())):
        seen.append(f"{path.numpy().decode()}{number.numpy()}")
        done = sum(record.endswith("2") for record in seen[:-1])
        assert int(OPENED) <= cycle + done
    assert " ".join(seen) == order
    assert int(OPENED) == 4


def test_a_parallel_interleave_keeps_the_order_and_its_calls(files: tuple) -> None:
    """The node has the number of calls that the axis sets."""
    p = Pipeline(interleave_cycle_length=2, interleave_parallel_calls=2)
    dataset = interleave(p, *files).with_options(tf_data.options(p))
    seen = "".join(path.numpy().decode() for path, _ in dataset)
    assert seen == "abababcdcdcd"
    actual = [node for node in nodes(dataset) if "Interleave" in str(node["name"])]
    assert [node["parallelism"] for node in actual] == [2]
