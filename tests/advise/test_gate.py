"""Traps: what would change the examples is refused, by its rule or by the gate."""

from pathlib import Path

import msgspec
import pytest

from bench.advise import chain as chains
from bench.advise import search
from bench.advise.proposals import (
    batch_before_map,
    cache,
    parallel_map,
    shuffle_before_map,
)
from bench.measure import recorder, user_pipeline
from bench.measure.user_function import make_dataset
from bench.run.user_pipeline import (
    PipelineComparison,
    PipelineReading,
    PipelineTask,
    write_task,
)

HEAD = """import keras
import numpy as np
import tensorflow as tf

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3)).astype("float32")
LABELS = np.arange(24)

def images():
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))

"""


def numbers(*lines: str) -> str:
    """A pipeline of numbers."""
    chain = "".join(f"        {line}\n" for line in lines)
    begin = "def make():\n    return (\n        tf.data.Dataset.range(50)\n"
    return f"{HEAD}{begin}{chain}    )\n"


def with_layer(layer: str) -> str:
    """A pipeline that maps a layer over single images, and then batches."""
    return HEAD + (
        f"def make():\n    layer = keras.layers.{layer}\n"
        "    ds = images()\n"
        "    ds = ds.map(lambda x, y: (layer(x), y))\n"
        "    ds = ds.batch(8)\n"
        "    return ds\n"
    )


def read(tmp_path: Path, text: str) -> chains.Chain:
    path = str(tmp_path / "pipeline.py")
    Path(path).write_text(text)
    with recorder.recorded() as calls:
        dataset = make_dataset(path, text, "make()")
    stages = recorder.stages(calls, dataset)
    for stage in stages:
        stage.element_bytes = 8.0
    reading = PipelineReading(stages=stages, epoch_batches=7, batch_size=8)
    return chains.chain(reading, path, text)


def gate(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    base: str,
    head: str,
    **task: object,
) -> PipelineComparison:
    """What the gate says of two sources, without a look at their rates."""
    monkeypatch.setattr(user_pipeline, "_first_look", lambda *sides: 1.0)
    content = PipelineTask(
        path=str(tmp_path / "pipeline.py"),
        call="make()",
        source=head,
        against=base,
        **task,
    )
    Path(content.path).write_text(base)
    trial = write_task(content, tmp_path / "task.json")
    return user_pipeline.compare_pipelines(trial)


@pytest.mark.parametrize(
    "layer", ["RandomCrop(8, 8)", "RandomFlip()", "AugMix()", "RandAugment()"]
)
def test_a_layer_that_draws_is_never_moved_nor_cached(
    tmp_path: Path, layer: str
) -> None:
    chain = read(tmp_path, with_layer(layer))
    for module in (batch_before_map, cache, parallel_map):
        (proposal,) = module.propose(chain)
        assert proposal.refusal, (module, proposal)
        assert not proposal.source


@pytest.mark.parametrize("layer", ["Equalization()", "MixUp()"])
def test_a_layer_that_looks_at_the_whole_batch_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    """Equalization is not random, and MixUp does nothing to a single example."""
    text = with_layer(layer)
    if layer.startswith("MixUp"):
        text = text.replace(
            "(layer(x), y)", "layer({'images': x, 'labels': tf.one_hot(y, 24)})"
        )
    (proposal,) = batch_before_map.propose(read(tmp_path, text))
    if not proposal.refusal:
        found = gate(tmp_path, monkeypatch, text, proposal.source)
        assert found.outcome == "differs" or found.error, found


def test_a_layer_that_is_alike_for_batches_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = with_layer("Rescaling(1 / 255)")
    (proposal,) = batch_before_map.propose(read(tmp_path, text))
    found = gate(tmp_path, monkeypatch, text, proposal.source)
    assert (found.outcome, found.examples, found.whole) == ("same", 24, True)


@pytest.mark.parametrize(
    ("base", "head", "outcome", "reason"),
    [
        (
            (".map(lambda x: x // 2)", ".filter(lambda x: x > 9)"),
            (".filter(lambda x: x > 9)", ".map(lambda x: x // 2)"),
            "differs",
            "example 0 differs: 100% of its values, first 5 in place of 10",
        ),
        (
            (".repeat(2)", ".shuffle(100, seed=1)", ".batch(4)"),
            (".shuffle(100, seed=1)", ".repeat(2)", ".batch(4)"),
            "order",
            "the same 100 examples come in another order",
        ),
        (
            (".batch(8)",),
            (".batch(8, drop_remainder=True)",),
            "remainder",
            "an epoch has 48 examples in place of 50",
        ),
        ((".batch(8)",), (".batch(5)",), "same", ""),
        (
            (".batch(8)",),
            (".map(lambda x: tf.cast(x, tf.int32))", ".batch(8)"),
            "differs",
            "an example is int32 of rank 0 in place of int64 of rank 0",
        ),
        ((".shuffle(50)", ".batch(8)"), (".shuffle(50)", ".batch(4)"), "same", ""),
    ],
)
def test_what_the_gate_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    base: tuple[str, ...],
    head: tuple[str, ...],
    outcome: str,
    reason: str,
) -> None:
    sides = (numbers(*base), numbers(*head))
    batched = ".batch" in "".join(base)
    found = gate(tmp_path, monkeypatch, *sides, batched=batched)
    assert (found.outcome, found.reason) == (outcome, reason)


def test_labels_that_are_shuffled_apart_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = numbers(".map(lambda x: (x, x))", ".shuffle(50, seed=1)", ".batch(5)")
    apart = HEAD + (
        "def make():\n    one = tf.data.Dataset.range(50)\n"
        "    sides = (one.shuffle(50, seed=1), one.shuffle(50, seed=2))\n"
        "    return tf.data.Dataset.zip(sides).batch(5)\n"
    )
    assert gate(tmp_path, monkeypatch, together, apart).outcome == "differs"


def test_a_filter_and_a_cache_are_not_passed(tmp_path: Path) -> None:
    for stage in (".filter(lambda x: x > 9)", ".cache()"):
        text = numbers(".map(lambda x: x // 2)", stage, ".shuffle(9)", ".batch(4)")
        chain = read(tmp_path, text)
        assert list(batch_before_map.propose(chain)) == []
        assert list(shuffle_before_map.propose(chain)) == []


def test_a_counter_in_a_map_is_left_alone(tmp_path: Path) -> None:
    text = HEAD + (
        "counter = tf.Variable(0, dtype=tf.int64)\n\n"
        "def count(x):\n    return x, counter.assign_add(1)\n\n"
        "def make():\n    return tf.data.Dataset.range(9).map(count).batch(3)\n"
    )
    chain = read(tmp_path, text)
    refusals = [
        next(iter(module.propose(chain))).refusal
        for module in (batch_before_map, cache, parallel_map)
    ]
    assert refusals == [
        "map(count) writes a variable once an example",
        "map(count) keeps state in every epoch, and a cache would freeze that",
        "map(count) writes a variable, so the order of its calls counts",
    ]


def test_no_cache_is_put_behind_a_shuffle_or_a_repeat(tmp_path: Path) -> None:
    for stage in (".shuffle(9)", ".repeat(2)"):
        chain = read(tmp_path, numbers(stage, ".map(lambda x: x * 2)", ".batch(4)"))
        assert list(cache.propose(chain)) == []


def test_a_cache_that_freezes_draws_is_named(tmp_path: Path) -> None:
    text = with_layer("RandomFlip()").replace("ds.batch(8)", "ds.cache().batch(8)")
    (warning,) = search._warnings(read(tmp_path, text))
    assert warning == (
        "The cache of line 15 freezes map(lambda) of line 14: every epoch has the same "
        "draws."
    )


@pytest.mark.parametrize(
    ("text", "repeats", "explained"),
    [
        (numbers(".shuffle(50)", ".batch(5)"), True, False),
        (with_layer("RandomFlip()"), True, True),
        (
            numbers(".map(lambda x: x + int(time.perf_counter_ns() % 1000))").replace(
                "import keras", "import time\nimport keras"
            ),
            False,
            False,
        ),
        (
            HEAD + "def numbers():\n    rng = np.random.default_rng()\n"
            "    yield from rng.integers(0, 9999, 50)\n\n"
            "def make():\n    return tf.data.Dataset.from_generator(\n"
            "        numbers, output_signature=tf.TensorSpec([], tf.int64))\n",
            False,
            False,
        ),
    ],
)
def test_a_dataset_that_differs_each_time_is_not_judged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    repeats: bool,
    explained: bool,
) -> None:
    monkeypatch.setattr(user_pipeline, "LOOK_SECONDS", 0.01)
    path = tmp_path / "pipeline.py"
    path.write_text(text)
    task = PipelineTask(path=str(path), call="make()", source=text, seconds=0.5)
    reading = user_pipeline.read_pipeline(write_task(task, tmp_path / "task.json"))
    assert reading.error is None
    assert reading.repeats == repeats
    assert search._explained(reading) == explained


def test_an_error_of_the_users_file_has_its_line(tmp_path: Path) -> None:
    text = HEAD + "def make():\n    return images().map(lambda x, y: x + missing)\n"
    path = tmp_path / "pipeline.py"
    path.write_text(text)
    task = PipelineTask(path=str(path), call="make()", source=text)
    reading = user_pipeline.read_pipeline(write_task(task, tmp_path / "task.json"))
    assert reading.error.type == "NameError"
    assert reading.error.message.startswith(
        "name 'missing' is not defined (pipeline.py, line 12, in a lambda)"
    )


def test_readings_survive_the_way_between_processes(tmp_path: Path) -> None:
    reading = read(tmp_path, numbers(".shuffle(9)", ".batch(4)")).reading
    content = msgspec.json.encode(reading)
    assert msgspec.json.decode(content, type=PipelineReading) == reading


def test_what_a_cache_would_freeze_is_seen_in_the_second_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No function of the pipeline draws, so its rule alone would allow a cache."""
    base = HEAD + (
        "def make():\n    draws = tf.data.Dataset.random(\n"
        "        seed=1, rerandomize_each_iteration=True)\n"
        "    return draws.take(20).map(lambda x: x + 1)\n"
    )
    head = base.replace("x + 1)", "x + 1).cache()")
    found = gate(tmp_path, monkeypatch, base, head, fill=21, batched=False)
    assert found.outcome == "differs"
    assert found.reason.startswith("in the second epoch example 0 differs: ")
    assert gate(tmp_path, monkeypatch, base, base, fill=21, batched=False).whole


def test_an_edited_function_runs_as_it_is_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AutoGraph converts the edited text, and not the file's on the disk."""
    base = numbers(".map(add)").replace(
        "def make", "def add(x):\n    return x + 1\n\ndef make"
    )
    found = gate(tmp_path, monkeypatch, base, base.replace("+ 1", "+ 2"))
    assert (
        found.reason == "example 0 differs: 100% of its values, first 2 in place of 1"
    )


def test_a_first_look_times_whole_epochs_where_they_are_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text, windows = numbers(".shuffle(50)", ".batch(20)"), []
    monkeypatch.setattr(user_pipeline, "SHORT_WINDOW_SECONDS", 0.0)

    class Drain(user_pipeline._Drain):
        def window(self, batches: int) -> object:
            windows.append(batches)
            return super().window(batches)

    task = PipelineTask(path="pipeline.py", call="make()", source=text, epoch=3)
    sides = [Drain(make_dataset("pipeline.py", text, "make()")) for _ in range(2)]
    assert user_pipeline._first_look(*sides, task) > 0
    assert windows == [1, 3] * 2  # one batch is long enough, and an epoch has three


SLEEPS = """
import time

import tensorflow as tf


def rest(x):
    time.sleep(SECONDS)
    return x


def make():
    resting = tf.data.Dataset.range(1000).map(
        lambda x: tf.ensure_shape(tf.numpy_function(rest, [x], tf.int64), [])
    )
    return resting.batch(2).prefetch(32)
"""


def test_a_first_look_finds_no_batches_that_stood_ready() -> None:
    """A prefetch holds more than a window has, while the other side is timed."""
    sides = [
        user_pipeline._Drain(make_dataset("pipeline.py", text, "make()"))
        for text in (SLEEPS.replace("SECONDS", s) for s in ("0.020", "0.010"))
    ]
    task = PipelineTask(path="pipeline.py", call="make()", source="")
    assert 0.3 < user_pipeline._first_look(*sides, task) < 0.8


def test_a_disk_cache_of_the_users_is_not_written(tmp_path: Path) -> None:
    text = numbers(f".cache({str(tmp_path / 'kept' / 'cache')!r})", ".batch(4)")
    dataset = make_dataset(str(tmp_path / "pipeline.py"), text, "make()")
    assert len(list(dataset)) == 13
    assert not (tmp_path / "kept").exists()
