"""What is injected: as long as was said, and nothing into the outputs."""

import numpy as np
import pytest

from bench import injection


@pytest.mark.parametrize("microseconds", [0.0, 2000.0, 20_000.0])
def test_it_lasts_as_long_as_it_says_in_a_graph(microseconds: float) -> None:
    """Never less, by the clock that it looks at; more only as a machine is busy."""
    import tensorflow as tf

    from bench.busy import nothing

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


def test_files_that_are_compared_differ_only_in_a_number_of_the_same_length() -> None:
    texts = [injection.text("prose", seconds) for seconds in (0.0, 3e-4, 0.05)]
    assert len({len(text) for text in texts}) == 1
    assert "nothing(inputs, 000100.000)" in texts[0]
    assert "nothing(inputs, 000400.000)" in texts[1]
    assert texts[0].replace("000100.000", "050100.000") == texts[2]


def test_no_call_takes_less_than_it_must() -> None:
    with pytest.raises(ValueError, match=r"A call cannot take -0.001 s more than none"):
        injection.text("prose", -1e-3)


def test_the_injected_layer_changes_no_output(tmp_path) -> None:
    """It stays behind the workload's own layers, which still pass their check."""
    from bench import catalog
    from bench.preprocess import as_layers

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
