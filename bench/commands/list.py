"""This module is the verb `list`: it prints all names that options take."""

import argparse
import gc
import json
import textwrap
from collections.abc import Mapping

from bench import catalog
from bench.errors import Exit
from bench.pipeline import AXES, STRATEGIES, allowed
from bench.plan import sweeps
from bench.trial import CONSUMERS

MOST_COLUMNS = 80


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add no option, because the command `list` has none of its own."""


def main(options: argparse.Namespace) -> int:
    """Print the names and descriptions of all workloads, layers, axes and so on.

    The result is the exit code.
    """
    gc.disable()  # garbage collection would take a seventh of the time
    try:
        return _show(as_json=options.json)
    finally:
        gc.enable()


def _show(*, as_json: bool) -> int:
    shelves = {
        "workloads": _shelf("workloads"),
        "layers": _shelf("layers"),
        "strategies": {
            name: ", ".join(f"{axis}={value}" for axis, value in settings.items())
            or "the defaults"
            for name, settings in STRATEGIES.items()
        },
        "axes": {name: _axis_line(name) for name in AXES},
        "consumers": CONSUMERS,
        "sweeps": sweeps.names(),
        "plots": _shelf("plots"),
    }
    if as_json:
        print(json.dumps(shelves, indent=2))
        return Exit.OK
    _print(shelves)
    return Exit.OK


def _print(shelves: Mapping[str, Mapping[str, str]]) -> None:
    """Print the names in one column, and their descriptions beside them."""
    column = 2 + max(len(name) for entries in shelves.values() for name in entries)
    for shelf, entries in shelves.items():
        print(f"{shelf}:")
        for name, summary in entries.items():
            width = MOST_COLUMNS - column - 1
            text = summary.replace("|", " | ")
            first, *rest = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
            print(f"  {name:<{column - 2}} {first}")
            for line in rest:
                print(" " * column, line)


def _shelf(shelf: str) -> dict[str, str]:
    lines = {}
    for entry in catalog.entries(shelf).values():
        lines[entry.name] = entry.summary
        for variant in entry.variants:
            arguments = entry.constants["VARIANTS"][variant]
            settings = ", ".join(f"{name}={value}" for name, value in arguments.items())
            lines[f"{entry.name}:{variant}"] = f"{entry.name} with {settings}"
    return lines


def _axis_line(name: str) -> str:
    words, numbers = allowed(name)
    values = [str(word).lower() for word in words] + (["n"] if numbers else [])
    axis = AXES[name]
    return f"{axis.metadata['doc']} ({'|'.join(values)}; {str(axis.default).lower()})"
