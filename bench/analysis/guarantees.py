"""What a guarantee costs: reproducible operations, and XLA where one layer refuses it.

A pair differs in one axis and in nothing else: `op_determinism` on and off; for models
that preprocess, `jit` on and off. Where a layer cannot be compiled Keras's own choice
switches XLA off for the whole model (`jit=auto`, flag `xla_off`): then its row shows
that nothing is gained, and the same workload without that layer, a variant such as
`cifar_augmentation:flip_only`, shows what was to be had.
"""

from __future__ import annotations

import pandas as pd

from bench import text
from bench.analysis import pairs

# An axis, the setting that has its price, and what that is compared with.
PRICED = (
    ("op_determinism", "True", "False"),
    ("jit", "on", "off"),
    ("jit", "auto", "off"),
)


def costs(samples: pd.DataFrame, most: int | None = None) -> list[dict[str, object]]:
    """A row of text for each pair that was measured.

    Args:
        samples: From `table.from_runs`.
        most: Rows to make; all if not given.

    Returns:
        `title`, `machine`, `label` of the plain trial, `setting`, `takes` (times as
        long, with `interval`), `verdict`, and whether XLA was `lost`.
    """
    if samples.empty:
        return []
    frame = pairs.measured(samples, "flags")
    found: list[dict[str, object]] = []
    for axis, dear, plain in PRICED:
        setting = frame[axis].astype(str)
        wanted = setting.isin((dear, plain))
        if axis == "jit":
            wanted &= frame["placement"] == "model"
        some = frame[wanted].assign(setting=setting[wanted])
        by = pairs.all_but(axis)
        both = some.groupby(by, sort=False)["setting"].transform("nunique") == 2
        for _, group in some[both].groupby(by, sort=False):
            if most is not None and len(found) >= most:
                return found
            keys = group.groupby("setting")["key"].first()
            found += _row(group, keys[dear], keys[plain], f"{axis}={dear.lower()}")
    return found


def _row(
    group: pd.DataFrame, dear: str, plain: str, setting: str
) -> list[dict[str, object]]:
    first = group.drop_duplicates("key").set_index("key")
    flags = group.loc[group["key"] == dear, "flags"]
    lost = bool(flags.str.contains("xla_off").all())
    if setting == "jit=auto" and not lost:
        return []  # Keras's own choice among what `on` and `off` show
    took = pairs.ratio(*pairs.seconds(group, [dear, plain]).T)
    values = took.estimate, took.low, took.high
    row = first.loc[plain]
    return [
        {
            "title": text.title(row),
            "machine": text.visible(row["machine"]),
            "label": text.visible(row["label"], 80),
            "setting": setting,
            "takes": text.figure(*values),
            "interval": text.bounds(*values),
            "verdict": pairs.verdict(took, row["consumer"]),
            "lost": lost,
        }
    ]
