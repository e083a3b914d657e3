"""This module reads the user's CSV files: typed columns of features, and the labels."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from bench.data.stream import Field
from bench.data.user_files import reading
from bench.errors import UsageError

LABEL = "label"  # the default column of the label
MISSING = (
    "",
    "NA",
    "N/A",
    "NaN",
    "nan",
    "NULL",
    "null",
    "None",
)  # in numbers and dates
DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
NUMBERS_ONLY = (
    "This workload takes numbers alone: correct or remove the line or the column, or "
    'use a workload that takes tables (ACCEPTS = "table").'
)
MOST_EXACT = 2**24  # float32 holds whole numbers up to here


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table is the content of a CSV file: its columns, labels and types.

    Attributes:
        path: The file.
        label: The name of the label's column.
        columns: The features by name, `[rows]`: numbers and dates as float32, where
            a missing value is NaN, and text as objects of str, where it is "".
        labels: The label of each row: the index of the class as int64, or, where the
            column has fractions, its values as float32.
        classes: The number of classes; 0 where the labels are fractions.
        fields: All columns in the order of the file, as TensorFlow decodes them.
        unreadable: Why TensorFlow cannot read the file line by line; empty if it can.
        size: The bytes of the file.
        remarks: Sentences on values that the reading changed.
    """

    path: Path
    label: str
    columns: dict[str, np.ndarray]
    labels: np.ndarray
    classes: int
    size: int
    fields: tuple[Field, ...] = ()
    unreadable: str = ""
    remarks: list[str] = field(default_factory=list)


def find(name: str, takes: str) -> tuple[Path, str]:
    """Return the file of a table and the column of its label.

    Args:
        name: The file, or `FILE:COLUMN` if the label's column is not named `label`.
        takes: The data that the workload takes, in words for an error.

    Raises:
        UsageError: The file does not exist.
    """
    path, column = Path(name), LABEL
    if not path.exists() and ":" in name:
        path, column = Path(name.rpartition(":")[0]), name.rpartition(":")[2]
    if not path.exists():
        raise UsageError(f"No data at '{path}'. This workload takes {takes}.")
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder. This workload takes {takes}.")
    return path, column


def load(name: str, takes: str) -> Table:
    """Read a CSV file with a header, a column of labels and columns of features.

    The file may be in UTF-8, with or without a byte order mark, or in Latin-1. Fields
    may be quoted, a space may follow a comma, and blank lines may end the file.

    Args:
        name: The file, or `FILE:COLUMN`; see `find`.
        takes: The data that the workload takes, in words for an error.

    Raises:
        UsageError: The file, a line or a field cannot be used.
    """
    path, column = find(name, takes)
    content = reading(path, path.read_bytes)
    source, remarks = _source(path, content)
    table = source.parsed()
    names = list(map(str, table.columns))
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise UsageError(
            f"'{path}' has one column, '{names[0]}'. Separate its fields by commas."
        )
    if column not in table:
        raise UsageError(
            f"'{path}' has no column '{column}'. Its columns are: "
            f"{', '.join(names)}. Name the label's column: {path}:COLUMN"
        )
    if table.empty or len(names) == 1:
        raise UsageError(
            f"'{path}' has nothing to learn from: it needs a header, lines below the "
            f"header, and a column beside '{column}'."
        )
    source.demand_whole_rows(table)
    labels, classes = _labels(source, table[column])
    unreadable = source.unreadable(table)
    columns, fields = {}, []
    for name, values in table.items():
        if name == column:
            kind = "value" if classes is None else "class"
            fields.append(Field(name, kind, classes))
            continue
        columns[name], remark = _column(source, values)
        remarks += [remark] if remark else []
        text = columns[name].dtype == object
        if not (text or pd.api.types.is_numeric_dtype(values)):
            unreadable = f"column '{name}' has dates or words beside numbers"
        fields.append(Field(name, "text" if text else "number"))
    return Table(
        path=path,
        label=column,
        columns=columns,
        labels=labels,
        classes=0 if classes is None else len(classes),
        fields=tuple(fields),
        unreadable=unreadable,
        size=len(content),
        remarks=remarks,
    )


def numbers(table: Table) -> np.ndarray:
    """Return the columns of a table as one array, float32 `[rows, columns]`.

    Raises:
        UsageError: A column holds text, or a value is missing.
    """
    for name, values in table.columns.items():
        text = values.dtype == object
        figures = pd.to_numeric(pd.Series(values), errors="coerce") if text else values
        if text or np.isnan(values).any():
            source = _source(table.path, reading(table.path, table.path.read_bytes))[0]
            row = int(np.flatnonzero(np.isnan(figures))[0])
            what = f"is '{values[row]}'" if text and values[row] else "has no number"
            raise source.bad_field(row, name, what, NUMBERS_ONLY)
    return np.stack(list(table.columns.values()), axis=1)


def lines(rows: np.ndarray) -> np.ndarray:
    """Return each row of numbers as a line of CSV, bytes `[n]`."""
    table = pd.DataFrame(rows.astype(float))
    text = table.to_csv(header=False, index=False, lineterminator="\n")
    return np.array(text.encode().splitlines())


@dataclass(frozen=True)
class _Source:
    """A source is the content of a CSV file, which knows the line of each row.

    Attributes:
        path: The file.
        content: The bytes of the file, without blank lines at the end.
        encoding: The encoding of the content.
    """

    path: Path
    content: bytes
    encoding: str

    def parsed(self, dtype: dict[str, type] | None = None) -> pd.DataFrame:
        """Return the table with the types of pandas; a missing field is NaN.

        Args:
            dtype: The types of columns by name, where pandas must not choose them.

        Raises:
            UsageError: The text is not CSV.
        """
        try:
            table = pd.read_csv(
                io.BytesIO(self.content),
                encoding=self.encoding,
                # A blank line stays a row, which is refused with its number.
                skip_blank_lines=False,
                skipinitialspace=True,
                low_memory=False,
                # Only an empty field is missing: NA and None may be words of a text.
                keep_default_na=False,
                na_values=[""],
                dtype=dtype,
            )
        except pd.errors.EmptyDataError as error:
            raise UsageError(
                f"'{self.path}' is empty. It needs a header and lines below the header."
            ) from error
        except pd.errors.ParserError as error:
            reason = str(error).strip().rpartition("C error: ")[2].rstrip(".")
            raise UsageError(
                f"'{self.path}' is not a CSV file: {reason}. Correct or remove the "
                "line."
            ) from error
        header = next(self._records())[1]
        twice = [name for name in header if name and header.count(name) > 1]
        if twice:
            raise UsageError(
                f"'{self.path}', line 1: {header.count(twice[0])} columns have the "
                f"name '{twice[0]}'. Rename them."
            )
        # Otherwise pandas took the first field of each line as an index.
        if not isinstance(table.index, pd.RangeIndex):
            raise UsageError(
                f"'{self.path}' has lines with more fields than its header, which has "
                f"{table.shape[1]}. Correct the header."
            )
        words = {name: str for name in table if table[name].dtype == bool}
        return self.parsed(words) if words else table  # True and False are text

    def demand_whole_rows(self, table: pd.DataFrame) -> None:
        """Refuse blank lines and lines with fewer fields than the header.

        Raises:
            UsageError: There is such a line.
        """
        if not table.iloc[:, -1].isna().any():  # a short line lacks its last field
            return
        for line, record in self._records():
            if not record:
                raise UsageError(f"'{self.path}', line {line} is blank. Remove it.")
            if len(record) < table.shape[1]:
                raise UsageError(
                    f"'{self.path}', line {line} has {len(record)} fields, but the "
                    f"header has {table.shape[1]}. Correct or remove the line."
                )

    def unreadable(self, table: pd.DataFrame) -> str:
        """Return why TensorFlow cannot read the rows line by line; empty if it can."""
        if self.encoding == "latin-1":
            return "it is not UTF-8"
        if self.content.count(b"\n") != len(table):
            return "a quoted field has a line break"
        text = not all(map(pd.api.types.is_numeric_dtype, table.dtypes))
        if text and b", " in self.content:
            for line, record in self._records(skipinitialspace=False):
                if any(field.startswith(" ") for field in record):
                    return f"spaces follow commas in line {line}"
        return ""

    def bad_field(self, row: int, column: str, what: str, remedy: str) -> UsageError:
        """Return the error for a field.

        Args:
            row: The row of the field, from 0.
            column: The name of its column.
            what: What the field is.
            remedy: What is allowed, and what to do.
        """
        places = (line for line, _ in self._records())
        line = next(line for number, line in enumerate(places) if number == row + 1)
        return UsageError(
            f"'{self.path}', line {line}: column '{column}' {what}. {remedy}"
        )

    def _records(
        self, *, skipinitialspace: bool = True
    ) -> Iterator[tuple[int, list[str]]]:
        """Yield the first line of each record, from 1, and its fields."""
        reader = csv.reader(
            io.TextIOWrapper(
                io.BytesIO(self.content), encoding=self.encoding, newline=""
            ),
            skipinitialspace=skipinitialspace,
        )
        line = 1
        for record in reader:
            yield line, record
            line = reader.line_num + 1


def _source(path: Path, content: bytes) -> tuple[_Source, list[str]]:
    """Return the source of a file, and a remark if the file is not in UTF-8.

    Raises:
        UsageError: The file is not text.
    """
    if b"\0" in content:
        raise UsageError(
            f"'{path}' has zero bytes, so it is no CSV file in UTF-8 or Latin-1. If it "
            "is UTF-16 text, convert it: iconv -f utf-16 -t utf-8 IN.csv > OUT.csv. "
            "Otherwise export it as CSV."
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        remark = f"'{path}' is not UTF-8 (line {line}), so it is read as Latin-1."
        return _Source(path, content.rstrip(), "latin-1"), [remark]
    return _Source(path, content.rstrip(), "utf-8-sig"), []


def _labels(source: _Source, values: pd.Series) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the labels, and the sorted classes; None if the labels are fractions.

    Raises:
        UsageError: A label is missing, or is no finite number among numbers.
    """
    name = str(values.name)
    remedy = "A label must be filled in: correct or remove the line."
    if values.isna().any():
        row = int(np.flatnonzero(values.isna())[0])
        raise source.bad_field(row, name, "is empty", remedy)
    if pd.api.types.is_float_dtype(values):
        finite = np.isfinite(values.to_numpy(np.float32))
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            what = f"is '{values.iloc[row]}'"
            remedy = "A label must be a finite 32-bit number or a class: correct it."
            raise source.bad_field(row, name, what, remedy)
        if (values % 1 != 0).any():
            return values.to_numpy(np.float32), None
    numeric = pd.api.types.is_numeric_dtype(values)
    words = values.to_numpy(np.float64 if numeric else object)
    classes, places = np.unique(words, return_inverse=True)
    return places.astype(np.int64), classes


def _column(source: _Source, values: pd.Series) -> tuple[np.ndarray, str]:
    """Convert a column of features; return its values, and a remark or an empty text.

    Numbers become float32, dates become days since 1970 in float32, and all else stays
    text. The remark names missing or rounded numbers.

    Raises:
        UsageError: A number is beyond 32 bits, or a date does not exist.
    """
    name = str(values.name)
    if not pd.api.types.is_numeric_dtype(values):
        words = values.astype(object).where(values.notna(), "").astype(str)
        missing = words.str.strip().isin(MISSING)
        present = words[~missing].str.strip()
        if not missing.all() and present.str.fullmatch(DATE).all():
            return _days(source, words, missing)
        parsed = pd.to_numeric(present, errors="coerce")
        if missing.all() or parsed.isna().any():
            return words.to_numpy(object), ""
        values = parsed.reindex(words.index)
    exact = values.to_numpy(np.float64)
    wrong = np.abs(exact) > np.finfo(np.float32).max
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise source.bad_field(
            row,
            name,
            f"is '{values.iloc[row]}'",
            "Numbers must be finite in 32 bits: correct or remove the line or the "
            "column.",
        )
    absent = int(np.isnan(exact).sum())
    remarks = (
        [f"lacks {absent:,} of {len(exact):,} numbers, which become NaN"]
        if absent
        else []
    )
    whole = np.abs(exact[~np.isnan(exact)])
    if whole.size and whole.max() > MOST_EXACT and not (whole % 1).any():
        remarks.append("has whole numbers above 16,777,216, which float32 rounds")
    remark = f"Column '{name}' {' and '.join(remarks)}." if remarks else ""
    return exact.astype(np.float32), remark


def _days(
    source: _Source, words: pd.Series, missing: pd.Series
) -> tuple[np.ndarray, str]:
    """Return a column of dates as days since 1970, float32, and a remark.

    Raises:
        UsageError: A date does not exist.
    """
    name = str(words.name)
    dates = pd.to_datetime(
        words.str.strip().where(~missing), format="ISO8601", utc=True, errors="coerce"
    )
    wrong = (dates.isna() & ~missing).to_numpy()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise source.bad_field(
            row,
            name,
            f"is '{words.iloc[row]}'",
            "There is no such date: correct or remove the line or the column.",
        )
    days = (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    absent = int(missing.sum())
    many = "are missing and become" if absent > 1 else "is missing and becomes"
    gaps = f"; {absent:,} {many} NaN" * (absent > 0)
    return (
        days.to_numpy(np.float32),
        f"Column '{name}' holds dates, which become days since 1970-01-01{gaps}.",
    )
