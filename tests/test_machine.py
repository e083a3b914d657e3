"""What identifies a machine, and the conditions around a run."""

import msgspec

from bench import machine


def test_the_fingerprint_names_machine_and_versions() -> None:
    """Everything that two runs must share, and it can be stored."""
    found = machine.fingerprint()
    assert {*machine.IDENTITY, *machine.PACKAGES, "python", "git_commit"} <= set(found)
    assert found["cpu"]
    assert found["cpu_count"] >= 1
    assert found["memory_bytes"] > 2**28
    assert found["tensorflow"].startswith("2.21")
    assert isinstance(found["git_dirty"], bool)
    assert msgspec.json.decode(msgspec.json.encode(found)) == found


def test_the_identity_is_of_machine_and_versions_not_of_the_commit() -> None:
    """Results of two commits are there to be compared."""
    found = machine.fingerprint()
    moved = found | {"git_commit": "other", "git_dirty": True, "governor": "x"}
    assert machine.identity(moved) == machine.identity(found)
    for name in (*machine.IDENTITY, *machine.PACKAGES, "python"):
        assert machine.identity(found | {name: "other"}) != machine.identity(found)


def test_conditions_are_shares() -> None:
    """Between 0 and 1; what the run itself used is not foreign."""
    conditions = machine.Conditions()
    sum(range(3_000_000))
    read = conditions.read(1e9)
    assert set(read) == {"load_at_start", "steal_share", "foreign_cpu_share"}
    assert read["foreign_cpu_share"] == 0.0
    assert 0 <= read["steal_share"] <= 1
    assert 0 <= machine.Conditions().read(0.0)["foreign_cpu_share"] <= 1
