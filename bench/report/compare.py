"""This module compares two result folders, trial by trial, as ratios with verdicts.

The folders were measured at different times, so no rounds can be paired: a ratio is
that of geometric means over runs, with Welch's interval. `bench.analysis.decisions`
decides, as for `guard A B`. Whatever changed between the two times, such as heat, is in
the ratio: for a small effect, guard both sides live.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from bench import shell, store, text
from bench.analysis import decisions, stats, table
from bench.analysis.decisions import MARGINS, Comparison, Decision, Side
from bench.analysis.verdicts import GRAVEST_FIRST, OUTCOMES
from bench.data import identity
from bench.errors import UsageError
from bench.machine import IDENTITY, LIMITS, PACKAGES
from bench.report import chart, page
from bench.trial import Run

NAMES = ("A", "B")
COLUMNS = {"times as fast": "factor", "95 % interval": "interval", "B is": "verdict"}
MOST_ONE_SIDED = 200
MOST_PRINTED = 20
LONGEST_REASON = 160


def comparison(a: Sequence[Run], b: Sequence[Run]) -> dict[str, object]:
    """Compare two sides trial by trial: how much faster or slower is B than A?

    Args:
        a: The runs of side A.
        b: The runs of side B.

    Returns:
        `rows`, a DataFrame with `title`, `label`, `key`, `machine`, `factor` (how many
        times as fast B is) with `factor_low` and `factor_high`, `verdict` on B (one of
        `OUTCOMES`), its `reason`, `barred` (the flags that leave no verdict), `runs_a`,
        `runs_b`, `same_input`; `one_sided`, the trials that one side lacks, with
        `key`, `only_in` and `verdict`; `only_a` and `only_b`, the keys of these;
        `notes`, in what the two sides differ besides what is compared.
    """
    # Both sides are in one table, so that a machine has one name.
    every, folders = [*a, *b], ["A"] * len(a) + ["B"] * len(b)
    whole = stats.runs(table.from_runs(every, folders))
    frames = [whole[whole["folder"] == name] for name in NAMES]
    notes, across = _machines(*frames, _machine_differences(a, b))
    by = ["key"] if across else ["machine", "key"]
    groups = [dict(list(frame.groupby(by, sort=False))) for frame in frames]
    rows, comparisons, one_sided = [], [], []
    for pair in dict.fromkeys(pair for side in groups for pair in side):
        own = [side.get(pair) for side in groups]
        sides = [_side(frame, every) for frame in own]
        obstacle = decisions.obstacle(*sides, NAMES)
        if None in sides:
            only = {"only_in": NAMES[sides[0] is None], "verdict": obstacle.verdict}
            one_sided.append({"key": text.visible(pair[-1], 200), **only})
            continue
        base, head = (frame["log_seconds"].dropna().to_numpy() for frame in own)
        rows.append(_row(own, sides))
        comparisons.append(
            Comparison(
                base=np.exp(base),
                head=np.exp(head),
                margin=MARGINS[sides[1].trial.consumer],
                obstacle=obstacle,
            )
        )
    decided = _decided(rows, decisions.judge(comparisons))
    changed = decided.loc[~decided["same_input"].astype(bool), "key"]
    if len(changed):
        notes.append(
            f"{len(changed)} of {len(rows)} trials had different inputs on the two "
            f"sides, {text.visible(changed.iloc[0], 80)} first: their ratios compare "
            "inputs as well."
        )
    keys = {
        f"only_{name.lower()}": [
            row["key"] for row in one_sided if row["only_in"] == name
        ]
        for name in NAMES
    }
    return {"notes": notes, "rows": decided, "one_sided": one_sided, **keys}


def html(compared: dict[str, object]) -> str:
    """Return a comparison as an HTML page that loads nothing from elsewhere.

    Args:
        compared: The result of `comparison`, with the names `a` and `b` of the sides.
    """
    data_tables, style = chart.data_tables()
    scripts = [data_tables, page.SCRIPT.read_text(encoding="utf-8")]
    return page.template("compare.html.j2").render(
        **{**compared, "rows": _spelled(compared["rows"])},
        counts=_counts(compared["rows"]),
        margins=_margins(),
        fewest=decisions.FEWEST_ROUNDS,
        outcomes=OUTCOMES,
        most=MOST_ONE_SIDED,
        scripts=[Markup(script) for script in scripts],
        library_style=Markup(style),
        policy=page.policy(scripts),
    )


def read(folder: str | Path) -> tuple[list[Run], list[str]]:
    """Return the runs of a result folder, and notes on damaged or excluded runs.

    Raises:
        UsageError: The folder cannot be read, or has no runs.
    """
    runs, notes = store.load(Path(folder))
    if not runs:
        raise UsageError(
            f"No runs in '{folder}'. Measure first: python run_bench.py run quick."
        )
    alike = identity.runs_with_equal_inputs(store.without_repeats(runs))
    return alike.runs, [*notes, *alike.notes]


def _machines(
    a: pd.DataFrame, b: pd.DataFrame, differences: str
) -> tuple[list[str], bool]:
    """Return notes on the machines, and whether trials are compared across machines.

    They are if each side has a single machine and the two machines differ.
    """
    ours, theirs = set(a["machine"]), set(b["machine"])
    if ours == theirs:
        return [], False
    across = len(ours) == len(theirs) == 1
    named = [text.visible(" and ".join(sorted(side))) for side in (ours, theirs)]
    note = f"A ran on {named[0]}; B on {named[1]}. They differ in {differences}. "
    if across:
        note += "The ratios compare machines or versions as much as anything else."
    else:
        note += "Only trials on the same machine and versions are compared."
    return [note], across


def _machine_differences(a: Sequence[Run], b: Sequence[Run]) -> str:
    """Return the facts in which two sides' machines and versions differ, as text.

    Returns:
        Each differing part of the identity with the values of A and B, such as
        `numpy (2.4.0; 2.5.0)`.
    """
    parts = []
    for name in (*IDENTITY, "python", *PACKAGES):
        ours, theirs = (
            " and ".join(sorted({_machine_value(run, name) for run in side}))
            for side in (a, b)
        )
        if ours != theirs:
            parts.append(f"{name} ({ours}; {theirs})")
    return text.visible(", ".join(parts) or "how these parts combine")


def _machine_value(run: Run, name: str) -> str:
    value = run.machine.get(name, None if name in LIMITS else "unknown")
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return "none" if value in (None, "") else str(value)


def _side(frame: pd.DataFrame | None, runs: Sequence[Run]) -> Side | None:
    return None if frame is None else decisions.side([runs[n] for n in frame["run"]])


def _row(frames: Sequence[pd.DataFrame], sides: Sequence[Side]) -> dict[str, object]:
    """Return a trial's row without its ratio and its verdict."""
    first = frames[1].iloc[0]
    counts = [int(frame["log_seconds"].count()) for frame in frames]
    differing = identity.difference(*(side.inputs for side in sides), NAMES)
    barred = [
        f"{flag} in {name}"
        for name, side in zip(NAMES, sides, strict=True)
        for flag in side.flags
    ]
    return {
        "title": text.scene_title(first),
        "label": text.visible(first["label"], 120),
        "key": first["key"],
        "machine": text.visible(first["machine"]),
        "barred": ", ".join(barred),
        "runs_a": counts[0],
        "runs_b": counts[1],
        "same_input": not differing,
    }


def _decided(
    rows: Sequence[dict[str, object]], decisions: Sequence[Decision]
) -> pd.DataFrame:
    """Return the table of trials with ratios and verdicts, sorted by speed.

    The trials that became slowest in B come first.
    """
    names = ["title", "label", "key", "machine", "barred", "runs_a", "runs_b"]
    names += ["same_input", "factor", "factor_low", "factor_high", "verdict", "reason"]
    decided = []
    for row, decision in zip(rows, decisions, strict=True):
        ratio = decision.ratio  # of seconds, B over A
        decided.append(
            {
                **row,
                "factor": 1 / ratio.estimate,
                "factor_low": 1 / ratio.high,
                "factor_high": 1 / ratio.low,
                "verdict": decision.verdict,
                "reason": text.visible(decision.reason, LONGEST_REASON),
            }
        )
    frame = pd.DataFrame(decided, columns=names)
    return frame.sort_values("factor", kind="stable", na_position="first")


def _spelled(rows: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows of a comparison with all values as text, in their order."""
    spelled = []
    for row in rows.to_dict("records"):
        factor, interval = text.rounded_with_bounds(row, "factor")
        outcome = OUTCOMES[row["verdict"]]
        spelled.append(
            {
                **{name: row[name] for name in ("title", "label", "machine", "reason")},
                "factor": factor,
                "interval": interval,
                "verdict": outcome.text,
                "css_class": outcome.css_class,
                "style": outcome.style,
                "runs": f"{row['runs_a']} and {row['runs_b']}",
            }
        )
    return spelled


def _counts(rows: pd.DataFrame) -> str:
    """Return a sentence that counts the trials with each verdict, the worst first."""
    counts = rows["verdict"].value_counts()
    ranked = sorted(counts.index, key=GRAVEST_FIRST.index)
    parts = [f"{counts[name]} {OUTCOMES[name].text}" for name in ranked]
    return f"{len(rows)} trial{'s'[: len(rows) - 1]} in both: {', '.join(parts)}."


def _margins() -> str:
    """Return the margins of consumers in words: `3 % (drain), 5 % (train, serve)`."""
    consumers: dict[float, list[str]] = {}
    for consumer, margin in MARGINS.items():
        consumers.setdefault(margin, []).append(consumer)
    return ", ".join(
        f"{100 * margin:.3g} % ({', '.join(names)})"
        for margin, names in consumers.items()
    )


def records(rows: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows of a comparison as JSON has them, with NaN as null."""
    return json.loads(rows.to_json(orient="records"))


def show(compared: dict[str, object]) -> None:
    """Print a comparison on the terminal.

    Args:
        compared: The result of `comparison`, with the names `a` and `b` of the sides.
    """
    from rich.table import Table
    from rich.text import Text

    console = shell.console(width=80, highlight=False)
    console.print(Text(f"A: {compared['a']}\nB: {compared['b']}", style="bold"))
    for note in compared["notes"]:
        console.print(Text(f"! {note}", style="yellow"))
    rows = _spelled(compared["rows"])
    if rows:
        console.print(Text(_counts(compared["rows"])))
        grid = Table(box=None, pad_edge=False, header_style="dim")
        grid.add_column("trial", overflow="fold", ratio=1)
        room = console.width
        for name, field in COLUMNS.items():
            grid.add_column(name, justify="left" if name == "B is" else "right")
            room -= 2 + max(len(cell) for cell in (name, *(r[field] for r in rows)))
        for row in rows:
            name = f"{row['title']}: {row['label']}"
            cell = Text(text.wrapped(name, max(room, 12)))
            if row["reason"]:
                reason = text.wrapped(row["reason"], max(room, 12))
                cell.append(f"\n{reason}", style="dim")
            grid.add_row(
                cell,
                row["factor"],
                row["interval"],
                Text(row["verdict"], style=row["style"]),
            )
        console.print(grid)
    else:
        console.print(Text("No trial is in both."))
    for name in NAMES:
        only = [row for row in compared["one_sided"] if row["only_in"] == name]
        for row in only[:MOST_PRINTED]:
            outcome = OUTCOMES[row["verdict"]].text
            line = f"only in {name}: {row['key']} ({outcome})"
            console.print(Text(line, style="dim"))
        if len(only) > MOST_PRINTED:
            more = f"... and {len(only) - MOST_PRINTED} more"
            console.print(Text(more, style="dim"))
