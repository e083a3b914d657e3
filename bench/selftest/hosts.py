"""This program runs every layer in tf.data, in Grain and in the model, and compares.

    python -m bench.selftest.hosts [--only LAYER ...] [--rounds N] [--out FOLDER]

A cell of the matrix is a layer in a place. Its outputs are checked as in any run: they
must equal those of the layers alone, and random layers must draw. The program stores
each run as it ends, and goes on where it stopped. It writes README.md into the folder.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import catalog, failures, shell, store
from bench.analysis import standings
from bench.errors import Exit
from bench.flags import FLAGS
from bench.pipeline import Pipeline
from bench.plan import plan, sweeps
from bench.plan.plan import Plan
from bench.race import sweep_runs
from bench.run import executors
from bench.run.prepare import prepare_inputs
from bench.text import compact, plural, visible
from bench.trial import Effort, Run, Trial

FOLDER = shell.ROOT / "results" / "reference" / "hosts"
PLACES: dict[str, dict[str, str]] = {
    "tf.data, map then batch": {},
    "tf.data, batch then map": {"order": "batch_map"},
    "Grain, map then batch": {"host": "grain"},
    "Grain, batch then map": {"host": "grain", "order": "batch_map"},
    "in the model": {"placement": "model"},
}
# What a flag says about the layer in its place; other flags are about its times.
WORDS = {
    "frozen_trace": "frozen",
    "draws_repeated": "draws twice",
    "draws_shared": "one draw a batch",
    "epochs_repeat": "epochs repeat",
}


@dataclass(frozen=True)
class Cell:
    """A cell states how a layer does in a place.

    Attributes:
        state: `works`, `wrong`, `fails`, `refused`, `not run`, or a word of `WORDS`.
        reason: Why, unless the layer works; a sentence.
        examples_per_second: The rate; None without a time.
        cpu_seconds_per_example: The CPU time of all processes; None without a time.
    """

    state: str
    reason: str = ""
    examples_per_second: float | None = None
    cpu_seconds_per_example: float | None = None

    def __str__(self) -> str:
        """Return the state and the figures, as the table shows them."""
        if self.examples_per_second is None:
            return self.state
        rate = f"{compact(self.examples_per_second)}/s"
        if self.cpu_seconds_per_example is not None:
            rate += f", {compact(1e6 * self.cpu_seconds_per_example)} µs"
        return rate if self.state == "works" else f"{self.state}: {rate}"


def main() -> int:
    """Run what is missing of the matrix, and write its page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="LAYER")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    layers = options.only or list(catalog.entries("layers"))
    planned = make_plan(layers, options.rounds)
    with store.locked(options.out):
        earlier, _ = store.load(options.out)
        executor = executors.executor()
        try:
            planned = prepare_inputs(planned, executor)
            plan.save(planned, options.out)
            sweep_runs.make(planned, options.out, executor, earlier)
        finally:
            executor.stop()
        runs, _ = store.load(options.out)
    (options.out / "README.md").write_text(page(matrix(layers, planned, runs), runs))
    print(f"Written: {options.out / 'README.md'}")
    return Exit.OK


def make_plan(layers: Sequence[str], rounds: int) -> Plan:
    """Return the plan of all cells of these layers; refused ones have their reasons."""
    blocks = tuple(
        sweeps.Block(
            workloads=tuple(layers),
            axes={name: (value,) for name, value in axes.items()},
        )
        for axes in PLACES.values()
    )
    effort = Effort(rounds=rounds, steady_seconds=0.5, warmup_seconds=0.5)
    return plan.plan_sweep(sweeps.Sweep(name="hosts", blocks=blocks), effort, 0, 0, "")


def matrix(
    layers: Sequence[str], planned: Plan, runs: Sequence[Run]
) -> dict[str, dict[str, Cell]]:
    """Return the cell of each layer and place, by layer and then by place."""
    by_key: dict[str, list[Run]] = {}
    for run in runs:
        by_key.setdefault(run.key, []).append(run)
    timed = [run for run in runs if run.measured.samples]
    logs = standings.log_seconds(timed).mean()
    cells: dict[str, dict[str, Cell]] = {}
    for layer in layers:
        for place, axes in PLACES.items():
            key = Trial(workload=layer, pipeline=Pipeline(**axes)).key
            cells.setdefault(layer, {})[place] = cell(
                by_key.get(key, []), planned.refused.get(key, ""), logs.get(key)
            )
    return cells


def cell(runs: Sequence[Run], refused: str, log_seconds: float | None) -> Cell:
    """Return the cell of one trial.

    Args:
        runs: Its runs.
        refused: The reason if it was refused, and so has no runs.
        log_seconds: The logarithm of its seconds an example; None without a time.
    """
    if refused:
        return Cell("refused", refused)
    if not runs:
        return Cell("not run", "no run of it is stored")
    errors = [run.measured.error for run in runs if run.measured.error]
    if errors:
        wrong = errors[0].type == "AssertionError" and errors[0].phase == "check"
        reason = failures.sentence(errors[0])
        return Cell("wrong" if wrong else "fails", reason)
    raised = [flag for run in runs for flag in run.measured.flags if flag in WORDS]
    cpu = [run.measured.cpu_seconds_per_example for run in runs]
    cpu = [seconds for seconds in cpu if seconds is not None]
    return Cell(
        WORDS[raised[0]] if raised else "works",
        FLAGS[raised[0]].meaning if raised else "",
        None if log_seconds is None else float(np.exp(-log_seconds)),
        statistics.median(cpu) if cpu else None,
    )


def page(cells: Mapping[str, Mapping[str, Cell]], runs: Sequence[Run]) -> str:
    """Return the page in Markdown: the table, what it counts to, and every reason.

    Args:
        cells: The cells by layer and place, from `matrix`.
        runs: All runs, whose last states the machine.
    """
    count = max((run.round for run in runs), default=-1) + 1
    facts = runs[-1].machine if runs else {}
    versions = [f"{name} {facts.get(name)}" for name in ("tensorflow", "keras")]
    grain = {run.measured.facts.get("grain_version") for run in runs} - {None}
    versions += [f"grain {version}" for version in sorted(map(str, grain))]
    lines = [
        "# Every layer in tf.data, in Grain and in the model",
        "",
        "By `python -m bench.selftest.hosts`: examples a second and microseconds of "
        f"CPU time an example, batches of {Pipeline.batch_size}, "
        f"{plural(count, 'round')} on {facts.get('cpu_count')} processors, "
        f"{', '.join(versions)}. In each place the outputs are compared with those of "
        "the layers in a graph. `wrong`: they differ. `fails`: an error is raised. "
        "`refused`: the suite does not run it.",
        "",
        _row(["layer", *PLACES]),
        _row([":--", *["--:"] * len(PLACES)]),
        *(_row([layer, *map(str, row.values())]) for layer, row in cells.items()),
        "",
        "## How many layers do how",
        "",
        _row(["", *PLACES]),
        _row([":--", *["--:"] * len(PLACES)]),
        *_counts(cells),
        "",
        "## Reasons",
        "",
        *_reasons(cells),
    ]
    return "\n".join(lines) + "\n"


def _counts(cells: Mapping[str, Mapping[str, Cell]]) -> list[str]:
    """Return a row for each state: in how many layers it occurs, by place."""
    states = sorted({cell.state for row in cells.values() for cell in row.values()})
    return [
        _row([state, *(_count(cells, state, place) for place in PLACES)])
        for state in states
    ]


def _count(cells: Mapping[str, Mapping[str, Cell]], state: str, place: str) -> str:
    return str(sum(row[place].state == state for row in cells.values()))


def _reasons(cells: Mapping[str, Mapping[str, Cell]]) -> list[str]:
    """Return an item for each reason, with the layers and places that it holds for."""
    where: dict[str, list[str]] = {}
    for layer, row in cells.items():
        for place, cell in row.items():
            if cell.reason:
                where.setdefault(cell.reason, []).append(f"{layer} ({place})")
    return [
        f"- {visible(reason, 300)} *{', '.join(names)}*"
        for reason, names in where.items()
    ] or ["None: every layer works in every place."]


def _row(parts: Sequence[str]) -> str:
    return f"| {' | '.join(parts)} |"


if __name__ == "__main__":
    sys.exit(main())
