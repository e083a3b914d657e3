"""Rounds of runs, each in a fresh process; a failed run is a row."""

from __future__ import annotations

import datetime
import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from bench import machine
from bench.run.executors import Executor
from bench.run.protocol import GRACE_SECONDS, execute_within
from bench.trial import Effort, Measured, Run, Trial, Windows

REPEAT_SHARE = 0.1  # repeats are at most this share of the runs made


@dataclass(frozen=True)
class _Place:
    """Where in the sweep a run stands."""

    sweep: str
    seed: int
    round: int
    position: int


def rounds(
    trials: Sequence[Trial],
    executor: Executor,
    effort: Effort,
    *,
    sweep: str,
    seed: int,
    done: frozenset[tuple[str, int]] = frozenset(),
    earlier: Iterable[Run] = (),
    time_is_up: Callable[[], bool] = lambda: False,
    seconds_left: Callable[[], float] = lambda: math.inf,
    wanted: Callable[[int], Mapping[str, Effort]] | None = None,
) -> Iterator[Run]:
    """Every trial once in random order, then every trial again.

    Drift of the machine then falls on all alike, and the ratio of two trials can be
    taken within a round. Each round has a server of its own, since forked processes
    share one layout of memory, which moves times by itself. At the end of a round,
    runs beside heavy foreign load are made once more, the worst first.

    Args:
        trials: What to run.
        executor: Where to run it.
        effort: How many rounds and how long.
        sweep: The name of the sweep, for the record.
        seed: Of the random orders; stored.
        done: Keys and rounds that are there already, when resuming.
        time_is_up: Asked before each run.
        earlier: Runs that are there already, whose windows later ones are laid like.
        seconds_left: What is left of the budget, asked before each run, which may last
            a little longer than that and no more: what hangs ends with the budget.
        wanted: The effort of each trial that runs in a round of this number, by key;
            empty ends the sweep. Asked when all runs before the round are handed out.
            By default every trial in `effort.rounds` rounds.
    """
    every = dict.fromkeys((trial.key for trial in trials), effort)
    wanted = wanted or (lambda number: every if number < effort.rounds else {})
    made = repeated = 0
    laid: dict[tuple[str, float], Windows] = {}
    for run in earlier:
        laid |= _laying(run)
    longest = 0.0  # of the runs that went well; seconds

    def left_for_one() -> float:
        return max(0.0, seconds_left()) + max(GRACE_SECONDS, 2 * longest)

    for number in itertools.count():
        efforts = wanted(number)
        if not efforts:
            return
        order = list(trials)
        random.Random(f"{seed}/{number}").shuffle(order)
        left = [t for t in order if t.key in efforts and (t.key, number) not in done]
        if not left:
            continue
        if time_is_up():
            return
        disturbed: list[Run] = []
        try:
            executor.start()
            for trial in left:
                if time_is_up():
                    return
                place = _Place(sweep, seed, number, order.index(trial))
                own = _as_laid(efforts, trial, laid)
                run = _run(trial, executor, own, place, left_for_one())
                if not _disturbed(run):
                    laid |= _laying(run)
                made += 1
                if run.measured.error is None:
                    longest = max(longest, run.seconds)
                if _disturbed(run):
                    disturbed.append(run)
                yield run
            disturbed.sort(key=lambda run: -machine.foreign_share(run.conditions))
            for run in disturbed[: math.ceil(REPEAT_SHARE * made) - repeated]:
                if time_is_up():
                    return
                place = _Place(sweep, seed, number, run.position)
                repeated += 1
                left_seconds = left_for_one()
                yield _run(
                    run.trial, executor, run.effort, place, left_seconds, repeat=1
                )
        finally:
            executor.stop()


def _as_laid(
    efforts: Mapping[str, Effort],
    trial: Trial,
    laid: Mapping[tuple[str, float], Windows],
) -> Effort:
    """The trial's effort, with the windows of an earlier run of the same length."""
    effort = efforts[trial.key]
    return replace(effort, windows=laid.get((trial.key, effort.steady_seconds)))


def _laying(run: Run) -> dict[tuple[str, float], Windows]:
    """How a run laid its windows, by its trial and effort; empty if it had none."""
    measured = run.measured
    if not measured.samples or not measured.epoch_batches:
        return {}
    ramp = len(measured.ramp_samples)
    windows = Windows(
        batches=measured.batches_per_sample,
        start=measured.start_batches - ramp * measured.batches_per_sample,
        ramp=ramp,
        steady=len(measured.samples),
        epoch=measured.epoch_batches,
    )
    return {(run.key, run.effort.steady_seconds): windows}


def _disturbed(run: Run) -> bool:
    """Whether it is worth making once more; what failed would fail again."""
    share = machine.foreign_share(run.conditions)
    return share > machine.HEAVY_SHARE and run.measured.error is None


def _run(
    trial: Trial,
    executor: Executor,
    effort: Effort,
    place: _Place,
    seconds_left: float,
    repeat: int = 0,
) -> Run:
    identified = machine.fingerprint()  # first: it may start processes, once
    conditions = machine.Conditions()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    # What is slow to find and the same in every run is sought in the first round: in a
    # repeat too, which may come to stand for it.
    effort = replace(effort, facts=effort.facts and place.round == 0)
    outcome, effort = execute_within(
        executor, "measure", trial, effort, place.seed + place.round, seconds_left
    )
    if outcome.failure:
        measured = Measured(error=outcome.failure)
    else:
        measured = msgspec.json.decode(outcome.result, type=Measured)
        spent = sum(measured.phases.values()) + sum(measured.overhead.values())
        measured.overhead["rest"] = outcome.seconds - spent
    return Run(
        key=trial.key,
        trial=trial,
        sweep=place.sweep,
        round=place.round,
        position=place.position,
        seed=place.seed,
        effort=effort,
        started=started,
        seconds=outcome.seconds,
        machine=identified,
        conditions=conditions.read(
            None if outcome.failure else measured.process_cpu_seconds
        ),
        measured=measured,
        repeat=repeat,
    )
