"""This module makes the inputs of a plan once, before its first run."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from bench import failures
from bench.errors import UsageError
from bench.plan.plan import Plan
from bench.plan.refusals import mixing_refusal
from bench.run.protocol import GRACE_SECONDS, Executor, Prepared, execute_within
from bench.trial import CONSUMER_ROWS, Trial


def prepare_inputs(plan: Plan, executor: Executor) -> Plan:
    """Make all inputs of a plan, and refuse the trials that cannot run on them.

    The layers are imported in a process of the executor, which still runs afterwards,
    for the first round; the caller stops it.

    Returns:
        The plan without the refused trials, which it lists with their reasons.

    Raises:
        UsageError: The inputs or layers of a workload cannot be made, or no trial is
            left.
    """
    answers: dict[tuple, Prepared] = {}
    refused = dict(plan.refused)
    executor.start()
    deadline = time.monotonic() + plan.budget_seconds
    for trial in _distinct(plan.trials):
        left = deadline - time.monotonic() if plan.budget_seconds else math.inf
        outcome, _ = execute_within(
            executor, "prepare", trial, plan.effort, plan.seed,
            max(0.0, left) + GRACE_SECONDS,
        )  # fmt: skip
        answer = Prepared(error=outcome.failure)
        if not outcome.failure:
            answer = msgspec.json.decode(outcome.result, type=Prepared)
        if answer.error:
            reason = failures.sentence(answer.error, whole=True)
            raise UsageError(f"'{trial.workload}' cannot be prepared: {reason}")
        answers[_inputs_key(trial)] = answer
    for trial in plan.trials:
        reason = _refusal(trial, answers[_inputs_key(trial)])
        if reason:
            refused[trial.key] = reason
    trials = [trial for trial in plan.trials if trial.key not in refused]
    if not trials:
        listed = "\n".join(f"  {key}: {reason}" for key, reason in refused.items())
        raise UsageError(
            "No trial can run on these inputs. Change the axes or the data. The "
            f"reasons:\n{listed}"
        )
    return replace(plan, trials=trials, refused=refused)


def _refusal(trial: Trial, prepared: Prepared) -> str:
    """Return why a trial cannot run on its prepared inputs; empty if it can."""
    p = trial.pipeline
    if p.batch_size > prepared.examples:
        return (
            f"batch_size={p.batch_size} is more than its {prepared.examples} examples"
        )
    if p.storage == "cold" and prepared.warm:
        return prepared.warm
    if p.jit == "on" and not prepared.supports_jit and p.place.in_model:
        return "jit=on: Keras says that a layer of it does not compile with XLA"
    if CONSUMER_ROWS[trial.consumer].pulls == "stream":
        return mixing_refusal(p, prepared.mixes)
    return ""


def _inputs_key(trial: Trial) -> tuple:
    """Return the settings on which a trial's inputs depend; equal keys share inputs.

    The settings also determine the answer to the request `prepare`, which depends on
    the labels that resampling meets and on where files lie.
    """
    p = trial.pipeline
    labels = p.resample != "none", p.cache == "decoded", p.placement == "offline"
    resampled = labels if labels[0] else ()
    cold = p.cache_storage if p.storage == "cold" else ""
    return (trial.workload, trial.data, p.image_size, cold, *resampled)


def _distinct(trials: Sequence[Trial]) -> list[Trial]:
    """Return one trial for each set of inputs: the one with the largest batch size."""
    ordered = sorted(trials, key=lambda trial: trial.pipeline.batch_size)
    return list({_inputs_key(trial): trial for trial in ordered}.values())
