"""The shares that resampling reaches, and what it reads for them."""

import numpy as np
import pytest

from bench.resampling import shares

# One positive in twenty, as fraud is rare: a fifth of a share is missed at once.
LABELS = (np.arange(2000) % 20 == 7).astype(np.int64)


@pytest.fixture(scope="module")
def found() -> dict[str, dict]:
    """Each way on the same labels."""
    ways = ("none", "filter", "rejection", "rejection_known", "split")
    return {how: shares(how, LABELS, 600) for how in ways}


@pytest.mark.parametrize("how", ["filter", "rejection_known", "split"])
def test_half_of_the_examples_are_positive(found: dict, how: str) -> None:
    """Within four standard errors."""
    error = found[how]["positive_share_error"]
    assert 0.01 < error < 0.03
    assert abs(found[how]["positive_share"] - 0.5) < 4 * error
    assert found[how]["examples_counted"] == 600


def test_an_unknown_share_is_learned_on_the_way(found: dict) -> None:
    """Rejection that is not told the shares starts beside its aim."""
    assert 0.3 < found["rejection"]["positive_share"] < 0.6


def test_without_resampling_the_share_is_the_source_s(found: dict) -> None:
    """One pass, one record each."""
    assert found["none"]["positive_share"] == pytest.approx(0.05)
    assert found["none"]["records_read_per_example"] == pytest.approx(1, abs=0.05)


def test_each_way_reads_what_it_must(found: dict) -> None:
    """To have 300 positives of 5 %, 6000 records are read; a kept class is read once.

    Filtering reads the source for the other class as well, 300 more records.
    """
    assert found["filter"]["source_passes"] == pytest.approx(3.15, abs=0.6)
    assert found["rejection_known"]["source_passes"] == pytest.approx(3, abs=0.6)
    assert found["split"]["source_passes"] == pytest.approx(1.15, abs=0.2)
    for each in found.values():
        passes = each["records_read_per_example"] * 600 / 2000
        assert passes == pytest.approx(each["source_passes"])


def test_no_way_makes_positives_that_are_not_there(found: dict) -> None:
    """There are a hundred; every way shows all of them, one by one."""
    for how in ("filter", "split"):
        assert found[how]["unique_positives"] == 100
    assert found["rejection_known"]["unique_positives"] <= 100


def test_reading_stops_at_its_limit() -> None:
    """A class so rare that a share cannot be reached ends the count, not the sweep."""
    labels = np.zeros(5000, np.int64)
    labels[4000] = 1
    told = shares("filter", labels, 100, limit=20_000)
    assert told["examples_counted"] < 100
    assert told["unique_positives"] == 1
