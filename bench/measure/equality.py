"""Whether a placement gives what the layers give by themselves; if not, in words."""

import math

import numpy as np

ROUNDING = 0.1  # a tolerance above it is no rounding, and so is not proposed


def demand_equal(
    reference: np.ndarray, output: np.ndarray, tolerance: float, what: str
) -> None:
    """Refuse an output that differs from what the layers make by themselves.

    NaN is equal to NaN in the same place, and infinity to infinity.

    Args:
        reference: What the layers make by themselves.
        output: What the placement makes of the same examples.
        tolerance: How far numbers may differ, absolute and relative.
        what: The placement, for the words of an error.

    Raises:
        AssertionError: Shape, type or values differ.
    """
    given, wanted = _told(output), _told(reference)
    assert given == wanted, f"{what} gives {given}, the layers themselves {wanted}"
    if np.issubdtype(reference.dtype, np.inexact):
        _demand_same_nan(reference, output, what)
    if np.issubdtype(reference.dtype, np.number):
        equal = np.isclose(
            output, reference, rtol=tolerance, atol=tolerance, equal_nan=True
        )
    else:
        equal = output == reference
    assert equal.all(), _difference(reference, output, equal, tolerance, what)


def close(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    """Whether two outputs are equal but for the tolerance."""
    try:
        demand_equal(one, other, tolerance, "")
    except AssertionError:
        return False
    return True


def _told(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _demand_same_nan(reference: np.ndarray, output: np.ndarray, what: str) -> None:
    ours, theirs = np.isnan(output), np.isnan(reference)
    made, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    of = f"of {output.size:,} values"
    assert not made, (
        f"{what} gives NaN in {made:,} {of} where the layers themselves give numbers"
    )
    assert not lost, (
        f"{what} gives numbers in {lost:,} {of} where the layers themselves give NaN"
    )


def _difference(
    reference: np.ndarray,
    output: np.ndarray,
    equal: np.ndarray,
    tolerance: float,
    what: str,
) -> str:
    """How many values differ, which one the most, and what may be done."""
    share = 1 - equal.mean()
    needed = _needed(reference, output, equal)
    place = np.unravel_index(int(np.argmax(needed)), needed.shape)
    values = f"{_value(output[place])} in place of {_value(reference[place])}"
    words = (
        f"{what} differs from the layers themselves in {share:.1%} of the values, most "
        f"at {[int(index) for index in place]}: {values}"
    )
    if not np.issubdtype(reference.dtype, np.number):
        return words
    least = float(needed[place])
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
    """The tolerance that each value needs; 0 where it is equal."""
    if not np.issubdtype(reference.dtype, np.number):
        return (~equal).astype(float)
    wide = np.complex128 if np.iscomplexobj(reference) else np.float64
    one, other = output.astype(wide), reference.astype(wide)
    with np.errstate(invalid="ignore"):  # infinity less infinity, which is equal
        needed = np.abs(one - other) / (1 + np.abs(other))
    needed = np.where(np.isnan(needed), np.inf, needed)
    return np.where(equal, 0.0, needed)


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, np.floating) else str(value)


def _rounded_up(value: float) -> float:
    """To one digit, upwards, so that the value itself is allowed."""
    unit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / unit * 1.01) * unit:.1g}")
