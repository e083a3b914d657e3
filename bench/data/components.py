"""This module checks, stores and loads examples of any form, component by component.

A nest is an array, or a dict or tuple of nests. Its arrays are its components, and a
component's name is its path, such as `features['age']`. This room does not import
TensorFlow, so it stores a ragged or sparse tensor as the NumPy arrays that the tensor
consists of.
"""

import hashlib
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bench.errors import UsageError
from bench.trial import InputPart

NAMES = ("features", "labels", "weights")
PARTS = "parts.json"
SMALL_BYTES = 4096
STRINGS = ".strings"  # the suffix of a pickle
REPEATS = 4  # times that a string occurs on average, from which it is written once
NOTHING = np.empty(0)
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # bytes that no text has
DAYS = "(dates - np.datetime64('1970-01-01')) / np.timedelta64(1, 'D')"
ALLOWED = (
    "Components may be NumPy arrays of numbers, bool or strings, lists of str or "
    "bytes, tf.RaggedTensor and tf.SparseTensor."
)


@dataclass(frozen=True)
class Ragged:
    """A ragged component is stored as its flat values and its row splits.

    Attributes:
        values: The values of all rows.
        splits: The row splits of each ragged dimension, the outermost first.
    """

    values: np.ndarray
    splits: tuple[np.ndarray, ...]

    @property
    def shape(self) -> list[int]:
        """Return the shape, with -1 for each ragged dimension."""
        ragged = [-1] * len(self.splits)
        return [len(self.splits[0]) - 1, *ragged, *self.values.shape[1:]]


@dataclass(frozen=True)
class Sparse:
    """A sparse component is stored as in `tf.SparseTensor`.

    Attributes:
        indices: The positions of the values, `[values, rank]`.
        values: The values.
        dense_shape: The shape of the whole.
    """

    indices: np.ndarray
    values: np.ndarray
    dense_shape: np.ndarray

    @property
    def shape(self) -> list[int]:
        """Return the shape of the whole."""
        return self.dense_shape.tolist()


def mapped(function: Callable, name: str, *nests: object) -> object:
    """Apply a function to the components of nests that have the same structure.

    Args:
        function: Function of a component's path and of that component of each nest.
        name: The name of the nests, with which each path begins.
        *nests: Dicts and tuples of nests; everything else is a component.
    """
    first = nests[0]
    if isinstance(first, Mapping):
        if odd := [key for key in first if not isinstance(key, str)]:
            raise UsageError(
                f"examples() returned {name} with the key {odd[0]!r}. Keys must be of "
                "type str."
            )
        return {
            key: mapped(function, f"{name}[{key!r}]", *(nest[key] for nest in nests))
            for key in first
        }
    if isinstance(first, tuple):
        return tuple(
            mapped(function, f"{name}[{place}]", *parts)
            for place, parts in enumerate(zip(*nests, strict=True))
        )
    return function(name, *nests)


def named(nest: object, name: str) -> dict[str, object]:
    """Return the components of a nest by path, in the nest's order."""
    components: dict[str, object] = {}
    mapped(components.__setitem__, name, nest)
    return components


def record(result: object) -> tuple:
    """Return the result of `examples` as (features[, labels[, weights]]).

    Each component becomes a NumPy array, `Ragged` or `Sparse`. Lists and object arrays
    of str or bytes become object arrays.

    Raises:
        UsageError: The result cannot be used; the message names the component.
    """
    if isinstance(result, list) and not _is_text(result):
        raise UsageError(
            f"examples() returned a list of {len(result)} parts. Return a tuple "
            "(features, labels) if it has labels, or a dict such as {'a': ..., 'b': "
            "...} if these are several features."
        )
    parts = result if isinstance(result, tuple) else (result,)
    if len(parts) not in (1, 2, 3):
        raise UsageError(
            f"examples() returned a tuple of {len(parts)} parts. A tuple means "
            "(features, labels) or (features, labels, weights); return several "
            "features as a dict."
        )
    nests = tuple(
        mapped(_component, name, part) for name, part in zip(NAMES, parts, strict=False)
    )
    components = _of_record(nests)
    for name, part in zip(NAMES, nests, strict=False):
        if not named(part, name):
            raise UsageError(
                f"examples() returned {name} without any component. {ALLOWED}"
            )
    first, length = next((path, rows(part)) for path, part in components.items())
    for path, part in components.items():
        shown = f"examples() returned {path} as {_description(part)}"
        if not rows(part):
            raise UsageError(f"{shown}, which is empty. At least one row is needed.")
        if rows(part) != length:
            raise UsageError(
                f"{shown}, but {first} as {_description(components[first])}. All "
                "components need one length, a row for each example."
            )
    return nests


def rows(component: np.ndarray | Ragged | Sparse) -> int:
    """Return the number of examples in a component."""
    return int(component.shape[0])


def save(nests: tuple, folder: Path) -> None:
    """Write a record of examples into a folder, with the digest of each component."""
    components = _of_record(nests)
    for number, component in enumerate(components.values()):
        for role, array in _stored_arrays(component).items():
            save_array(folder / f"{number}.{role}", array)
    numbers = {path: number for number, path in enumerate(components)}
    stored = _Stored(
        nests=[
            _structure(mapped(lambda path, _: numbers[path], name, nest))
            for name, nest in zip(NAMES, nests, strict=False)
        ],
        parts=parts(nests),
        fingerprint=fingerprint(nests),
    )
    (folder / PARTS).write_bytes(msgspec.json.encode(stored))


def load(folder: Path) -> tuple[tuple, dict[str, InputPart], str]:
    """Return a stored record, its parts and its fingerprint; arrays are mapped."""
    stored = msgspec.json.decode((folder / PARTS).read_bytes(), type=_Stored)

    def component(_: str, number: int) -> np.ndarray | Ragged | Sparse:
        return _component_of(folder, number)

    nests = tuple(mapped(component, "", _nest(nest)) for nest in stored.nests)
    return nests, stored.parts, stored.fingerprint


def parts(nests: tuple) -> dict[str, InputPart]:
    """Return the identity of each component of a record by its path."""
    return {path: part(component) for path, component in _of_record(nests).items()}


def part(component: np.ndarray | Ragged | Sparse) -> InputPart:
    """Return the identity of one component."""
    return InputPart(
        dtype=_dtype(component),
        shape=list(component.shape),
        digest=digest(*_arrays(component).values()),
    )


def fingerprint(nests: tuple) -> str:
    """Return the digest of all components of a record."""
    components = _of_record(nests).values()
    return digest(*(array for part in components for array in _arrays(part).values()))


def streamed(records: Iterable[object]) -> tuple[dict[str, InputPart], str, int]:
    """Return the parts, the fingerprint and the number of a stream's records.

    Args:
        records: Records as `Dataset.as_numpy_iterator` yields them.
    """
    contents: dict[str, object] = {}
    kinds: dict[str, tuple[str, list[int]]] = {}
    count = 0
    for record in records:
        nests = record if isinstance(record, tuple) else (record,)
        for path, value in _of_record(nests).items():
            array = np.asarray(getattr(value, "flat_values", value))
            content = contents.setdefault(path, hashlib.sha256())
            content.update(f"{array.shape}{array.dtype.kind}".encode())
            content.update(repr(value).encode() if array.dtype.hasobject else b"")
            content.update(b"" if array.dtype.hasobject else array.tobytes())
            kind = "bytes" if array.dtype.kind in "SO" else str(array.dtype)
            shape = list(array.shape)
            if path in kinds and kinds[path][1] != shape:
                shape = [-1] * len(shape)
            kinds[path] = kind, shape
        count += 1
    parts = {
        path: InputPart(
            dtype=kind,
            shape=[count, *shape],
            digest=contents[path].hexdigest()[:16],
        )
        for path, (kind, shape) in kinds.items()
    }
    whole = hashlib.sha256(repr(sorted(map(repr, parts.items()))).encode())
    return parts, whole.hexdigest()[:16], count


def digest(*arrays: np.ndarray) -> str:
    """Return 16 hexadecimal digits of arrays with their shapes and types."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(f"{array.shape}{array.dtype}".encode())
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()[:16]


class _Stored(msgspec.Struct):
    """The description of a stored record: its structure, its parts, its digest."""

    nests: list
    parts: dict[str, InputPart]
    fingerprint: str


def _of_record(nests: tuple) -> dict[str, object]:
    components: dict[str, object] = {}
    for name, nest in zip(NAMES, nests, strict=False):
        components |= named(nest, name)
    return components


def _structure(nest: object) -> object:
    """Return a nest of numbers as JSON, in which a list stands for a tuple."""
    if isinstance(nest, Mapping):
        return {key: _structure(part) for key, part in nest.items()}
    return [*map(_structure, nest)] if isinstance(nest, tuple) else nest


def _nest(structure: object) -> object:
    if isinstance(structure, dict):
        return {key: _nest(part) for key, part in structure.items()}
    return tuple(map(_nest, structure)) if isinstance(structure, list) else structure


def _component(path: str, value: object) -> np.ndarray | Ragged | Sparse:
    """Return one component of the user's result, or refuse it."""
    if hasattr(value, "nested_row_splits"):
        splits = tuple(split.numpy() for split in value.nested_row_splits)
        return Ragged(value.flat_values.numpy(), splits)
    if hasattr(value, "indices") and hasattr(value, "dense_shape"):
        arrays = (value.indices, value.values, value.dense_shape)
        return Sparse(*(array.numpy() for array in arrays))
    if isinstance(value, list) and _is_text(value):
        array = np.empty(len(value), object)
        array[:] = value
        return _of_one_type(array)
    array = value.numpy() if hasattr(value, "numpy") else value
    shown = f"examples() returned {path} as {_description(value)}"
    if not isinstance(array, np.ndarray) or not array.ndim:
        raise UsageError(f"{shown}. {ALLOWED}")
    if array.dtype.kind in "mM":
        raise UsageError(
            f"{shown}, and TensorFlow has no dates. Return numbers, such as days: "
            f"{DAYS}."
        )
    if array.dtype.kind not in "biufcSUO" or array.dtype == np.longdouble:
        raise UsageError(f"{shown}. {ALLOWED}")
    if array.dtype.hasobject and not _is_text(array.ravel().tolist()):
        kinds = sorted({type(item).__name__ for item in array.ravel().tolist()})
        raise UsageError(
            f"{shown}, with objects of {', '.join(kinds)} in it. {ALLOWED} Convert the "
            "array with .astype, or split it into several components."
        )
    if array.dtype.kind == "S":
        _demand_text(array, shown)
    return _of_one_type(array) if array.dtype.hasobject else array


def _of_one_type(strings: np.ndarray) -> np.ndarray:
    """Return strings as bytes, unless all of them are str."""
    values = strings.ravel().tolist()
    if len({type(value) for value in values}) == 1:
        return strings
    same = np.empty(len(values), object)
    same[:] = [v.encode() if isinstance(v, str) else v for v in values]
    return same.reshape(strings.shape)


def _demand_text(array: np.ndarray, shown: str) -> None:
    """Refuse binary data of several lengths, whose zero bytes NumPy has cut off."""
    values = array.ravel().tolist()
    if min(map(len, values), default=0) == array.dtype.itemsize:
        return
    joined = b"".join(values)
    try:
        joined.decode()
        binary = CONTROL.search(joined)
    except UnicodeDecodeError:
        binary = True
    if binary:
        raise UsageError(
            f"{shown}, which is binary data: NumPy's type S drops zero bytes at the "
            "end of each value. Return a list of bytes, or an array with dtype=object "
            "made of one."
        )


def _is_text(values: list) -> bool:
    return all(isinstance(value, (str, bytes)) for value in values)


def _description(value: object) -> str:
    """Describe a component by its type and shape, another object by its class."""
    if isinstance(value, (np.ndarray, Ragged, Sparse)):
        return f"{_dtype(value)}{list(value.shape)}"
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"a {kind} of {len(value)}" if isinstance(value, list) else f"a {kind}"


def _dtype(component: np.ndarray | Ragged | Sparse) -> str:
    """Return NumPy's name of the type; `str` and `bytes` for strings of any length."""
    if isinstance(component, (Ragged, Sparse)):
        return f"{type(component).__name__.lower()} {_dtype(component.values)}"
    if not component.dtype.hasobject or not _is_text(component.ravel().tolist()):
        return str(component.dtype)
    values = component.ravel().tolist()
    return "str" if all(isinstance(value, str) for value in values) else "bytes"


def _arrays(component: np.ndarray | Ragged | Sparse) -> dict[str, np.ndarray]:
    """Return the arrays that store a component, by role."""
    if isinstance(component, Ragged):
        splits = {f"splits{n}": split for n, split in enumerate(component.splits)}
        return _arrays(component.values) | splits
    if isinstance(component, Sparse):
        places = {"indices": component.indices, "dense_shape": component.dense_shape}
        return _arrays(component.values) | places
    if not component.dtype.hasobject:
        return {"values": component}
    encoded = [
        value.encode() if isinstance(value, str) else value
        for value in component.ravel().tolist()
    ]
    lengths = np.array([0, *map(len, encoded)], np.int64)
    return {
        "bytes": np.frombuffer(b"".join(encoded), np.uint8),
        "offsets": lengths.cumsum(),
        "shape": np.array(component.shape, np.int64),
    }


def _stored_arrays(component: np.ndarray | Ragged | Sparse) -> dict[str, np.ndarray]:
    """Return the arrays of a component by role, with strings as they are."""
    if isinstance(component, Ragged):
        return _arrays(Ragged(NOTHING, component.splits)) | {"values": component.values}
    if isinstance(component, Sparse):
        places = {"indices": component.indices, "dense_shape": component.dense_shape}
        return places | {"values": component.values}
    return {"values": component}


def _component_of(folder: Path, number: int) -> np.ndarray | Ragged | Sparse:
    roles = sorted({path.name.split(".")[1] for path in folder.glob(f"{number}.*")})
    arrays = {role: load_array(folder / f"{number}.{role}") for role in roles}
    values = arrays["values"]
    if "indices" in arrays:
        return Sparse(arrays["indices"], values, arrays["dense_shape"])
    splits = [arrays[role] for role in sorted(arrays) if role.startswith("splits")]
    return Ragged(values, tuple(splits)) if splits else values


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array as a file of NumPy, or its strings as a pickle.

    Where strings repeat, each one is written once, with a number for each place.
    Reading a million strings takes 0.3 s, and a million numbers 0.01 s.

    Args:
        path: The file without its suffix, which the kind of array decides.
        array: The array.
    """
    if not array.dtype.hasobject:
        np.save(path.with_name(path.name + ".npy"), array)
        return
    numbers: dict[object, int] = {}
    places = [numbers.setdefault(one, len(numbers)) for one in array.ravel().tolist()]
    content: object = array
    if len(numbers) <= array.size / REPEATS:
        words = np.empty(len(numbers), object)
        words[:] = list(numbers)
        content = words, np.array(places, np.int32).reshape(array.shape)
    path.with_name(path.name + STRINGS).write_bytes(pickle.dumps(content, protocol=5))


def load_array(path: Path) -> np.ndarray:
    """Return an array that `save_array` wrote; large ones of numbers are mapped.

    Changes of a mapped array stay in memory.
    """
    strings = path.with_name(path.name + STRINGS)
    if strings.exists():
        content = pickle.loads(strings.read_bytes())  # we wrote it
        return content[0][content[1]] if isinstance(content, tuple) else content
    file = path.with_name(path.name + ".npy")
    large = file.stat().st_size > SMALL_BYTES
    return np.load(file, mmap_mode="c" if large else None)
