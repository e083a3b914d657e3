"""A CSV file of the user's: numbers and a label's column."""

from pathlib import Path

import numpy as np
import pandas as pd

from bench.data.user_files import reading
from bench.errors import UsageError

LABEL = "label"


def find(given: str, takes: str) -> tuple[Path, str]:
    """The file, and the name of the label's column; see `load`.

    Raises:
        UsageError: There is no file.
    """
    path, column = Path(given), LABEL
    if not path.exists() and ":" in given:
        path, column = Path(given.rpartition(":")[0]), given.rpartition(":")[2]
    if not path.exists():
        raise UsageError(f"No data at '{path}'. This workload takes {takes}.")
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder. This workload takes {takes}.")
    return path, column


def load(given: str, takes: str) -> tuple[pd.DataFrame, np.ndarray, str]:
    """Features, labels as places among the sorted values, and `path:column`.

    Args:
        given: The file, with `:COLUMN` where the label's is not named `label`.
        takes: What the workload takes, for the words of an error.

    Raises:
        UsageError: The file or a line cannot be used.
    """
    path, column = find(given, takes)
    table = _parsed(path)
    names = list(map(str, table.columns))
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise UsageError(
            f"'{path}' has one column, '{names[0]}'. Separate its fields by commas."
        )
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first as an index
        raise UsageError(
            f"'{path}' has lines with more fields than its header, which has "
            f"{table.shape[1]}. Mend the header."
        )
    if column not in table:
        raise UsageError(
            f"'{path}' has no column '{column}'. Its columns are: "
            f"{', '.join(names)}. Name the label's: {path}:COLUMN"
        )
    labels = table.pop(column)
    if table.empty:
        raise UsageError(
            f"'{path}' has no numbers to learn from: it needs a header, lines "
            f"under it, and a column beside '{column}'."
        )
    if labels.isna().any():
        raise _bad_cell(path, column, labels, labels.isna())
    for name, values in table.items():
        sizes = pd.to_numeric(values, errors="coerce").astype(float).abs()
        wrong = ~(sizes <= np.finfo(np.float32).max)  # NaN is not either
        if wrong.any():
            raise _bad_cell(path, str(name), values, wrong)
    _, places = np.unique(labels.to_numpy(), return_inverse=True)
    return table, places.astype(np.int64), f"{path}:{column}"


def as_lines(table: pd.DataFrame) -> np.ndarray:
    """Each row as a line of CSV, bytes `[n]`."""
    lines = table.astype(float).to_csv(header=False, index=False, lineterminator="\n")
    return np.array(lines.encode().splitlines())


def _parsed(path: Path) -> pd.DataFrame:
    try:
        # Blank lines are kept, so that a row's number tells its line. Only nothing is
        # nothing: words such as NA and None may be classes.
        return reading(
            path,
            lambda: pd.read_csv(
                path,
                skip_blank_lines=False,
                low_memory=False,
                keep_default_na=False,
                na_values=[""],
            ),
        )
    except pd.errors.EmptyDataError as error:
        raise UsageError(
            f"'{path}' is empty. It needs a header and lines under it."
        ) from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = str(error).strip().rpartition("C error: ")[2]
        raise UsageError(
            f"'{path}' is not a CSV file in UTF-8: {reason}. Mend or remove the line."
        ) from error


def _bad_cell(
    path: Path, column: str, values: pd.Series, wrong: pd.Series
) -> UsageError:
    row = int(np.flatnonzero(wrong)[0])
    value = values.iloc[row]
    what = "is empty" if pd.isna(value) else f"is '{value}'"
    return UsageError(
        f"'{path}', line {row + 2}: column '{column}' {what}. Labels must be filled in "
        "and all else must be finite 32-bit numbers: mend or remove the line or the "
        "column."
    )
