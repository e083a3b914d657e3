"""Inputs are made once, whole or not at all, and anew when their maker changes."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from bench import catalog, inputs
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
    """In the order of the folders' names; the fingerprint is of their content."""
    entry, module = loaded(tmp_path, FILES)
    first, second = (inputs.prepare(entry, module, Pipeline()) for _ in range(2))
    assert module.MADE == [6]
    places = [Path(path).parent.name for path in first.features]
    assert places == ["even"] * 3 + ["odd"] * 3
    assert first.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert first.fingerprint == second.fingerprint
    Path(first.features[0]).write_text("other")
    changed = inputs.prepare(entry, module, Pipeline())
    assert changed.fingerprint != first.fingerprint


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
    """The pixels stay about as many, and there are two batches at least."""
    entry = catalog.find("rescaling")
    whole = inputs.count_for(entry, Pipeline())
    assert inputs.count_for(entry, Pipeline(image_size=128)) == whole // 4
    assert inputs.count_for(entry, Pipeline(image_size=1024)) == 64
    assert inputs.count_for(entry, Pipeline(image_size=1024, batch_size=50)) == 100


def test_own_data_needs_a_workload_that_takes_it(tmp_path: Path, cache: Path) -> None:
    """It says what the file lacks."""
    entry, module = loaded(tmp_path, ARRAYS)
    with pytest.raises(UsageError) as caught:
        inputs.prepare(entry, module, Pipeline(), data="rows.csv")
    assert str(caught.value) == (
        f"'{entry.name}' takes no --data: it declares no ACCEPTS."
    )
