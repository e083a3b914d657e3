"""The table of runs has a row for each sample and a column for each axis."""

import dataclasses

import factory
import numpy as np
import pytest

from bench import catalog, store, trial
from bench.analysis import table
from bench.errors import UsageError
from bench.pipeline import AXES
from bench.trial import Failure


def test_each_sample_has_a_row_with_the_columns_of_its_run():
    runs = [
        factory.run(factory.trial(batch_size=64), [0.1, 0.2], round=1),
        factory.run(factory.trial("in_model", consumer="train"), [0.5]),
    ]
    samples = table.from_runs(runs)
    assert list(samples["run"]) == [0, 0, 1]
    assert list(samples["sample"]) == [0, 1, 0]
    assert list(samples["seconds_per_batch"]) == [0.1, 0.2, 0.5]
    assert samples["examples_per_second"].tolist() == pytest.approx([640, 320, 64])
    assert list(samples["label"]) == ["naive,batch_size=64"] * 2 + ["in_model"]
    assert list(samples["placement"]) == ["dataset", "dataset", "model"]
    assert list(samples["consumer"]) == ["drain", "drain", "train"]
    assert list(samples["round"]) == [1, 1, 0]
    assert list(samples["trace_seconds"]) == [0.5] * 3
    assert set(AXES) <= set(samples.columns)


def test_a_failed_run_is_one_row_with_its_error():
    failure = Failure(type="ValueError", message="no such\nlayer", phase="check")
    runs = [factory.run(factory.trial(), error=failure), factory.run(factory.trial())]
    samples = table.from_runs(runs)
    assert len(samples) == 4
    first = samples.iloc[0]
    assert np.isnan(first["seconds_per_batch"])
    assert np.isnan(first["examples_per_second"])
    assert (first["error"], first["error_message"], first["error_phase"]) == (
        "ValueError",
        "no such\nlayer",
        "check",
    )
    assert (samples["error"][1:] == "").all()


def test_axes_of_words_and_numbers_are_text_throughout():
    runs = [
        factory.run(factory.trial("prefetched")),
        factory.run(factory.trial("autotuned")),
    ]
    frame = table.runs_frame(runs)
    assert list(frame["prefetch"]) == ["2", "autotune"]
    assert list(frame["map_parallel_calls"]) == ["0", "autotune"]


def test_an_unnamed_pipeline_is_spelled():
    runs = [factory.run(factory.trial(shuffle_buffer=10, deterministic=True))]
    assert table.runs_frame(runs)["strategy"][0] == "shuffle_buffer=10"


def test_phases_facts_and_costs_are_columns_of_runs():
    runs = [factory.run(factory.trial(), facts={"class_share": 0.5}, flags=["a", "b"])]
    row = table.runs_frame(runs).iloc[0]
    assert row["adapt_seconds"] == 0.2
    assert np.isnan(row["offline_seconds"])
    assert row["effort_seconds"] == 2.0  # one of warm-up, one of windows
    assert row["overhead_fork_seconds"] == 0.01
    assert row["peak_resident_bytes"] == 5 * 10**8
    assert row["fact_class_share"] == 0.5
    assert row["flags"] == "a;b"
    assert row["foreign_cpu_share"] == 0.01


def test_machines_that_differ_have_labels_that_differ():
    other = {**factory.MACHINE, "numpy": "2.5.0"}
    gpu = {**factory.MACHINE, "gpus": ["NVIDIA H200, 570.1"]}
    runs = [factory.run(factory.trial(), machine=m) for m in (None, other, gpu)]
    assert list(table.runs_frame(runs)["machine"]) == [
        "Example CPU 3.0 GHz, 4 CPUs, TensorFlow 2.21.0, Keras 3.15.1",
        "Example CPU 3.0 GHz, 4 CPUs, TensorFlow 2.21.0, Keras 3.15.1 (no. 2)",
        "Example CPU 3.0 GHz, 4 CPUs, NVIDIA H200, TensorFlow 2.21.0, Keras 3.15.1",
    ]


def test_no_runs_make_an_empty_table_with_all_columns():
    empty = table.from_runs([])
    full = table.from_runs([factory.run(factory.trial())])
    assert empty.empty
    assert list(empty.columns) == list(full.columns)


def test_a_time_of_zero_is_no_time():
    samples = table.from_runs([factory.run(factory.trial(), [0.0, 0.1])])
    assert np.isnan(samples["seconds_per_batch"][0])


def test_folders_are_loaded_and_distinguished(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        store.append(tmp_path / name, factory.run(factory.trial()))
    samples = table.load(tmp_path / "a", tmp_path / "b")
    assert len(samples) == 6
    assert samples["folder"].nunique() == 2
    assert samples["run"].nunique() == 2


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="No results at"):
        table.load(tmp_path / "nowhere")


def test_the_documentation_has_every_field_and_every_column():
    text = (catalog.ROOT / "results" / "README.md").read_text(encoding="utf-8")
    text, _, _ = text.partition("\n## Figures for trackers")
    nouns = {
        "": trial.Run,
        "trial.": trial.Trial,
        "effort.": trial.Effort,
        "measured.": trial.Measured,
    }
    parts = {"trial", "effort", "measured", "conditions"}  # documented field by field
    names = {
        prefix + field.name
        for prefix, noun in nouns.items()
        for field in dataclasses.fields(noun)
        if field.name not in parts
    }
    columns = set(table.from_runs([]).columns) - set(AXES)
    names |= {c for c in columns if not c.endswith("_seconds") or "_per_" in c}
    assert {name for name in names if f"`{name}`" not in text} == set()
