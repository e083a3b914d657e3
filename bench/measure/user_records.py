"""This module makes `read` and `decode` for the user's texts and CSV files."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import tensorflow as tf

from bench.catalog import Entry
from bench.data.stream import Field, Stream
from bench.measure.layers import as_written

DEFAULTS = {"number": np.nan, "value": np.nan, "text": ""}
Record = tuple[tf.Tensor | dict[str, tf.Tensor], tf.Tensor]


def streamed(
    entry: Entry, module: ModuleType, stream: Stream | None
) -> tuple[Entry, ModuleType | SimpleNamespace]:
    """Return a workload whose pipeline reads the user's files.

    The workload then has a `read` and, for CSV files, a `decode` of this program in
    place of its own. Its `build` gets the features of all examples, as from memory.

    Args:
        entry: The catalog's entry of the workload.
        module: The imported file of that entry.
        stream: The user's data; None where the pipeline does not read them in this way.
    """
    if stream is None:
        return entry, module
    functions = {"read": read_text} if not stream.fields else {
        "read": lambda path, label: read_lines(path, label, stream.examples),
        "decode": line_decoder(stream.fields, columns_apart=stream.columns_apart),
    }  # fmt: skip
    arguments = {"read": ("path", "label"), "decode": ("record", "label")}
    named = {name: arguments[name] for name in functions}

    def build(_: object, **variant: object) -> object:
        return module.build(stream.known, **variant)

    return (
        replace(entry, functions={**entry.functions, **named}),
        SimpleNamespace(**{**vars(module), **functions, "build": build}),
    )


def read_text(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
    """Return the text of one file, as `text_dataset_from_directory` reads it."""
    return tf.data.Dataset.from_tensors((tf.io.read_file(path), label))


def read_lines(path: tf.Tensor, label: tf.Tensor, rows: int) -> tf.data.Dataset:
    """Return the lines of a CSV file below its header, each with a label.

    Args:
        path: The file.
        label: A label that stands for that of the line, which is not decoded yet.
        rows: The number of rows, after which only blank lines come.
    """
    lines = tf.data.TextLineDataset(path).skip(1).take(rows)
    return tf.data.Dataset.zip((lines, tf.data.Dataset.from_tensors(label).repeat()))


def line_decoder(
    fields: tuple[Field, ...], *, columns_apart: bool = False
) -> Callable[[tf.Tensor, tf.Tensor], Record]:
    """Return a function from a line of CSV to its features and its label.

    Args:
        fields: The columns of the line, in order.
        columns_apart: Whether the features are a dict of scalars; otherwise they are
            float32 `[columns]`.
    """
    defaults = [
        DEFAULTS[field.kind] if field.classes is None else _class_default(field.classes)
        for field in fields
    ]

    @as_written
    def decode(line: tf.Tensor, _: tf.Tensor) -> Record:
        values = tf.io.decode_csv(line, defaults)
        features, label = {}, None
        for field, value in zip(fields, values, strict=True):
            if field.kind == "class":
                label = tf.argmax(tf.equal(field.classes, value))
            elif field.kind == "value":
                label = value
            else:
                features[field.name] = value
        if columns_apart:
            return features, label
        return tf.stack(list(features.values())), label

    return decode


def _class_default(classes: np.ndarray) -> tf.Tensor:
    """Return an empty default for `tf.io.decode_csv`, so that an empty field fails.

    Its type is that of the classes: string or float64.
    """
    return tf.constant([], tf.string if classes.dtype == object else tf.float64)
