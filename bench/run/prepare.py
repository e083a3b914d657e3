"""The inputs of a plan, made once before its first run."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from bench import failures
from bench.errors import UsageError
from bench.plan.plan import Plan
from bench.run.protocol import GRACE_SECONDS, Executor, execute_within
from bench.trial import Failure, Trial


def prepare_inputs(plan: Plan, executor: Executor) -> Plan:
    """Make all inputs once, and refuse what only the imported layers can refuse.

    The executor is left running, for the first round; stopping it is the caller's.

    Raises:
        UsageError: Inputs or layers of a workload cannot be made, with the cause.
    """
    traits: dict[tuple, dict] = {}
    refused = dict(plan.refused)
    executor.start()
    deadline = time.monotonic() + plan.budget_seconds
    for trial in _distinct(plan.trials):
        left = deadline - time.monotonic() if plan.budget_seconds else math.inf
        outcome, _ = execute_within(
            executor, "prepare", trial, plan.effort, plan.seed,
            max(0.0, left) + GRACE_SECONDS,
        )  # fmt: skip
        told = {} if outcome.failure else msgspec.json.decode(outcome.result)
        error = outcome.failure
        if told.get("error"):
            error = msgspec.convert(told["error"], Failure)
        if error:
            why = failures.sentence(error, whole=True)
            raise UsageError(f"'{trial.workload}' cannot be prepared: {why}")
        traits[_made_once(trial)] = told
    for trial in plan.trials:
        told = traits[_made_once(trial)]
        p = trial.pipeline
        if p.jit == "on" and not told["supports_jit"] and p.placement == "model":
            refused[trial.key] = (
                "jit=on: Keras says that a layer of it does not compile with XLA"
            )
        if p.storage == "cold" and told.get("warm"):
            refused[trial.key] = told["warm"]
        if p.batch_size > told["examples"]:
            refused[trial.key] = (
                f"batch_size={p.batch_size} is more than its "
                f"{told['examples']} examples"
            )
    kept = [trial for trial in plan.trials if trial.key not in refused]
    if not kept:
        listed = "\n".join(f"  {key}: {reason}" for key, reason in refused.items())
        raise UsageError(f"Nothing is left to run:\n{listed}")
    return replace(plan, trials=kept, refused=refused)


def _made_once(trial: Trial) -> tuple:
    """What the inputs depend on, and what is known of them before the first run.

    That is the labels that resampling meets, and whether their files can be cold.
    """
    p = trial.pipeline
    labels = p.resample != "none", p.cache == "decoded", p.placement == "offline"
    resampled = labels if labels[0] else ()
    cold = p.cache_storage if p.storage == "cold" else ""
    return (trial.workload, trial.data, p.image_size, cold, *resampled)


def _distinct(wanted: Sequence[Trial]) -> list[Trial]:
    """One trial for each set of inputs, that with the largest batch."""
    ordered = sorted(wanted, key=lambda trial: trial.pipeline.batch_size)
    return list({_made_once(trial): trial for trial in ordered}.values())
