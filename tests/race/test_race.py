"""In the last round of a race the best trial and its runner-up take turns."""

from pathlib import Path

import factory
import msgspec
import pytest

from bench.analysis.standings import Standing
from bench.guard import case_session, session
from bench.guard.record import GuardResult, Interrupted, Row
from bench.plan import plan
from bench.race import race
from bench.run import executors
from bench.trial import Effort, Trial

FIRST, SECOND = (factory.trial(batch_size=32 + n) for n in range(2))
TRAINED = [factory.trial(consumer="train", batch_size=32 + n) for n in range(2)]


def plan_of(*trials: Trial, **settings: object) -> plan.Plan:
    """Return a race's plan of these trials."""
    return plan.Plan(
        sweep="mine",
        trials=list(trials),
        refused={},
        effort=Effort(),
        seed=3,
        precision=0.02,
        **settings,
    )


def standing(best: Trial, rival: Trial | None) -> Standing:
    """Return the standing of a scene at the end of a race."""
    return Standing(
        name="prose",
        trials=2,
        wanted={},
        best=best.key,
        label="one",
        rival=rival.key if rival else "",
        rival_label="other" if rival else "",
    )


class Server:
    """A server that counts how often it is started, and runs nothing."""

    started = 0

    def start(self) -> None:
        """Count the start."""
        self.started += 1


def row(**figures: object) -> Row:
    """Return the guard's row on the best trial against its runner-up."""
    return Row(key=FIRST.key, metric=race.METRIC, count=5, **figures)


def outcome(monkeypatch, folder: Path, *rows: Row, planned=None, standings=None):
    """Return the lines of a last round with these rows, and the guard's arguments."""
    calls = []

    def live(cases, **settings):
        calls.append((cases, settings))
        return GuardResult(base="a", head="b", how="lockstep", rows=list(rows))

    monkeypatch.setattr(session, "live", live)
    planned = planned or plan_of(FIRST, SECOND)
    standings = standings or [standing(FIRST, SECOND)]
    return race.run_last_round(standings, planned, Server(), folder), calls


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        (
            {"verdict": "faster", "ratio": 0.9, "low": 0.88, "high": 0.92},
            "prose: in the last round, by turns, one took 0.900 times as long as other "
            "(0.880 to 0.920, 5 trios of processes): faster.",
        ),
        (
            {"verdict": "slower", "ratio": 1.1, "low": 1.08, "high": 1.12},
            "prose: in the last round, by turns, one took 1.100 times as long as other "
            "(1.080 to 1.120, 5 trios of processes): slower, although the rounds put "
            "it first: take other.",
        ),
        (
            {"verdict": "unchanged", "ratio": 1.0, "low": 0.99, "high": 1.01},
            "prose: in the last round, by turns, one took 1.000 times as long as other "
            "(0.990 to 1.010, 5 trios of processes): unchanged within 3 %: take the "
            "simpler one.",
        ),
        (
            {
                "verdict": "unknown",
                "ratio": 1.0,
                "low": 0.9,
                "high": 1.1,
                "cause": "not settled",
            },
            "prose: in the last round, by turns, one took 1.000 times as long as other "
            "(0.900 to 1.100, 5 trios of processes): unknown, not settled.",
        ),
        (
            {"verdict": "failed", "cause": "ValueError: no"},
            "prose: the last round, by turns, could not compare one with other: "
            "ValueError: no.",
        ),
    ],
)
def test_each_verdict_has_its_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, figures: dict, line: str
) -> None:
    notes, [(cases, settings)] = outcome(monkeypatch, tmp_path, row(**figures))
    assert notes == [line]
    (case,) = cases
    assert (case.base.trial, case.head.trial) == (SECOND, FIRST)
    assert case.thresholds == {race.METRIC: 0.03}
    assert settings["budget_seconds"] == race.MOST_SECONDS
    stored = msgspec.json.decode(
        (tmp_path / race.LAST_ROUND).read_bytes(), type=GuardResult
    )
    assert stored.rows[0].verdict == figures["verdict"]


def test_training_has_its_wider_margin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, [(cases, _)] = outcome(
        monkeypatch,
        tmp_path,
        planned=plan_of(*TRAINED),
        standings=[standing(*TRAINED)],
    )
    assert cases[0].thresholds == {race.METRIC: 0.05}


@pytest.mark.parametrize(
    "pair",
    [
        (FIRST, None),
        tuple(factory.trial(consumer="serve", prefetch=n) for n in range(2)),
        tuple(factory.trial(unit="epoch", prefetch=n) for n in range(2)),
        tuple(factory.trial(host="grain", worker_count=n) for n in (1, 2)),
    ],
)
def test_trials_that_cannot_take_turns_have_no_last_round(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pair: tuple
) -> None:
    planned = plan_of(*(trial for trial in pair if trial))
    notes, calls = outcome(
        monkeypatch, tmp_path, planned=planned, standings=[standing(*pair)]
    )
    assert (notes, calls) == ([], [])
    assert not (tmp_path / race.LAST_ROUND).exists()


def test_the_last_round_takes_a_fifth_of_the_budget_or_does_not_begin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trials = [FIRST, SECOND, *TRAINED]  # two scenes, and a scene of one trial
    trials.append(factory.trial(workload="random_flip"))
    assert race.last_round_seconds(plan_of(*trials)) == 2 * race.MOST_SECONDS
    assert race.last_round_seconds(plan_of(*trials, budget_seconds=200.0)) == 40.0
    assert race.last_round_seconds(plan_of(*trials, budget_seconds=9999.0)) == 80.0
    short = plan_of(*trials, budget_seconds=99.0)
    assert race.last_round_seconds(short) == 0.0
    assert outcome(monkeypatch, tmp_path, planned=short) == ([], [])


def test_an_interrupt_stores_the_record_so_far(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = GuardResult(
        base="a", head="b", how="lockstep", rows=[row(verdict="unknown")]
    )

    def live(cases, **settings):
        raise Interrupted(record)

    monkeypatch.setattr(session, "live", live)
    with pytest.raises(KeyboardInterrupt):
        race.run_last_round(
            [standing(FIRST, SECOND)], plan_of(FIRST, SECOND), Server(), tmp_path
        )
    stored = msgspec.json.decode(
        (tmp_path / race.LAST_ROUND).read_bytes(), type=GuardResult
    )
    assert stored == record


def test_real_processes_take_turns_in_the_last_round(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A lookup takes a tenth of the time if it is called once a batch.

    So large a difference shows on a busy machine, too, which only needs more time. It
    also shows in short trios, which need not meet rare costs here.
    """
    monkeypatch.setattr(race, "MOST_SECONDS", 300.0)
    monkeypatch.setattr(case_session, "MOST_COVERING_SECONDS", 1.0)
    slow = factory.trial(workload="string_lookup", order="map_batch", batch_size=64)
    fast = factory.trial(workload="string_lookup", order="batch_map", batch_size=64)
    server = executors.executor()
    try:
        notes = race.run_last_round(
            [standing(fast, slow)],
            plan_of(fast, slow),
            server,
            tmp_path,
        )
    finally:
        server.stop()
    assert len(notes) == 1
    assert notes[0].endswith(": faster.")
