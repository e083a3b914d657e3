"""A race under way: which trials still need a round, and what best and next say last.

`racing.py` judges the standings, `finals.py` holds the last round.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from bench.analysis import standings as racing
from bench.plan.plan import Plan
from bench.race import finals
from bench.run import executors
from bench.run.progress import Progress
from bench.trial import Effort, Run


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
        return finals.seconds(self._made)

    def wanted(self, number: int) -> Mapping[str, Effort]:
        """The effort of each trial in the round of this number, by key."""
        standings = self._standings(number)
        efforts = {k: e for one in standings for k, e in one.wanted.items()}
        if not efforts or number >= self._made.most_rounds:
            limit = f"the limit of {self._made.most_rounds} rounds"
            self.ended = limit if efforts else "settled"
            return {}
        left = efforts.keys() - {r.key for r in self._runs if r.round == number}
        if left:
            racing = [str(one) for one in standings if one.wanted.keys() & left]
            self._progress.begin_round(len(left), racing)
        return efforts

    def notes(self, stopped: str) -> list[str]:
        """How it ended, for the report; `stopped` says by what if not by itself."""
        rounds = self._rounds
        by = self.ended or f"{stopped} in round {max(1, rounds)}"
        cut = "" if by == "settled" else f"by {by}"
        return racing.notes(self._standings(rounds), self._made.precision, cut)

    def last_round(
        self, folder: Path, executor: executors.Executor | None
    ) -> list[str]:
        """What best and runner-up taking turns say, or said if there is no executor."""
        standings = self._standings(self._rounds)
        if executor:
            notes = finals.hold(standings, self._made, executor, folder, _say)
        else:
            notes = finals.outcome_lines(standings, folder)
        for note in notes:
            _say(note)
        return notes

    def outdate(self, folder: Path) -> None:
        """There is a run more: what best and runner-up said was before it."""
        (folder / finals.FILE).unlink(missing_ok=True)

    @property
    def _rounds(self) -> int:
        return 1 + max((run.round for run in self._runs), default=-1)

    def _standings(self, number: int) -> list:
        made = self._made
        return racing.standings(
            made.trials, self._runs, made.effort, made.precision, number
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr)
