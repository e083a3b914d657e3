"""The page on layers has every cell, and says why a cell has no figure."""

import factory
import pytest

from bench import catalog
from bench.errors import UsageError
from bench.report import formats, layer_page
from bench.trial import Failure

REFERENCE = catalog.ROOT / "results" / "reference" / "layers"


def trial(name, order="map_batch", **axes):
    return factory.trial(workload=name, order=order, **axes)


def page_of(runs, notes=()):
    return layer_page.markdown(formats.summed(runs, notes))


def cells(text, heading, layer):
    """Return the cells of a layer's row in the table under a heading."""
    section = text.partition(f"## {heading}")[2].partition("\n## ")[0]
    (row,) = [line for line in section.splitlines() if line.startswith(f"| `{layer}`")]
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


PLACE, GAIN, TRAITS = "Place", "What batching", "Traits"
CROP = {
    trial("random_crop", image_size=32): 0.032,
    trial("random_crop", "batch_map", image_size=32): 0.016,
    trial("random_crop", "batch_map", image_size=32, batch_size=1): 0.001,
    trial("random_crop", "batch_map", image_size=32, batch_size=256): 0.032,
    trial("random_crop", image_size=128): 0.320,
    trial("random_crop", "batch_map", image_size=128): 0.080,
    trial("random_crop", image_size=32, placement="model"): 0.008,
}


def test_a_layer_has_its_rates_its_best_place_and_its_gains():
    text = page_of(factory.runs(CROP, rounds=1, run_noise=1e-5))
    assert cells(text, PLACE, "random_crop") == [
        *("1,000", "2,000", "4,000", "-", "-", "model"),
    ]
    assert cells(text, GAIN, "random_crop") == ["1.0", "2.0", "8.0", "4.0"]
    assert (
        "batches of 1 | batches of 32 | batches of 256 | of 32, images of 128" in text
    )
    assert "*Precision*: unknown" in text
    assert "7 trials, 7 of them in round 1" in text


def test_places_within_the_precision_are_named_together():
    many = {trial("rescaling", prefetch=n): 0.01 for n in range(1, 41)}
    near = {trial("rescaling"): 0.011, trial("rescaling", "batch_map"): 0.010}
    far = {trial("rescaling", placement="model"): 0.1}
    seconds = many | near | far
    text = page_of(factory.runs(seconds, rounds=2, run_noise=0.1, round_noise=0.0))
    assert "43 trials have two, and in 19 of 20 of these the two differ by" in text
    best = cells(text, PLACE, "rescaling")[-1]
    places = ("dataset, map then batch", "dataset, batch then map")
    assert sorted(best.split(" or ")) == sorted(places)


def test_the_traits_are_those_of_batches():
    batch = {
        **{"supports_jit": "no", "jit_refusal": "XLA has no Sort on this device"},
        **{"draws": "per batch", "reproducible": "yes"},
        **{"input_bytes_per_example": 3.0, "output_bytes_per_example": 12.0},
        "alone": "unchanged",
    }
    single = {"draws": "per example", "statistics": "batch"}
    first, second = trial("random_crop"), trial("random_crop", "batch_map")
    runs = factory.runs({first: 0.1}, facts=single)
    text = page_of(runs + factory.runs({second: 0.1}, facts=batch))
    assert cells(text, TRAITS, "random_crop") == [
        *("per batch", "yes", "no: XLA has no Sort on this device", "4.0", "yes"),
        "yes",
    ]
    assert cells(text, PLACE, "random_crop")[3] == "no XLA"


def test_a_cell_without_a_figure_has_its_reason():
    failure = Failure(type="AssertionError", message="no image changed", phase="check")
    first, second = trial("mix_up"), trial("mix_up", "batch_map")
    runs = [factory.run(first, error=failure), *factory.runs({second: 0.01})]
    frozen = {"flags": ["frozen_trace"]}
    runs += factory.runs({trial("aug_mix"): 0.01}, run_noise=1e-5, **frozen)
    text = page_of(runs, ["The budget ended before 3 of 5 trials had a run."])
    assert cells(text, PLACE, "mix_up")[0] == "failed"
    assert cells(text, GAIN, "mix_up") == ["-"]
    assert "`mix_up` failed: AssertionError in check: no image changed" in text
    assert cells(text, PLACE, "aug_mix")[0].endswith(r"\*")
    assert cells(text, PLACE, "aug_mix")[-1] == "-"
    assert "`aug_mix`: a layer draws a choice while it is traced" in text
    assert "**Note:** The budget ended before 3 of 5 trials had a run." in text


def test_without_layers_or_with_two_machines_there_is_no_page():
    with pytest.raises(UsageError) as caught:
        page_of(factory.runs({factory.trial(workload="prices"): 0.01}))
    assert str(caught.value) == (
        "The page on layers needs trials of the layers on the shelf. Measure first: "
        "run_bench.py run layers."
    )
    newer = {**factory.MACHINE, "tensorflow": "2.22.0"}
    one = {trial("rescaling"): 0.01}
    with pytest.raises(UsageError) as caught:
        page_of(factory.runs(one) + factory.runs(one, machine=newer))
    assert str(caught.value) == (
        "The page on layers shows one machine, and these folders have 2: name the "
        "folders of one machine."
    )


@pytest.mark.skipif(
    not (REFERENCE / "runs.jsonl").exists(),
    reason="run_bench.py run layers --out results/reference/layers was not run",
)
def test_the_readme_is_the_page_of_the_stored_runs():
    text = layer_page.markdown(formats.gather(REFERENCE))
    assert text == (REFERENCE / "README.md").read_text(encoding="utf-8")
