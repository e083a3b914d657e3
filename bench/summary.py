"""What every form of the report says, in plain text: scenes, rows, errors, machines."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import itemgetter

import pandas as pd

from bench import (
    answers,
    attribution,
    autotune,
    judge,
    layer_table,
    stats,
    table,
    twins,
    words,
)
from bench.machine import identity
from bench.trial import Run

VERDICTS = {
    "baseline": "baseline",
    "faster": "faster",
    "slower": "slower",
    "unchanged": "as fast",
    "unknown": "cannot tell",
}
QUANTITIES = ("seconds_per_batch", "examples_per_second", "factor", "lead")
MOST_AUTOTUNED = 60
CLAIM = ("claim", "sentence", "workload", "machine", "data", "source", "predicted")
CLAIM += ("measure", "verdict", "reason", "rounds")
COLUMNS = [
    *("key", "strategy", "label", "runs", "failed", "pairs", "baseline"),
    *(f"{name}{end}" for name in QUANTITIES for end in ("", "_low", "_high")),
    *("verdict", "lead_verdict", "best", "ranked", "spread", "unstable", "not_steady"),
    *("flags", "cpu_seconds_per_example", "peak_resident_bytes"),
]

SHOWN = list(dict.fromkeys(["scene", "key", *table.SCENE, *answers.NEEDED]))


def of(
    runs: Sequence[Run], samples: pd.DataFrame, notes: Sequence[str]
) -> dict[str, object]:
    """Everything that the forms of the report say, as plain text and rows."""
    trials = ranked(samples)
    commands = {run.key: words.command(run.trial) for run in runs}
    binding = _binding(samples)
    alike = twins.of(runs)
    shown = [name for name in SHOWN if name in trials]
    scenes = []
    grouped = itertools.groupby(trials[shown].to_dict("records"), itemgetter("scene"))
    for number, rows in ((number, list(rows)) for number, rows in grouped):
        scenes.append(
            {
                "number": number,
                "title": words.title(rows[0]),
                "machine": words.visible(rows[0]["machine"]),
                "sentence": answers.sentence(rows),
                "binding": [
                    said
                    for row in rows
                    if (row["best"] or row["is_baseline"])
                    and (said := binding.get((row["machine"], row["key"])))
                ],
                "cautions": answers.cautions(rows)
                + twins.cautions(
                    [(row["machine"], row["key"]) for row in rows],
                    [row["label"] for row in rows],
                    alike,
                ),
                "rows": [_row(row, commands) for row in rows],
                "names": {name: rows[0][name] for name in table.SCENE},
            }
        )
    scenes.sort(key=lambda scene: len(scene["rows"]) < 2)  # comparisons first
    machines = _machines(runs)
    claims, claims_left = _claims(samples)
    autotuned, more_autotuned = autotune.rows(samples, runs, MOST_AUTOTUNED)
    return {
        "scenes": scenes,
        "errors": _errors(runs, commands),
        "machines": machines,
        "several_machines": len(machines) > 1,
        "notes": [words.visible(note) for note in notes],
        "claims": claims,
        "claims_left": claims_left,
        "layers": layer_table.rows(trials, samples),
        "autotuned": autotuned,
        "more_autotuned": more_autotuned,
        "ranked": trials,
        "runs": len(runs),
        "samples": int(samples["seconds_per_batch"].notna().sum()),
        "trials": len(trials),
    }


def _binding(samples: pd.DataFrame) -> dict[tuple[str, str], str]:
    """What binds each trained pipeline, in words, by machine and key."""
    found = attribution.attribute(samples).to_dict("records")
    return {(row["machine"], row["key"]): attribution.sentence(row) for row in found}


def ranked(samples: pd.DataFrame) -> pd.DataFrame:
    """The trials of each scene, fastest first, what failed last."""
    trials = stats.trials(samples)
    if trials.empty:
        return trials
    order = ["scene", "factor", "examples_per_second"]
    return trials.sort_values(order, ascending=[True, False, False])


def _claims(samples: pd.DataFrame) -> tuple[list[dict[str, str]], int]:
    """The claims that these trials judge, as text, and how many they do not."""
    if samples.empty:
        return [], 0
    found = judge.judge(samples)
    judged = found["verdict"].isin((judge.HOLDS, judge.FAILS, judge.UNSETTLED))
    rows = [
        {
            **{name: words.visible(row[name]) for name in CLAIM},
            "factor": ""
            if pd.isna(row["factor"])
            else words.figure(row["factor"], row["low"], row["high"]),
            "interval": words.bounds(row["factor"], row["low"], row["high"]),
        }
        for row in found[judged].to_dict("records")
    ]
    shown = {row["claim"] for row in rows}
    return rows, found["claim"].nunique() - len(shown)


def _row(row: dict[str, object], commands: dict[str, str]) -> dict[str, object]:
    rate, rate_bounds = words.triple(row, "examples_per_second")
    factor, factor_bounds = words.triple(row, "factor")
    marks = [flag for flag in row["flags"].split(";") if flag]
    marks += ["unstable"] if row["unstable"] else []
    marks += ["not_steady"] if row["not_steady"] and "not_steady" not in marks else []
    if not row["runs"]:
        verdict = "failed"
    elif row["runs"] == 1 and not row["is_baseline"]:
        verdict = "one run"
    else:
        verdict = VERDICTS[row["verdict"]]
    return {
        "pair": (row["machine"], row["key"]),
        "label": words.visible(row["label"], 120),
        "best": bool(row["best"]),
        "factor": "1" if row["is_baseline"] else factor,
        "factor_bounds": "" if row["is_baseline"] else factor_bounds,
        "verdict": verdict,
        "rate": rate,
        "rate_bounds": rate_bounds,
        "runs": int(row["runs"]),
        "failed": int(row["failed"]),
        "marks": [words.visible(mark, 40) for mark in marks],
        "command": words.visible(commands[row["key"]], 2000),
    }


def _errors(runs: Sequence[Run], commands: dict[str, str]) -> list[dict[str, object]]:
    found: dict[tuple, int] = {}
    for run in runs:
        if run.measured.error:
            key = run.key, run.measured.error
            found[key] = found.get(key, 0) + 1
    return [
        {
            "key": words.visible(key, 120),
            "type": words.visible(failure.type, 80),
            "message": words.visible(failure.message, 500),
            "phase": words.visible(failure.phase, 40),
            "count": count,
            "command": words.visible(commands[key], 2000),
        }
        for (key, failure), count in found.items()
    ]


def _machines(runs: Sequence[Run]) -> list[dict[str, object]]:
    labels = table.machine_labels(runs)
    panels: dict[tuple, dict[str, object]] = {}
    for run in runs:
        panel = panels.setdefault(identity(run.machine), {"runs": 0, "facts": {}})
        panel["runs"] += 1
        panel["first"] = min(panel.get("first", run.started), run.started)
        panel["last"] = max(panel.get("last", run.started), run.started)
        for name, value in run.machine.items():
            panel["facts"].setdefault(name, {})[str(value)] = value
    return [
        {
            "label": words.visible(labels[found]),
            "runs": panel["runs"],
            "first": words.visible(panel["first"], 40),
            "last": words.visible(panel["last"], 40),
            "facts": {
                words.visible(name, 40).replace("_", " "): "; ".join(
                    _fact(name, value) for value in values.values()
                )
                for name, values in panel["facts"].items()
            },
        }
        for found, panel in panels.items()
    ]


def _fact(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int | float):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value) or "none"
    return words.visible(value if value != "" else "not known")
