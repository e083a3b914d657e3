"""This module states how near a user's pipeline is to what its consumer alone allows.

The consumer is the user's model or, without one, the runtime that pulls a batch which
is held in memory. No change of the pipeline is faster than that. The processors are no
such limit: a change may save work.
"""

from __future__ import annotations

import math

from bench.machine import usable_processors
from bench.run.user_pipeline import PipelineReading
from bench.text import plural, spell_seconds

NEAR = 0.03  # the gain that a test can show


def reached(reading: PipelineReading, ratio: float = 1.0) -> str:
    """Return the sentences that nothing is left to gain; empty if something may be.

    Args:
        reading: The pipeline as written.
        ratio: The time with the accepted changes over the time as written.
    """
    seconds = _seconds(reading) * ratio
    limit = _limit(reading)
    if not limit or seconds > (1 + NEAR) * limit:
        return ""
    gain = round(100 * (seconds / limit - 1), 3)
    percent = max(1, math.ceil(gain))
    changed = "" if ratio == 1.0 else "With the accepted changes "
    if reading.training_seconds_per_batch:
        begin = f"{changed}the pipeline is hidden behind the model: a training step"
        rest = "takes {}, and {} with the model alone."
    else:
        begin = f"{changed}the pipeline is at its ceiling: a batch"
        rest = "takes {}, and {} from memory."
    times = rest.format(spell_seconds(seconds), spell_seconds(limit))
    return (
        f"{begin[0].upper()}{begin[1:]} {times} There is nothing to gain beyond "
        f"{percent} %, so the search ended here (steady state, one process)."
    )


def training(reading: PipelineReading) -> str:
    """Return sentences on training, the model alone and the pipeline alone.

    The text is empty without a model.
    """
    if not reading.training_seconds_per_batch:
        return ""
    count = usable_processors()
    alone = reading.model_seconds_per_batch
    spread = reading.cpu_seconds_per_batch / count
    return (
        f"A training step takes {spell_seconds(reading.training_seconds_per_batch)}; "
        f"the model alone takes {spell_seconds(alone)}, and the pipeline alone "
        f"{spell_seconds(reading.seconds_per_batch)}. The ceiling of training is "
        f"{spell_seconds(max(alone, spread))}: the slower of the model alone and of "
        f"the pipeline's work spread evenly over {plural(count, 'processor')}, which "
        f"takes {spell_seconds(spread)} unless a change saves work."
    )


def _seconds(reading: PipelineReading) -> float:
    return reading.training_seconds_per_batch or reading.seconds_per_batch


def _limit(reading: PipelineReading) -> float:
    """The time of a batch with the consumer alone; 0 if it was not measured."""
    if reading.training_seconds_per_batch:
        return reading.model_seconds_per_batch
    return reading.ceiling_seconds
