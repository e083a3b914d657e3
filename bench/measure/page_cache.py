"""The page cache of files: dropping their pages, and whether they are gone.

A file system in memory has no other place for them, and some keep a cache of their own.
There a file is never cold, whatever was asked of the kernel.
"""

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

from bench.errors import UsageError

OWN_CACHE = ("zfs",)  # its pages are in no page cache, so `mincore` does not see them
MOST_LEFT = 0.05  # of the pages; single ones may be in use by another process
TRIES = 3
MOUNTS = Path("/proc/self/mounts")


def drop(paths: Iterable[str | Path]) -> None:
    """Drop the files' pages from the page cache, so that they are read from disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # a page not yet written cannot be dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def stays(paths: Iterable[str | Path], remedy: str) -> str:
    """Why the files cannot be cold, or nothing if their pages are gone.

    Args:
        paths: Files; their pages are dropped, whatever comes of it.
        remedy: A sentence about the folder that they are in.
    """
    paths = [path for path in map(Path, paths) if path.stat().st_size]
    if not paths:
        return ""
    kind = file_system(paths[0])
    left = 1.0
    for _ in range(TRIES):
        drop(paths)
        left = resident_share(paths)
        if left <= MOST_LEFT:
            break
    if left <= MOST_LEFT and kind not in OWN_CACHE:
        return ""
    cause = "keeps a cache of its own" if kind in OWN_CACHE else "cannot drop them"
    return (
        f"storage=cold: the content of '{paths[0]}' stays in memory, since its file "
        f"system, {kind}, {cause}. {remedy}"
    )


def demand_dropped(paths: Iterable[str | Path]) -> None:
    """Drop the files' pages, and refuse to go on where they stay.

    Raises:
        UsageError: More than a few of them are still in memory.
    """
    if reason := stays(paths, "Use files on a disk, or storage=warm."):
        raise UsageError(reason)


def resident_share(paths: Iterable[str | Path]) -> float:
    """The part of the files' pages that are in memory, from 0 to 1.

    Of a file that belongs to somebody else, and is not to be written, the kernel says
    that all pages are in memory. Such files count as dropped.
    """
    resident = pages = 0
    for path in map(Path, paths):
        about = path.stat()
        with path.open("rb") as file:
            held = _resident(file.fileno(), about.st_size)
        known = os.access(path, os.W_OK) or about.st_uid == os.geteuid()
        resident += sum(held) if known else 0
        pages += len(held)
    return resident / pages if pages else 0.0


def file_system(path: str | Path, mounts: Path = MOUNTS) -> str:
    """The type of the file system that a file is on, such as `ext4` or `tmpfs`."""
    real = Path(path).resolve()
    types = {}
    for line in mounts.read_text().splitlines():
        _, where, kind, *_ = line.split(" ")
        types[Path(where.encode().decode("unicode_escape"))] = kind
    near = [folder for folder in (real, *real.parents) if folder in types]
    return types[near[0]] if near else "unknown"


def _resident(descriptor: int, size: int) -> list[int]:
    """1 for each page of an open file that is in memory, else 0."""
    if not size:
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    count = -(-size // mmap.PAGESIZE)
    states = (ctypes.c_ubyte * count)()
    # Copied on write, since ctypes has no address of a map that is only read.
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        address = ctypes.c_void_p(ctypes.addressof(first))
        failed = libc.mincore(address, ctypes.c_size_t(size), states)
        del first  # or the map could not be closed
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return [state & 1 for state in states]
