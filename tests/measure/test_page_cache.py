"""These tests drop files from the page cache, and find files whose pages stay."""

import os
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.measure import page_cache

PAGE = os.sysconf("SC_PAGE_SIZE")
TYPES = "/dev/a / ext4 rw 0 0\ntmpfs {} tmpfs rw 0 0\nz /tank zfs rw 0 0\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return files of several lengths that were just read; one is empty."""
    for size in (0, 1, PAGE, 40 * PAGE + 7):
        (tmp_path / str(size)).write_bytes(bytes(size))
    paths = sorted(tmp_path.iterdir())
    for path in paths:
        path.read_bytes()
    return paths


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a list of mounts, with a tmpfs at the folder `in memory`."""
    where = str(tmp_path.resolve() / "in memory").replace(" ", "\\040")
    listed = tmp_path / "mounts"
    listed.write_text(TYPES.format(where))
    return listed


def test_pages_are_counted_where_they_are(files: list[Path]) -> None:
    """Pages that were just written are in memory."""
    assert page_cache.resident_share(files) == 1.0
    assert page_cache.resident_share([]) == 0.0
    assert page_cache.resident_share([files[0]]) == 0.0


def test_pages_that_are_dropped_are_gone(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel is faked where the temporary folder's file system keeps pages."""
    if page_cache.file_system(files[0]) not in ("ext4", "xfs", "btrfs"):
        monkeypatch.setattr(page_cache, "resident_share", lambda _: 0.0)
        monkeypatch.setattr(page_cache, "file_system", lambda _: "ext4")
    assert page_cache.reason_not_cold(files, "") == ""
    page_cache.demand_dropped(files)
    assert page_cache.resident_share(files) <= page_cache.MOST_LEFT


def test_files_whose_pages_stay_are_never_cold(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another test uses a real tmpfs where there is one."""
    dropped = []
    monkeypatch.setattr(page_cache, "drop", lambda paths: dropped.append(list(paths)))
    monkeypatch.setattr(page_cache, "file_system", lambda _: "tmpfs")
    reason = page_cache.reason_not_cold(
        files, "Set FEEDRATE_CACHE to a folder on a disk."
    )
    assert reason == (
        f"storage=cold: the content of '{files[1]}' stays in memory, since its file "
        "system, tmpfs, cannot drop them. Set FEEDRATE_CACHE to a folder on a disk."
    )
    assert dropped == [files[1:]] * page_cache.TRIES
    with pytest.raises(UsageError, match="Use files on a disk, or storage=warm"):
        page_cache.demand_dropped(files)
    assert page_cache.reason_not_cold(files[:1], "") == ""


def test_the_pages_of_a_file_system_with_its_own_cache_stay(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel reports that no page is in memory there."""
    monkeypatch.setattr(page_cache, "resident_share", lambda _: 0.0)
    monkeypatch.setattr(page_cache, "file_system", lambda _: "zfs")
    assert (
        "its file system, zfs, keeps a cache of its own."
        in page_cache.reason_not_cold(files, "")
    )


@pytest.mark.parametrize(
    ("path", "kind"), [("in memory/a/b", "tmpfs"), ("in", "ext4"), ("/tank/x", "zfs")]
)
def test_the_nearest_mount_has_the_type(
    path: str, kind: str, tmp_path: Path, mounts: Path
) -> None:
    """The name of a folder may have spaces."""
    assert page_cache.file_system(tmp_path / path, mounts) == kind


def test_a_real_tmpfs_is_refused(files: list[Path]) -> None:
    """Linux has a tmpfs for shared memory."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or page_cache.file_system(shared) != "tmpfs":
        pytest.skip("no writable tmpfs here")
    path = shared / f"feedrate-{os.getpid()}"
    try:
        path.write_bytes(bytes(PAGE))
        assert ", tmpfs, cannot drop them." in page_cache.reason_not_cold([path], "")
    finally:
        path.unlink()
