"""Files whose pages are dropped, and those whose pages stay."""

import os
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.measure import page_cache

PAGE = os.sysconf("SC_PAGE_SIZE")
TYPES = "/dev/a / ext4 rw 0 0\ntmpfs {} tmpfs rw 0 0\nz /tank zfs rw 0 0\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Files of several lengths, read just now; one is empty."""
    for size in (0, 1, PAGE, 40 * PAGE + 7):
        (tmp_path / str(size)).write_bytes(bytes(size))
    paths = sorted(tmp_path.iterdir())
    for path in paths:
        path.read_bytes()
    return paths


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list of file systems, with one in memory at the folder `in memory`."""
    where = str(tmp_path.resolve() / "in memory").replace(" ", "\\040")
    listed = tmp_path / "mounts"
    listed.write_text(TYPES.format(where))
    return listed


def test_pages_are_counted_where_they_are(files: list[Path]) -> None:
    """What was written just now is in memory."""
    assert page_cache.resident_share(files) == 1.0
    assert page_cache.resident_share([]) == 0.0
    assert page_cache.resident_share([files[0]]) == 0.0


def test_pages_that_are_dropped_are_gone(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the temporary folder's file system cannot do it, the kernel is played."""
    if page_cache.file_system(files[0]) not in ("ext4", "xfs", "btrfs"):
        monkeypatch.setattr(page_cache, "resident_share", lambda _: 0.0)
        monkeypatch.setattr(page_cache, "file_system", lambda _: "ext4")
    assert page_cache.stays(files, "") == ""
    page_cache.demand_dropped(files)
    assert page_cache.resident_share(files) <= page_cache.MOST_LEFT


def test_files_whose_pages_stay_are_never_cold(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files in memory are tried in earnest where there is such a file system."""
    dropped = []
    monkeypatch.setattr(page_cache, "drop", lambda paths: dropped.append(list(paths)))
    monkeypatch.setattr(page_cache, "file_system", lambda _: "tmpfs")
    said = page_cache.stays(files, "Set FEEDRATE_CACHE to a folder on a disk.")
    assert said == (
        f"storage=cold: the content of '{files[1]}' stays in memory, since its file "
        "system, tmpfs, cannot drop them. Set FEEDRATE_CACHE to a folder on a disk."
    )
    assert dropped == [files[1:]] * page_cache.TRIES
    with pytest.raises(UsageError, match="Use files on a disk, or storage=warm"):
        page_cache.demand_dropped(files)
    assert page_cache.stays(files[:1], "") == ""


def test_a_file_system_with_a_cache_of_its_own_is_not_believed(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel says that nothing is in memory there."""
    monkeypatch.setattr(page_cache, "resident_share", lambda _: 0.0)
    monkeypatch.setattr(page_cache, "file_system", lambda _: "zfs")
    assert "its file system, zfs, keeps a cache of its own." in page_cache.stays(
        files, ""
    )


@pytest.mark.parametrize(
    ("path", "kind"), [("in memory/a/b", "tmpfs"), ("in", "ext4"), ("/tank/x", "zfs")]
)
def test_the_nearest_mount_tells_the_type(
    path: str, kind: str, tmp_path: Path, mounts: Path
) -> None:
    """A name may have spaces."""
    assert page_cache.file_system(tmp_path / path, mounts) == kind


def test_a_tmpfs_is_refused_in_earnest(files: list[Path]) -> None:
    """Linux has one for shared memory."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or page_cache.file_system(shared) != "tmpfs":
        pytest.skip("no tmpfs here that can be written to")
    path = shared / f"feedrate-{os.getpid()}"
    try:
        path.write_bytes(bytes(PAGE))
        assert ", tmpfs, cannot drop them." in page_cache.stays([path], "")
    finally:
        path.unlink()
