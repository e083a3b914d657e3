"""The pipeline reads the user's texts and CSV files by itself."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bench import catalog
from bench.data import user
from bench.measure import user_records
from bench.measure.tf_data import interleave
from bench.pipeline import Pipeline


def records(data: str, accepts: str) -> list[tuple]:
    """Return what the pipeline reads and decodes, as NumPy values."""
    stream = user.stream(data, accepts)
    entry = catalog.find("prices")
    entry, module = user_records.streamed(entry, catalog.load(entry), stream)
    files = tf.data.Dataset.from_tensor_slices(
        ([str(path) for path in stream.paths], list(range(len(stream.paths))))
    )
    dataset = interleave(Pipeline(), files, module.read)
    if entry.decodes:
        dataset = dataset.map(module.decode)
    return list(dataset.as_numpy_iterator())


def test_texts_are_read_file_by_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text(f"{name}: très bon")
    assert records(str(tmp_path), "text") == [
        ("a: très bon".encode(), 0),
        ("b: très bon".encode(), 1),
    ]
    stream = user.stream(str(tmp_path), "text")
    assert stream.known.tolist() == ["a: très bon".encode(), "b: très bon".encode()]


@pytest.mark.parametrize("accepts", ["rows", "csv"])
@pytest.mark.parametrize("labels", [("no", "yes"), ("1", "3"), ("0.5", "1")])
def test_rows_are_decoded_as_they_are_from_memory(
    tmp_path: Path, accepts: str, labels: tuple[str, str]
) -> None:
    """The label may stand anywhere; blank lines may end the file."""
    path = tmp_path / "a.csv"
    path.write_text(
        f"\ufeffx,label,y\r\n1, {labels[1]},2.5\r\n 3,{labels[0]},1e-3\r\n\r\n"
        if labels[0] != "no"
        else "x,label,y\n1,yes,2.5\n3,no,1e-3\n\n\n"
    )
    features, expected = user.load(str(path), "rows")
    pairs = records(str(path), accepts)
    rows, decoded = (np.array(values) for values in zip(*pairs, strict=True))
    np.testing.assert_array_equal(rows, features)
    np.testing.assert_array_equal(decoded, expected)
    assert (rows.dtype, decoded.dtype) == (features.dtype, expected.dtype)


def test_columns_are_decoded_apart(tmp_path: Path) -> None:
    """Text keeps its quotes and commas, and a missing number is NaN."""
    path = tmp_path / "a.csv"
    path.write_text('x,t,label\n1,"a, ""b""",0\n,,1\n')
    (first, zero), (second, one) = records(str(path), "table")
    assert (first, zero, one) == ({"x": 1, "t": b'a, "b"'}, 0, 1)
    assert np.isnan(second["x"])
    assert second["t"] == b""


def test_layers_are_built_on_all_examples(tmp_path: Path) -> None:
    """A workload without `read` reads the file, and its own `decode` has no part."""
    path = tmp_path / "a.csv"
    path.write_text("x,label,y\n1,0,2\n2,1,5\n4,1,8\n")
    entry = catalog.find("features_csv")
    stream = user.stream(str(path), "csv")
    entry, module = user_records.streamed(entry, catalog.load(entry), stream)
    assert (entry.reads_files, entry.decodes) == (True, True)
    layer = module.build([str(path)])
    rows = np.array([[1, 2], [2, 5], [4, 8]], np.float32)
    module.check(rows, layer(rows).numpy())


def test_other_data_leave_the_workload_as_it_is() -> None:
    entry = catalog.find("prices")
    module = catalog.load(entry)
    assert user_records.streamed(entry, module, None) == (entry, module)
