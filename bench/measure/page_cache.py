"""This module drops files from the page cache and checks that their pages are gone.

A file system in memory has no other place for pages, and some file systems have their
own cache. There a file is never cold, even after the kernel was asked to drop it.
"""

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

from bench.errors import UsageError

OWN_CACHE = ("zfs",)  # pages are not in the page cache, so `mincore` misses them
MOST_LEFT = 0.05  # of the pages; another process may use some of them
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


def reason_not_cold(paths: Iterable[str | Path], remedy: str) -> str:
    """Drop the files' pages; return why the files cannot be cold, or an empty text.

    Args:
        paths: The files.
        remedy: A sentence about their folder, for the end of the reason.
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
        UsageError: More than `MOST_LEFT` of the pages are still in memory.
    """
    if reason := reason_not_cold(paths, "Use files on a disk, or storage=warm."):
        raise UsageError(reason)


def resident_share(paths: Iterable[str | Path]) -> float:
    """Return the share of the files' pages that are in memory, from 0 to 1.

    The kernel reports every page as resident for a file of another user without write
    permission. Such files count as dropped.
    """
    resident = pages = 0
    for path in map(Path, paths):
        status = path.stat()
        with path.open("rb") as file:
            states = _resident(file.fileno(), status.st_size)
        trusted = os.access(path, os.W_OK) or status.st_uid == os.geteuid()
        resident += sum(states) if trusted else 0
        pages += len(states)
    return resident / pages if pages else 0.0


def file_system(path: str | Path, mounts: Path = MOUNTS) -> str:
    """Return the type of a file's file system, such as `ext4` or `tmpfs`."""
    real = Path(path).resolve()
    types = {}
    for line in mounts.read_text().splitlines():
        _, mount, kind, *_ = line.split(" ")
        types[Path(mount.encode().decode("unicode_escape"))] = kind
    mounted = [folder for folder in (real, *real.parents) if folder in types]
    return types[mounted[0]] if mounted else "unknown"


def _resident(descriptor: int, size: int) -> list[int]:
    """Return 1 for each page of an open file that is in memory, else 0."""
    if not size:
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    count = -(-size // mmap.PAGESIZE)
    states = (ctypes.c_ubyte * count)()
    # Copy on write, since ctypes gives no address of a read-only map.
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        address = ctypes.c_void_p(ctypes.addressof(first))
        failed = libc.mincore(address, ctypes.c_size_t(size), states)
        del first  # or the map could not be closed
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return [state & 1 for state in states]
