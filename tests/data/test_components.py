"""Examples of any form are checked, stored and loaded, component by component."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bench.data import components
from bench.errors import UsageError
from bench.measure.nests import tensors


def texts(*values: object) -> np.ndarray:
    """Return an object array of strings."""
    return np.array([*values, None], object)[:-1]


RAGGED = tf.ragged.constant([[1.0, 2.0], [], [3.0]])
RAGGED_TEXT = tf.ragged.constant([[["a"], []], [], [["b", "cé"]]])
SPARSE = tf.sparse.from_dense([[0, 1], [0, 0], [2, 0]])


@pytest.mark.parametrize(
    ("result", "parts"),
    [
        (np.zeros((3, 2), np.float32), {"features": "float32[3, 2]"}),
        (np.array(["a", "bc", ""]), {"features": "<U2[3]"}),
        (["a", "bcd\0", "é"], {"features": "str[3]"}),
        ([b"a\0\0", b"", b"\xff"], {"features": "bytes[3]"}),
        (texts("a", b"b", "c"), {"features": "bytes[3]"}),
        (RAGGED, {"features": "ragged float32[3, -1]"}),
        (RAGGED_TEXT, {"features": "ragged bytes[3, -1, -1]"}),
        (SPARSE, {"features": "sparse int32[3, 2]"}),
        (tf.constant([1, 2, 3]), {"features": "int32[3]"}),
        (
            ({"b": np.arange(3), "a": (np.ones(3), ["x", "y", "z"])}, np.zeros(3)),
            {
                "features['b']": "int64[3]",
                "features['a'][0]": "float64[3]",
                "features['a'][1]": "str[3]",
                "labels": "float64[3]",
            },
        ),
        (
            (np.zeros(3), {"mask": np.zeros((3, 4, 4)), "box": RAGGED}, np.ones(3)),
            {
                "features": "float64[3]",
                "labels['mask']": "float64[3, 4, 4]",
                "labels['box']": "ragged float32[3, -1]",
                "weights": "float64[3]",
            },
        ),
    ],
)
def test_a_record_is_loaded_as_it_was_stored(
    tmp_path: Path, result: object, parts: dict[str, str]
) -> None:
    """The parts name every component by its path."""
    record = components.record(result)
    components.save(record, tmp_path)
    loaded, stored, fingerprint = components.load(tmp_path)
    assert {path: str(part) for path, part in stored.items()} == parts
    assert stored == components.parts(record)
    assert fingerprint == components.fingerprint(record)
    given = result if isinstance(result, tuple) else (result,)
    for part, other in zip(given, tensors(loaded), strict=True):
        named, others = (components.named(nest, "") for nest in (part, other))
        assert list(named) == list(others)
        for path, component in named.items():
            _demand_same(component, others[path])


def _demand_same(component: object, other: object) -> None:
    if isinstance(component, (tf.RaggedTensor, tf.SparseTensor)):
        assert type(component) is type(other)
        arrays, others = (
            tf.nest.flatten(one, expand_composites=True) for one in (component, other)
        )
        assert all(map(np.array_equal, arrays, others))
    elif isinstance(component, list):
        assert other.tolist() == component
    elif component.dtype == object:
        assert [*map(tf.compat.as_bytes, component)] == other.tolist()
    else:
        np.testing.assert_array_equal(component, other)
        assert component.dtype == other.dtype


def test_a_large_array_is_mapped_and_a_long_string_costs_its_own_length(
    tmp_path: Path,
) -> None:
    strings = [b"short"] * 10_000 + [bytes(100_000)]
    components.save(components.record({"x": np.zeros(10_001), "s": strings}), tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 350_000
    (features,), _, _ = components.load(tmp_path)
    assert isinstance(features["x"], np.memmap)
    features["x"][0] = 1.0  # in this process alone
    assert components.load(tmp_path)[0][0]["x"][0] == 0.0
    assert features["s"].tolist() == strings


ALLOWED = (
    "Components may be NumPy arrays of numbers, bool or strings, lists of str or "
    "bytes, tf.RaggedTensor and tf.SparseTensor."
)
BINARY = (
    ", which is binary data: NumPy's type S drops zero bytes at the end of each value. "
    "Return a list of bytes, or an array with dtype=object made of one."
)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            [np.zeros(3), np.zeros(3)],
            "a list of 2 parts. Return a tuple (features, labels) if it has labels, or "
            "a dict such as {'a': ..., 'b': ...} if these are several features.",
        ),
        (
            (),
            "a tuple of 0 parts. A tuple means (features, labels) or (features, "
            "labels, weights); return several features as a dict.",
        ),
        (None, f"features as None. {ALLOWED}"),
        (np.float32(3), f"features as a float32. {ALLOWED}"),
        (np.array(3.0), f"features as float64[]. {ALLOWED}"),
        ((np.zeros(3), [0, 1, 2]), f"labels as a list of 3. {ALLOWED}"),
        ({}, f"features without any component. {ALLOWED}"),
        ({1: np.zeros(3)}, "features with the key 1. Keys must be of type str."),
        (
            np.zeros((0, 2)),
            "features as float64[0, 2], which is empty. At least one row is needed.",
        ),
        (
            {"age": np.zeros(3), "city": ["Rome"] * 4},
            "features['city'] as str[4], but features['age'] as float64[3]. All "
            "components need one length, a row for each example.",
        ),
        (
            (np.zeros((3, 2)), np.arange(4)),
            "labels as int64[4], but features as float64[3, 2]. All components need "
            "one length, a row for each example.",
        ),
        (
            {"day": np.array(["2020-01-01"], "datetime64[D]")},
            "features['day'] as datetime64[D][1], and TensorFlow has no dates. Return "
            "numbers, such as days: (dates - np.datetime64('1970-01-01')) / "
            "np.timedelta64(1, 'D').",
        ),
        (
            np.array(["a", {}, 1], object),
            "features as object[3], with objects of dict, int, str in it. "
            f"{ALLOWED} Convert the array with .astype, or split it into several "
            "components.",
        ),
        (np.array([b"\1\0", b"\1\1"]), f"features as |S2[2]{BINARY}"),
        ({"r": np.array([b"\xff", b"ab"])}, f"features['r'] as |S2[2]{BINARY}"),
    ],
)
def test_a_component_that_cannot_be_stored_is_named(
    result: object, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        components.record(result)
    assert str(caught.value) == f"examples() returned {message}"


@pytest.mark.parametrize(
    "values", [[b"ab", b"c"], ["é".encode(), b"a\tb\r\n"], [b"\1\xff", b"\xff\2"]]
)
def test_text_and_binary_data_of_one_length_are_taken_as_numpy_has_them(
    values: list[bytes],
) -> None:
    assert components.record(np.array(values))[0].tolist() == values
