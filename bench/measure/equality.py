"""This module compares a placement's output with the output of the layers alone."""

import math

import numpy as np

from bench.data.components import named

# Types of 16 bits, and the step from 1 to the next number.
STEPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
STEPS_APART = 4  # by the order of operations, which a batch may change
ROUNDING = 0.1  # a larger tolerance would hide more than rounding; none is proposed


def demand_equal(
    reference: object, output: object, tolerance: float, what: str
) -> None:
    """Refuse an output that differs from the output of the layers alone.

    NaN is equal to NaN in the same place, and infinity to infinity.

    Args:
        reference: The output of the layers alone, a nest of arrays.
        output: The placement's output for the same examples, a nest of arrays.
        tolerance: The largest difference of numbers, absolute and relative. For a type
            of 16 bits it is four of the type's steps at the least.
        what: The placement in words, for error messages.

    Raises:
        AssertionError: Structure, shape, type or values differ.
    """
    expected, actual = named(reference, "output"), named(output, "output")
    assert actual.keys() == expected.keys(), (
        f"{what} gives {', '.join(actual)}, the layers themselves {', '.join(expected)}"
    )
    for path, part in expected.items():
        where = what if path == "output" else f"{what}: {path}"
        _demand_equal_arrays(part, actual[path], tolerance, where)


def _demand_equal_arrays(
    reference: np.ndarray, output: np.ndarray, tolerance: float, what: str
) -> None:
    actual, expected = _type_and_shape(output), _type_and_shape(reference)
    assert actual == expected, (
        f"{what} gives {actual}, the layers themselves {expected}"
    )
    step = STEPS.get(str(reference.dtype), 0.0)
    tolerance = max(tolerance, STEPS_APART * step)
    reference, output = widened(reference), widened(output)
    if np.issubdtype(reference.dtype, np.inexact):
        _demand_same_nan(reference, output, what)
    if np.issubdtype(reference.dtype, np.number):
        equal = np.isclose(
            output, reference, rtol=tolerance, atol=tolerance, equal_nan=True
        )
    else:
        equal = output == reference
    assert equal.all(), _difference(reference, output, equal, tolerance, what)


def is_close(one: object, other: object, tolerance: float) -> bool:
    """Whether two outputs are equal within the tolerance."""
    try:
        demand_equal(one, other, tolerance, "")
    except AssertionError:
        return False
    return True


def widened(array: np.ndarray) -> np.ndarray:
    """Return an array of 16-bit floats as float32, and any other array as it is.

    NumPy knows float16 alone, and computes with it in its own few digits.
    """
    return array.astype(np.float32) if str(array.dtype) in STEPS else array


def _type_and_shape(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _demand_same_nan(reference: np.ndarray, output: np.ndarray, what: str) -> None:
    actual, expected = np.isnan(output), np.isnan(reference)
    extra = int((actual & ~expected).sum())
    missing = int((expected & ~actual).sum())
    of = f"of {output.size:,} values"
    assert not extra, (
        f"{what} gives NaN in {extra:,} {of} where the layers themselves give numbers"
    )
    assert not missing, (
        f"{what} gives numbers in {missing:,} {of} where the layers themselves give NaN"
    )


def _difference(
    reference: np.ndarray,
    output: np.ndarray,
    equal: np.ndarray,
    tolerance: float,
    what: str,
) -> str:
    """Return how many values differ, which value most, and a remedy."""
    share = 1 - equal.mean()
    needed = _needed(reference, output, equal)
    position = np.unravel_index(int(np.argmax(needed)), needed.shape)
    values = f"{_value(output[position])} in place of {_value(reference[position])}"
    words = (
        f"{what} differs from the layers themselves in {share:.1%} of the values, most "
        f"at {[int(index) for index in position]}: {values}"
    )
    if not np.issubdtype(reference.dtype, np.number):
        return words
    least = float(needed[position])
    if least <= ROUNDING:
        return (
            f"{words}. If that is rounding, set TOLERANCE = {_rounded_up(least):g} in "
            f"the file; it is {tolerance:g}"
        )
    return (
        f"{words}. The layers must make the same of an example in every placement and "
        f"order, but for TOLERANCE, which is {tolerance:g}"
    )


def _needed(reference: np.ndarray, output: np.ndarray, equal: np.ndarray) -> np.ndarray:
    """Return the tolerance that each value needs; 0 where values are equal."""
    if not np.issubdtype(reference.dtype, np.number):
        return (~equal).astype(float)
    wide = np.complex128 if np.iscomplexobj(reference) else np.float64
    actual, expected = output.astype(wide), reference.astype(wide)
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN
        needed = np.abs(actual - expected) / (1 + np.abs(expected))
    needed = np.where(np.isnan(needed), np.inf, needed)
    return np.where(equal, 0.0, needed)


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, np.floating) else str(value)


def _rounded_up(value: float) -> float:
    """Round up to one digit, so that the tolerance allows the value itself."""
    unit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / unit * 1.01) * unit:.1g}")
