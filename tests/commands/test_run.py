"""The verb `run` with a race: its runs, its messages, and how it continues."""

import errno
import json
import math
import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import factory
import msgspec
import pytest

import run_bench
from bench import machine, shell, store
from bench.commands import report, run
from bench.commands import run as run_command
from bench.errors import UsageError
from bench.plan import plan, screening
from bench.race import race as races
from bench.race import sweep_runs
from bench.report import formats
from bench.run import executors, protocol
from bench.run.executors import Outcome
from bench.trial import Effort, Failure, Measured, Run, Trial

TRIALS = [factory.trial(prefetch=n) for n in range(4)]
TRUE = {trial.key: s for trial, s in zip(TRIALS, (0.01, 0.01, 0.02, 0.03), strict=True)}
EFFORT = Effort(rounds=3)
FACTS = {"supports_jit": True, "examples": 1024, "error": None}


class Fake:
    """This executor takes known seconds with 2 % of noise, equal for equal rounds."""

    def __init__(self, most: int = 10_000, noise: float = 0.02) -> None:
        """Set the noise, and the number of runs before Ctrl-C."""
        self.left, self.noise = most, noise

    def start(self) -> None:
        """Begin a round."""

    def stop(self) -> None:
        """End a round."""

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Return facts of the layers, or three samples, or raise Ctrl-C."""
        if verb == "prepare":
            return Outcome(json.dumps(FACTS).encode(), None, 0.1)
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        noise = random.Random(f"{trial.key}/{seed}").gauss(0, self.noise)
        seconds = TRUE.get(trial.key, 0.05) * math.exp(noise)
        return Outcome(msgspec.json.encode(Measured(samples=[seconds] * 3)), None, 1.0)


class Clock:
    """On this clock a minute passes with each reading."""

    def __init__(self) -> None:
        """Start at zero."""
        self.now = 0.0

    def monotonic(self) -> float:
        """Return seconds."""
        self.now += 60.0
        return self.now


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Prevent repeats on a busy test machine."""
    monkeypatch.setattr(machine, "HEAVY_SHARE", math.inf)
    yield


@pytest.fixture(autouse=True)
def last_rounds(monkeypatch: pytest.MonkeyPatch) -> list[list]:
    """Return the standings of each last round, which measures nothing."""
    rounds: list[list] = []

    def hold(standings: list, *arguments: object) -> list[str]:
        rounds.append(standings)
        return ["prose: a last round was held."]

    monkeypatch.setattr(races, "run_last_round", hold)
    return rounds


class Lossy(Fake):
    """Some runs of this executor fail."""

    def __init__(self, failures: dict[str, Failure]) -> None:
        """Set the failures by the key of a trial."""
        super().__init__(noise=0.0)
        self.failures, self.limits = failures, []

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Return the failure of a trial, or measure it."""
        self.limits.append(effort.limit_seconds)
        if verb == "measure" and trial.key in self.failures:
            return Outcome(b"", self.failures[trial.key], 1.0)
        return super().execute(verb, trial, effort, seed)


KILLED = Failure(type="Killed", message="ended by SIGKILL", phase="steady")
OWN = Failure(type="ValueError", message="no such column", phase="adapt")
LATE = Failure(type="Timeout", message="stopped", phase="adapt")


def test_a_resumed_sweep_repeats_runs_that_something_outside_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run whose own code failed would fail again, and is not repeated."""
    (tmp_path / store.FILE).touch()
    planned = race(precision=0.0, effort=Effort(rounds=2))
    killed, own, late, _ = (trial.key for trial in TRIALS)
    lossy = Lossy({killed: KILLED, own: OWN, late: LATE})
    assert len(swept(planned, tmp_path, lossy)) == 8
    sweep_runs.announce(planned, tmp_path, store.load(tmp_path)[0])
    text = "8 runs stored, 2 of them stopped early and to be repeated"
    assert text in capsys.readouterr().err
    runs = swept(planned, tmp_path, Fake(noise=0.0))
    assert {r.key for r in runs if r.measured.error} == {own, late}
    assert sorted((run.key, run.round) for run in runs) == sorted(
        (key, number) for key in TRUE for number in range(2)
    )
    longer = replace(planned, effort=replace(planned.effort, limit_seconds=600.0))
    runs = swept(longer, tmp_path, Fake(noise=0.0))
    assert {r.key for r in runs if r.measured.error} == {own}
    assert len(runs) == 8
    assert "The budget ended" not in capsys.readouterr().err


def test_a_hanging_run_ends_with_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends a little later than the budget, and the resumed sweep repeats it."""
    (tmp_path / store.FILE).touch()

    class Stopped:
        """This clock stands still until the first run hangs."""

        def __init__(self) -> None:
            self.now = 0.0

        def monotonic(self) -> float:
            return self.now

    class Hanging(Lossy):
        """Runs of this executor take as long as their limit."""

        def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> object:
            clock.now += effort.limit_seconds
            return super().execute(verb, trial, effort, seed)

    clock = Stopped()
    monkeypatch.setattr(sweep_runs, "time", clock)
    fake = Hanging(dict.fromkeys(TRUE, LATE))
    planned = race(precision=0.0, budget_seconds=25.0)
    (run,) = swept(planned, tmp_path, fake)
    assert fake.limits == [25.0 + protocol.GRACE_SECONDS]
    assert run.effort.limit_seconds == 35.0
    assert run.measured.error.message == (
        "stopped while build() makes the layers, after 35 s, as the budget had ended; "
        "raise it with --budget"
    )
    assert store.must_repeat(run, planned.effort.limit_seconds)


def race(**settings: object) -> plan.Plan:
    """Return a plan of a race to 2 %."""
    planned = plan.Plan(
        sweep="mine", trials=TRIALS, refused={}, effort=EFFORT, seed=1, precision=0.02
    )
    return replace(planned, **settings)


def swept(planned: plan.Plan, folder: Path, fake: Fake) -> list[Run]:
    """Make the runs of a plan and return the stored runs."""
    plan.save(planned, folder)
    sweep_runs.make(planned, folder, fake, store.load(folder)[0])
    return store.load(folder)[0]


def rounds_of(runs: list[Run]) -> dict[str, int]:
    """Return how often each trial ran."""
    return {key: sum(run.key == key for run in runs) for key in TRUE}


def test_clear_losers_get_the_planned_rounds_and_ties_get_more(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    last_rounds: list[list],
) -> None:
    """A note names the trials that left the race early."""
    (tmp_path / store.FILE).touch()
    counts = rounds_of(swept(race(), tmp_path, Fake()))
    first, second, third, fourth = counts.values()
    first_key, second_key, *_ = counts
    assert third == fourth == EFFORT.rounds
    assert EFFORT.rounds < max(first, second) < plan.MOST_ROUNDS
    printed = capsys.readouterr().err
    assert "settling prose: 2 of 4 left, best " in printed
    assert "budget" not in printed
    assert store.load(tmp_path)[1] == [
        "prose: of 4 trials the race put out 2 as slower beyond the margin; their "
        "figures rest on fewer rounds.",
        "prose: a last round was held.",
    ]
    ((standing,),) = last_rounds
    assert {standing.best, standing.rival} == {first_key, second_key}
    assert printed.endswith("prose: a last round was held.\n")
    monkeypatch.setattr(
        races, "last_round_notes", lambda standings, folder: ["the stored outcome"]
    )
    swept(race(), tmp_path, Fake())  # no run and no last round is left
    assert len(last_rounds) == 1
    assert store.load(tmp_path)[1][-1] == "the stored outcome"


def test_a_race_that_never_began_has_a_note(tmp_path: Path) -> None:
    """Ctrl-C comes in the first run."""
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


def test_a_race_that_an_error_ended_has_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is such an error, and no interrupt."""
    (tmp_path / store.FILE).touch()

    def full(folder: Path, run: Run) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "append", full)
    with pytest.raises(OSError, match="No space"):
        swept(race(), tmp_path, Fake())
    assert "cut short by an error in round 1" in store.load(tmp_path)[1][0]


def test_a_new_run_removes_the_outcome_of_the_last_round(tmp_path: Path) -> None:
    """The runner-up may be another trial now."""
    (tmp_path / store.FILE).touch()
    with pytest.raises(KeyboardInterrupt):
        swept(race(), tmp_path, Fake(most=3))
    (tmp_path / races.LAST_ROUND).touch()
    with pytest.raises(KeyboardInterrupt):
        swept(race(), tmp_path, Fake(most=0))
    assert (tmp_path / races.LAST_ROUND).exists()
    with pytest.raises(KeyboardInterrupt):
        swept(race(), tmp_path, Fake(most=1))
    assert not (tmp_path / races.LAST_ROUND).exists()


def test_a_race_that_is_precise_at_once_ends_after_the_planned_rounds(
    tmp_path: Path,
) -> None:
    (tmp_path / store.FILE).touch()
    runs = swept(race(), tmp_path, Fake(noise=0.0))
    assert set(rounds_of(runs).values()) == {EFFORT.rounds}


def test_a_race_ends_at_its_limit_of_rounds_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The note has the trials that are not settled; there is no hint to resume."""
    (tmp_path / store.FILE).touch()
    runs = swept(race(most_rounds=5, precision=0.001), tmp_path, Fake())
    assert max(run.round for run in runs) == 4
    note = store.load(tmp_path)[1][-2]
    assert note.startswith(
        "prose: cut short by the limit of 5 rounds: 2 of 4 trials are not settled to "
        "±0.1 % (best "
    )
    assert "--resume" not in capsys.readouterr().err


def test_a_race_that_the_budget_cut_has_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The terminal says so too."""
    (tmp_path / store.FILE).touch()
    monkeypatch.setattr(sweep_runs, "time", Clock())
    runs = swept(race(budget_seconds=14.5 * 60), tmp_path, Fake())
    assert 4 < len(runs) < 12
    assert capsys.readouterr().err.endswith(
        f"The budget ended with {len(runs)} runs; continue with\n"
        f"  {shell.command('run', '--resume', tmp_path)}\n"
    )
    notes = store.load(tmp_path)[1]
    assert any("prose: cut short by the budget in round" in note for note in notes)


def test_an_interrupted_race_continues_as_if_never_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The interrupt comes within a round; the runs are those of a whole race."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
        (folder / store.FILE).touch()
    expected = swept(race(), whole, Fake())
    with pytest.raises(KeyboardInterrupt):
        swept(race(), parts, Fake(most=len(expected) - 1))
    assert any("by an interrupt in round" in n for n in store.load(parts)[1])
    runs = swept(race(), parts, Fake())
    places = [(run.key, run.round, run.position, run.seed) for run in expected]
    assert [(run.key, run.round, run.position, run.seed) for run in runs] == places
    assert store.load(parts)[1] == store.load(whole)[1]
    capsys.readouterr()


def test_a_sweeps_own_budget_ends_it_and_cuts_no_effort(tmp_path: Path) -> None:
    """The author fitted the effort; a budget from the command line replaces both."""
    text = 'budget_seconds = 90\n[[block]]\nworkloads = ["prices"]\n'
    (tmp_path / "mine.toml").write_text(text)
    arguments = ["run", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out")]
    _, own = run.make_plan(run_bench.parsed(arguments))
    assert (own.budget_seconds, own.effort) == (90.0, Effort())
    _, short = run.make_plan(run_bench.parsed([*arguments, "--budget", "8s"]))
    assert short.budget_seconds == 8.0 and short.effort.rounds == 1


def test_trials_that_a_budget_left_without_a_run_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / store.FILE).touch()
    monkeypatch.setattr(sweep_runs, "time", Clock())
    planned = race(precision=0.0, budget_seconds=6 * 60.0)
    runs = swept(planned, tmp_path, Fake())
    left = {trial.key for trial in TRIALS} - {run.key for run in runs}
    assert runs and left
    (note,) = store.load(tmp_path)[1]
    assert note.startswith(f"The budget ended before {len(left)} of 4 trials had a run")
    assert all(key in note for key in left)


def test_a_budget_does_not_shorten_the_runs_of_a_large_race() -> None:
    """The runs of a small race fit the budget."""
    many = [factory.trial(prefetch=n) for n in range(screening.LARGE + 1)]
    large = race(trials=many, budget_seconds=60.0)
    assert run._fitted(large) == EFFORT
    assert run._fitted(replace(large, precision=0.0)).rounds == 1
    assert run._fitted(race(budget_seconds=40.0)).rounds == 2


def test_the_command_line_races(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The race goes from `--precision` to the report, and resumes more precisely."""
    monkeypatch.setattr(executors, "executor", Fake)
    monkeypatch.setattr(report, "show", lambda *arguments, **settings: True)
    arguments = ["run", "quick", "--workload", "prose", "--rounds", "3"]
    out = tmp_path / "out"
    assert run_bench.main([*arguments, "--precision", "2%", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    count = len(plan.load(out).trials)
    announced = printed.err.splitlines()[1]
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


def test_a_sweep_does_not_go_on_with_a_file_that_changed(tmp_path: Path) -> None:
    """Its runs would measure two codes as one."""
    path = tmp_path / "mine.py"
    path.write_text("""def examples(rng, count): ...
def build(examples): ...
def check(batch, output): ...
""")
    made = factory.run(factory.trial(workload=str(path)))
    started = datetime.now(UTC).isoformat()
    run = Run(**{**vars(made), "started": started})
    os.utime(path, (time.time() - 60,) * 2)
    run_command.check_unchanged([run])
    os.utime(path, (time.time() + 60,) * 2)
    with pytest.raises(UsageError, match=r"was changed at .* new runs would measure"):
        run_command.check_unchanged([run])
