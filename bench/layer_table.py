"""Layers side by side, a row each: where it is best placed, what it costs, its facts.

`draws` tells whether a random layer draws once an example or once a batch, and
`reproducible` whether the same seed gave the same outputs again.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench import catalog, words

PLACEMENTS = {
    "map_batch": "dataset, map then batch",
    "batch_map": "dataset, batch then map",
    "model": "model",
    "model_xla": "model with XLA",
    "offline": "offline",
}
FACTS = ("supports_jit", "draws", "distinct_draws", "reproducible")
GPU = "fact_peak_gpu_bytes"


def rows(trials: pd.DataFrame, samples: pd.DataFrame) -> list[dict[str, str]]:
    """A row of text for each layer, machine and input that was measured.

    Args:
        trials: From `stats.trials`; layers are told from workloads by their names.
        samples: The table behind it, for the facts.
    """
    if trials.empty:
        return []
    kinds = _kinds()
    known = [str(name).partition(":")[0] in kinds for name in trials["workload"]]
    own = trials[np.array(known, bool) & (trials["runs"] > 0).to_numpy(bool)]
    facts = _facts(samples)
    scenes = own.groupby("scene", sort=False)
    return [_row(scene, facts, kinds) for _, scene in scenes]


def _kinds() -> dict[str, str]:
    return {name: entry.kind for name, entry in catalog.entries("layers").items()}


def _facts(samples: pd.DataFrame) -> pd.DataFrame:
    """The last known facts of each machine and trial."""
    names = [*(f"fact_{name}" for name in FACTS), GPU]
    names = [name for name in names if name in samples]
    once = samples.drop_duplicates("run")
    return once.groupby(["machine", "key"], sort=False)[names].last()


def placement(row: pd.Series) -> str:
    """Which of `PLACEMENTS` a trial is."""
    if row["placement"] == "dataset":
        return row["order"]
    if row["placement"] == "model" and row["jit"] != "off":
        return "model_xla"
    return row["placement"]


def _row(
    scene: pd.DataFrame, facts: pd.DataFrame, kinds: dict[str, str]
) -> dict[str, str]:
    fastest = scene.sort_values("examples_per_second", ascending=False)
    fastest = fastest.assign(place=[placement(row) for _, row in fastest.iterrows()])
    each = fastest.drop_duplicates("place").set_index("place")
    ranked = fastest[fastest["ranked"]]
    best = (ranked if len(ranked) else fastest).iloc[0]
    known = _known(fastest, facts)
    factor, interval = words.triple(best, "factor")
    row = {
        "layer": words.visible(best["workload"], 60),
        "kind": kinds[best["workload"].partition(":")[0]],
        "consumer": best["consumer"],
        "conditions": words.title(best).partition(", ")[2],
        "machine": words.visible(best["machine"]),
        "best": PLACEMENTS[best["place"]],
        "setting": words.visible(best["label"], 80),
        "factor": "1" if best["is_baseline"] else factor,
        "interval": "" if best["is_baseline"] else interval,
        "baseline": words.visible(best["baseline"], 60),
        "cpu_microseconds": words.figure(1e6 * best["cpu_seconds_per_example"]),
        "memory_mib": words.figure(best["peak_resident_bytes"] / 2**20),
        "gpu_mib": _gpu(known),
        **{name: _said(known, f"fact_{name}") for name in FACTS},
    }
    for name in PLACEMENTS:
        rate = "-"
        if name in each.index:
            rate, _ = words.triple(each.loc[name], "examples_per_second")
        row[f"rate_{name}"] = rate
    return row


def _known(scene: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    index = pd.MultiIndex.from_frame(scene[["machine", "key"]])
    return facts.reindex(index).assign(place=scene["place"].to_numpy())


def _gpu(known: pd.DataFrame) -> str:
    values = known[GPU].dropna() if GPU in known else []
    return words.figure(max(values) / 2**20) if len(values) else "-"


def _said(known: pd.DataFrame, name: str) -> str:
    """A fact's value; where placements differ, each value with its placements."""
    if name not in known or known[name].isna().all():
        return "-"
    found: dict[str, dict[str, None]] = {}
    for value, place in known[[name, "place"]].dropna().itertuples(index=False):
        spelled = f"{value:g}" if isinstance(value, float) else str(value)
        found.setdefault(spelled, {})[place] = None
    if len(found) == 1:
        return words.visible(next(iter(found)), 60)
    parts = [f"{value} ({', '.join(places)})" for value, places in found.items()]
    return words.visible("; ".join(parts), 200)
