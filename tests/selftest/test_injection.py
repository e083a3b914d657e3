"""What is injected: as long as was said, and nothing into the outputs."""

import numpy as np
import pytest

from bench.selftest import injection


@pytest.mark.parametrize("microseconds", [0.0, 2000.0, 20_000.0])
def test_it_lasts_as_long_as_it_says_in_a_graph(microseconds: float) -> None:
    """Never less, by the clock that it looks at; more only as a machine is busy."""
    import tensorflow as tf

    from bench.measure.clockwork import nothing

    def timed(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.control_dependencies([numbers]):
            start = tf.timestamp()
        with tf.control_dependencies([start]):
            busy = tf.identity(numbers)
        zero = nothing(busy, microseconds)
        with tf.control_dependencies([zero]):
            return zero, tf.timestamp() - start

    numbers = tf.data.Dataset.from_tensors(tf.constant([[3, 5]])).repeat(20)
    zeros, seconds = zip(*numbers.map(timed).as_numpy_iterator(), strict=True)
    assert {np.asarray(zero).dtype for zero in zeros} == {np.dtype("int32")}
    assert not any(zeros)
    assert min(seconds) >= 1e-6 * microseconds
    assert min(seconds) < 1e-6 * microseconds + 0.05


def test_files_that_are_compared_differ_only_in_what_they_are_told(tmp_path) -> None:
    """One text, and so the same inputs; later processes are told another length."""
    places = [tmp_path / name for name in ("base", "head")]
    for place in places:
        place.mkdir()
    base, head = (injection.write("prose", 0.0, place) for place in places)
    injection.lengthen(head, 3e-4)
    assert base.read_bytes() == head.read_bytes()
    told = [path.with_suffix(injection.SUFFIX) for path in (base, head)]
    assert [one.read_text() for one in told] == ["100.000", "400.000"]
    with pytest.raises(ValueError, match=r"A call cannot take -0.001 s more than none"):
        injection.lengthen(head, -1e-3)


@pytest.mark.alone
def test_the_operation_takes_as_long_as_it_says() -> None:
    """By the lower quartile of pairs: a busy machine makes many of them longer."""
    from bench.measure import clockwork

    ratios = clockwork.operation(2000.0, 100, injection.LEAST)["ratios"]
    assert len(ratios) == 100
    assert np.quantile(ratios, 0.25) == pytest.approx(1.0, abs=0.2)


def test_the_injected_layer_changes_no_output(tmp_path) -> None:
    """It stays behind the workload's own layers, which still pass their check."""
    from bench import catalog
    from bench.measure.layers import as_layers

    path = injection.write("prices", 1e-4, tmp_path)
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
