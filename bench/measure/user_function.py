"""Make the dataset of a user's own function from a source text, edited or not."""

from __future__ import annotations

import functools
import linecache
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import keras
import tensorflow as tf

from bench.errors import UsageError

SEED = 20231  # of every dataset that is made, so that two of them can be compared


def make_dataset(
    path: str, source: str, call: str, seed: int = SEED
) -> tf.data.Dataset:
    """Run a source text under the name of the user's file, and then the call.

    Seeds are set first, TensorFlow's as well: only so do shuffles without a seed of
    their own give the same order to two datasets that are compared.

    Args:
        path: The user's file; `__file__`, imports and tracebacks are as if it ran.
        source: The source text.
        call: The expression that makes the dataset.
        seed: The seed of Python, NumPy, Keras and TensorFlow.

    Raises:
        UsageError: The call makes no `tf.data.Dataset`.
    """
    keras.utils.set_random_seed(seed)
    with _caches_elsewhere():
        dataset = eval(call, vars(run_module(path, source)))
    if not isinstance(dataset, tf.data.Dataset):
        kind = type(dataset).__name__
        hint = (
            f' Pick one of them, as with --call "{call}[0]".'
            if isinstance(dataset, tuple | list | dict)
            else ""
        )
        raise UsageError(f"{call} returned a {kind}, not a tf.data.Dataset.{hint}")
    return dataset


@contextmanager
def _caches_elsewhere() -> Iterator[None]:
    """Within, caches and snapshots on disk go into new folders, never into the user's.

    A cache that another process fills at the same time fails, and a full one would
    serve examples of an earlier source. The recorder shows the arguments of these
    functions, which are the user's.
    """
    cache, snapshot = tf.data.Dataset.cache, tf.data.Dataset.snapshot

    @functools.wraps(cache)
    def new_cache(self, filename="", name=None):
        elsewhere = f"{tempfile.mkdtemp()}/cache" if filename else filename
        return cache(self, elsewhere, name)

    @functools.wraps(snapshot)
    def new_snapshot(self, path, *args, **kwargs):
        return snapshot(self, tempfile.mkdtemp(), *args, **kwargs)

    tf.data.Dataset.cache, tf.data.Dataset.snapshot = new_cache, new_snapshot
    try:
        yield
    finally:
        tf.data.Dataset.cache, tf.data.Dataset.snapshot = cache, snapshot


def run_module(path: str, source: str) -> ModuleType:
    """Run a source text as a module of the file's name, and return the module.

    AutoGraph and tracebacks read the source of a function by its file and line. So the
    text goes into Python's cache of lines, without a time, which is never checked.

    Args:
        path: The user's file.
        source: The source text.
    """
    place = Path(path).absolute()
    folder = str(place.parent)
    if folder not in sys.path:
        sys.path.append(folder)  # for the modules beside the user's file
    module = ModuleType(Path(path).stem)
    # AutoGraph reads a module's lines anew from the disk if this is the code's name:
    # pyct/inspect_utils.py, _fix_linecache_record.
    module.__file__ = f"{folder}/./{place.name}"
    sys.modules[module.__name__] = module
    linecache.cache[path] = (len(source), None, source.splitlines(True), path)
    exec(compile(source, path, "exec"), vars(module))
    return module
