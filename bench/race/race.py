"""A race under way: which trials still need a round, and what best and next say last.

`standings.py` judges the standings. In the last round the best of each scene and its
runner-up take turns. The runs of a round follow one another, and what the machine did
in between is in their ratio. So the two that matter most are compared once more as the
guard compares two revisions: the runner-up is base, with its control, the best is head.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.analysis import standings, stats
from bench.analysis.standings import Standing
from bench.errors import write_whole
from bench.guard import session
from bench.guard.case_session import Case
from bench.guard.record import GuardResult, Interrupted, Row
from bench.guard.trio import Side
from bench.pipeline import prepared
from bench.plan.plan import Plan
from bench.plan.screening import scenes
from bench.run import executors
from bench.run.progress import Progress, plural
from bench.run.protocol import Executor
from bench.trial import Effort, Run, Trial

LAST_ROUND = "finals.json"  # in the result folder
METRIC = "seconds_per_example"
LEAST_SECONDS, MOST_SECONDS = 10.0, 40.0  # of each scene
BUDGET_SHARE = 0.2  # of a race's budget, at most, for all of them


class Race:
    """Asks before each round which trials still need it, by the runs so far.

    Attributes:
        ended: By what it ended itself; empty while it goes on.
    """

    def __init__(self, made: Plan, runs: list[Run], progress: Progress) -> None:
        """Nothing has been asked.

        Args:
            made: What is raced, and to which precision.
            runs: What is measured; the sweep goes on adding to it.
            progress: Shows what is being settled.
        """
        self._made, self._runs = made, runs
        self._progress, self.ended = progress, ""

    @property
    def last_seconds(self) -> float:
        """How long the last round may take, best and runner-up taking turns."""
        return last_round_seconds(self._made)

    def wanted(self, number: int) -> Mapping[str, Effort]:
        """The effort of each trial in the round of this number, by key."""
        current = self._standings(number)
        efforts = {k: e for one in current for k, e in one.wanted.items()}
        if not efforts or number >= self._made.most_rounds:
            limit = f"the limit of {self._made.most_rounds} rounds"
            self.ended = limit if efforts else "settled"
            return {}
        left = efforts.keys() - {r.key for r in self._runs if r.round == number}
        if left:
            scenes_open = [str(one) for one in current if one.wanted.keys() & left]
            self._progress.begin_round(len(left), scenes_open)
        return efforts

    def notes(self, stopped: str) -> list[str]:
        """How it ended, for the report; `stopped` says by what if not by itself."""
        rounds = self._rounds
        by = self.ended or f"{stopped} in round {max(1, rounds)}"
        cut = "" if by == "settled" else f"by {by}"
        return standings.notes(self._standings(rounds), self._made.precision, cut)

    def last_round(
        self, folder: Path, executor: executors.Executor | None
    ) -> list[str]:
        """What best and runner-up taking turns say, or said if there is no executor."""
        current = self._standings(self._rounds)
        if executor:
            notes = run_last_round(current, self._made, executor, folder, _say)
        else:
            notes = last_round_notes(current, folder)
        for note in notes:
            _say(note)
        return notes

    def outdate(self, folder: Path) -> None:
        """There is a run more: what best and runner-up said was before it."""
        (folder / LAST_ROUND).unlink(missing_ok=True)

    @property
    def _rounds(self) -> int:
        return 1 + max((run.round for run in self._runs), default=-1)

    def _standings(self, number: int) -> list:
        made = self._made
        return standings.standings(
            made.trials, self._runs, made.effort, made.precision, number
        )


def last_round_seconds(made: Plan) -> float:
    """How long the last round of a race may take; 0 where its budget has no room."""
    count = sum(sum(map(_takes_turns, s)) > 1 for s in scenes(made.trials))
    if not made.budget_seconds:
        return MOST_SECONDS * count
    kept = min(MOST_SECONDS * count, BUDGET_SHARE * made.budget_seconds)
    return kept if kept >= LEAST_SECONDS * count else 0.0


def run_last_round(
    standings: Sequence[Standing],
    made: Plan,
    server: Executor,
    folder: Path,
    said: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Compare the best of each scene with its runner-up, live, and store the record.

    Args:
        standings: How the race ended.
        made: What was raced.
        server: Where to run it; started here, left running.
        folder: The result folder.
        said: Told what is being settled.

    Returns:
        What it says, a line a scene, for the terminal and the report; nothing where
        nothing can take turns: scenes of one trial, of whole epochs or of serving, and
        where one of the two prepares batches ahead.
    """
    cases = _cases(standings, made, server)
    budget_seconds = last_round_seconds(made)
    if not (cases and budget_seconds):
        return []
    server.start()
    try:
        found = session.live(
            cases,
            base="the runner-up of each scene",
            head="the best of each scene",
            budget_seconds=budget_seconds,
            seed=made.seed,
            said=said,
        )
    except Interrupted as stopped:
        _save(stopped.found, folder)
        raise
    _save(found, folder)
    return last_round_notes(standings, folder)


def last_round_notes(standings: Sequence[Standing], folder: Path) -> list[str]:
    """What the last round said, a line a scene; nothing where none was held."""
    path = folder / LAST_ROUND
    if not path.is_file():
        return []
    found = msgspec.json.decode(path.read_bytes(), type=GuardResult)
    rows = {row.key: row for row in found.rows}
    return [_note(one, rows[one.best]) for one in standings if one.best in rows]


def _cases(standings: Sequence[Standing], made: Plan, server: Executor) -> list[Case]:
    """The runner-up as base and the best as head; a case has the best's key."""
    trials = {trial.key: trial for trial in made.trials}
    cases = []
    for standing in standings:
        best, rival = (trials.get(key) for key in (standing.best, standing.rival))
        if not (best and rival and _takes_turns(best) and _takes_turns(rival)):
            continue
        margin = stats.MARGINS[best.consumer]
        sides = {"base": Side(server, rival), "head": Side(server, best)}
        cases.append(Case(key=best.key, thresholds={METRIC: margin}, **sides))
    return cases


def _takes_turns(trial: Trial) -> bool:
    """Not what prepares batches while it waits, which a short turn may find ready.

    Of two revisions of one pipeline both do so alike, of two pipelines they may not.
    """
    ahead = prepared(trial.pipeline)
    return not ahead and trial.unit == "window" and trial.consumer != "serve"


def _save(found: GuardResult, folder: Path) -> None:
    write_whole(folder / LAST_ROUND, msgspec.json.format(msgspec.json.encode(found)))


def _note(standing: Standing, row: Row) -> str:
    name, best, rival = standing.name, standing.label, standing.rival_label
    if row.ratio is None or row.low is None:
        return (
            f"{name}: the last round, {best} and {rival} taking turns, did not compare "
            f"them: {row.cause}."
        )
    figures = (
        f"{name}: in a last round, taking turns, {best} took {row.ratio:.3f} times as "
        f"long as {rival} ({row.low:.3f} to {row.high:.3f}, "
        f"{plural(row.count, 'trio')} of processes)"
    )
    told = {
        "faster": "it is the faster one",
        "slower": f"it is the slower one, whatever the rounds said: take {rival}",
        "unchanged": f"as fast within {row.threshold:.0%}: take the simpler one",
    }
    return f"{figures}; {told.get(row.verdict, row.cause)}."


def _say(line: str) -> None:
    print(line, file=sys.stderr)
