"""This module parses the values of options, such as durations, shards and sweeps."""

import argparse
import re

from bench.data import source
from bench.errors import UsageError, unknown
from bench.plan import sweeps

DATA = "your own data: a name, a folder or FILE.csv:COLUMN"
SKIP_DAMAGED = "leave damaged files of --data out, and count them"
LIMIT = "stop a run that takes longer, such as 10m; default 2m"


def duration(text: str) -> float:
    """Return the seconds of `90s`, `10m`, `1h` or a plain number of seconds.

    Raises:
        ArgumentTypeError: The text is no duration above 0.
    """
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if not matched or not float(matched[1]):
        raise argparse.ArgumentTypeError(f"a time such as 90s, 10m or 1h, got '{text}'")
    factor = {"s": 1, "m": 60, "h": 3600, None: 1}[matched[2]]
    return float(matched[1]) * factor


def precision(text: str) -> float:
    """Return the share that a text such as `2%` or `0.02` states, from 0.001 to 0.5.

    Raises:
        ArgumentTypeError: The text is no share within these bounds.
    """
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)(%)?", text)
    share = float(matched[1]) / (100 if matched[2] else 1) if matched else 0.0
    if not 0.001 <= share <= 0.5:
        raise argparse.ArgumentTypeError(
            f"a share from 0.1% to 50%, such as 2% or 0.02, got '{text}'"
        )
    return share


def minutes(text: str) -> float:
    """Return the number of minutes in a text; the number must be above 0.

    Raises:
        ArgumentTypeError: The text is no such number.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"minutes above 0, such as 5, got '{text}'")
    return number


def count(text: str) -> int:
    """Return the whole number in a text; the number must be at least 1.

    Raises:
        ArgumentTypeError: The text is no such number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1, got '{text}'")
    return int(text)


def shard(text: str) -> tuple[int, int]:
    """Return the number and the count of a shard such as `2/3`, both from 1.

    Raises:
        ArgumentTypeError: The text is no shard, or its number exceeds the count.
    """
    matched = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    number, count_ = (int(part) for part in matched.groups()) if matched else (0, 0)
    if not 1 <= number <= count_:
        raise argparse.ArgumentTypeError(
            "a shard i/n, its number from 1 to the number of shards, such as 1/3, got "
            f"'{text}'"
        )
    return number, count_


def data(options: argparse.Namespace) -> str:
    """Return the value of `--data`, extended by a mark if `--skip-damaged` is set.

    Raises:
        UsageError: There is `--skip-damaged` without `--data`.
    """
    if not options.skip_damaged:
        return options.data
    if not options.data:
        raise UsageError("--skip-damaged leaves out files of --data, which is missing.")
    return source.skipping(options.data)


def sweep(options: argparse.Namespace) -> sweeps.Sweep:
    """Return the sweep that a command line names, as its options narrow it.

    Raises:
        UsageError: There is no sweep, or a name or value is unknown.
    """
    name = options.sweep
    if not name:
        raise UsageError(
            "run needs a sweep: a name from `run_bench.py list`, or a FILE.toml. To "
            "continue an earlier sweep, use --resume DIR."
        )
    if name not in sweeps.names() and not name.endswith(".toml"):
        raise unknown("sweep", name, sweeps.names())
    axes = dict(sweeps.parse_axis(text) for text in options.axis)
    return sweeps.narrow(
        sweeps.find(name),
        workloads=list(options.workload),
        strategies=options.strategy,
        axes=axes,
        consumer=options.consumer or "",
        unit=options.unit or "",
    )
