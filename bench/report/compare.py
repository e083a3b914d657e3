"""Two result folders, trial by trial: ratios with intervals and verdicts.

The folders were measured at different times, so there are no rounds to pair: a ratio is
that of the geometric means of the runs' medians, with Welch's interval on the log scale
(Welch 1947), which lets the two sides differ in spread. Whatever changed between the
two times (heat, neighbours) is in it: for a small effect measure both sides in turn.
Verdicts hold jointly by Holm's method; intervals are 95 % each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup
from scipy import stats as distributions

from bench import shell, store, text
from bench.analysis import intervals, pairs, stats, table, verdicts
from bench.analysis.intervals import welch
from bench.data import identity
from bench.errors import UsageError
from bench.report import apart, chart, page
from bench.trial import Run

RATIO = ("factor", "factor_low", "factor_high")
SHOWN = {"faster": "faster", "slower": "slower", "unchanged": "as fast"}
COLUMNS = {"times as fast": "factor", "95 % interval": "interval", "B is": "verdict"}
MOST_ONE_SIDED = 200


def comparison(a: Sequence[Run], b: Sequence[Run]) -> dict[str, object]:
    """How fast B's trials are as multiples of A's.

    Args:
        a: The records of one side.
        b: Those of the other.

    Returns:
        `rows`, a DataFrame with `title`, `label`, `key`, `machine`, `factor` (how many
        times as fast B is) with `factor_low` and `factor_high`, `verdict` on B,
        `barred`, the flags that bar a side from ranking and so leave no verdict,
        `runs_a`, `runs_b`; `only_a` and `only_b`, keys of trials with no counterpart;
        `notes`, what makes the two sides differ besides what is compared.
    """
    # One table, as a machine and its versions have one name within a table.
    names = ["a"] * len(a) + ["b"] * len(b)
    whole = stats.runs(table.from_runs([*a, *b], names))
    runs = {name: whole[whole["folder"] == name] for name in ("a", "b")}
    notes, across = _machines(runs["a"], runs["b"], apart.machine_differences(a, b))
    by = ["key"] if across else ["machine", "key"]
    sides = {
        name: dict(list(own.groupby(by, sort=False))) for name, own in runs.items()
    }
    both = [pair for pair in sides["a"] if pair in sides["b"]]
    rows = _joint([_row(sides["a"][pair], sides["b"][pair]) for pair in both])
    changed = rows.loc[~rows["same_input"], "key"] if len(rows) else []
    if len(changed):
        notes.append(
            f"{len(changed)} of {len(rows)} trials had different inputs on the two "
            f"sides, {text.visible(changed.iloc[0], 80)} first: their ratios compare "
            "inputs as well."
        )
    only = {
        f"only_{name}": [
            text.visible(pair[-1], 200) for pair in own if pair not in both
        ]
        for name, own in sides.items()
    }
    return {"notes": notes, "rows": rows, **only}


def html(found: dict[str, object]) -> str:
    """The comparison as a page that needs nothing from elsewhere."""
    data_tables, style = chart.data_tables()
    scripts = [data_tables, page.SCRIPT.read_text(encoding="utf-8")]
    return page.template("compare.html.j2").render(
        **{**found, "rows": _spelled(found["rows"])},
        counts=_counts(found["rows"]),
        jointly=_jointly(found["rows"]),
        most=MOST_ONE_SIDED,
        scripts=[Markup(script) for script in scripts],
        library_style=Markup(style),
        policy=page.policy(scripts),
    )


def read(folder: str | Path) -> tuple[list[Run], list[str]]:
    """A folder's runs, and what was odd or cut."""
    runs, notes = store.load(Path(folder))
    if not runs:
        raise UsageError(
            f"No runs in '{folder}'. Measure first: python run_bench.py run quick."
        )
    alike = identity.alike(runs)
    return alike.runs, [*notes, *alike.notes]


def _machines(a: pd.DataFrame, b: pd.DataFrame, differ: str) -> tuple[list[str], bool]:
    """What to say of the machines, and whether trials are compared across them."""
    ours, theirs = set(a["machine"]), set(b["machine"])
    if ours == theirs:
        return [], False
    across = len(ours) == len(theirs) == 1
    named = [text.visible(" and ".join(sorted(side))) for side in (ours, theirs)]
    said = f"A ran on {named[0]}; B on {named[1]}. They differ in {differ}. "
    if across:
        said += "The ratios compare machines or versions as much as anything else."
    else:
        said += "Only trials on the same machine and versions are compared."
    return [said], across


def _row(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, object]:
    first = b.iloc[0]
    logs = [side["log_seconds"].dropna().to_numpy() for side in (a, b)]
    estimate, error, freedom = welch(*logs)
    width = distributions.t.ppf((1 + intervals.CONFIDENCE) / 2, freedom) * error
    inputs = [set(side["input_fingerprint"]) - {""} for side in (a, b)]
    ends = np.exp([estimate, estimate - width, estimate + width])
    barred = [
        f"{flag} in {name}"
        for name, side in (("A", a), ("B", b))
        for flag in pairs.barring(side)
    ]
    return {
        "title": text.title(first),
        "label": text.visible(first["label"], 120),
        "key": first["key"],
        "machine": text.visible(first["machine"]),
        **dict(zip(RATIO, ends, strict=True)),
        "barred": ", ".join(barred),
        "runs_a": len(logs[0]),
        "runs_b": len(logs[1]),
        "same_input": inputs[0] == inputs[1] or not all(inputs),
        "margin": verdicts.MARGINS[first["consumer"]],
        "p": _beyond(estimate, error, freedom, verdicts.MARGINS[first["consumer"]]),
    }


def _beyond(estimate: float, error: float, freedom: float, margin: float) -> float:
    """P value against the ratio being within the margin, one side."""
    if np.isnan(error):
        return np.nan
    excess = abs(estimate) - np.log1p(margin)
    if error == 0:
        return float(excess <= 0)
    return float(distributions.t.sf(excess / error, freedom))


def _joint(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """The rows with the verdicts that hold jointly."""
    names = ["title", "label", "key", "machine", *RATIO, "barred", "runs_a", "runs_b"]
    frame = pd.DataFrame(rows, columns=None if rows else [*names, "same_input"])
    if frame.empty:
        return frame.assign(verdict=[])
    sure = verdicts.holm(frame["p"].to_numpy(float)) < (1 - intervals.CONFIDENCE) / 2
    edge = 1 + frame["margin"]
    within = (frame["factor_low"] >= 1 / edge) & (frame["factor_high"] <= edge)
    failed = (frame["runs_a"] == 0) | (frame["runs_b"] == 0)
    where = np.where(frame["runs_b"] == 0, "failed in B", "failed in A")
    few = frame[["runs_a", "runs_b"]].min(axis=1) < verdicts.FEWEST_ROUNDS
    barred = frame["barred"] != ""
    frame["verdict"] = np.select(
        [
            failed,
            few | barred,
            sure & (frame["factor"] > 1),
            sure & (frame["factor"] < 1),
            within,
        ],
        [where, "unknown", "faster", "slower", "unchanged"],
        "unknown",
    )
    frame = frame.drop(columns=["margin", "p"])
    return frame.sort_values("factor", kind="stable", na_position="first")


def _jointly(rows: pd.DataFrame) -> str:
    """Why an interval beside 1 has no verdict, where a row is so."""
    many = rows[["runs_a", "runs_b"]].min(axis=1) >= verdicts.FEWEST_ROUNDS
    beside = (rows["factor_low"] > 1) | (rows["factor_high"] < 1)
    ranked = rows["barred"] == ""
    if not (many & beside & ranked & (rows["verdict"] == "unknown")).any():
        return ""
    count = rows["factor_low"].notna().sum()
    return (
        f"Verdicts count all {count} comparisons together (Holm), at a margin of 3 % "
        "for drain and 5 % for train and serve; each interval is for one alone."
    )


def _spelled(rows: pd.DataFrame) -> list[dict[str, object]]:
    """The rows as text, B's slowest first."""
    spelled = []
    for row in rows.to_dict("records"):
        factor, interval = text.triple(row, "factor")
        kept = {name: row[name] for name in ("title", "machine", "same_input")}
        why = f" ({row['barred']})" if row["barred"] else ""
        spelled.append(
            {
                **kept,
                "label": row["label"] + why,
                "factor": factor,
                "interval": interval,
                "verdict": _said(row["verdict"], min(row["runs_a"], row["runs_b"])),
                "runs": f"{row['runs_a']} and {row['runs_b']}",
            }
        )
    return spelled


def _said(verdict: str, fewest: int = verdicts.FEWEST_ROUNDS) -> str:
    if verdict.startswith("failed"):
        return verdict
    if 0 < fewest < verdicts.FEWEST_ROUNDS:
        return "one run" if fewest == 1 else "two runs"
    return SHOWN.get(verdict, "cannot tell")


def _counts(rows: pd.DataFrame) -> str:
    counts = rows["verdict"].value_counts()
    parts = [f"{counts.get(name, 0)} {name}" for name in ("faster", "slower")]
    if counts.get("unchanged", 0):
        parts.append(f"{counts['unchanged']} as fast")
    if counts.get("unknown", 0):
        parts.append(f"{counts['unknown']} could not be told")
    failed = sum(counts[name] for name in counts.index if name.startswith("failed"))
    parts += [f"{failed} failed"] if failed else []
    return f"{len(rows)} trial{'s'[: len(rows) - 1]} in both: {', '.join(parts)}."


def records(rows: pd.DataFrame) -> list[dict[str, object]]:
    """The rows of a comparison as JSON has them, NaN as null."""
    return json.loads(rows.to_json(orient="records"))


def show(found: dict[str, object]) -> None:
    """Print a comparison on the terminal."""
    from rich.table import Table
    from rich.text import Text

    console = shell.console(width=80, highlight=False)
    console.print(Text(f"A: {found['a']}\nB: {found['b']}", style="bold"))
    for note in found["notes"]:
        console.print(Text(f"! {note}", style="yellow"))
    rows = _spelled(found["rows"])
    if rows:
        console.print(Text(_counts(found["rows"])))
        grid = Table(box=None, pad_edge=False, header_style="dim")
        grid.add_column("trial", overflow="fold", ratio=1)
        room = console.width
        for name, field in COLUMNS.items():
            grid.add_column(name, justify="left" if name == "B is" else "right")
            room -= 2 + max(len(text) for text in (name, *(r[field] for r in rows)))
        for row in rows:
            mark = "" if row["same_input"] else " (other input)"
            name = f"{row['title']}: {row['label']}{mark}"
            grid.add_row(
                Text(text.wrapped(name, max(room, 12))),
                *(row[field] for field in COLUMNS.values()),
            )
        console.print(grid)
        if said := _jointly(found["rows"]):
            console.print(Text(said, style="dim"))
    else:
        console.print(Text("No trial is in both."))
    for name in ("a", "b"):
        only = found[f"only_{name}"]
        for key in only[:20]:
            console.print(Text(f"only in {name.upper()}: {key}", style="dim"))
        if len(only) > 20:
            console.print(Text(f"... and {len(only) - 20} more", style="dim"))
