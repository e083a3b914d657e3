"""The value of `--data` has prefixes, which come in any order."""

from pathlib import Path

import pytest

from bench import catalog
from bench.data import source
from bench.data.source import Source


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", Source("")),
        ("photos", Source("photos")),
        ("memory:rows.csv:y", Source("rows.csv:y", in_memory=True)),
        ("skip-damaged:texts", Source("texts", skip_damaged=True)),
        ("memory:skip-damaged:texts", Source("texts", True, True)),
        ("skip-damaged:memory:texts", Source("texts", True, True)),
    ],
)
def test_prefixes(data: str, expected: Source) -> None:
    assert source.parse(data) == expected
    assert source.parse(str(expected)) == expected


def test_a_path_that_exists_has_no_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("memory:texts").mkdir()
    assert source.parse("memory:texts") == Source("memory:texts")
    here = Source("memory:texts", skip_damaged=True)
    assert source.parse("skip-damaged:memory:texts") == here


def test_skipping_has_one_prefix() -> None:
    once = source.skipping("memory:texts")
    assert once == source.skipping(once) == "skip-damaged:memory:texts"


@pytest.mark.parametrize(
    ("workload", "data", "reads", "decodes"),
    [
        ("prose", "", False, False),
        ("prose", "imdb", False, False),
        ("prose", "memory:texts", False, False),
        ("prose", "texts", True, False),
        ("prices", "rows.csv", True, True),
        ("features_csv", "skip-damaged:rows.csv:y", True, True),
        ("cifar_augmentation", "photos", False, False),
        ("photo_files", "photos", True, True),
    ],
)
def test_a_workload_reads_texts_and_tables(
    workload: str, data: str, reads: bool, decodes: bool
) -> None:
    """The pipeline of a workload without `read` gets one."""
    entry = source.entry_for(catalog.find(workload), data)
    assert (entry.reads_files, entry.decodes) == (
        reads,
        decodes or workload == "features_csv",
    )
