"""The verb `run` with a race: what it makes, what it says, how it goes on."""

import errno
import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import factory
import msgspec
import pytest

import run_bench
from bench import machine, shell, store
from bench.commands import report, run
from bench.plan import plan, screening
from bench.race import finals, sweep_runs
from bench.report import formats
from bench.run import executors, protocol
from bench.run.executors import Outcome
from bench.trial import Effort, Failure, Measured, Run, Trial

TRIALS = [factory.trial(prefetch=n) for n in range(4)]
TRUE = {trial.key: s for trial, s in zip(TRIALS, (0.01, 0.01, 0.02, 0.03), strict=True)}
EFFORT = Effort(rounds=3)
TRAITS = {"supports_jit": True, "examples": 1024, "error": None}


class Fake:
    """Trials of known seconds with 2 % of noise, the same for a trial and a round."""

    def __init__(self, most: int = 10_000, noise: float = 0.02) -> None:
        """Ctrl-C after so many runs."""
        self.left, self.noise = most, noise

    def start(self) -> None:
        """A round begins."""

    def stop(self) -> None:
        """A round ends."""

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Traits, or three samples, or Ctrl-C."""
        if verb == "prepare":
            return Outcome(json.dumps(TRAITS).encode(), None, 0.1)
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        noise = random.Random(f"{trial.key}/{seed}").gauss(0, self.noise)
        seconds = TRUE.get(trial.key, 0.05) * math.exp(noise)
        return Outcome(msgspec.json.encode(Measured(samples=[seconds] * 3)), None, 1.0)


class Clock:
    """A minute passes each time that it is asked."""

    def __init__(self) -> None:
        """At zero."""
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        self.now += 60.0
        return self.now


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A busy test machine repeats nothing."""
    monkeypatch.setattr(machine, "HEAVY_SHARE", math.inf)
    yield


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> list[list]:
    """The standings of each last round that was held; nobody takes turns in it."""
    asked: list[list] = []

    def hold(standings: list, *given: object) -> list[str]:
        asked.append(standings)
        return ["prose: a last round was held."]

    monkeypatch.setattr(finals, "hold", hold)
    return asked


class Lossy(Fake):
    """Some of whose runs are ended from outside, or fail."""

    def __init__(self, failures: dict[str, Failure]) -> None:
        """By the key of a trial."""
        super().__init__(noise=0.0)
        self.failures, self.limits = failures, []

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """As the fake does, but for these."""
        self.limits.append(effort.limit_seconds)
        if verb == "measure" and trial.key in self.failures:
            return Outcome(b"", self.failures[trial.key], 1.0)
        return super().execute(verb, trial, effort, seed)


KILLED = Failure(type="Killed", message="ended by SIGKILL", phase="steady")
OWN = Failure(type="ValueError", message="no such column", phase="adapt")
LATE = Failure(type="Timeout", message="stopped", phase="adapt")


def test_going_on_makes_again_what_was_ended_from_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What failed by itself would fail again, and stays."""
    (tmp_path / store.FILE).touch()
    made = race(precision=0.0, effort=Effort(rounds=2))
    killed, own, late, _ = (trial.key for trial in TRIALS)
    lossy = Lossy({killed: KILLED, own: OWN, late: LATE})
    assert len(swept(made, tmp_path, lossy)) == 8
    sweep_runs.announce(made, tmp_path, store.load(tmp_path)[0])
    told = capsys.readouterr().err
    assert "8 runs there, 2 of them stopped before their end, to be made again" in told
    runs = swept(made, tmp_path, Fake(noise=0.0))
    assert {r.key for r in runs if r.measured.error} == {own, late}
    assert sorted((run.key, run.round) for run in runs) == sorted(
        (key, number) for key in TRUE for number in range(2)
    )
    longer = replace(made, effort=replace(made.effort, limit_seconds=600.0))
    runs = swept(longer, tmp_path, Fake(noise=0.0))
    assert {r.key for r in runs if r.measured.error} == {own}
    assert len(runs) == 8
    assert "The budget ended" not in capsys.readouterr().err


def test_what_hangs_ends_with_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A little later, and no later than its own limit; it is made again afterwards."""
    (tmp_path / store.FILE).touch()

    class Stopped:
        """A clock that stands still, until the first run hangs."""

        def __init__(self) -> None:
            self.now = 0.0

        def monotonic(self) -> float:
            return self.now

    class Hanging(Lossy):
        """What takes as long as it may."""

        def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> object:
            clock.now += effort.limit_seconds
            return super().execute(verb, trial, effort, seed)

    clock = Stopped()
    monkeypatch.setattr(sweep_runs, "time", clock)
    fake = Hanging(dict.fromkeys(TRUE, LATE))
    made = race(precision=0.0, budget_seconds=25.0)
    (run,) = swept(made, tmp_path, fake)
    assert fake.limits == [25.0 + protocol.GRACE_SECONDS]
    assert run.effort.limit_seconds == 35.0
    assert run.measured.error.message == (
        "stopped while build() makes the layers, after 35 s, as the budget had ended; "
        "raise it with --budget"
    )
    assert store.to_make_again(run, made.effort.limit_seconds)


def race(**settings: object) -> plan.Plan:
    """A plan of these trials to 2 %."""
    made = plan.Plan(
        sweep="mine", trials=TRIALS, refused={}, effort=EFFORT, seed=1, precision=0.02
    )
    return replace(made, **settings)


def swept(made: plan.Plan, folder: Path, fake: Fake) -> list[Run]:
    """The runs that are stored when the sweep has ended."""
    plan.save(made, folder)
    sweep_runs.make(made, folder, fake, store.load(folder)[0])
    return store.load(folder)[0]


def rounds_of(runs: list[Run]) -> dict[str, int]:
    """How often each trial ran."""
    return {key: sum(run.key == key for run in runs) for key in TRUE}


def test_losers_have_their_rounds_and_ties_more(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    held: list[list],
) -> None:
    """What is settled is said by nothing, what left early by a note."""
    (tmp_path / store.FILE).touch()
    counts = rounds_of(swept(race(), tmp_path, Fake()))
    first, second, third, fourth = counts.values()
    first_key, second_key, *_ = counts
    assert third == fourth == EFFORT.rounds
    assert EFFORT.rounds < max(first, second) < plan.MOST_ROUNDS
    told = capsys.readouterr().err
    assert "settling prose: 2 of 4 left, best " in told
    assert "budget" not in told
    assert store.load(tmp_path)[1] == [
        "prose: of 4 trials the race put out 2 as slower beyond the margin; their "
        "figures rest on fewer rounds.",
        "prose: a last round was held.",
    ]
    ((standing,),) = held
    assert {standing.best, standing.rival} == {first_key, second_key}
    assert told.endswith("prose: a last round was held.\n")
    monkeypatch.setattr(
        finals, "outcome_lines", lambda standings, folder: ["as it was told"]
    )
    swept(race(), tmp_path, Fake())  # nothing is left to run, nor to be held again
    assert len(held) == 1
    assert store.load(tmp_path)[1][-1] == "as it was told"


def test_a_race_that_never_began_says_so(tmp_path: Path) -> None:
    """Ctrl-C in its first run."""
    (tmp_path / store.FILE).touch()
    with pytest.raises(KeyboardInterrupt):
        swept(race(), tmp_path, Fake(most=0))
    assert store.load(tmp_path) == (
        [],
        [
            "prose: cut short by an interrupt in round 1: 4 of 4 trials are not "
            "settled to ±2 %; the widest interval is not known yet."
        ],
    )


def test_a_race_that_a_fault_ended_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is no interrupt."""
    (tmp_path / store.FILE).touch()

    def full(folder: Path, run: Run) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "append", full)
    with pytest.raises(OSError, match="No space"):
        swept(race(), tmp_path, Fake())
    assert "cut short by an error in round 1" in store.load(tmp_path)[1][0]


def test_what_best_and_next_said_goes_with_new_runs(tmp_path: Path) -> None:
    """It was said of fewer, and maybe of another runner-up."""
    (tmp_path / store.FILE).touch()
    with pytest.raises(KeyboardInterrupt):
        swept(race(), tmp_path, Fake(most=3))
    (tmp_path / finals.FILE).touch()
    with pytest.raises(KeyboardInterrupt):
        swept(race(), tmp_path, Fake(most=0))
    assert (tmp_path / finals.FILE).exists()
    with pytest.raises(KeyboardInterrupt):
        swept(race(), tmp_path, Fake(most=1))
    assert not (tmp_path / finals.FILE).exists()


def test_what_is_precise_at_once_ends_with_its_rounds(tmp_path: Path) -> None:
    """As without a race."""
    (tmp_path / store.FILE).touch()
    runs = swept(race(), tmp_path, Fake(noise=0.0))
    assert set(rounds_of(runs).values()) == {EFFORT.rounds}


def test_a_race_ends_at_its_most_rounds_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is not settled; there is nothing to go on with."""
    (tmp_path / store.FILE).touch()
    runs = swept(race(most_rounds=5, precision=0.001), tmp_path, Fake())
    assert max(run.round for run in runs) == 4
    note = store.load(tmp_path)[1][-2]
    assert note.startswith(
        "prose: cut short by the limit of 5 rounds: 2 of 4 trials are not settled to "
        "±0.1 % (best "
    )
    assert "--resume" not in capsys.readouterr().err


def test_a_budget_cuts_a_race_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the terminal, and in the report's notes."""
    (tmp_path / store.FILE).touch()
    monkeypatch.setattr(sweep_runs, "time", Clock())
    runs = swept(race(budget_seconds=14.5 * 60), tmp_path, Fake())
    assert 4 < len(runs) < 12
    assert capsys.readouterr().err.endswith(
        f"The budget ended with {len(runs)} runs; go on with\n"
        f"  {shell.command('run', '--resume', tmp_path)}\n"
    )
    notes = store.load(tmp_path)[1]
    assert any("prose: cut short by the budget in round" in note for note in notes)


def test_a_race_that_was_interrupted_goes_on_by_the_same_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the middle of a round: the same runs as without it, in the same places."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
        (folder / store.FILE).touch()
    expected = swept(race(), whole, Fake())
    with pytest.raises(KeyboardInterrupt):
        swept(race(), parts, Fake(most=len(expected) - 1))
    assert any("by an interrupt in round" in n for n in store.load(parts)[1])
    found = swept(race(), parts, Fake())
    places = [(run.key, run.round, run.position, run.seed) for run in expected]
    assert [(run.key, run.round, run.position, run.seed) for run in found] == places
    assert store.load(parts)[1] == store.load(whole)[1]
    capsys.readouterr()


def test_a_budget_does_not_shorten_the_runs_of_a_large_race() -> None:
    """Its rounds are its own; those of a small one fit the budget first."""
    many = [factory.trial(prefetch=n) for n in range(screening.LARGE + 1)]
    large = race(trials=many, budget_seconds=60.0)
    assert run._fitted(large) == EFFORT
    assert run._fitted(replace(large, precision=0.0)).rounds == 1
    assert run._fitted(race(budget_seconds=40.0)).rounds == 2


def test_the_command_line_races(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From `--precision` to the note in the report, and on with a finer one."""
    monkeypatch.setattr(executors, "executor", Fake)
    monkeypatch.setattr(report, "show", lambda *given, **settings: True)
    arguments = ["run", "quick", "--workload", "prose", "--rounds", "3"]
    out = tmp_path / "out"
    assert run_bench.main([*arguments, "--precision", "2%", "--out", str(out)]) == 0
    told = capsys.readouterr()
    count = len(plan.load(out).trials)
    announced = told.err.splitlines()[1]
    assert announced.startswith(
        f"quick: a race of {count} trials to ±2 %, {3 * count} runs at least and 30 "
        "rounds at most, about "
    )
    assert announced.endswith(f"; results in {out}")
    formats.write(out, out, ("md",))
    assert "the race put out" in (out / "report.md").read_text()
    assert plan.load(out).precision == 0.02
    before = len(store.load(out)[0])
    assert run_bench.main(["run", "--resume", str(out), "--precision", "0.005"]) == 0
    assert plan.load(out).precision == 0.005
    assert len(store.load(out)[0]) > before
    capsys.readouterr()
