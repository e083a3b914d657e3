"""This module names what binds a user's pipeline, from the lifts that were measured.

- The order binds if lifting it alone makes the pipeline half as fast again, and
  processors were idle before. It is judged first, since it is the smallest change: it
  takes no work away.
- Else the stage binds whose removal gains the most. Its kind gives the resource its
  name: a stage that calls Python is `Python`; one that reads files, and keeps less than
  half a processor busy while it does, is `storage`.
- `CPU cores` bind where the whole pipeline keeps most processors busy. Then the stage
  with the longest wait counts. Else the stage itself binds.
- Where no removal gains a tenth, nothing binds by itself: several stages overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.run.user_pipeline import BUSY, Lift, PipelineReading, Stage

ORDER_GAIN = 1.5
LEAST_GAIN = 1.1
READS_WAITING = 0.5  # processors that a stage keeps busy if it waits for storage
READERS = ("TFRecordDataset", "TextLineDataset", "FixedLengthRecordDataset")


@dataclass(frozen=True)
class Constraint:
    """A constraint is what binds a pipeline.

    Attributes:
        resource: `storage`, `Python`, `ordering`, `CPU cores`, `stage`, or `none` where
            nothing binds by itself.
        stage: The index of the stage in question; -1 for none.
        factor: How many times as fast the pipeline is without it; None if unknown.
        reason: The reason why there is no factor.
    """

    resource: str
    stage: int = -1
    factor: float | None = None
    reason: str = ""


def binding(reading: PipelineReading, processors: float) -> Constraint | None:
    """Return what binds a pipeline; None if waits were not measured.

    Args:
        reading: The reading of the pipeline.
        processors: How many processors it may use.
    """
    waits = [stage.wait or 0.0 for stage in reading.stages]
    if not any(waits):
        return None
    lifts = [lift for lift in reading.lifts if lift.factor is not None]
    whole = reading.stages[-1].processors / processors
    for lift in lifts:
        gains = lift.constraint == "order" and lift.factor >= ORDER_GAIN
        if gains and whole < BUSY:
            return Constraint("ordering", factor=lift.factor)
    longest = waits.index(max(waits))
    own = next((one for one in reading.lifts if one.stage == longest), None)
    removed = [lift for lift in lifts if lift.constraint == "stage"]
    if own is None or own.factor is None:
        # The longest wait is the best evidence where its stage cannot be taken away.
        lift = Lift(constraint="stage", stage=longest)
        lift.reason = own.reason if own else "it was not tried"
    elif whole >= BUSY:  # every stage takes time from the others, as waits show
        lift = own
    else:
        lift = max(removed, key=lambda one: one.factor)
    resource = _resource(reading.stages[lift.stage], whole)
    if lift.factor is not None and lift.factor < LEAST_GAIN:
        resource = "none"
    return Constraint(resource, lift.stage, lift.factor, lift.reason)


def _resource(stage: Stage, whole: float) -> str:
    """Return the resource that a stage needs.

    Args:
        stage: The stage that binds.
        whole: The part of all processors that the whole pipeline keeps busy.
    """
    if "python" in stage.traits:
        return "Python"
    reads = "reads" in stage.traits or stage.method in READERS
    if reads and stage.processors < READS_WAITING:
        return "storage"
    return "CPU cores" if whole >= BUSY else "stage"
