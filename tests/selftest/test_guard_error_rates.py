"""The bars' table counts what each method said; a peer that is missing says so."""

import sys

import pytest

from bench.errors import UsageError
from bench.selftest import injection
from results.method import guard_bars, peers


def line(method: str, code: int, **more) -> dict:
    """One comparison of prose that was 5 % slower, alone, in 19.6 s."""
    about = {"workload": "prose", "change": 0.05, "neighbour": False, "seconds": 19.6}
    return {"method": method, "exit": code, **about, **more}


def test_methods_stand_side_by_side_the_guard_first() -> None:
    found = [line("asv 5%", 0)]
    found += [line("guard", code, log_ratios=[0.04, 0.06]) for code in (1, 1, 3)]
    rows = guard_bars.table(found).splitlines()[2:]
    assert rows[:2] == [
        "| no | 5 % | all | guard | 3 | 2 | 1 | 0 | 9 to 99 % | 20 |  |",
        "| no | 5 % | all | asv 5% | 1 | 0 | 0 | 1 | 0 to 98 % | 20 |  |",
    ]
    assert [row.replace("| prose |", "| all |") for row in rows[2:]] == [
        rows[0].replace("|  |", "| +5.1 % |"),
        rows[1],
    ]


def test_peers_time_the_next_batch_of_the_same_files(tmp_path) -> None:
    """One file alone, as asv keeps it in a repository of its own."""
    path = injection.write("prices", 0.0, tmp_path)
    settings = {"order": "batch_map", "batch_size": 8}
    batch = peers.drain(str(path), settings, str(tmp_path))
    assert [len(batch()[0]) for _ in range(3)] == [8] * 3


def test_a_missing_peer_is_told_before_anything_slow() -> None:
    peer = peers.Peer(
        title="x", package="no-such-peer", judge=lambda sides: (False, "")
    )
    with pytest.raises(UsageError) as missing:
        peer.check_installed()
    assert str(missing.value) == (
        "no-such-peer is not installed, as it is no dependency of Feedrate. To compare "
        f"with it: {sys.executable} -m pip install no-such-peer"
    )
