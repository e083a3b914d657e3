"""What every form of the report says, in plain text: scenes, rows, errors, machines."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from operator import itemgetter

import numpy as np
import pandas as pd

from bench import failures, text
from bench.analysis import autotune, bottleneck, guarantees, judge, stats, table
from bench.report import glossary, layers, lumps, same_graph, sentences
from bench.trial import Run, Trial

VERDICTS = {
    "baseline": "baseline",
    "faster": "faster",
    "slower": "slower",
    "unchanged": "as fast",
    "unknown": "cannot tell",
}
ENDS = ("", "_low", "_high")
QUANTITIES = ("seconds_per_batch", "examples_per_second", "factor", "lead")
MOST_AUTOTUNED = 60
MOST_PRICES = 60
CLAIM = ("claim", "sentence", "workload", "machine", "data", "source", "predicted")
CLAIM += ("measure", "verdict", "reason", "rounds")
COLUMNS = [
    *("key", "strategy", "label", "runs", "failed", "pairs", "lead_pairs", "baseline"),
    *(f"{name}{end}" for name in QUANTITIES for end in ("", "_low", "_high")),
    *("verdict", "lead_verdict", "best", "ranked", "spread", "unstable", "not_steady"),
    *("usual_examples_per_second", "mean_over_usual", "stall_factor", "stall_batch"),
    *("stall_windows", "flags", "cpu_seconds_per_example", "peak_resident_bytes"),
]

SHOWN = list(
    dict.fromkeys(
        ["scene", "key", "same_as", *table.SCENE, *sentences.NEEDED, *lumps.NEEDED]
    )
)


def summarize(
    runs: Sequence[Run], samples: pd.DataFrame, notes: Sequence[str]
) -> dict[str, object]:
    """Everything that the forms of the report say, as plain text and rows."""
    repeated = same_graph.same(runs)
    trials = _with_repeated(samples, repeated)
    asked = {run.key: run.trial for run in runs}
    binding = _binding(samples)
    alike = same_graph.same_graphs(runs)
    shown = [name for name in SHOWN if name in trials]
    scenes = []
    grouped = itertools.groupby(trials[shown].to_dict("records"), itemgetter("scene"))
    for number, rows in ((number, list(rows)) for number, rows in grouped):
        judged = [row for row in rows if not row["same_as"]]
        scenes.append(
            {
                "number": number,
                "title": text.title(rows[0]),
                "machine": text.visible(rows[0]["machine"]),
                "sentence": sentences.sentence(judged)
                + same_graph.one_graph(judged, alike),
                "jointly": sentences.jointly(judged),
                "binding": [
                    said
                    for row in rows
                    if (row["best"] or row["is_baseline"])
                    and (said := binding.get((row["machine"], row["key"])))
                ],
                "cautions": sentences.cautions(judged)
                + lumps.cautions(judged)
                + same_graph.same_cautions(rows, repeated)
                + same_graph.cautions(judged, alike),
                "rows": _rows(rows, asked, alike),
                "names": {name: rows[0][name] for name in table.SCENE},
            }
        )
    scenes.sort(key=lambda scene: len(scene["rows"]) < 2)  # comparisons first
    machines = _machines(runs)
    claims, claims_left = _claims(samples)
    autotuned, more_autotuned = autotune.comparisons(samples, runs, MOST_AUTOTUNED)
    return {
        "scenes": scenes,
        "errors": _errors(runs),
        "machines": machines,
        "several_machines": len(machines) > 1,
        "about": text.visible(glossary.about(samples), 120),
        "glossary": glossary.entries(trials),
        "notes": [text.visible(note) for note in notes],
        "claims": claims,
        "claims_left": claims_left,
        "layers": layers.table_rows(trials, samples),
        "autotuned": autotuned,
        "more_autotuned": more_autotuned,
        "prices": guarantees.costs(samples, MOST_PRICES),
        "ranked": trials,
        "runs": len(runs),
        "samples": int(samples["seconds_per_batch"].notna().sum()),
        "trials": len(trials),
    }


def _with_repeated(
    samples: pd.DataFrame, repeated: Mapping[tuple[str, str], str]
) -> pd.DataFrame:
    """The ranked trials, and behind those of each scene the ones that repeat another.

    The column `same_as` has the label of the other one; it is empty for ranked trials.
    """
    pairs = list(zip(samples["machine"], samples["key"], strict=True))
    again = np.array([pair in repeated for pair in pairs], bool)
    trials = ranked(samples[~again]).assign(same_as="")
    if not again.any():
        return trials
    others = ranked(samples[again])
    by = list(table.SCENE)
    scenes = trials.drop_duplicates(by)[[*by, "scene", "baseline"]]
    others = others.drop(columns=["scene", "baseline"]).merge(scenes, on=by)
    numbers = [f"{name}{end}" for name in ("factor", "lead") for end in ENDS]
    others = others.assign(
        **dict.fromkeys(numbers, np.nan),
        **dict.fromkeys(("is_baseline", "best", "ranked"), False),
        pairs=0,
        lead_pairs=0,
        same_as=[
            repeated[pair]
            for pair in zip(others["machine"], others["key"], strict=True)
        ],
    )
    joined = pd.concat([trials, others[trials.columns]])
    return joined.sort_values("scene", kind="stable", ignore_index=True)


def _binding(samples: pd.DataFrame) -> dict[tuple[str, str], str]:
    """What binds each trained pipeline, in words, by machine and key."""
    found = bottleneck.attribute(samples).to_dict("records")
    return {(row["machine"], row["key"]): bottleneck.sentence(row) for row in found}


def ranked(samples: pd.DataFrame) -> pd.DataFrame:
    """The trials of each scene, fastest first; then the barred, then the failed."""
    trials = stats.trials(samples)
    if trials.empty:
        return trials
    barred = [
        sentences.barred(row) for row in trials[["runs", "flags"]].to_dict("records")
    ]
    trials = trials.assign(last=np.where(trials["runs"] > 0, barred, 2))
    order = ["scene", "last", "factor", "examples_per_second"]
    ordered = trials.sort_values(order, ascending=[True, True, False, False])
    return ordered.drop(columns="last")


def _claims(samples: pd.DataFrame) -> tuple[list[dict[str, str]], int]:
    """The claims that these trials judge, as text, and how many they do not."""
    if samples.empty:
        return [], 0
    found = judge.judge(samples)
    judged = found["verdict"].isin((judge.HOLDS, judge.FAILS, judge.UNSETTLED))
    rows = [
        {
            **{name: text.visible(row[name]) for name in CLAIM},
            "factor": ""
            if pd.isna(row["factor"])
            else text.figure(row["factor"], row["low"], row["high"]),
            "interval": text.bounds(row["factor"], row["low"], row["high"]),
        }
        for row in found[judged].to_dict("records")
    ]
    shown = {row["claim"] for row in rows}
    return rows, found["claim"].nunique() - len(shown)


def _rows(
    rows: Sequence[dict[str, object]],
    asked: dict[str, Trial],
    alike: Mapping[tuple[str, str], list[str]],
) -> list[dict[str, object]]:
    baseline = next((asked[row["key"]] for row in rows if row["is_baseline"]), None)
    labels = {row["label"] for row in rows if not row["same_as"]}
    made = []
    for row in rows:
        trial = asked[row["key"]]
        pair = row["machine"], row["key"]
        command, alone = text.command(trial, baseline), text.command(trial)
        made.append({**_row(row, command), "alone": command == alone})
        if not row["same_as"] and len(labels.intersection(alike.get(pair, ()))) > 1:
            made[-1]["marks"].append("same graph")
    return made


def _row(row: dict[str, object], command: str) -> dict[str, object]:
    rate, rate_bounds = text.triple(row, "examples_per_second")
    factor, factor_bounds = text.triple(row, "factor")
    marks = [glossary.MARKS.get(mark, mark) for mark in glossary.marks(row)]
    return {
        "pair": (row["machine"], row["key"]),
        "label": text.visible(row["label"], 120),
        "best": bool(row["best"]),
        "factor": "1" if row["is_baseline"] else factor,
        "factor_bounds": "" if row["is_baseline"] else factor_bounds,
        "verdict": verdict(row),
        "rate": rate,
        "rate_bounds": rate_bounds,
        "runs": int(row["runs"]),
        "failed": int(row["failed"]),
        "marks": [text.visible(mark, 40) for mark in marks],
        "command": text.visible(command, 2000),
    }


def verdict(row: dict[str, object]) -> str:
    """The verdict on a trial against its baseline, or why it has none, in words."""
    if not row["runs"]:
        return "failed"
    if row.get("same_as"):
        return f"same as {text.visible(row['same_as'], 80)}"
    if row["is_baseline"]:
        return "baseline, not ranked" if sentences.barred(row) else "baseline"
    if sentences.barred(row):
        return "not ranked"
    if row["pairs"] == 1:
        return "one run" if row["runs"] == 1 else "one round"
    if row["pairs"] == 2:
        return "two runs" if row["runs"] == 2 else "two rounds"
    return VERDICTS[row["verdict"]]


def _errors(runs: Sequence[Run]) -> list[dict[str, object]]:
    found: dict[tuple, int] = {}
    asked = {run.key: run.trial for run in runs}
    for run in runs:
        if run.measured.error:
            key = run.key, run.measured.error
            found[key] = found.get(key, 0) + 1
    return [
        {
            "key": text.visible(key, 120),
            "type": text.visible(failure.type, 80),
            "message": text.visible(failure.message, 500),
            "first_line": text.visible(failures.sentence(failure), 600),
            "phase": text.visible(failure.phase, 40),
            "count": count,
            "command": text.visible(text.command(asked[key]), 2000),
        }
        for (key, failure), count in found.items()
    ]


def _machines(runs: Sequence[Run]) -> list[dict[str, object]]:
    panels: dict[str, dict[str, object]] = {}
    for run, label in zip(runs, table.machine_labels(runs), strict=True):
        panel = panels.setdefault(label, {"runs": 0, "facts": {}})
        panel["runs"] += 1
        panel["first"] = min(panel.get("first", run.started), run.started)
        panel["last"] = max(panel.get("last", run.started), run.started)
        for name, value in run.machine.items():
            panel["facts"].setdefault(name, {})[str(value)] = value
    return [
        {
            "label": text.visible(label),
            "runs": panel["runs"],
            "first": text.visible(panel["first"], 40),
            "last": text.visible(panel["last"], 40),
            "facts": {
                text.visible(name, 40).replace("_", " "): "; ".join(
                    _fact(name, value) for value in values.values()
                )
                for name, values in panel["facts"].items()
            },
        }
        for label, panel in panels.items()
    ]


def _fact(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int | float):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value) or "none"
    return text.visible(value if value != "" else "not known")
