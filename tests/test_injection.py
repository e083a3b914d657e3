"""What is injected: how much, by what was measured, and nothing into the outputs."""

import numpy as np
import pytest

from bench import injection
from bench.errors import UsageError


def test_an_injected_slow_down_is_calibrated_near_what_is_injected() -> None:
    """Time grows by 2 us a number, from 1 ms."""
    asked = []

    def measure(length: int) -> float:
        asked.append(length)
        return 1 + 2e-6 * (length - injection.LEAST) / 1e-3

    found = injection.calibrate(measure, first=injection.LEAST + 10)
    assert found.ratio == pytest.approx(1.05, abs=0.01)
    assert found.length_for(0.0) == injection.LEAST
    assert found.length_for(0.05) == pytest.approx(injection.LEAST + 25, abs=1)
    assert asked[0] == injection.LEAST + 10


def test_lengths_go_by_the_latest_measurements() -> None:
    """A second one begins where the first one ended, and moves the length by half."""
    lengths = injection.Lengths()
    assert lengths.slower("prose", 0.0) == injection.LEAST
    lengths.calibrate("prose", lambda n: 1 + 1e-5 * (n - injection.LEAST))
    assert lengths.slower("prose", 0.05) == injection.LEAST + 5000
    asked = []

    def dearer(length: int) -> float:
        asked.append(length)
        return 1 + 1.25e-5 * (length - injection.LEAST)

    lengths.calibrate("prose", dearer)
    assert asked[0] == lengths.found["prose"][0].length
    assert lengths.slower("prose", 0.05) == injection.LEAST + 4500
    assert lengths.slower("prose", 0.02) == injection.LEAST + 1800
    for _ in range(injection.RECENT):
        lengths.learn("prose", injection.Calibrated(injection.LEAST + 1000, 1.02))
    assert lengths.slower("prose", 0.05) == injection.LEAST + 2500


@pytest.mark.parametrize("ratio", [0.97, 1.0, 1.0199, float("nan")])
def test_what_cannot_be_slowed_is_not_calibrated(ratio: float) -> None:
    """A ratio of 1 would be divided by, and one below it give negative lengths."""
    asked = []

    def measure(length: int) -> float:
        asked.append(length)
        return ratio

    with pytest.raises(UsageError) as error:
        injection.calibrate(measure, first=10)
    assert asked == [10, 200, 4000, 80_000]
    assert str(error.value) == (
        f"A function of 80,000 numbers made the trial {ratio:.3f} times as long; to "
        "slow it by a known share it must be more than 1.02. Measure on a quieter "
        "machine, or name a workload with shorter calls."
    )


def test_files_that_are_compared_differ_only_in_how_many_numbers_there_are() -> None:
    length = 300
    room = injection.room(length)
    assert injection.yardstick(length) <= room < 2 * injection.yardstick(length)
    texts = {
        injection.text("prose", some, room).replace(f"inputs, {some},", "inputs, some,")
        for some in (injection.LEAST, length, injection.yardstick(length))
    }
    assert len(texts) == 1
    with pytest.raises(UsageError) as error:
        injection.text("prose", room + 1, room)
    assert str(error.value) == (
        "There is room for 2,048 numbers and not for 2,049. Name a workload with "
        "shorter calls, or give more room."
    )


def test_the_injected_layer_changes_no_output(tmp_path) -> None:
    """It stays behind the workload's own layers, which still pass their check."""
    from bench import catalog
    from bench.preprocess import as_layers

    path = injection.write("prices", 50, tmp_path)
    modules = [
        catalog.load(catalog.find(str(path))),
        catalog.load(catalog.find("prices")),
    ]
    outputs = []
    for module in modules:
        features, _ = module.examples(np.random.default_rng(0), 64)
        layers = as_layers(module.build(features))
        output = features[:8]
        for layer in layers:
            output = layer(output)
        outputs.append(np.asarray(output))
    np.testing.assert_array_equal(*outputs)
    assert type(layers[-1]).__name__ != "Busy"
