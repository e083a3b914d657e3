"""Rounds of runs, each in a fresh process; a failed run is a row."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Iterator, Sequence

import msgspec

from bench import machine
from bench.processes import Executor
from bench.trial import Effort, Measured, Run, Trial


def rounds(
    trials: Sequence[Trial],
    executor: Executor,
    effort: Effort,
    *,
    sweep: str,
    seed: int,
    done: frozenset[tuple[str, int]] = frozenset(),
    time_is_up: Callable[[], bool] = lambda: False,
) -> Iterator[Run]:
    """Every trial once in random order, then every trial again.

    Drift of the machine then falls on all alike, and the ratio of two trials can be
    taken within a round. Each round has a server of its own, since forked processes
    share one layout of memory, which moves times by itself.

    Args:
        trials: What to run.
        executor: Where to run it.
        effort: How many rounds and how long.
        sweep: The name of the sweep, for the record.
        seed: Of the random orders; stored.
        done: Keys and rounds that are there already, when resuming.
        time_is_up: Asked before each run.
    """
    for number in range(effort.rounds):
        order = list(trials)
        random.Random(f"{seed}/{number}").shuffle(order)
        left = [trial for trial in order if (trial.key, number) not in done]
        if not left or time_is_up():
            continue
        try:
            executor.start()
            for trial in left:
                if time_is_up():
                    break
                yield _run(
                    trial, executor, effort, sweep, number, order.index(trial), seed
                )
        finally:
            executor.stop()


def _run(
    trial: Trial,
    executor: Executor,
    effort: Effort,
    sweep: str,
    number: int,
    position: int,
    seed: int,
) -> Run:
    conditions = machine.Conditions()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    outcome = executor.execute("measure", trial, effort, seed + number)
    if outcome.failure:
        measured = Measured(error=outcome.failure)
    else:
        measured = msgspec.json.decode(outcome.result, type=Measured)
        spent = sum(measured.phases.values()) + sum(measured.overhead.values())
        measured.overhead["rest"] = outcome.seconds - spent
    return Run(
        key=trial.key,
        trial=trial,
        sweep=sweep,
        round=number,
        position=position,
        seed=seed,
        effort=effort,
        started=started,
        seconds=outcome.seconds,
        machine=machine.fingerprint(),
        conditions=conditions.read(measured.process_cpu_seconds),
        measured=measured,
    )
