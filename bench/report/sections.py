"""Sections are the tables of a report; a section knows nothing of HTML or Markdown.

One loop in each template shows every section, so that the two pages cannot differ. To
add a section, write a function here and append it to `SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bench import text
from bench.analysis import autotune, between_machines, claim_verdicts, guarantees
from bench.report import layers
from bench.report.summary import Report

CLAIM = ("claim", "sentence", "workload", "machine", "data", "source", "predicted")
CLAIM += ("measure", "verdict", "reason", "rounds", "by")
Row = Mapping[str, object]


@dataclass(frozen=True)
class Column:
    """A column has the heading of a table's column and the kind of its cells.

    Attributes:
        heading: The text above the column.
        kind: What the cells are: `name` breaks after commas, `message` may be long,
            `figure` is a number, `code` is text as a program wrote it.
        wide: Whether a narrow screen leaves the column out.
        filter: Whether a reader may choose rows by the column's values.
    """

    heading: str
    kind: Literal["text", "name", "message", "figure", "verdict", "code"] = "text"
    wide: bool = False
    filter: bool = False


@dataclass(frozen=True)
class Table:
    """A table has columns and rows of text, as a section of the report shows them.

    Attributes:
        columns: The columns by the name of their field in the rows.
        rows: The text of each cell by the column's name, and optionally `state` (`best`
            or `failed`), `command` (the command that measures the row again) and `pair`
            (machine and key of the row's trial).
        caption: A title for the table, where a section has several tables.
        note: A remark below the table.
    """

    columns: Mapping[str, Column]
    rows: Sequence[Row]
    caption: str = ""
    note: str = ""

    @property
    def filled(self) -> dict[str, Column]:
        """Return the columns in which at least one row has a value."""
        return {
            name: column
            for name, column in self.columns.items()
            if any(row[name] not in ("", "-") for row in self.rows)
        }


@dataclass(frozen=True)
class Section:
    """A section is a part of the report: a heading, a note and one or more tables.

    Attributes:
        name: The section's name, by which `report.json` and the page's style know it.
        heading: The heading.
        note: What the tables show and how to read them.
        tables: The tables.
        search: Whether a reader may search the rows.
    """

    name: str
    heading: str
    note: str
    tables: Sequence[Table]
    search: bool = False

    @property
    def rows(self) -> list[Row]:
        """Return the rows of all tables."""
        return [row for table in self.tables for row in table.rows]


def sections(report: Report) -> Iterator[Section]:
    """Yield every section of a report, including sections without rows."""
    for section in SECTIONS:
        yield section(report)


def _claims(report: Report) -> Section:
    """Return the section on published claims, as the report's trials test them."""
    judged = (
        claim_verdicts.evaluate(
            report.samples, turns=report.samples.attrs.get("turns", {})
        )
        if len(report.samples)
        else pd.DataFrame()
    )
    rows, missing = [], 0
    if len(judged):
        verdicts = (
            claim_verdicts.HOLDS,
            claim_verdicts.FAILS,
            claim_verdicts.UNSETTLED,
        )
        known = judged[judged["verdict"].isin(verdicts)]
        rows = [_claim(row, report) for row in known.to_dict("records")]
        missing = judged["claim"].nunique() - known["claim"].nunique()
    note = (
        "Claims that others published, judged by the trials here. A claim holds when "
        "its whole 95 % interval is as predicted, and does not hold when none of the "
        "interval is. Of claims right at their limit about 1 in 40 is judged wrongly. "
        "A count without error that is compared with nothing has the range over its "
        "rounds in place of an interval. A ratio is by rounds, or by turns where "
        "processes of both trials took turns; turns come first."
    )
    if missing:
        note += f" {missing} more claims need trials that are not here."
    columns = {
        "sentence": Column("claim", "message"),
        "target": Column("for", "name"),
        "verdict": Column("verdict", "verdict", filter=True),
        "reason": Column("reason", "message", wide=True),
        "factor": Column("factor", "figure"),
        "interval": Column("95 % interval", "figure", wide=True),
        "by": Column("by", wide=True, filter=True),
        "predicted": Column("predicted", wide=True),
        "source": Column("source", wide=True),
    }
    table = Table(columns, rows)
    return Section("claims", "Claims of the field", note, [table], search=True)


def _claim(row: Row, report: Report) -> Row:
    shown = {name: text.visible(row[name]) for name in CLAIM}
    values = row["factor"], row["low"], row["high"]
    return {
        **shown,
        "target": report.located(
            f"{shown['workload']} {shown['data']}".strip(), shown["machine"]
        ),
        "factor": "" if pd.isna(row["factor"]) else text.figure(*values),
        "interval": text.bounds(*values),
        "state": "failed" if row["verdict"] == claim_verdicts.FAILS else "",
    }


def _layers(report: Report) -> Section:
    """Return the section with the speed of every layer in every placement."""
    rows = []
    for row in layers.table_rows(report.trials, report.samples):
        more = f" ({row['conditions']})" if row["conditions"] != "drain" else ""
        name = report.located(row["layer"] + more, row["machine"])
        rows.append({**row, "name": name})
    rates = {
        f"rate_{name}": Column(f"{place}, examples/s", "figure", wide=True)
        for name, place in layers.COLUMNS.items()
    }
    columns = {
        "name": Column("layer", "name"),
        "kind": Column("kind", wide=True, filter=True),
        "best": Column("best placement", filter=True),
        "factor": Column("times as fast", "figure"),
        "interval": Column("95 % interval", "figure", wide=True),
        **rates,
        "cpu_microseconds": Column("CPU \u00b5s an example", "figure", wide=True),
        "memory_mib": Column("peak memory, MiB", "figure", wide=True),
        "gpu_mib": Column("GPU memory, MiB", "figure", wide=True),
        "package_joules": Column("CPU joules an example", "figure", wide=True),
        "gpu_joules": Column("GPU joules an example", "figure", wide=True),
        "supports_jit": Column("XLA-able", wide=True),
        "draws": Column("draws", wide=True),
        "distinct_draws": Column("distinct of 64", "figure", wide=True),
        "reproducible": Column("reproducible", wide=True),
    }
    note = (
        "One row a layer: the placement in which it was fastest, the factor over the "
        "baseline, and examples a second in each placement. CPU time, peak memory and "
        "joules are those of the best trial."
    )
    return Section("layers", "Layers", note, [Table(columns, rows)], search=True)


def _autotuned(report: Report) -> Section:
    """Return the section that compares autotuned pipelines with fixed settings."""
    comparisons, _ = autotune.comparisons(report.samples, report.runs)
    rows = [
        {
            **row,
            "target": report.located(row["title"], row["machine"]),
            "verdict": row["verdict"],
        }
        for row in comparisons
    ]
    columns = {
        "target": Column("for"),
        "label": Column("autotuned", "name"),
        "pinned": Column("fastest without AUTOTUNE", "name", wide=True),
        "factor": Column("times as fast", "figure"),
        "interval": Column("95 % interval", "figure", wide=True),
        "verdict": Column("verdict", "verdict", filter=True),
        "picked": Column("picked", wide=True),
    }
    note = (
        "Each autotuned pipeline against the fastest measured pipeline whose settings "
        "are fixed where AUTOTUNE chooses, and equal otherwise. Above 1 AUTOTUNE is "
        "faster. The last column has what the graph ended with."
    )
    return Section("autotuned", "What AUTOTUNE picked", note, [Table(columns, rows)])


def _prices(report: Report) -> Section:
    """Return the section on the cost of deterministic operations and of XLA."""
    rows = [
        {
            **row,
            "target": report.located(row["title"], row["machine"]),
            "setting_and_loss": row["setting"] + (", XLA lost" if row["lost"] else ""),
        }
        for row in guarantees.costs(report.samples)
    ]
    columns = {
        "target": Column("for"),
        "label": Column("pipeline", "name"),
        "setting_and_loss": Column("with"),
        "takes": Column("times as long", "figure"),
        "interval": Column("95 % interval", "figure", wide=True),
        "verdict": Column("verdict", "verdict"),
    }
    note = (
        "Pairs of trials that differ in this one setting: how many times as long the "
        "trial takes with it. XLA is lost where one layer cannot be compiled, because "
        "Keras then switches XLA off for the whole model. A variant without that layer "
        "shows the gain that was lost."
    )
    return Section("prices", "What guarantees cost", note, [Table(columns, rows)])


def _trials(report: Report) -> Section:
    """Return the section with all trials, a table for each set of comparable ones."""
    columns = {
        "label": Column("strategy", "name"),
        "factor": Column("times as fast", "figure"),
        "factor_bounds": Column("95 % interval", "figure", wide=True),
        "verdict": Column("verdict", "verdict"),
        "rate": Column("examples a second", "figure", wide=True),
        "rate_bounds": Column("95 % interval", "figure", wide=True),
        "runs": Column("runs", "figure", wide=True),
        "marks": Column("marks", wide=True),
    }
    tables = []
    for scene in report.content["scenes"]:
        rows = [
            {
                **row,
                "runs": f"{row['runs']}"
                + (f" (+{row['failed']} failed)" if row["failed"] else ""),
                "marks": ", ".join(row["marks"]),
                "state": "best" if row["best"] else "failed" * (not row["runs"]),
            }
            for row in scene["rows"]
        ]
        caption = report.located(scene["title"], scene["machine"])
        tables.append(Table(columns, rows, caption, scene["jointly"]))
    note = (
        "How many times as fast as the baseline each trial is, paired within rounds, "
        "with 95 % intervals over processes. Verdicts hold jointly (Holm's method) at "
        "a margin of 3 % for drain and 5 % for train and serve. The best trial is "
        "chosen by the same rounds, so its lead is flattered where several are alike. "
        "Examples a second belong to this machine; they support the factors."
    )
    return Section("trials", "Every trial", note, tables)


def _between_machines(report: Report) -> Section:
    """Return the section on factors that two machines measured."""
    columns = {
        "title": Column("for"),
        "label": Column("strategy", "name"),
        "first": Column("times as fast on the first", "figure"),
        "first_interval": Column("95 % interval", "figure", wide=True),
        "second": Column("on the second", "figure"),
        "second_interval": Column("95 % interval", "figure", wide=True),
        "change": Column("second over first", "figure", wide=True),
        "change_interval": Column("95 % interval", "figure", wide=True),
        "outcome": Column("between machines", filter=True),
    }
    tables: dict[str, list[Row]] = {}
    for row in between_machines.compare(report.samples).to_dict("records"):
        shown = {n: text.visible(row[n], 120) for n in ("title", "key", "label")}
        shown |= {n: row[n] for n in ("first_verdict", "second_verdict", "outcome")}
        for name in ("first_machine", "second_machine"):
            shown[name] = text.visible(row[name])
        for name in ("first", "second", "change"):
            shown[name], bounds = text.rounded_with_bounds(row, name)
            shown[f"{name}_interval"] = bounds
        caption = f"{shown['first_machine']} and {shown['second_machine']}"
        tables.setdefault(caption, []).append(shown)
    meanings = "; ".join(f"{n}: {m}" for n, m in between_machines.OUTCOMES.items())
    note = (
        "Each trial's factor over its baseline, as the first and the second machine "
        "measured it. Times of different machines are not compared. "
        f"{meanings[0].upper()}{meanings[1:]}. The verdicts count all comparisons "
        "together (Holm's method)."
    )
    own = [Table(columns, rows, caption) for caption, rows in tables.items()]
    return Section("between_machines", "Between machines", note, own)


def _errors(report: Report) -> Section:
    """Return the section with the errors of failed runs."""
    columns = {
        "key": Column("trial", "code"),
        "error": Column("error", "code"),
        "count": Column("runs", "figure"),
    }
    rows = []
    for error in report.content["errors"]:
        phase = f" in {error['phase']}" if error["phase"] else ""
        sentence = f"{error['type']}{phase}: {error['message']}"
        rows.append({**error, "error": sentence, "state": "failed"})
    return Section("errors", "Errors", "", [Table(columns, rows)])


def _machines(report: Report) -> Section:
    """Return the section with the machines and versions, a table for each machine."""
    columns = {"name": Column("fact"), "value": Column("value", "message")}
    tables = []
    for machine in report.content["machines"]:
        facts = machine["facts"].items()
        rows = [{"name": name, "value": value} for name, value in facts]
        caption = (
            f"{machine['label']}: {machine['runs']:,} runs, {machine['first']} to "
            f"{machine['last']}"
        )
        tables.append(Table(columns, rows, caption))
    return Section("machines", "Machine", "", tables)


SECTIONS = (_claims, _layers, _autotuned, _prices, _trials, _between_machines)
SECTIONS += (_errors, _machines)
