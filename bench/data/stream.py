"""A stream describes the user's text files or CSV lines that a timed pipeline reads.

This module does not import TensorFlow; `measure/user_records.py` makes the functions of
the pipeline from the descriptions here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Field:
    """A field is a column of the lines of a CSV file.

    Attributes:
        name: The name of the column.
        kind: `number` (float32, and NaN where the field is empty), `text`, `class`, or
            `value` for a label with fractions.
        classes: For a class, the sorted values: text, or numbers as float64.
    """

    name: str
    kind: Literal["number", "text", "class", "value"]
    classes: np.ndarray | None = None


@dataclass(frozen=True)
class Stream:
    """A stream describes the user's data as the timed pipeline reads them.

    Attributes:
        paths: The files: a text each, or one CSV file with a header. Empty where the
            inputs were read by another process, whose features name the files.
        examples: The number of examples in all files.
        known: The features in memory, which `build` adapts its layers to; in sorted
            order of the files.
        labels: The label of each line of the CSV file; None for texts.
        fields: The columns of the CSV file in order; empty for texts.
        columns_apart: Whether a record's features are a dict of columns, and not one
            array of numbers.
    """

    paths: list[Path]
    examples: int
    known: np.ndarray | dict[str, np.ndarray]
    labels: np.ndarray | None = None
    fields: tuple[Field, ...] = ()
    columns_apart: bool = False
