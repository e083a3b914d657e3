"""The last round of a race: the best of each scene and its runner-up take turns.

The runs of a round follow one another, and what the machine did in between is in their
ratio. So the two that matter most are compared once more as the guard compares two
revisions (see `lockstep`): the runner-up is base, with its control, the best is head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.analysis import verdicts
from bench.analysis.standings import Standing
from bench.errors import write_whole
from bench.guard import session
from bench.guard.case_session import Case
from bench.guard.record import GuardResult, Interrupted, Row
from bench.guard.trio import Side
from bench.pipeline import prepared
from bench.plan.plan import Plan
from bench.plan.screening import scenes
from bench.run.progress import plural
from bench.run.protocol import Executor
from bench.trial import Trial

FILE = "finals.json"  # in the result folder
METRIC = "seconds_per_example"
LEAST_SECONDS, MOST_SECONDS = 10.0, 40.0  # of each scene
BUDGET_SHARE = 0.2  # of a race's budget, at most, for all of them


def seconds(made: Plan) -> float:
    """How long the last round of a race may take; 0 where its budget has no room."""
    count = sum(sum(map(_takes_turns, s)) > 1 for s in scenes(made.trials))
    if not made.budget_seconds:
        return MOST_SECONDS * count
    kept = min(MOST_SECONDS * count, BUDGET_SHARE * made.budget_seconds)
    return kept if kept >= LEAST_SECONDS * count else 0.0


def hold(
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
    budget_seconds = seconds(made)
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
    return outcome_lines(standings, folder)


def outcome_lines(standings: Sequence[Standing], folder: Path) -> list[str]:
    """What the last round said, a line a scene; nothing where none was held."""
    path = folder / FILE
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
        margin = verdicts.MARGINS[best.consumer]
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
    write_whole(folder / FILE, msgspec.json.format(msgspec.json.encode(found)))


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
