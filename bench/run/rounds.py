"""This module runs the rounds of a sweep; in a round every trial runs once.

Each run has a fresh process. A run that fails is recorded with its error.
"""

from __future__ import annotations

import datetime
import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from bench import machine, store
from bench.run.executors import Executor
from bench.run.protocol import GRACE_SECONDS, execute_within
from bench.trial import Effort, Measured, Run, Trial, Windows

REPEAT_SHARE = 0.1  # the largest share of repeats, of all other runs


@dataclass(frozen=True)
class _Position:
    """A position has the sweep, seed, round and place in the round of a run."""

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
    """Run every trial once in random order, then every trial again; yield each run.

    Drift of the machine then affects all trials alike, and the ratio of two trials can
    be taken within a round. Each round has a server of its own, since forked processes
    share one layout of memory, which alone changes times. At the end of a round, runs
    that met heavy load of other processes are repeated, the most disturbed run first.

    Args:
        trials: The trials of the sweep.
        executor: The executor that runs them.
        effort: The number of rounds, and how much to measure.
        sweep: The name of the sweep, for the record.
        seed: The seed of the random orders; stored.
        done: The key and the round of each run that exists already, when resuming.
        earlier: Runs that exist already. Later runs of a trial use the same timed
            windows.
        time_is_up: Returns whether no further run may begin; called before each run.
        seconds_left: Returns the rest of the budget in seconds; called before each run.
            A run may exceed it by a little, so that a run that hangs ends with the
            budget.
        wanted: Returns how much to measure of each trial in the round of this number,
            by the trial's key; an empty mapping ends the sweep. Called once all earlier
            runs have been yielded. By default every trial runs in `effort.rounds`
            rounds.
    """
    every = dict.fromkeys((trial.key for trial in trials), effort)
    wanted = wanted or (lambda number: every if number < effort.rounds else {})
    runs = repeats = 0
    layouts: dict[tuple[str, float], Windows] = {}
    for run in earlier:
        layouts |= _layout(run)
    longest = 0.0  # of the successful runs; seconds

    def run_limit() -> float:
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
        failed = 0
        try:
            executor.start()
            for trial in left:
                if time_is_up():
                    return
                position = _Position(sweep, seed, number, order.index(trial))
                own = _with_layout(efforts[trial.key], trial, layouts)
                run = _run(trial, executor, own, position, run_limit())
                runs += 1
                if run.measured.error is None:
                    longest = max(longest, run.seconds)
                else:
                    failed += not store.must_repeat(run, effort.limit_seconds)
                if _disturbed(run):
                    disturbed.append(run)
                else:
                    layouts |= _layout(run)
                yield run
            disturbed.sort(key=lambda run: -machine.foreign_share(run.conditions))
            for run in disturbed[: math.ceil(REPEAT_SHARE * runs) - repeats]:
                if time_is_up():
                    return
                position = _Position(sweep, seed, number, run.position)
                repeats += 1
                limit = run_limit()
                yield _run(run.trial, executor, run.effort, position, limit, repeat=1)
        finally:
            executor.stop()
        if failed == len(trials):  # each for a reason that the next round has as well
            return


def _with_layout(
    effort: Effort, trial: Trial, layouts: Mapping[tuple[str, float], Windows]
) -> Effort:
    """Return the effort of a run with the timed windows of an earlier run of the trial.

    An effort states how much to measure. The earlier run must have been planned to be
    as long. If there is none, the run determines its windows itself.
    """
    return replace(effort, windows=layouts.get((trial.key, effort.steady_seconds)))


def _layout(run: Run) -> dict[tuple[str, float], Windows]:
    """Return how a run is divided into windows, by (trial's key, planned seconds).

    The result is empty if the division is unknown.
    """
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
    """Return whether a successful run met heavy load of other processes."""
    share = machine.foreign_share(run.conditions)
    return share > machine.HEAVY_SHARE and run.measured.error is None


def _run(
    trial: Trial,
    executor: Executor,
    effort: Effort,
    position: _Position,
    seconds_left: float,
    repeat: int = 0,
) -> Run:
    """Measure a trial in a fresh process, and record the load of the machine."""
    fingerprint = machine.fingerprint()  # first: it may start processes, once
    conditions = machine.Conditions()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    # Slow facts that all runs of a trial share are determined in the first round only,
    # and in its repeats, which may replace the first run.
    effort = replace(effort, facts=effort.facts and position.round == 0)
    seed = position.seed + position.round
    outcome, effort = execute_within(
        executor, "measure", trial, effort, seed, seconds_left
    )
    if outcome.failure:
        measured = Measured(error=outcome.failure)
    else:
        measured = msgspec.json.decode(outcome.result, type=Measured)
        known = sum(measured.phases.values()) + sum(measured.overhead.values())
        measured.overhead["rest"] = outcome.seconds - known
    return Run(
        key=trial.key,
        trial=trial,
        sweep=position.sweep,
        round=position.round,
        position=position.position,
        seed=position.seed,
        effort=effort,
        started=started,
        seconds=outcome.seconds,
        machine=fingerprint,
        conditions=conditions.read(
            None if outcome.failure else measured.process_cpu_seconds
        ),
        measured=measured,
        repeat=repeat,
    )
