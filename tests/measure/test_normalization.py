"""These tests accept a correct Normalization on difficult data, and nothing else."""

import keras
import numpy as np
import pytest

from bench import catalog
from bench.workloads import _normalization

ROWS = 100_000


@pytest.fixture(scope="module", params=["C", "F"])
def data(request: pytest.FixtureRequest) -> np.ndarray:
    """Return a constant, times in seconds since 1970, and a plain feature.

    In float32 the errors of their sums are far larger than the last digit, and depend
    on the order in memory.
    """
    rng = np.random.default_rng(0)
    columns = (np.full(ROWS, 0.1), rng.normal(1.7e9, 1e6, ROWS), rng.normal(size=ROWS))
    return np.array(np.stack(columns, axis=1), dtype=np.float32, order=request.param)


def demand_refused(data: np.ndarray, output: np.ndarray) -> None:
    """Assert that the check refuses an output of the first 64 rows."""
    with pytest.raises(AssertionError):
        _normalization.check(data, data[:64], output)


def test_the_output_of_keras_is_accepted(data: np.ndarray) -> None:
    """The check allows for errors of sums, but refuses wrong outputs."""
    layer = keras.layers.Normalization()
    layer.adapt(data)
    output = layer(data[:64]).numpy()
    _normalization.check(data, data[:64], output)
    demand_refused(data, output + np.float32(0.001))
    demand_refused(data, output * np.float32(1.001))
    demand_refused(data, output[:, [0, 2, 1]])
    demand_refused(data, np.zeros_like(output))


def test_a_layer_that_was_not_adapted_is_refused(data: np.ndarray) -> None:
    layer = keras.layers.Normalization()
    layer.build(data.shape)
    demand_refused(data, layer(data[:64]).numpy())


def test_bins_are_correct_where_many_values_are_on_a_boundary(data: np.ndarray) -> None:
    """The values of a constant, and of a column of 0 and 1, are on boundaries."""
    prices = catalog.load(catalog.find("prices"))
    layer = prices.build(data)
    output = layer(data[:64]).numpy()
    prices.check(data[:64], output)
    bins = output[:, 3:].reshape(64, 3, prices.BINS)
    for wrong in (np.roll(bins, 1, axis=2), np.roll(bins, 1, axis=0), 0 * bins + 1):
        with pytest.raises(AssertionError):
            prices.check(
                data[:64], np.concatenate([output[:, :3], wrong.reshape(64, -1)], 1)
            )
