"""What is recorded of a user's function while it runs."""

from pathlib import Path

from bench.measure import recorder
from bench.measure.user_function import make_dataset
from bench.run.user_pipeline import Stage


def record(tmp_path: Path, body: str) -> list[Stage]:
    text = f"import keras\nimport tensorflow as tf\n\ndef make():\n{body}"
    path = str(tmp_path / "pipeline.py")
    Path(path).write_text(text)
    with recorder.recorded() as calls:
        dataset = make_dataset(path, text, "make()")
    return recorder.stages(calls, dataset)


def test_a_chain_is_recorded_stage_by_stage(tmp_path: Path) -> None:
    stages = record(
        tmp_path,
        "    def scale(x):\n"
        "        return tf.cast(x, tf.float32) / 2\n"
        "    return (\n"
        "        tf.data.Dataset.range(10)\n"
        "        .map(scale, num_parallel_calls=tf.data.AUTOTUNE)\n"
        "        .batch(4, True)\n"
        "    )\n",
    )
    assert [(s.method, s.line, s.settings, s.inputs) for s in stages] == [
        ("range", 8, {"args": "(10)"}, []),
        ("map", 9, {"num_parallel_calls": -1}, [0]),
        ("batch", 10, {"batch_size": 4, "drop_remainder": True}, [1]),
    ]
    assert stages[1].function == "scale, line 5"
    assert (stages[1].element, stages[1].cardinality) == ("float32[]", 10)
    assert (stages[2].element, stages[2].cardinality) == ("float32[4]", 2)


def test_a_name_that_is_assigned_again_is_the_same_chain(tmp_path: Path) -> None:
    stages = record(
        tmp_path,
        "    ds = tf.data.Dataset.from_tensor_slices([1, 2, 3])\n"
        "    other = ds.map(lambda x: x)\n"
        "    for _ in range(2):\n"
        "        ds = ds.map(lambda x: x + 1)\n"
        "    ds = ds.shuffle(3)\n"
        "    return ds\n",
    )
    assert [(s.method, s.calls) for s in stages] == [
        ("from_tensor_slices", 1),
        ("map", 2),
        ("map", 2),
        ("shuffle", 1),
    ]


def test_several_inputs_and_nested_readers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    stages = record(
        tmp_path,
        f"    files = tf.data.Dataset.from_tensors({str(tmp_path / 'a.txt')!r})\n"
        "    lines = files.interleave(tf.data.TextLineDataset, cycle_length=2)\n"
        "    whole = tf.data.TextLineDataset([__file__])\n"
        "    return tf.data.Dataset.zip((lines, whole)).batch(2)\n",
    )
    assert [(s.method, s.inputs) for s in stages] == [
        ("from_tensors", []),
        ("interleave", [0]),
        ("TextLineDataset", []),
        ("zip", [1, 2]),
        ("batch", [3]),
    ]
    assert stages[1].function == "TextLineDatasetV2"


def test_what_a_library_builds_is_one_stage(tmp_path: Path) -> None:
    stages = record(
        tmp_path,
        "    ds = keras.utils.timeseries_dataset_from_array(\n"
        "        tf.range(20.0), None, sequence_length=3, batch_size=2)\n"
        "    return ds.map(lambda x: x * 2)\n",
    )
    assert [stage.method for stage in stages] == ["library", "map"]
    assert "Batch" in stages[0].settings["datasets"]
    assert (stages[0].line, stages[1].line) == (0, 7)


def test_apply_gives_way_to_what_the_users_function_calls(tmp_path: Path) -> None:
    stages = record(
        tmp_path,
        "    def batches(ds):\n"
        "        return ds.batch(2)\n"
        "    return tf.data.Dataset.range(4).apply(batches)\n",
    )
    assert [(s.method, s.line) for s in stages] == [("range", 7), ("batch", 6)]


def test_traits_of_functions(tmp_path: Path) -> None:
    stages = record(
        tmp_path,
        "    flip = keras.layers.RandomFlip()\n"
        "    python = lambda x: tf.py_function(lambda y: y, [x], tf.float32)\n"
        "    ds = tf.data.Dataset.from_tensors(tf.ones([4, 4, 3]))\n"
        "    ds = ds.map(flip)\n"
        "    ds = ds.map(lambda x: x + tf.random.uniform([]))\n"
        "    return ds.map(python).filter(lambda x: True)\n",
    )
    assert [s.traits for s in stages[1:]] == [
        ["random", "stateful"],
        ["random"],
        ["python"],
        [],
    ]


def test_caches_on_disk_are_shown_as_the_user_wrote_them(tmp_path: Path) -> None:
    """They are filled elsewhere, and a cache in memory has no file name."""
    stages = record(
        tmp_path,
        "    ds = tf.data.Dataset.range(4).cache()\n"
        "    ds = ds.cache('here/cache')\n"
        "    return ds.snapshot(path='here/snapshot')\n",
    )
    assert [(s.method, s.settings) for s in stages[1:]] == [
        ("cache", {"filename": ""}),
        ("cache", {"filename": "here/cache"}),
        ("snapshot", {"path": "here/snapshot"}),
    ]


def test_nothing_stays_wrapped(tmp_path: Path) -> None:
    import tensorflow as tf

    before = dict(vars(tf.data.Dataset))
    record(tmp_path, "    return tf.data.Dataset.range(2)\n")
    assert dict(vars(tf.data.Dataset)) == before
