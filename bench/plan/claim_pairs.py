"""The pairs of trials that settle a case of a claim, where processes can take turns.

A side of several trials is compared trial by trial: the ratio to the fastest of three
trials is the least of three ratios, and the ratio to a sum is a sum of ratios.
"""

from __future__ import annotations

from bench import machine
from bench.plan.claims import Case, Claim
from bench.trial import CONSUMER_ROWS, Trial

TIMED = ("speed", "later_speed")  # the measures that are ratios of two trials' times


def pairs(case: Case) -> list[tuple[Trial, Trial]]:
    """Return each trial of a case's side `trial` with each trial of its side `than`."""
    others = case.than.trials if case.than else ()
    return [(one, other) for one in case.trial.trials for other in others]


def refusal(claim: Claim, case: Case) -> str:
    """Return why processes cannot settle a case by turns; empty if they can.

    Args:
        claim: The claim.
        case: One of its cases.
    """
    if claim.needs == "gpu" and not machine.gpus():
        return "it needs a GPU, and there is none here"
    if claim.counted or claim.measure not in TIMED or case.than is None:
        return "it compares no times of two trials"
    for trial in case.trials:
        if not CONSUMER_ROWS[trial.consumer].takes_turns:
            return f"consumer={trial.consumer} takes no turns"
        epochs, p = trial.unit == "epoch", trial.pipeline
        if epochs and p.storage == "cold":
            return "storage=cold drops files from memory, which all processes share"
        if epochs and p.cache != "none" and claim.measure == "speed":
            return "its first epoch counts, and turns time the later ones"
    inputs = {(trial.workload, trial.pipeline.image_size) for trial in case.trials}
    if len(inputs) > 1:
        return "its trials have different inputs"
    return ""
