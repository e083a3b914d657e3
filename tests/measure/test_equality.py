"""These tests cover the messages on outputs that differ from the layers alone."""

import numpy as np
import pytest
import tensorflow as tf

from bench.measure.equality import STEPS, demand_equal
from bench.measure.layers import fingerprint

REFERENCE = np.array([[0.0, 1.0], [-80.0, np.nan], [np.inf, 4.0]], np.float32)


def refusal(output: np.ndarray, reference: np.ndarray = REFERENCE) -> str:
    """Return the message on the difference."""
    with pytest.raises(AssertionError) as caught:
        demand_equal(reference, output, 1e-5, "order=map_batch")
    return str(caught.value)


def changed(position: tuple[int, int], value: float) -> np.ndarray:
    """Return the reference with one changed value."""
    output = REFERENCE.copy()
    output[position] = value
    return output


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_16_bits_may_differ_by_a_few_of_their_steps(kind: str) -> None:
    """NumPy alone would compare bfloat16 bit by bit, and with NaN wrongly."""
    step = STEPS[kind]
    ones, near, far = (
        tf.constant([1 + steps * step, np.nan], kind).numpy() for steps in (0, 3, 9)
    )
    demand_equal(ones, near, 1e-5, "order=map_batch")
    assert fingerprint(ones) == fingerprint(ones.copy()) != fingerprint(far)
    message = refusal(far, ones)
    assert "differs from the layers themselves in 50.0% of the values" in message
    with pytest.raises(AssertionError, match=f"{kind}.2., the layers themselves float"):
        demand_equal(ones.astype(np.float32), ones, 1e-5, "order=map_batch")


def test_nan_and_infinity_in_the_same_place_are_equal() -> None:
    demand_equal(REFERENCE, REFERENCE.copy(), 1e-5, "order=map_batch")
    demand_equal(REFERENCE, changed((1, 0), -80.0004), 1e-5, "order=map_batch")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            changed((0, 0), np.nan),
            "order=map_batch gives NaN in 1 of 6 values where the layers themselves "
            "give numbers",
        ),
        (
            changed((1, 1), 2.0),
            "order=map_batch gives numbers in 1 of 6 values where the layers "
            "themselves give NaN",
        ),
        (
            changed((1, 0), -80.5),
            "order=map_batch differs from the layers themselves in 16.7% of the "
            "values, most at [1, 0]: -80.5 in place of -80. If that is rounding, set "
            "TOLERANCE = 0.007 in the file; it is 1e-05",
        ),
        (
            changed((0, 1), 3.0),
            "order=map_batch differs from the layers themselves in 16.7% of the "
            "values, most at [0, 1]: 3 in place of 1. The layers must make the same of "
            "an example in every placement and order, but for TOLERANCE, which is "
            "1e-05",
        ),
        (
            changed((2, 0), -np.inf),
            "order=map_batch differs from the layers themselves in 16.7% of the "
            "values, most at [2, 0]: -inf in place of inf. The layers must make the "
            "same of an example in every placement and order, but for TOLERANCE, which "
            "is 1e-05",
        ),
        (
            REFERENCE[:2].astype(np.float64),
            "order=map_batch gives float64[2, 2], the layers themselves float32[3, 2]",
        ),
    ],
)
def test_a_message_has_the_size_and_the_place_of_a_difference(
    output: np.ndarray, words: str
) -> None:
    assert refusal(output) == words


def test_the_proposed_tolerance_is_enough() -> None:
    output = REFERENCE + np.float32(0.0123)
    proposed = float(refusal(output).partition("TOLERANCE = ")[2].split()[0])
    assert proposed <= 0.1
    demand_equal(REFERENCE, output, proposed, "order=map_batch")


def test_texts_and_booleans_are_compared_too() -> None:
    """Their message proposes no tolerance."""
    texts = np.array([b"a", b"b"], object)
    assert refusal(np.array([b"a", b"c"], object), texts) == (
        "order=map_batch differs from the layers themselves in 50.0% of the values, "
        "most at [1]: b'c' in place of b'b'"
    )
    booleans = np.array([True, False])
    assert "False in place of True" in refusal(np.array([False, False]), booleans)
