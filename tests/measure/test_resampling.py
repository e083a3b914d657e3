"""These tests cover the shares that resampling reaches, and the records it reads."""

import numpy as np
import pytest
import tensorflow as tf

from bench.errors import UsageError
from bench.measure.resampling import (
    demand_two_classes,
    labels_of,
    resampler,
    stream_facts,
)

# One positive in twenty, as fraud is rare.
LABELS = (np.arange(2000) % 20 == 7).astype(np.int64)


@pytest.fixture(scope="module")
def facts() -> dict[str, dict]:
    """Return the facts of each way on the same labels."""
    ways = ("none", "filter", "rejection", "rejection_known", "split")
    return {how: stream_facts(how, LABELS, 600) for how in ways}


@pytest.mark.parametrize("how", ["filter", "rejection_known", "split"])
def test_half_of_the_examples_are_positive(facts: dict, how: str) -> None:
    """The share is within four standard errors of one half."""
    error = facts[how]["positive_share_error"]
    assert 0.01 < error < 0.03
    assert abs(facts[how]["positive_share"] - 0.5) < 4 * error
    assert facts[how]["examples_counted"] == 600


def test_rejection_learns_an_unknown_share(facts: dict) -> None:
    """Rejection without known shares starts away from its target."""
    assert 0.3 < facts["rejection"]["positive_share"] < 0.6


def test_without_resampling_the_share_is_the_source_s(facts: dict) -> None:
    """Each example costs one record."""
    assert facts["none"]["positive_share"] == pytest.approx(0.05)
    assert facts["none"]["records_read_per_example"] == pytest.approx(1, abs=0.05)


def test_each_way_reads_the_expected_number_of_records(facts: dict) -> None:
    """300 positives at 5 % need 6000 records; `split` reads the cached class once.

    Filtering also reads the source for the other class, 300 more records.
    """
    assert facts["filter"]["source_passes"] == pytest.approx(3.15, abs=0.6)
    assert facts["rejection_known"]["source_passes"] == pytest.approx(3, abs=0.6)
    assert facts["split"]["source_passes"] == pytest.approx(1.15, abs=0.2)
    for way in facts.values():
        passes = way["records_read_per_example"] * 600 / 2000
        assert passes == pytest.approx(way["source_passes"])


def test_unique_positives_are_those_of_the_source(facts: dict) -> None:
    """The source has a hundred, and `filter` and `split` reach all of them."""
    for how in ("filter", "split"):
        assert facts[how]["unique_positives"] == 100
    assert facts["rejection_known"]["unique_positives"] <= 100


def test_reading_stops_at_its_limit() -> None:
    """The count ends early where a class is too rare to reach its share."""
    labels = np.zeros(5000, np.int64)
    labels[4000] = 1
    result = stream_facts("filter", labels, 100, limit=20_000)
    assert result["examples_counted"] < 100
    assert result["unique_positives"] == 1


TWO = np.arange(12) % 3 == 1
WAYS = ("filter", "rejection", "rejection_known", "split")


@pytest.mark.parametrize(
    ("labels", "description"),
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
    labels: np.ndarray | None, description: str
) -> None:
    """The message has the requirement, the labels, and a remedy."""
    with pytest.raises(UsageError) as caught:
        demand_two_classes("split", labels, "Leave resample out.")
    text = str(caught.value)
    assert text.startswith("resample=split needs labels that are 0 and 1, as whole ")
    assert text.endswith(f"{description} Leave resample out.")


@pytest.mark.parametrize("kind", ["bool", "uint8", "int32", "int64"])
@pytest.mark.parametrize("how", WAYS)
def test_each_way_accepts_whole_numbers_and_bool(how: str, kind: str) -> None:
    """A weight after the label stays with its example."""
    labels = TWO.astype(kind)
    demand_two_classes(how, labels, "")
    records = (np.arange(12), labels, np.arange(12) * 2)
    stream = resampler(how, labels)(tf.data.Dataset.from_tensor_slices(records))
    taken = list(stream.take(40).as_numpy_iterator())
    assert {int(label) for _, label, _ in taken} == {0, 1}
    assert all(labels[x] == label and weight == 2 * x for x, label, weight in taken)


def test_labels_of_records_come_from_one_pass() -> None:
    """Labels may be missing, and must have one shape."""
    records = tf.data.Dataset.range(4)
    assert labels_of(records) is None
    assert labels_of(records.map(lambda x: (x, x % 2, 1.0))).tolist() == [0, 1, 0, 1]
    with pytest.raises(UsageError, match=r"the labels here have the shapes \(0,\), "):
        labels_of(records.map(lambda x: (x, tf.range(x))))
    with pytest.raises(UsageError, match=r"labels here have the type dict\. Leave"):
        labels_of(records.map(lambda x: (x, {"a": x})))
