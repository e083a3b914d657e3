"""Inputs are generated once, completely or not at all, and anew for changed files."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import catalog
from bench.data import inputs
from bench.errors import UsageError
from bench.pipeline import Pipeline

ARRAYS = '''"""Numbers, and how often they were made."""
EXAMPLES = 100
MADE = []
def examples(rng, count):
    MADE.append(count)
    return rng.normal(size=(count, 2)), np.arange(count)
def build(examples): ...
def check(batch, output): ...
import numpy as np
'''
FILES = '''"""Text files in two folders."""
EXAMPLES = 6
MADE = []
def examples(rng, count, folder):
    MADE.append(count)
    for n in range(count):
        place = folder / ("even", "odd")[n % 2]
        place.mkdir(exist_ok=True)
        (place / f"{n}.txt").write_text(str(rng.integers(1000)))
    if FAILS:
        raise OSError("disk full")
FAILS = False
def build(examples): ...
def check(batch, output): ...
def read(path, label): ...
'''
ROWS = '''"""The rows of a file beside it."""
from pathlib import Path
import numpy as np
def examples(rng, count):
    return np.load(Path(__file__).with_name("rows.npy"))
def build(examples): ...
def check(batch, output): ...
'''


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of inputs in an empty cache."""
    monkeypatch.setenv("FEEDRATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "inputs"


def loaded(folder: Path, text: str) -> tuple:
    """Return the entry and the module of a user's file with this text."""
    file = folder / "mine.py"
    file.write_text(text)
    catalog._read.cache_clear()
    entry = catalog.find(str(file))
    return entry, catalog.load(entry)


def test_arrays_are_generated_once(tmp_path: Path, cache: Path) -> None:
    """The second time they are read from the cache."""
    entry, module = loaded(tmp_path, ARRAYS)
    first, second = (inputs.prepare(entry, module, Pipeline()) for _ in range(2))
    assert module.MADE == [100]
    assert first.features.shape == (100, 2)
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.labels, np.arange(100))
    assert (first.count, len(first.fingerprint)) == (100, 16)
    assert first.fingerprint == second.fingerprint
    assert {name: str(part) for name, part in first.parts.items()} == {
        "features": "float64[100, 2]",
        "labels": "int64[100]",
    }
    assert first.parts == second.parts
    assert len(list(cache.iterdir())) == 1


def test_a_changed_file_has_new_inputs(tmp_path: Path, cache: Path) -> None:
    """An edited file and a larger batch need other examples."""
    entry, module = loaded(tmp_path, ARRAYS)
    first = inputs.prepare(entry, module, Pipeline())
    edited = loaded(tmp_path, ARRAYS.replace("normal", "uniform"))
    second = inputs.prepare(*edited, Pipeline())
    assert second.fingerprint != first.fingerprint
    larger = inputs.prepare(*edited, Pipeline(batch_size=80))
    assert larger.count == len(larger.features) == 160


def test_files_get_the_label_of_their_folder(tmp_path: Path, cache: Path) -> None:
    """Labels follow the order of the folders' names."""
    entry, module = loaded(tmp_path, FILES)
    first, second = (inputs.prepare(entry, module, Pipeline()) for _ in range(2))
    assert module.MADE == [6]
    places = [Path(path).parent.name for path in first.features]
    assert sorted(places) == ["even"] * 3 + ["odd"] * 3
    assert first.labels.tolist() == [int(place == "odd") for place in places]
    assert first.fingerprint == second.fingerprint
    Path(first.features[0]).write_text("other")
    changed = inputs.prepare(entry, module, Pipeline())
    assert changed.fingerprint != first.fingerprint
    assert {name: str(part) for name, part in first.parts.items()} == {
        "features": "file[6]",
        "labels": "int64[6]",
    }
    assert first.parts["labels"] == changed.parts["labels"]


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    """The next time they are generated from the start."""
    entry, module = loaded(tmp_path, FILES)
    module.FAILS = True
    with pytest.raises(OSError, match="disk full"):
        inputs.prepare(entry, module, Pipeline())
    assert list(cache.iterdir()) == []
    module.FAILS = False
    assert len(inputs.prepare(entry, module, Pipeline()).features) == 6


def test_incomplete_inputs_of_a_killed_process_are_removed(
    tmp_path: Path, cache: Path
) -> None:
    """The incomplete folder of a running process stays."""
    inputs.root().mkdir(parents=True)
    left, recent = (inputs.root() / f"{inputs.MAKING}{name}" for name in ("old", "new"))
    for folder in (left, recent):
        folder.mkdir()
        (folder / "half").touch()
    long_ago = time.time() - 2 * inputs.ABANDONED_SECONDS
    os.utime(left, (long_ago, long_ago))
    inputs.prepare(*loaded(tmp_path, ARRAYS), Pipeline())
    assert not left.exists()
    assert (recent / "half").exists()


def test_another_process_that_was_faster_is_no_error(
    tmp_path: Path, cache: Path
) -> None:
    """The inputs of the faster process are used."""
    entry, module = loaded(tmp_path, ARRAYS)
    make = module.examples

    def slower(rng: np.random.Generator, count: int) -> tuple:
        module.examples = make
        inputs.prepare(entry, module, Pipeline())  # the other process, in the meantime
        return make(rng, count)

    module.examples = slower
    assert inputs.prepare(entry, module, Pipeline()).count == 100
    assert len(list(cache.iterdir())) == 1


def test_larger_images_are_fewer(tmp_path: Path) -> None:
    """The number of pixels stays about equal, with at least two batches.

    A check on few random draws could see too many equal draws by chance.
    """
    entry = catalog.find("rescaling")
    whole = inputs.count_for(entry, Pipeline())
    assert inputs.count_for(entry, Pipeline(image_size=128)) == whole // 4
    assert inputs.count_for(entry, Pipeline(image_size=1024)) == 64
    assert inputs.count_for(entry, Pipeline(image_size=1024, batch_size=4)) == 64
    assert inputs.count_for(entry, Pipeline(image_size=1024, batch_size=50)) == 100


def test_own_data_needs_a_workload_that_takes_it(tmp_path: Path, cache: Path) -> None:
    entry, module = loaded(tmp_path, ARRAYS)
    with pytest.raises(UsageError) as caught:
        inputs.prepare(entry, module, Pipeline(), data="rows.csv")
    assert str(caught.value) == (
        f"'{entry.name}' takes no --data: it declares no ACCEPTS."
    )


def test_inputs_of_a_users_file_are_generated_once_each_time(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file may read what changes; equal content has one fingerprint."""
    rows = tmp_path / "rows.npy"
    np.save(rows, np.zeros((90, 2)))
    entry, module = loaded(tmp_path, ROWS)
    first = inputs.prepare(entry, module, Pipeline())
    np.save(rows, np.ones((90, 2)))
    same = inputs.prepare(entry, module, Pipeline())
    monkeypatch.setattr(inputs, "STARTED", "later")
    later = inputs.prepare(entry, module, Pipeline())
    np.save(rows, np.zeros((90, 2)))
    monkeypatch.setattr(inputs, "STARTED", "later still")
    last = inputs.prepare(entry, module, Pipeline())
    assert [one.features.any() for one in (first, same, later, last)] == [
        *(False, False, True, False)
    ]
    assert same.fingerprint == first.fingerprint == last.fingerprint


@pytest.mark.parametrize("change", ["folder", "import path", "interpreter"])
def test_inputs_of_a_users_file_belong_to_one_side_alone(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Both sides of a guard use one relative path."""
    for name, value in (("base", 0.0), ("head", 1.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(ROWS)
        np.save(tmp_path / name / "rows.npy", np.full((90, 2), value))
    values = {
        "folder": lambda name: monkeypatch.chdir(tmp_path / name),
        "import path": lambda name: monkeypatch.syspath_prepend(tmp_path / name),
        "interpreter": lambda name: monkeypatch.setattr(sys, "prefix", name),
    }
    results = []
    monkeypatch.chdir(tmp_path / "base")
    for name in ("base", "head", "head"):
        values[change](name)
        entry = catalog.find("mine.py")
        results.append(inputs.prepare(entry, catalog.load(entry), Pipeline()))
    differ = results[0].fingerprint != results[1].fingerprint
    assert differ == (change == "folder")
    assert len(list(cache.iterdir())) == (3 if change == "import path" else 2)


def test_two_files_of_a_user_with_one_text_have_inputs_each(
    tmp_path: Path, cache: Path
) -> None:
    """The files that they read may differ."""
    for name, value in (("a", 0.0), ("b", 1.0)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "rows.npy", np.full((90, 2), value))
        result = inputs.prepare(*loaded(tmp_path / name, ROWS), Pipeline())
        assert (result.features == value).all()


def test_inputs_of_the_shelves_are_kept_from_one_time_to_the_next(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They depend only on the entry's text and on private modules beside it."""
    entry, module = loaded(tmp_path, ARRAYS)
    entry = replace(entry, shelf="workloads")
    inputs.prepare(entry, module, Pipeline())
    monkeypatch.setattr(inputs, "STARTED", "later")
    inputs.prepare(entry, module, Pipeline())
    assert module.MADE == [100]


def test_inputs_of_a_users_file_are_removed_when_long_unused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each use of the inputs makes them recent again."""
    entry, module = loaded(tmp_path, ARRAYS)
    inputs.prepare(entry, module, Pipeline())
    (folder,) = cache.iterdir()
    long_ago = time.time() - 2 * inputs.ABANDONED_SECONDS
    os.utime(folder, (long_ago, long_ago))
    inputs.prepare(entry, module, Pipeline())
    monkeypatch.setattr(inputs, "STARTED", "later")
    inputs.prepare(entry, module, Pipeline())
    assert folder.exists()
    os.utime(folder, (long_ago, long_ago))
    monkeypatch.setattr(inputs, "STARTED", "later still")
    inputs.prepare(entry, module, Pipeline())
    assert not folder.exists()
    assert len(list(cache.iterdir())) == 2


def test_the_count_is_the_number_of_generated_examples(
    tmp_path: Path, cache: Path
) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((5, 2)))
    result = inputs.prepare(*loaded(tmp_path, ROWS), Pipeline(batch_size=32))
    assert (result.count, len(result.features)) == (5, 5)


def test_an_unusable_result_of_examples_is_not_stored(
    tmp_path: Path, cache: Path
) -> None:
    """`test_components.py` has the messages."""
    returned = 'np.load(Path(__file__).with_name("rows.npy"))'
    entry, module = loaded(tmp_path, ROWS.replace(returned, "(np.zeros(3), [0, 1, 2])"))
    with pytest.raises(UsageError, match="labels as a list of 3"):
        inputs.prepare(entry, module, Pipeline())
    assert list(cache.iterdir()) == []


def test_files_and_folders_are_distinguished_without_their_names(
    tmp_path: Path, cache: Path
) -> None:
    """A dot in a name means nothing; hidden files are ignored."""
    text = FILES.replace('("even", "odd")', '("v1.0", "v1.1")')
    text = text.replace('{n}.txt").write', '{n}").write')
    text = text.replace(
        "    if FAILS:", '    (folder / ".part").touch()\n    if FAILS:'
    )
    result = inputs.prepare(*loaded(tmp_path, text), Pipeline())
    names = [Path(path).name for path in result.features]
    assert sorted(names) == [*"012345"]
    assert result.labels.tolist() == [int(name) % 2 for name in names]


def test_files_come_in_one_order_that_mixes_their_classes(tmp_path, cache):
    """In sorted order the first second would meet one class alone."""
    entry, module = loaded(tmp_path, FILES.replace("EXAMPLES = 6", "EXAMPLES = 200"))
    result, again = (inputs.prepare(entry, module, Pipeline()) for _ in range(2))
    assert [*result.features] == [*again.features]
    assert 0 < sum(result.labels[: len(result.labels) // 4]) < len(result.labels) // 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("range(count)", "()", "examples() wrote no files into its folder."),
        (
            "def read(path, label): ...",
            "",
            "examples() with an argument folder and read(path, label) go together: "
            "only the former is there.",
        ),
        (
            "count, folder):",
            "count):",
            "examples() with an argument folder and read(path, label) go together: "
            "only the latter is there.",
        ),
    ],
)
def test_files_need_both_a_folder_and_a_reader(
    tmp_path: Path, cache: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        inputs.prepare(*loaded(tmp_path, FILES.replace(old, new)), Pipeline())
    assert str(caught.value) == message


def test_texts_of_a_user_are_files_that_the_pipeline_reads(tmp_path: Path) -> None:
    """From memory by name, they are arrays; the workload adapts to the texts."""
    for name in ("no", "yes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(f"{name} it is")
    entry = catalog.find("prose")
    module = catalog.load(entry)
    read = inputs.prepare(entry, module, Pipeline(), str(tmp_path))
    assert sorted(read.features) == [f"{tmp_path}/{n}/a.txt" for n in ("no", "yes")]
    assert read.stream.known.tolist() == [b"no it is", b"yes it is"]
    assert (read.count, read.parts["features"].dtype) == (2, "file")
    loaded = inputs.prepare(entry, module, Pipeline(), f"memory:{tmp_path}")
    assert (loaded.features.tolist(), loaded.stream) == (
        read.stream.known.tolist(),
        None,
    )


def test_a_table_of_a_user_is_one_file_of_many_examples(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,label\n1,0\n2,1\n3,1\n")
    entry = catalog.find("prices")
    read = inputs.prepare(entry, catalog.load(entry), Pipeline(), str(path))
    assert (read.features.tolist(), read.count) == ([str(path)], 3)
    assert read.stream.known.tolist() == [[1], [2], [3]]
