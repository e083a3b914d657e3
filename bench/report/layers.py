"""This module makes the table of layers, with placement, cost and facts of each layer.

The placement is the fastest one. The table leaves out trials that did other work, such
as trials with frozen draws. `supports_jit` is whether XLA compiles the layer. `draws`
is whether a layer draws once for each example, batch or trace. `reproducible` is
whether the same seed gives the same outputs again.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bench import catalog, text
from bench.analysis.table import SCENE
from bench.pipeline import PLACEMENTS
from bench.report.sentences import barred

COLUMNS = {
    name: heading
    for place in PLACEMENTS.values()
    for name, heading in place.columns.items()
}
FACTS = ("supports_jit", "draws", "distinct_draws", "reproducible")
GPU = "fact_peak_gpu_bytes"
JOULES = {  # columns of the table, from `bench.measure.energy`
    "package_joules": "fact_package_joules_per_example",
    "gpu_joules": "fact_gpu_joules_per_example",
}
QUANTITIES = ("factor", "examples_per_second")
NEEDED = [
    *("scene", "key", "label", "runs", "flags", "placement", "order", "jit", "ranked"),
    *("baseline", "is_baseline", "cpu_seconds_per_example", "peak_resident_bytes"),
    *(f"{name}{end}" for name in QUANTITIES for end in ("", "_low", "_high")),
    *SCENE,
]

Row = Mapping[str, object]


def table_rows(trials: pd.DataFrame, samples: pd.DataFrame) -> list[dict[str, str]]:
    """Return a row of text for each layer, machine and input that was measured.

    Args:
        trials: The table from `stats.trials`. A trial belongs to a layer if its
            workload's name is that of a file in `layers/`.
        samples: The table from `table.from_runs`, which has the facts.
    """
    if trials.empty:
        return []
    kinds = _kinds()
    known = [str(name).partition(":")[0] in kinds for name in trials["workload"]]
    own = trials.loc[np.array(known, bool) & (trials["runs"] > 0), NEEDED]
    own = own[[not barred(row) for row in own.to_dict("records")]]
    if own.empty:
        return []
    own["place"] = [placement(row) for row in own.to_dict("records")]
    own = own.join(_facts(samples), on=["machine", "key"])
    own = own.sort_values("examples_per_second", ascending=False)
    scenes: dict[int, list[Row]] = {number: [] for number in sorted(set(own["scene"]))}
    for row in own.to_dict("records"):
        scenes[row["scene"]].append(row)
    return [_row(fastest, kinds) for fastest in scenes.values()]


def _kinds() -> dict[str, str]:
    return {name: entry.kind for name, entry in catalog.entries("layers").items()}


def _facts(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the last known value of each fact that the table shows, for each trial.

    The index is (machine, key).
    """
    names = [*(f"fact_{name}" for name in FACTS), GPU, *JOULES.values()]
    names = [name for name in names if name in samples]
    once = samples.drop_duplicates("run")
    return once.groupby(["machine", "key"], sort=False)[names].last()


def placement(row: Row) -> str:
    """Return the column of `COLUMNS` for a trial's placement, order and use of XLA."""
    place = PLACEMENTS[row["placement"]]
    if place.maps_layers:
        return row["order"]
    names = tuple(place.columns)  # without and with XLA, for a model
    return names[place.in_model and row["jit"] != "off"]


def _row(fastest: list[Row], kinds: dict[str, str]) -> dict[str, str]:
    """Return the row of a layer in the report's table, with all values as text.

    Args:
        fastest: The layer's trials, fastest first.
        kinds: The kind of each layer.
    """
    by_place = {row["place"]: row for row in reversed(fastest)}
    best = next((row for row in fastest if row["ranked"]), fastest[0])
    factor, interval = text.rounded_with_bounds(best, "factor")
    row = {
        "layer": text.visible(best["workload"], 60),
        "kind": kinds[best["workload"].partition(":")[0]],
        "consumer": best["consumer"],
        "conditions": text.scene_title(best).partition(", ")[2],
        "machine": text.visible(best["machine"]),
        "best": COLUMNS[best["place"]],
        "setting": text.visible(best["label"], 80),
        "factor": "1" if best["is_baseline"] else factor,
        "interval": "" if best["is_baseline"] else interval,
        "baseline": text.visible(best["baseline"], 60),
        "cpu_microseconds": text.figure(1e6 * best["cpu_seconds_per_example"]),
        "memory_mib": text.figure(best["peak_resident_bytes"] / 2**20),
        "gpu_mib": _gpu(fastest),
        **{name: _figure(best.get(fact)) for name, fact in JOULES.items()},
        **{name: _fact(fastest, f"fact_{name}") for name in FACTS},
    }
    for name in COLUMNS:
        rate = "-"
        if name in by_place:
            rate, _ = text.rounded_with_bounds(by_place[name], "examples_per_second")
        row[f"rate_{name}"] = rate
    return row


def _gpu(rows: list[Row]) -> str:
    """Return the most GPU memory of a layer's trials, in MiB."""
    values = [row[GPU] for row in rows if pd.notna(row.get(GPU))]
    return _figure(max(values) / 2**20 if values else None)


def _figure(value: float | None) -> str:
    return "-" if pd.isna(value) else text.figure(value)


def _fact(rows: list[Row], name: str) -> str:
    """Return a fact on a layer as text, such as whether it draws at random.

    If the value depends on the placement, the text has each value with its placements.
    """
    places: dict[str, dict[str, None]] = {}
    for row in rows:
        value = row.get(name)
        if pd.notna(value):
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            places.setdefault(shown, {})[row["place"]] = None
    if len(places) < 2:
        return text.visible(next(iter(places), "-"), 60)
    parts = [f"{value} ({', '.join(some)})" for value, some in places.items()]
    return text.visible("; ".join(parts), 200)
