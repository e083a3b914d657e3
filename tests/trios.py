"""Trios as a live guard leaves them, made without processes."""

import numpy as np

from bench.guard.trio import Trio
from bench.run.turns import Turn
from bench.trial import Measured


def trio(head=0.0, control=0.0, noise=0.0, rounds=200, seed=0, **measured) -> Trio:
    """Turns of base, control and head; log-ratios to base as given, plus noise."""
    rng = np.random.default_rng(seed)
    logs = rng.normal(0, noise, (rounds, 3)) + np.array([0.0, control, head])
    rows = [tuple(Turn(s, s * 2) for s in row) for row in np.exp(logs)]
    return Trio(
        turns=rows,
        measured=[
            Measured(**{"batches_per_sample": 1000} | measured) for _ in range(3)
        ],
        failures={},
        batch_sizes={"base": 10, "head": 10},
        seconds=1.0,
    )
