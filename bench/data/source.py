"""This module reads the value of `--data`: a name or a path, after its prefixes."""

from dataclasses import dataclass, replace
from pathlib import Path

from bench.catalog import Entry

# By kind of data (ACCEPTS): the data set of Keras with the same form.
DOWNLOADS = {"image_arrays": "cifar10", "flat_images": "cifar10", "text": "imdb"}
TABLES = ("csv", "rows", "table")
STREAMED = ("text", *TABLES)  # the pipeline reads these, unless from memory by name
SKIP_DAMAGED = "skip-damaged:"
MEMORY = "memory:"


@dataclass(frozen=True)
class Source:
    """A source is the value of `--data`.

    Attributes:
        name: The name or the path, with a column where there is one.
        skip_damaged: Whether to leave damaged files out instead of refusing them.
        in_memory: Whether the data are loaded before any clock starts, where the
            pipeline could read them.
    """

    name: str
    skip_damaged: bool = False
    in_memory: bool = False

    def __str__(self) -> str:
        """Return the value as the user writes it."""
        return SKIP_DAMAGED * self.skip_damaged + MEMORY * self.in_memory + self.name


def skipping(data: str) -> str:
    """Return the value of `--data` by which damaged files are left out."""
    source = parse(data)
    return str(Source(source.name, skip_damaged=True, in_memory=source.in_memory))


def parse(data: str) -> Source:
    """Return the source of a value of `--data`; prefixes come in any order.

    A path that exists has no prefix.
    """
    name, prefixes = data, set()
    while not Path(name).exists():
        prefix = next((p for p in (SKIP_DAMAGED, MEMORY) if name.startswith(p)), "")
        if not prefix:
            break
        prefixes.add(prefix)
        name = name.removeprefix(prefix)
    return Source(name, SKIP_DAMAGED in prefixes, MEMORY in prefixes)


def absolute(data: str) -> str:
    """Return the value of `--data` with an absolute path; prefixes and column stay.

    A name of data, or nothing, stays as it is.
    """
    source = parse(data)
    path, _, column = source.name.rpartition(":")
    if source.name and Path(source.name).exists():
        name = str(Path(source.name).absolute())
    elif path and Path(path).exists():
        name = f"{Path(path).absolute()}:{column}"
    else:
        return data
    return str(Source(name, source.skip_damaged, source.in_memory))


def streams(entry: Entry, data: str) -> bool:
    """Return whether the pipeline itself reads the user's texts or CSV lines."""
    source, accepts = parse(data), entry.constants.get("ACCEPTS")
    own = source.name and source.name != DOWNLOADS.get(str(accepts))
    return bool(own) and not source.in_memory and accepts in STREAMED


def entry_for(entry: Entry, data: str) -> Entry:
    """Return the entry as it is with the user's data, which its pipeline may read.

    Args:
        entry: The workload or layer.
        data: The user's data; empty for the workload's own.
    """
    if not streams(entry, data):
        return entry
    functions = {**entry.functions, "read": ("path", "label")}
    if entry.constants["ACCEPTS"] in TABLES:
        functions["decode"] = ("record", "label")
    return replace(entry, functions=functions)
