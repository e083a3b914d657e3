"""This module makes trios as a live guard leaves them, without any process."""

import numpy as np

from bench.guard.trio import Trio
from bench.run.turns import Turn
from bench.trial import Measured


def trio(head=0.0, control=0.0, noise=0.0, rounds=200, seed=0, **measured) -> Trio:
    """Return a trio whose turns have these log-ratios to base, plus noise.

    Args:
        head: The log-ratio of head to base.
        control: The log-ratio of the control to base.
        noise: The standard deviation of the log of a turn.
        rounds: How many rounds of turns the trio took.
        seed: The seed of the noise.
        measured: Fields of `Measured` of all three processes.
    """
    rng = np.random.default_rng(seed)
    logs = rng.normal(0, noise, (rounds, 3)) + np.array([0.0, control, head])
    fields = {"batches_per_sample": 1000} | measured
    return Trio(
        turns=[
            tuple(Turn(seconds, 2 * seconds) for seconds in row) for row in np.exp(logs)
        ],
        measured=[Measured(**fields) for _ in range(3)],
        failures={},
        batch_sizes={"base": 10, "head": 10},
        seconds=1.0,
    )
