"""The shares that resampling reaches, and what it reads for them."""

import numpy as np
import pytest
import tensorflow as tf

from bench.errors import UsageError
from bench.measure.resampling import demand_two_classes, labels_of, resampler, shares

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


TWO = np.arange(12) % 3 == 1
WAYS = ("filter", "rejection", "rejection_known", "split")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            np.arange(22) % 11,
            "These are int64 [22]: 0 (2 times), 1 (2 times), 2 (2 times), 3 (2 times), "
            "4 (2 times), 6 more values.",
        ),
        (np.zeros(12, int), "These are int64 [12]: 0 (12 times)."),
        (np.ones(12, int), "These are int64 [12]: 1 (12 times)."),
        (np.where(TWO, 1, -1), "These are int64 [12]: -1 (8 times), 1 (4 times)."),
        (
            np.eye(2, dtype=np.float32)[TWO.astype(int)],
            "These are float32 [12, 2]: [0.0, 1.0] (4 times), [1.0, 0.0] (8 times).",
        ),
        (TWO[:, None], "These are bool [12, 1]: [False] (8 times), [True] (4 times)."),
        (
            TWO.astype(np.float32),
            "These are float32 [12]: 0.0 (8 times), 1.0 (4 times).",
        ),
        (np.where(TWO, "bad", "ok"), "text [12]: 'bad' (4 times), 'ok' (8 times)."),
        (np.where(TWO, b"bad", b"ok"), "text [12]: 'bad' (4 times), 'ok' (8 times)."),
        (np.zeros((1, 90)), "[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,... (1 time)."),
        (None, "There are no labels."),
    ],
)
def test_labels_that_are_not_two_classes_are_refused_with_their_values(
    labels: np.ndarray | None, said: str
) -> None:
    """One sentence says what is needed, what there is, and what to do."""
    with pytest.raises(UsageError) as caught:
        demand_two_classes("split", labels, "Leave resample out.")
    text = str(caught.value)
    assert text.startswith("resample=split needs labels that are 0 and 1, as whole ")
    assert text.endswith(f"{said} Leave resample out.")


@pytest.mark.parametrize("kind", ["bool", "uint8", "int32", "int64"])
@pytest.mark.parametrize("how", WAYS)
def test_each_way_takes_whole_numbers_and_bool(how: str, kind: str) -> None:
    """A weight behind the label goes along with its example."""
    labels = TWO.astype(kind)
    demand_two_classes(how, labels, "")
    records = (np.arange(12), labels, np.arange(12) * 2)
    stream = resampler(how, labels)(tf.data.Dataset.from_tensor_slices(records))
    taken = list(stream.take(40).as_numpy_iterator())
    assert {int(label) for _, label, _ in taken} == {0, 1}
    assert all(labels[x] == label and weight == 2 * x for x, label, weight in taken)


def test_labels_of_records_are_those_of_one_pass() -> None:
    """They may be missing, and must have one shape."""
    records = tf.data.Dataset.range(4)
    assert labels_of(records) is None
    assert labels_of(records.map(lambda x: (x, x % 2, 1.0))).tolist() == [0, 1, 0, 1]
    with pytest.raises(UsageError, match=r"the labels here have the shapes \(0,\), "):
        labels_of(records.map(lambda x: (x, tf.range(x))))
    with pytest.raises(UsageError, match=r"labels here have the type dict\. Leave"):
        labels_of(records.map(lambda x: (x, {"a": x})))
