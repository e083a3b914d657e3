"""Inputs are made once, whole or not at all, and anew when their maker changes."""

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
    """An empty cache folder of this test's own."""
    monkeypatch.setenv("FEEDRATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "inputs"


def loaded(folder: Path, text: str) -> tuple:
    """Entry and module of a user's file."""
    file = folder / "mine.py"
    file.write_text(text)
    catalog._read.cache_clear()
    entry = catalog.find(str(file))
    return entry, catalog.load(entry)


def test_arrays_are_made_once(tmp_path: Path, cache: Path) -> None:
    """The second time they are read back, the same."""
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


def test_another_maker_makes_them_anew(tmp_path: Path, cache: Path) -> None:
    """A file that was edited does not get the old examples; nor does a larger batch."""
    entry, module = loaded(tmp_path, ARRAYS)
    first = inputs.prepare(entry, module, Pipeline())
    edited = loaded(tmp_path, ARRAYS.replace("normal", "uniform"))
    second = inputs.prepare(*edited, Pipeline())
    assert second.fingerprint != first.fingerprint
    larger = inputs.prepare(*edited, Pipeline(batch_size=80))
    assert larger.count == len(larger.features) == 160


def test_files_get_the_label_of_their_folder(tmp_path: Path, cache: Path) -> None:
    """By the order of the folders' names; the fingerprint is of their content."""
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


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    """The next time they are made from the start."""
    entry, module = loaded(tmp_path, FILES)
    module.FAILS = True
    with pytest.raises(OSError, match="disk full"):
        inputs.prepare(entry, module, Pipeline())
    assert list(cache.iterdir()) == []
    module.FAILS = False
    assert len(inputs.prepare(entry, module, Pipeline()).features) == 6


def test_what_a_killed_process_left_half_made_is_cleared_away(
    tmp_path: Path, cache: Path
) -> None:
    """But not what another one is making now."""
    inputs.root().mkdir(parents=True)
    left, made = (inputs.root() / f"{inputs.MAKING}{name}" for name in ("old", "new"))
    for folder in (left, made):
        folder.mkdir()
        (folder / "half").touch()
    long_ago = time.time() - 2 * inputs.ABANDONED_SECONDS
    os.utime(left, (long_ago, long_ago))
    inputs.prepare(*loaded(tmp_path, ARRAYS), Pipeline())
    assert not left.exists()
    assert (made / "half").exists()


def test_another_process_that_was_faster_is_no_error(
    tmp_path: Path, cache: Path
) -> None:
    """Its inputs are taken, and those made beside them thrown away."""
    entry, module = loaded(tmp_path, ARRAYS)
    make = module.examples

    def slower(rng: np.random.Generator, count: int) -> tuple:
        module.examples = make
        inputs.prepare(entry, module, Pipeline())  # the other, in the meantime
        return make(rng, count)

    module.examples = slower
    assert inputs.prepare(entry, module, Pipeline()).count == 100
    assert len(list(cache.iterdir())) == 1


def test_larger_images_are_fewer(tmp_path: Path) -> None:
    """The pixels stay about as many, and there are two batches at least.

    Of few random draws a check could find too many alike by chance.
    """
    entry = catalog.find("rescaling")
    whole = inputs.count_for(entry, Pipeline())
    assert inputs.count_for(entry, Pipeline(image_size=128)) == whole // 4
    assert inputs.count_for(entry, Pipeline(image_size=1024)) == 64
    assert inputs.count_for(entry, Pipeline(image_size=1024, batch_size=4)) == 64
    assert inputs.count_for(entry, Pipeline(image_size=1024, batch_size=50)) == 100


def test_own_data_needs_a_workload_that_takes_it(tmp_path: Path, cache: Path) -> None:
    """It says what the file lacks."""
    entry, module = loaded(tmp_path, ARRAYS)
    with pytest.raises(UsageError) as caught:
        inputs.prepare(entry, module, Pipeline(), data="rows.csv")
    assert str(caught.value) == (
        f"'{entry.name}' takes no --data: it declares no ACCEPTS."
    )


def test_inputs_of_ones_own_file_are_made_once_each_time(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may read or import what changes; what is the same has one fingerprint."""
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
    assert [made.features.any() for made in (first, same, later, last)] == [
        *(False, False, True, False)
    ]
    assert same.fingerprint == first.fingerprint == last.fingerprint


@pytest.mark.parametrize("change", ["folder", "import path", "interpreter"])
def test_inputs_of_ones_own_file_are_of_one_side_alone(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Both sides of a guard call the file by one relative path."""
    for name, value in (("base", 0.0), ("head", 1.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(ROWS)
        np.save(tmp_path / name / "rows.npy", np.full((90, 2), value))
    values = {
        "folder": lambda name: monkeypatch.chdir(tmp_path / name),
        "import path": lambda name: monkeypatch.syspath_prepend(tmp_path / name),
        "interpreter": lambda name: monkeypatch.setattr(sys, "prefix", name),
    }
    made = []
    monkeypatch.chdir(tmp_path / "base")
    for name in ("base", "head", "head"):
        values[change](name)
        entry = catalog.find("mine.py")
        made.append(inputs.prepare(entry, catalog.load(entry), Pipeline()))
    differ = made[0].fingerprint != made[1].fingerprint
    assert differ == (change == "folder")
    assert len(list(cache.iterdir())) == (3 if change == "import path" else 2)


def test_two_files_of_ones_own_with_one_text_have_inputs_each(
    tmp_path: Path, cache: Path
) -> None:
    """What they read may differ."""
    for name, value in (("a", 0.0), ("b", 1.0)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "rows.npy", np.full((90, 2), value))
        made = inputs.prepare(*loaded(tmp_path / name, ROWS), Pipeline())
        assert (made.features == value).all()


def test_inputs_of_the_shelves_are_kept_from_one_time_to_the_next(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their text and their private neighbours are all that they hang on."""
    entry, module = loaded(tmp_path, ARRAYS)
    entry = replace(entry, shelf="workloads")
    inputs.prepare(entry, module, Pipeline())
    monkeypatch.setattr(inputs, "STARTED", "later")
    inputs.prepare(entry, module, Pipeline())
    assert module.MADE == [100]


def test_inputs_of_ones_own_file_go_when_they_have_long_been_of_no_use(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Using them counts, and not only making them."""
    entry, module = loaded(tmp_path, ARRAYS)
    inputs.prepare(entry, module, Pipeline())
    (made,) = cache.iterdir()
    long_ago = time.time() - 2 * inputs.ABANDONED_SECONDS
    os.utime(made, (long_ago, long_ago))
    inputs.prepare(entry, module, Pipeline())
    monkeypatch.setattr(inputs, "STARTED", "later")
    inputs.prepare(entry, module, Pipeline())
    assert made.exists()
    os.utime(made, (long_ago, long_ago))
    monkeypatch.setattr(inputs, "STARTED", "later still")
    inputs.prepare(entry, module, Pipeline())
    assert not made.exists()
    assert len(list(cache.iterdir())) == 2


def test_there_are_as_many_examples_as_were_made(tmp_path: Path, cache: Path) -> None:
    """And not as many as were asked for."""
    np.save(tmp_path / "rows.npy", np.zeros((5, 2)))
    made = inputs.prepare(*loaded(tmp_path, ROWS), Pipeline(batch_size=32))
    assert (made.count, len(made.features)) == (5, 5)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("None", "NoneType"),
        ("[1.0, 2.0]", "list"),
        ("np.float32(3)", "float32"),
        ("np.array(3.0)", "float64[]"),
        ("np.zeros((0, 2))", "float64[0, 2]"),
        ("np.array(['a', b'b'], dtype=object)", "object[2]"),
        ("(np.zeros((3, 2)), np.arange(4))", "(float64[3, 2], int64[4])"),
        ("(np.zeros(3), [0, 1, 2])", "(float64[3], list)"),
        ("(np.zeros(3),) * 3", "(float64[3], float64[3], float64[3])"),
        ("()", "()"),
    ],
)
def test_what_examples_returns_is_looked_at(
    tmp_path: Path, cache: Path, made: str, told: str
) -> None:
    """Not left to fail in the middle of a run, nor kept."""
    returned = 'np.load(Path(__file__).with_name("rows.npy"))'
    with pytest.raises(UsageError) as caught:
        inputs.prepare(*loaded(tmp_path, ROWS.replace(returned, made)), Pipeline())
    assert str(caught.value) == (
        f"examples() returned {told}. It must return features [count, ...] or "
        "(features, labels): NumPy arrays of one length, not empty and not of objects "
        "(strings as bytes, or with .astype(str))."
    )
    assert list(cache.iterdir()) == []


def test_files_are_told_from_folders_by_what_they_are(
    tmp_path: Path, cache: Path
) -> None:
    """Not by a dot in the name; hidden ones are not the user's."""
    text = FILES.replace('("even", "odd")', '("v1.0", "v1.1")')
    text = text.replace('{n}.txt").write', '{n}").write')
    text = text.replace(
        "    if FAILS:", '    (folder / ".part").touch()\n    if FAILS:'
    )
    made = inputs.prepare(*loaded(tmp_path, text), Pipeline())
    names = [Path(path).name for path in made.features]
    assert sorted(names) == [*"012345"]
    assert made.labels.tolist() == [int(name) % 2 for name in names]


def test_files_come_in_one_order_that_mixes_their_classes(tmp_path, cache):
    """Sorted by class, the first second would meet one class alone."""
    entry, module = loaded(tmp_path, FILES.replace("EXAMPLES = 6", "EXAMPLES = 200"))
    made, again = (inputs.prepare(entry, module, Pipeline()) for _ in range(2))
    assert [*made.features] == [*again.features]
    assert 0 < sum(made.labels[: len(made.labels) // 4]) < len(made.labels) // 4


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
def test_files_that_cannot_be_read_are_not_asked_for(
    tmp_path: Path, cache: Path, old: str, new: str, message: str
) -> None:
    """Nor are there none."""
    with pytest.raises(UsageError) as caught:
        inputs.prepare(*loaded(tmp_path, FILES.replace(old, new)), Pipeline())
    assert str(caught.value) == message
