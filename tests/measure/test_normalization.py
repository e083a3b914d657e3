"""A correct Normalization passes on data of any kind, and nothing else does."""

import keras
import numpy as np
import pytest

from bench import catalog
from bench.workloads import _normalization

ROWS = 100_000


@pytest.fixture(scope="module", params=["C", "F"])
def known(request: pytest.FixtureRequest) -> np.ndarray:
    """A constant, times in seconds since 1970, and a plain feature.

    In float32 their sums are off by far more than the last digit, and by how much hangs
    on the order in memory.
    """
    rng = np.random.default_rng(0)
    columns = (np.full(ROWS, 0.1), rng.normal(1.7e9, 1e6, ROWS), rng.normal(size=ROWS))
    return np.array(np.stack(columns, axis=1), dtype=np.float32, order=request.param)


def refused(known: np.ndarray, output: np.ndarray) -> None:
    """The check refuses this output of the first 64 rows."""
    with pytest.raises(AssertionError):
        _normalization.check(known, known[:64], output)


def test_what_keras_makes_of_them_is_right(known: np.ndarray) -> None:
    """Whatever is lost in its sums, and nothing beside: wrong work is found out."""
    layer = keras.layers.Normalization()
    layer.adapt(known)
    output = layer(known[:64]).numpy()
    _normalization.check(known, known[:64], output)
    refused(known, output + np.float32(0.001))
    refused(known, output * np.float32(1.001))
    refused(known, output[:, [0, 2, 1]])
    refused(known, np.zeros_like(output))


def test_one_that_was_not_adapted_is_refused(known: np.ndarray) -> None:
    layer = keras.layers.Normalization()
    layer.build(known.shape)
    refused(known, layer(known[:64]).numpy())


def test_bins_are_right_where_many_values_lie_on_a_boundary(known: np.ndarray) -> None:
    """As those of a constant do, or of a column of 0 and 1."""
    prices = catalog.load(catalog.find("prices"))
    layer = prices.build(known)
    output = layer(known[:64]).numpy()
    prices.check(known[:64], output)
    bins = output[:, 3:].reshape(64, 3, prices.BINS)
    for wrong in (np.roll(bins, 1, axis=2), np.roll(bins, 1, axis=0), 0 * bins + 1):
        with pytest.raises(AssertionError):
            prices.check(
                known[:64], np.concatenate([output[:, :3], wrong.reshape(64, -1)], 1)
            )
