"""This module writes jobs that run the shards of a sweep on several machines."""

from __future__ import annotations

import argparse


def sweep_words(options: argparse.Namespace) -> list[str]:
    """Return the verb and the options that plan the same whole sweep again.

    Args:
        options: The options of the command `run`.
    """
    words = ["run", str(options.sweep)]
    for name in ("workload", "strategy", "axis"):
        words += [word for one in getattr(options, name) for word in (f"--{name}", one)]
    for name in ("consumer", "unit", "rounds", "precision", "seed", "data"):
        if value := getattr(options, name):
            words += [f"--{name}", str(value)]
    if options.skip_damaged:
        words.append("--skip-damaged")
    for name in ("budget", "limit"):
        if seconds := getattr(options, name):
            words += [f"--{name}", f"{seconds}s"]
    return words
