"""The layer table and the details behind a row are right on runs with known facts."""

import factory
import pytest

from bench.analysis import stats, table
from bench.report import details, page, summary
from bench.report import layers as layer_table
from bench.trial import Failure

MAP, BATCH = factory.trial(workload="random_crop"), "vectorized"
NODE = {"elements": 64, "processing_seconds": 0.25, "buffered_bytes": 0}
GRAPH = [
    {"name": "Range", "inputs": [], **NODE},
    {"name": "ParallelMapV2", "inputs": [0], "parallelism": 3, **NODE},
    {"name": "Prefetch", "inputs": [1], "buffer_size": 8, **NODE},
]


def layers(runs):
    samples = table.from_runs(runs)
    return layer_table.table_rows(stats.trials(samples), samples)


def details_of(runs):
    label = table.runs_frame(runs)["machine"].iloc[0]
    return details.details(runs, [(label, runs[0].key)]).values()


def test_a_layers_row_has_its_best_placement_and_every_rate():
    batch = factory.trial(BATCH, workload="random_crop")
    model = factory.trial("in_model", workload="random_crop")
    compiled = factory.trial("in_model", workload="random_crop", jit="auto")
    runs = factory.runs(
        {MAP: 0.032, batch: 0.016, model: 0.008, compiled: 0.004}, run_noise=1e-4
    )
    (row,) = layers(runs)
    assert row["layer"] == "random_crop" and row["kind"] == "image"
    assert row["best"] == "model with XLA"
    assert float(row["factor"]) == pytest.approx(8, rel=0.01)
    rates = {name: row[f"rate_{name}"] for name in layer_table.COLUMNS}
    assert rates.pop("offline") == rates.pop("batch_map_unbatch") == "-"
    numbers = [float(rate.replace(",", "")) for rate in rates.values()]
    assert numbers == pytest.approx([1000, 2000, 4000, 8000], rel=0.01)
    assert row["cpu_microseconds"] == "100" and row["memory_mib"] == "480"


def test_facts_that_differ_name_their_placements():
    batch = factory.trial(BATCH, workload="random_crop")
    gpu = {"peak_gpu_bytes": 3 * 2**20, "reproducible": "yes"}
    runs = factory.runs({MAP: 0.02}, facts={"draws": "per example", **gpu})
    runs += factory.runs({batch: 0.01}, facts={"draws": "per batch", **gpu})
    (row,) = layers(runs)
    assert row["draws"] == "per batch (batch_map); per example (map_batch)"
    assert row["reproducible"] == "yes"
    assert row["gpu_mib"] == "3.0"
    assert row["supports_jit"] == "-"


def test_a_layers_row_has_nothing_of_trials_that_did_other_work():
    stored = factory.trial("offline", workload="random_crop")
    runs = factory.runs({MAP: 0.032}, facts={"draws": "per example"})
    frozen = {"flags": ["frozen_random"], "facts": {"draws": "once"}}
    other = factory.runs({stored: 0.001}, **frozen)
    (row,) = layers(runs + other)
    assert (row["best"], row["rate_offline"]) == ("dataset, map then batch", "-")
    assert row["draws"] == "per example"
    assert layers(other) == []


def test_only_layers_that_were_measured_have_rows():
    failure = Failure(type="E", message="m", phase="check")
    runs = factory.runs({factory.trial(workload="prices"): 0.01})
    runs.append(factory.run(factory.trial(workload="hashing"), error=failure))
    assert layers(runs) == []
    assert layers([]) == []


def test_details_have_samples_pipeline_graph_and_errors():
    trial = factory.trial("autotuned", deterministic=False)
    runs = [
        factory.run(trial, [0.001, 0.002, 0.003], graph=GRAPH),
        factory.run(trial, [0.004], round=1, facts={"stored_bytes": 12.0}),
        factory.run(
            trial, error=Failure(type="ValueError", message="odd", phase="check")
        ),
    ]
    (shown,) = details_of(runs)
    assert shown["samples"] == "4 in 2 runs, median 3.0 ms a batch"
    assert shown["values"] == ["round 0: 1 2 3", "round 1: 4"]
    assert "deterministic=false" in shown["pipeline"]
    assert shown["graph"][1]["node"] == "ParallelMapV2"
    assert shown["graph"][1]["parallelism"] == "3"
    assert shown["graph"][2]["buffer"] == "8"
    assert shown["facts"] == "stored_bytes=12"
    assert shown["errors"] == ["ValueError in check: odd"]


@pytest.mark.parametrize(
    ("trial", "steps"),
    [
        (factory.trial(), "read → repeat → layers → batch (32)"),
        (
            factory.trial("autotuned", unit="epoch"),
            "read → batch (32) → layers (autotune at a time) → prefetch (autotune)",
        ),
        (
            factory.trial("parallel", workload="photo_files"),
            "read → repeat → decode_and_layers (2 at a time) → batch (32)",
        ),
        (
            factory.trial("offline", workload="photo_files"),
            "read → repeat → batch (32) → prefetch (2)",
        ),
        (factory.trial(workload="not_here"), ""),
        (factory.trial(workload="x" * 10_000), ""),
        (factory.trial(consumer="serve"), ""),
    ],
)
def test_details_have_the_steps_that_ran(trial, steps):
    (shown,) = details_of([factory.run(trial)])
    assert shown["steps"] == steps


def test_details_and_the_layer_table_have_the_energy():
    facts = {"package_joules_per_example": 0.00123, "gpu_joules_per_example": 2.0}
    runs = factory.runs({MAP: 0.02}, facts={**facts, "stored_bytes": 12.0})
    (shown,) = details_of(runs)
    assert shown["energy"] == (
        "0.0012 joules an example in the processor packages, 2.0 joules an example in "
        "the GPUs"
    )
    assert shown["facts"] == "stored_bytes=12"
    (row,) = layers(runs)
    assert (row["package_joules"], row["gpu_joules"]) == ("0.0012", "2.0")
    assert layers(factory.runs({MAP: 0.02}))[0]["gpu_joules"] == "-"


def test_what_no_pipeline_names_is_among_the_defaults():
    assert "batch_size=32" in details.defaults().split(", ")


def test_many_samples_are_cut_and_it_is_seen():
    run = factory.run(factory.trial(), [0.001] * (details.MOST_VALUES + 1))
    first, last = details._values([run, run])
    assert first.split()[2:] == ["1"] * details.MOST_VALUES
    assert last == f"... and {details.MOST_VALUES + 2} more in runs.jsonl"


def test_details_are_given_to_an_equal_share_of_each_scene_errors_first(monkeypatch):
    monkeypatch.setattr(page, "MOST_DETAILS", 4)
    runs = []
    for workload in ("prose", "prices"):
        sizes = [factory.trial(workload=workload, batch_size=n) for n in range(1, 7)]
        runs += factory.runs(dict.fromkeys(sizes, 0.01))
    failed = factory.trial("offline", workload="prices")
    failure = Failure(type="ValueError", message="odd", phase="check")
    runs.append(factory.run(failed, error=failure))
    content = summary.summarize(runs, table.from_runs(runs), [])
    traces = page._traces(content["scenes"], runs)
    titles = [trace["title"] for trace in traces]
    assert titles == ["prose, drain"] * 2 + ["prices, drain"] * 2
    assert traces[2]["key"] == failed.key


def test_json_in_the_page_cannot_end_its_element():
    document = page.island({"a": "</script><!-- & "})
    assert not set("<>&") & set(document)
