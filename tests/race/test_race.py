"""The last round of a race: who meets whom, what is said, what is kept."""

from pathlib import Path

import factory
import msgspec
import pytest

from bench.analysis.standings import Standing
from bench.guard import session
from bench.guard.record import GuardResult, Interrupted, Row
from bench.plan import plan
from bench.race import race
from bench.run import executors
from bench.trial import Effort, Trial

FIRST, SECOND = (factory.trial(batch_size=32 + n) for n in range(2))
TRAINED = [factory.trial(consumer="train", batch_size=32 + n) for n in range(2)]


def plan_of(*trials: Trial, **settings: object) -> plan.Plan:
    """A plan of these trials."""
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
    """One that has ended."""
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
    """Is started; what it would run is the guard's to say."""

    started = 0

    def start(self) -> None:
        """Count it."""
        self.started += 1


def row(**figures: object) -> Row:
    """The best against its runner-up."""
    return Row(key=FIRST.key, metric=race.METRIC, count=5, **figures)


def held(monkeypatch, folder: Path, *rows: Row, made=None, standings=None):
    """What the last round says if the guard finds these rows; what that was given."""
    asked = []

    def live(cases, **settings):
        asked.append((cases, settings))
        return GuardResult(base="a", head="b", how="lockstep", rows=list(rows))

    monkeypatch.setattr(session, "live", live)
    made = made or plan_of(FIRST, SECOND)
    standings = standings or [standing(FIRST, SECOND)]
    return race.run_last_round(standings, made, Server(), folder), asked


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (
            {"verdict": "faster", "ratio": 0.9, "low": 0.88, "high": 0.92},
            "prose: in a last round, taking turns, one took 0.900 times as long as "
            "other (0.880 to 0.920, 5 trios of processes); it is the faster one.",
        ),
        (
            {"verdict": "slower", "ratio": 1.1, "low": 1.08, "high": 1.12},
            "prose: in a last round, taking turns, one took 1.100 times as long as "
            "other (1.080 to 1.120, 5 trios of processes); it is the slower one, "
            "whatever the rounds said: take other.",
        ),
        (
            {"verdict": "unchanged", "ratio": 1.0, "low": 0.99, "high": 1.01},
            "prose: in a last round, taking turns, one took 1.000 times as long as "
            "other (0.990 to 1.010, 5 trios of processes); as fast within 3%: take the "
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
            "prose: in a last round, taking turns, one took 1.000 times as long as "
            "other (0.900 to 1.100, 5 trios of processes); not settled.",
        ),
        (
            {"verdict": "failed", "cause": "ValueError: no"},
            "prose: the last round, one and other taking turns, did not compare them: "
            "ValueError: no.",
        ),
    ],
)
def test_each_verdict_has_its_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, figures: dict, said: str
) -> None:
    notes, [(cases, settings)] = held(monkeypatch, tmp_path, row(**figures))
    assert notes == [said]
    (case,) = cases
    assert (case.base.trial, case.head.trial) == (SECOND, FIRST)
    assert case.thresholds == {race.METRIC: 0.03}
    assert settings["budget_seconds"] == race.MOST_SECONDS
    kept = msgspec.json.decode(
        (tmp_path / race.LAST_ROUND).read_bytes(), type=GuardResult
    )
    assert kept.rows[0].verdict == figures["verdict"]


def test_training_has_its_wider_margin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, [(cases, _)] = held(
        monkeypatch,
        tmp_path,
        made=plan_of(*TRAINED),
        standings=[standing(*TRAINED)],
    )
    assert cases[0].thresholds == {race.METRIC: 0.05}


@pytest.mark.parametrize(
    "pair",
    [
        (FIRST, None),
        tuple(factory.trial(consumer="serve", prefetch=n) for n in range(2)),
        tuple(factory.trial(unit="epoch", prefetch=n) for n in range(2)),
        tuple(factory.trial(prefetch=n) for n in range(2)),
        tuple(factory.trial(map_parallel_calls=n) for n in range(2)),
    ],
)
def test_what_cannot_take_turns_has_no_last_round(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pair: tuple
) -> None:
    made = plan_of(*(trial for trial in pair if trial))
    notes, asked = held(monkeypatch, tmp_path, made=made, standings=[standing(*pair)])
    assert (notes, asked) == ([], [])
    assert not (tmp_path / race.LAST_ROUND).exists()


def test_it_takes_a_fifth_of_the_budget_or_does_not_begin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scenes = [FIRST, SECOND, *TRAINED]  # two of them, and one that is alone
    scenes.append(factory.trial(workload="random_flip"))
    assert race.last_round_seconds(plan_of(*scenes)) == 2 * race.MOST_SECONDS
    assert race.last_round_seconds(plan_of(*scenes, budget_seconds=200.0)) == 40.0
    assert race.last_round_seconds(plan_of(*scenes, budget_seconds=9999.0)) == 80.0
    short = plan_of(*scenes, budget_seconds=99.0)
    assert race.last_round_seconds(short) == 0.0
    assert held(monkeypatch, tmp_path, made=short) == ([], [])


def test_an_interrupt_keeps_what_was_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = GuardResult(
        base="a", head="b", how="lockstep", rows=[row(verdict="unknown")]
    )

    def live(cases, **settings):
        raise Interrupted(known)

    monkeypatch.setattr(session, "live", live)
    with pytest.raises(KeyboardInterrupt):
        race.run_last_round(
            [standing(FIRST, SECOND)], plan_of(FIRST, SECOND), Server(), tmp_path
        )
    kept = msgspec.json.decode(
        (tmp_path / race.LAST_ROUND).read_bytes(), type=GuardResult
    )
    assert kept == known


@pytest.mark.alone
def test_real_processes_take_turns_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Calling the layer once a batch against once an example: no near thing.

    Where a machine is busy it may take longer to tell all the same.
    """
    monkeypatch.setattr(race, "MOST_SECONDS", 300.0)
    slow = factory.trial(workload="random_flip", order="map_batch", batch_size=64)
    fast = factory.trial(workload="random_flip", order="batch_map", batch_size=64)
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
    assert "it is the faster one" in notes[0]
