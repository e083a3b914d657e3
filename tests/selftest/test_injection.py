"""The injected operation lasts as long as it should, and changes no output."""

import numpy as np
import pytest

from bench.selftest import injection


@pytest.mark.parametrize("microseconds", [0.0, 2000.0, 20_000.0])
def test_the_operation_lasts_as_long_as_it_should_in_a_graph(
    microseconds: float,
) -> None:
    """The operation is never shorter, and longer only on a busy machine."""
    import tensorflow as tf

    from bench.measure.clockwork import busy_wait

    def timed(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.control_dependencies([numbers]):
            start = tf.timestamp()
        with tf.control_dependencies([start]):
            busy = tf.identity(numbers)
        zero = busy_wait(busy, microseconds)
        with tf.control_dependencies([zero]):
            return zero, tf.timestamp() - start

    numbers = tf.data.Dataset.from_tensors(tf.constant([[3, 5]])).repeat(20)
    zeros, seconds = zip(*numbers.map(timed).as_numpy_iterator(), strict=True)
    assert {np.asarray(zero).dtype for zero in zeros} == {np.dtype("int32")}
    assert not any(zeros)
    assert min(seconds) >= 1e-6 * microseconds
    assert min(seconds) < 1e-6 * microseconds + 0.05


def test_the_files_of_two_sides_have_one_text(tmp_path) -> None:
    """So they have the same inputs; the microseconds are in other files."""
    folders = [tmp_path / name for name in ("base", "head")]
    for folder in folders:
        folder.mkdir()
    base, head = (injection.write("prose", 0.0, folder) for folder in folders)
    injection.lengthen(head, 3e-4)
    assert base.read_bytes() == head.read_bytes()
    files = [path.with_suffix(injection.SUFFIX) for path in (base, head)]
    assert [file.read_text() for file in files] == ["100.000", "400.000"]
    with pytest.raises(
        ValueError, match=r"A call cannot take -0\.001 s longer than in base"
    ):
        injection.lengthen(head, -1e-3)


@pytest.mark.alone
def test_the_operation_takes_as_long_as_it_should() -> None:
    """The lower quartile counts, as a busy machine makes many pairs longer."""
    from bench.measure import clockwork

    ratios = clockwork.operation(2000.0, 100, injection.LEAST)["ratios"]
    assert len(ratios) == 100
    assert np.quantile(ratios, 0.25) == pytest.approx(1.0, abs=0.2)


def test_the_injected_layer_changes_no_output(tmp_path) -> None:
    """The layer comes after the workload's own layers."""
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
