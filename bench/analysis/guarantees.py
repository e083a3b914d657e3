"""This module computes the cost of deterministic operations and of XLA compilation.

It compares pairs of trials that differ in one axis only: `op_determinism` on and off
or, with layers in the model, `jit` on and off. If one layer cannot be compiled,
`jit=auto` switches XLA off for the whole model (flag `xla_off`). The row of such a
trial shows that `jit=auto` gains nothing. The workload without that layer, a variant
such as `cifar_augmentation:flip_only`, shows the possible gain.
"""

from __future__ import annotations

import pandas as pd

from bench import text
from bench.analysis import pairs
from bench.pipeline import IN_MODEL

# An axis, the setting whose cost is measured, and the setting without this cost.
SETTINGS = (
    ("op_determinism", "True", "False"),
    ("jit", "on", "off"),
    ("jit", "auto", "off"),
)


def costs(samples: pd.DataFrame, most: int | None = None) -> list[dict[str, object]]:
    """Return a row of text for each pair of trials that differ in one such setting.

    Args:
        samples: The table from `table.from_runs`.
        most: The largest number of rows to return; None for all.

    Returns:
        `title`, `machine`, `label` of the trial without the setting, `setting`, `takes`
        (how many times as long a batch takes with the setting, and `interval`),
        `verdict` on the setting, and `lost` (whether one layer switched XLA off).
    """
    if samples.empty:
        return []
    frame = pairs.measured(samples, "flags")
    rows: list[dict[str, object]] = []
    for axis, dear, plain in SETTINGS:
        setting = frame[axis].astype(str)
        selected = setting.isin((dear, plain))
        if axis == "jit":
            selected &= frame["placement"].isin(IN_MODEL)
        some = frame[selected].assign(setting=setting[selected])
        by = pairs.all_but(axis)
        both = some.groupby(by, sort=False)["setting"].transform("nunique") == 2
        for _, group in some[both].groupby(by, sort=False):
            if most is not None and len(rows) >= most:
                return rows
            keys = group.groupby("setting")["key"].first()
            rows += _row(group, keys[dear], keys[plain], f"{axis}={dear.lower()}")
    return rows


def _row(
    group: pd.DataFrame, dear: str, plain: str, setting: str
) -> list[dict[str, object]]:
    first = group.drop_duplicates("key").set_index("key")
    flags = group.loc[group["key"] == dear, "flags"]
    lost = bool(flags.str.contains("xla_off").all())
    if setting == "jit=auto" and not lost:
        return []  # the rows of `on` and `off` show the choices of Keras
    took = pairs.ratio(*pairs.seconds(group, [dear, plain]).T)
    values = took.estimate, took.low, took.high
    row = first.loc[plain]
    return [
        {
            "title": text.scene_title(row),
            "machine": text.visible(row["machine"]),
            "label": text.visible(row["label"], 80),
            "setting": setting,
            "takes": text.figure(*values),
            "interval": text.bounds(*values),
            "verdict": pairs.verdict(took, row["consumer"]),
            "lost": lost,
        }
    ]
