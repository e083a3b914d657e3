"""Self-tests of many guards: which comes next, what is kept, what counts as right."""

import argparse
import json
from pathlib import Path

import pytest

from bench.selftest import guard_on_pairs, guard_on_stalls, guards_by_kind


class Server:
    """An executor that is only started and stopped."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.stopped = True


def test_it_goes_on_with_the_kind_that_has_the_fewest_guards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, server = tmp_path / "rows.jsonl", Server()
    out.write_text(json.dumps({"kind": "a", "verdict": "slower"}) + "\n")
    monkeypatch.setattr(guards_by_kind.executors, "executor", lambda: server)
    options = argparse.Namespace(minutes=1.0, only=[], out=out)
    rows = guards_by_kind.run(
        {"a": 2, "b": 2},
        lambda server, kind, seed: {"kind": kind, "verdict": "unknown", "seed": seed},
        20.0,
        options,
    )
    assert [row["kind"] for row in rows] == ["a", "b", "a", "b"]
    assert guards_by_kind.read(out) == rows
    assert server.stopped
    assert guards_by_kind.count(rows, "a") == 2
    assert guards_by_kind.count(rows, "a", "slower") == 1


def test_no_guard_begins_that_would_end_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards_by_kind.executors, "executor", Server)
    options = argparse.Namespace(minutes=0.5, only=[], out=tmp_path / "rows.jsonl")
    assert guards_by_kind.run({"a": 1}, pytest.fail, 31.0, options) == []


def pair(kind: str, verdict: str, low: float, high: float) -> dict[str, object]:
    return {
        "kind": kind,
        "verdict": verdict,
        "ratio": (low + high) / 2,
        "low": low,
        "high": high,
    }


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_of_twelve_pairs_one_may_be_wrong(wrong: int) -> None:
    equal, slowed = "plain, equal", "plain, 5% slower"
    rows = [pair(equal, "unchanged", 0.99, 1.01)] * (12 - wrong)
    rows += [pair(equal, "unchanged", 1.01, 1.02)] * wrong
    rows += [pair(slowed, "slower", 1.04, 1.06)] * (12 - wrong)
    rows += [pair(slowed, "unknown", 1.01, 1.06)] * wrong
    for kind in (equal, slowed):
        assert guard_on_pairs.right(rows, kind) == 12 - wrong
        assert guard_on_pairs.passed(rows, kind) is (wrong < 2)
    assert guard_on_pairs.passed(rows[:5], equal) is None
    word = "yes" if wrong < 2 else "**no**"
    lines = guard_on_pairs.markdown(rows).splitlines()
    assert f"| {equal} | 12 | {12 - wrong} | 0 | 1.000 | {word} |" in lines


def test_of_twenty_guards_with_stalls_two_may_miss() -> None:
    kind = "5 % by 1 in 200"
    rows = [{"kind": kind, "verdict": "slower"}] * 18
    assert guard_on_stalls.passed(rows, kind) is None
    assert guard_on_stalls.passed([*rows, *[{"kind": kind, "verdict": ""}] * 2], kind)
    missed = [{"kind": kind, "verdict": "unchanged"}] * 3
    assert guard_on_stalls.passed([*rows[:17], *missed], kind) is False
