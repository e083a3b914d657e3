"""CSV files become columns with types, and every fault names its line and column."""

import re
from pathlib import Path

import numpy as np
import pytest

from bench.data import user, user_tables
from bench.errors import UsageError

CSV = user.TAKES["csv"]
ONLY = (
    "This workload takes numbers alone: correct or remove the line or the column, or "
    'use a workload that takes tables (ACCEPTS = "table").'
)


def refused(message: str, *arguments: object) -> None:
    """Assert that loading raises exactly this message."""
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        user.load(*arguments)


def text(path: Path, content: bytes) -> Path:
    """Write a file."""
    path.write_bytes(content)
    return path


def table(folder: Path, content: bytes, column: str = "label") -> user_tables.Table:
    """Write a file and load it."""
    path = text(folder / "a.csv", content)
    return user_tables.load(f"{path}:{column}", CSV)


def test_a_table_as_rows_and_as_lines(tmp_path: Path) -> None:
    """The column of the label may be anywhere and may contain words."""
    path = text(tmp_path / "a.csv", b"x,label,y\n1,no,2.5\n3,yes,-4\n")
    rows, labels = user.load(str(path), "rows")
    assert rows.tolist() == [[1, 2.5], [3, -4]]
    assert rows.dtype == np.float32
    assert labels.tolist() == [0, 1]
    lines, labels = user.load(f"{path}:label", "csv")
    assert lines.tolist() == [b"1.0,2.5", b"3.0,-4.0"]
    assert labels.dtype == np.int64


def test_a_table_with_another_label(tmp_path: Path) -> None:
    """The column follows a colon."""
    path = text(tmp_path / "a.csv", b"Time,Class\n1,0\n3,1\n5,0\n")
    features, labels = user.load(f"{path}:Class", "rows")
    assert features.tolist() == [[1], [3], [5]]
    assert labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,label\n1,0\nNA,1\n", "'{0}', line 3: column 'x' has no number. " + ONLY),
        (b"x,label\n1,0\nred,1\n", "'{0}', line 3: column 'x' is 'red'. " + ONLY),
        (
            b'x,y,label\n"a\nb",1,0\n"c\nd",,1\n',
            "'{0}', line 2: column 'x' is 'a\nb'. " + ONLY,
        ),
        (
            b'y,x,label\n1,"7\n",0\n,1,1\n',
            "'{0}', line 4: column 'y' has no number. " + ONLY,
        ),
        (
            b"x;label\n1,5;0\n2,5;1\n",
            "'{0}' has one column, 'x;label'. Separate its fields by commas.",
        ),
        (
            b"x\tlabel\n1\t0\n2\t1\n",
            "'{0}' has one column, 'x\tlabel'. Separate its fields by commas.",
        ),
        (
            b"x,Class\n1,0\n2,1\n",
            "'{0}' has no column 'label'. Its columns are: x, Class. Name the "
            "label's column: {0}:COLUMN",
        ),
        (b"", "'{0}' is empty. It needs a header and lines below the header."),
        (
            b"label\n1\n0\n",
            "'{0}' has nothing to learn from: it needs a header, lines below the "
            "header, and a column beside 'label'.",
        ),
        (
            b"x,label\n1,\n2,1\n",
            "'{0}', line 2: column 'label' is empty. A label must be filled in: "
            "correct or remove the line.",
        ),
        (
            b"x,label\n1,0.5\n2,inf\n",
            "'{0}', line 3: column 'label' is 'inf'. A label must be a finite 32-bit "
            "number or a class: correct it.",
        ),
        (b"x,label\n1,0\n\n2,1\n", "'{0}', line 3 is blank. Remove it."),
        (
            b"x,label\n1,0\n2,1\n1e39,1\n",
            "'{0}', line 4: column 'x' is '1e+39'. Numbers must be finite in 32 bits: "
            "correct or remove the line or the column.",
        ),
        (
            b"when,label\n2024-02-29,0\n2023-02-29,1\n",
            "'{0}', line 3: column 'when' is '2023-02-29'. There is no such date: "
            "correct or remove the line or the column.",
        ),
        (
            b"x,label\n1,0\n2,1,7\n",
            "'{0}' is not a CSV file: Expected 2 fields in line 3, saw 3. Correct or "
            "remove the line.",
        ),
        (
            b"x,y,label\n1,2,0\n1,2\n",
            "'{0}', line 3 has 2 fields, but the header has 3. Correct or remove the "
            "line.",
        ),
        (
            b"x,label\n9,1,0\n9,2,1\n",
            "'{0}' has lines with more fields than its header, which has 2. Correct "
            "the header.",
        ),
        (
            b"x,x,label\n9,1,0\n9,2,1\n",
            "'{0}', line 1: 2 columns have the name 'x'. Rename them.",
        ),
        (
            "x,label\n9,1\n".encode("utf-16"),
            "'{0}' has zero bytes, so it is no CSV file in UTF-8 or Latin-1. If it is "
            "UTF-16 text, convert it: iconv -f utf-16 -t utf-8 IN.csv > OUT.csv. "
            "Otherwise export it as CSV.",
        ),
    ],
)
def test_a_faulty_table(tmp_path: Path, content: bytes, message: str) -> None:
    """Each message names the line or the column, and the remedy."""
    path = text(tmp_path / "a.csv", content)
    refused(message.format(path), str(path), "rows")


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan"])
def test_a_class_may_have_a_name_that_means_nothing_to_pandas(
    tmp_path: Path, word: str
) -> None:
    """The columns of numbers stay numbers."""
    path = text(tmp_path / "a.csv", f"x,y,label\n1,2.5,{word}\n3,4,z\n".encode())
    rows, labels = user.load(str(path), "rows")
    assert rows.tolist() == [[1, 2.5], [3, 4]]
    assert labels.tolist() == [0, 1]


def test_no_table(tmp_path: Path) -> None:
    message = f"No data at 'nowhere.csv'. This workload takes {CSV}."
    refused(message, "nowhere.csv", "csv")
    refused(message, "nowhere.csv:Class", "csv")
    message = f"'{tmp_path}' is a folder. This workload takes {CSV}."
    refused(message, str(tmp_path), "csv")


def test_columns_have_types(tmp_path: Path) -> None:
    """Numbers and dates are float32, text stays as it is, and missing values count."""
    loaded = table(
        tmp_path,
        b'age, city, born, sure, label\n31, "Rome, ""IT""", 1970-01-02, True, a\n'
        b'NA, , 1970-01-03 12:00, False, b\n,"two\nlines", , True, a\n\n\n',
    )
    columns = {name: values.tolist() for name, values in loaded.columns.items()}
    assert columns == {
        "age": [
            31,
            pytest.approx(np.nan, nan_ok=True),
            pytest.approx(np.nan, nan_ok=1),
        ],
        "city": ['Rome, "IT"', "", "two\nlines"],
        "born": [1, 2.5, pytest.approx(np.nan, nan_ok=True)],
        "sure": ["True", "False", "True"],
    }
    types = [str(values.dtype) for values in loaded.columns.values()]
    assert types == ["float32", "object", "float32", "object"]
    assert (loaded.labels.tolist(), loaded.classes) == ([0, 1, 0], 2)
    assert loaded.remarks == [
        "Column 'age' lacks 2 of 3 numbers, which become NaN.",
        "Column 'born' holds dates, which become days since 1970-01-01; 1 is missing "
        "and becomes NaN.",
    ]


def test_a_table_of_any_columns_loads_as_columns(tmp_path: Path) -> None:
    path = text(tmp_path / "a.csv", b"x,city,label\n1,Oslo,0\n2,,1\n")
    columns, labels = user.load(str(path), "table")
    assert columns["x"].tolist() == [1, 2]
    assert columns["city"].tolist() == ["Oslo", ""]
    assert labels.tolist() == [0, 1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    """A byte order mark is no part of the first name; Latin-1 gets a remark."""
    loaded = table(tmp_path, "ort,label\nKöln,0\nBonn,1\n".encode(encoding))
    assert loaded.columns["ort"].tolist() == ["Köln", "Bonn"]
    remark = f"'{loaded.path}' is not UTF-8 (line 2), so it is read as Latin-1."
    assert loaded.remarks == [remark] * (encoding == "latin-1")


def test_large_whole_numbers_lose_digits(tmp_path: Path) -> None:
    loaded = table(tmp_path, b"id,label\n20000001,0\n7,1\n")
    assert loaded.remarks == [
        "Column 'id' has whole numbers above 16,777,216, which float32 rounds."
    ]


def test_labels_with_fractions_are_values(tmp_path: Path) -> None:
    """A model that distinguishes classes cannot be trained on such labels."""
    path = text(tmp_path / "a.csv", b"rooms,price\n3,1.5\n4,2\n")
    _, labels = user.load(f"{path}:price", "rows")
    assert (labels.tolist(), str(labels.dtype)) == ([1.5, 2], "float32")
    intake = user.examine(f"{path}:price", "rows", 2)
    assert intake.untrainable == (
        f"'{path}:price' has fractions as labels, and the workload's model "
        "distinguishes classes. Use --consumer drain, which trains no model, or name a "
        "column of classes."
    )
    assert user.examine(f"{path}:price", "rows").untrainable == ""
    assert intake.sentences == [f"Data '{path}:price': 2 examples, 22 bytes."]


def test_any_number_of_classes_can_be_read(tmp_path: Path) -> None:
    path = text(tmp_path / "a.csv", b"x,label\n1,1\n2,2\n3,3\n")
    assert user.load(str(path), "rows")[1].tolist() == [0, 1, 2]
    assert user.examine(str(path), "rows", 2).untrainable == (
        f"'{path}:label' has 3 classes; the workload's model distinguishes at most 2. "
        "Use --consumer drain, which trains no model, or remove 1."
    )
    text(path, b"x,label\n1,1\n2,1\n")
    assert user.examine(str(path), "rows", 2).untrainable == (
        f"'{path}:label' has only 1 class; a model needs at least 2. Use --consumer "
        "drain, which trains no model."
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("x,t,label\n1,ö,0\n2,b,1\n".encode("latin-1"), "it is not UTF-8"),
        (b'x,t,label\n1,"a\nb",0\n2,b,1\n', "a quoted field has a line break"),
        (b"x,t,label\n1, a,0\n2,b,1\n", "spaces follow commas in line 2"),
        (
            b"d,label\n2020-01-01,0\n2020-01-02,1\n",
            "column 'd' has dates or words beside numbers",
        ),
        (
            b"x,label\n1,0\nNA,1\n",
            "column 'x' has dates or words beside numbers",
        ),
    ],
)
def test_tables_that_tensorflow_cannot_read_by_line(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = text(tmp_path / "a.csv", content)
    with pytest.raises(UsageError) as caught:
        user.examine(str(path), "table")
    assert str(caught.value) == (
        f"'{path}' cannot be read line by line: {reason}. Load it before the clock "
        f"starts: --data memory:{path}"
    )
    assert user.examine(f"memory:{path}", "table").examples == 2
    assert user.stream(f"memory:{path}", "table") is None
    columns, _ = user.load(f"memory:{path}", "table")
    assert len(columns) == content.count(b",", 0, content.index(b"label"))


def test_columns_of_a_stream(tmp_path: Path) -> None:
    """The label is a class with its words, or a value with fractions."""
    path = text(tmp_path / "a.csv", b"x,label,t\n1,no,a\n,yes,b\n\n")
    stream = user.stream(str(path), "table")
    assert (stream.paths, stream.examples, stream.columns_apart) == ([path], 2, True)
    kinds = [(column.name, column.kind) for column in stream.fields]
    assert kinds == [("x", "number"), ("label", "class"), ("t", "text")]
    assert stream.fields[1].classes.tolist() == ["no", "yes"]
    text(path, b"x,label\n1,0.5\n2,1\n")
    assert user.stream(str(path), "rows").fields[1].kind == "value"


def test_images_come_from_files_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError) as caught:
        user.examine(f"memory:{tmp_path}", "images")
    assert str(caught.value) == (
        "memory: is for texts and CSV files, which the pipeline reads otherwise. Leave "
        f"it out: --data {tmp_path}"
    )
