"""This module runs a race: each round measures the trials that could still be the best.

`bench.analysis.standings` decides which trials need another round. After the rounds
comes a last round: the best trial of each scene and its runner-up take turns, as two
revisions do in a guard. The runs of an ordinary round follow one another, so changes of
the machine between two runs are part of their ratio; turns exclude such changes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.analysis import decisions, standings
from bench.analysis.standings import Standing
from bench.errors import write_atomically
from bench.guard import session
from bench.guard.case_session import Case
from bench.guard.record import GuardResult, Interrupted, Row
from bench.guard.trio import Side
from bench.plan.plan import Plan
from bench.plan.screening import scenes
from bench.run.progress import Progress
from bench.run.protocol import Executor
from bench.text import plural
from bench.trial import CONSUMER_ROWS, Effort, Run, Trial

LAST_ROUND = "finals.json"  # in the result folder
METRIC = "seconds_per_example"
LEAST_SECONDS, MOST_SECONDS = 10.0, 40.0  # of the last round, for each scene
BUDGET_SHARE = 0.2  # the most that the last round takes of a race's budget


class Race:
    """A race decides before each round which trials of a sweep need the round.

    Trials that are clearly slower than the best, or known precisely, get no further
    round.

    Attributes:
        ended: The reason why the race ended by itself; empty while the race goes on.
    """

    def __init__(self, plan: Plan, runs: list[Run], progress: Progress) -> None:
        """Start a race, or resume one.

        Args:
            plan: The trials and the precision of the race.
            runs: The runs so far. The caller appends each further run to this list.
            progress: The display that shows which scenes are not settled.
        """
        self._plan, self._runs = plan, runs
        self._progress, self.ended = progress, ""

    @property
    def last_seconds(self) -> float:
        """Return the longest time that the last round may take, in seconds."""
        return last_round_seconds(self._plan)

    def wanted(self, number: int) -> Mapping[str, Effort]:
        """Return how much to measure of each trial that needs this round, by its key.

        An empty mapping ends the race.
        """
        current = self._standings(number)
        efforts = {k: e for standing in current for k, e in standing.wanted.items()}
        if not efforts or number >= self._plan.most_rounds:
            limit = f"the limit of {self._plan.most_rounds} rounds"
            self.ended = limit if efforts else "settled"
            return {}
        left = efforts.keys() - {r.key for r in self._runs if r.round == number}
        if left:
            lines = [
                str(standing) for standing in current if standing.wanted.keys() & left
            ]
            self._progress.begin_round(len(left), lines)
        return efforts

    def notes(self, stopped: str) -> list[str]:
        """Return sentences on how the race ended, for the report.

        Args:
            stopped: The reason why the race stopped, if the race did not end by itself.
        """
        rounds = self._rounds
        reason = self.ended or f"{stopped} in round {max(1, rounds)}"
        cut = "" if reason == "settled" else f"by {reason}"
        return standings.notes(self._standings(rounds), self._plan.precision, cut)

    def last_round(self, folder: Path, executor: Executor | None) -> list[str]:
        """Compare the best two trials of each scene by turns, and print the outcome.

        The printed lines are also returned.

        Args:
            folder: The result folder.
            executor: The executor of the last round; None to read the stored outcome.
        """
        current = self._standings(self._rounds)
        if executor:
            notes = run_last_round(current, self._plan, executor, folder, _print)
        else:
            notes = last_round_notes(current, folder)
        for note in notes:
            _print(note)
        return notes

    def outdate(self, folder: Path) -> None:
        """Remove the outcome of an earlier last round, as it lacks the newest run."""
        (folder / LAST_ROUND).unlink(missing_ok=True)

    @property
    def _rounds(self) -> int:
        return 1 + max((run.round for run in self._runs), default=-1)

    def _standings(self, number: int) -> list[Standing]:
        plan = self._plan
        return standings.standings(
            plan.trials, self._runs, plan.effort, plan.precision, number
        )


def last_round_seconds(plan: Plan) -> float:
    """Return the longest time of a race's last round, in seconds.

    The time is 0 if the budget is too short for a last round.
    """
    count = sum(sum(map(_takes_turns, s)) > 1 for s in scenes(plan.trials))
    if not plan.budget_seconds:
        return MOST_SECONDS * count
    seconds = min(MOST_SECONDS * count, BUDGET_SHARE * plan.budget_seconds)
    return seconds if seconds >= LEAST_SECONDS * count else 0.0


def run_last_round(
    current: Sequence[Standing],
    plan: Plan,
    server: Executor,
    folder: Path,
    show: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Compare the best trial of each scene with its runner-up by turns.

    Processes of the two trials time their batches alternately. The record is stored in
    the result folder. A pair is left out if one of the two cannot take turns, as trials
    of whole epochs and of serving.

    Args:
        current: The standings at the end of the race.
        plan: The plan of the race.
        server: The executor; it is started here and keeps running.
        folder: The result folder.
        show: Receives a line of progress on the pair that is compared.

    Returns:
        A line on each pair, for the terminal and the report.
    """
    cases = _cases(current, plan, server)
    budget_seconds = last_round_seconds(plan)
    if not (cases and budget_seconds):
        return []
    server.start()
    try:
        result = session.live(
            cases,
            base="the runner-up of each scene",
            head="the best of each scene",
            budget_seconds=budget_seconds,
            seed=plan.seed,
            report_progress=show,
        )
    except Interrupted as stopped:
        _save(stopped.result, folder)
        raise
    _save(result, folder)
    return last_round_notes(current, folder)


def last_round_notes(current: Sequence[Standing], folder: Path) -> list[str]:
    """Return a line on each pair of trials that the stored last round compared."""
    path = folder / LAST_ROUND
    if not path.is_file():
        return []
    result = msgspec.json.decode(path.read_bytes(), type=GuardResult)
    rows = {row.key: row for row in result.rows}
    return [_note(one, rows[one.best]) for one in current if one.best in rows]


def _cases(current: Sequence[Standing], plan: Plan, server: Executor) -> list[Case]:
    """Return the comparisons of the last round, one for each scene.

    The base is the runner-up (second-best trial), and the head is the best trial.
    """
    trials = {trial.key: trial for trial in plan.trials}
    cases = []
    for standing in current:
        best, rival = (trials.get(key) for key in (standing.best, standing.rival))
        if not (best and rival and _takes_turns(best) and _takes_turns(rival)):
            continue
        margin = decisions.MARGINS[best.consumer]
        sides = {"base": Side(server, rival), "head": Side(server, best)}
        cases.append(Case(key=best.key, thresholds={METRIC: margin}, **sides))
    return cases


def _takes_turns(trial: Trial) -> bool:
    """Return whether a comparison by turns treats the trial fairly."""
    windows = trial.unit == "window" and CONSUMER_ROWS[trial.consumer].takes_turns
    return windows and not trial.pipeline.worker_count


def _save(result: GuardResult, folder: Path) -> None:
    write_atomically(
        folder / LAST_ROUND, msgspec.json.format(msgspec.json.encode(result))
    )


def _note(standing: Standing, row: Row) -> str:
    name, best, rival = standing.name, standing.label, standing.rival_label
    if row.ratio is None or row.low is None:
        return (
            f"{name}: the last round, by turns, could not compare {best} with {rival}: "
            f"{row.cause}."
        )
    figures = (
        f"{name}: in the last round, by turns, {best} took {row.ratio:.3f} times as "
        f"long as {rival} ({row.low:.3f} to {row.high:.3f}, "
        f"{plural(row.count, 'trio')} of processes)"
    )
    margin = f"{100 * row.threshold:g} %"
    details = {
        "faster": "",
        "slower": f", although the rounds put it first: take {rival}",
        "unchanged": f" within {margin}: take the simpler one",
    }
    return f"{figures}: {row.verdict}{details.get(row.verdict, f', {row.cause}')}."


def _print(line: str) -> None:
    print(line, file=sys.stderr)
