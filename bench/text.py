"""This module turns results into text: rounded figures, titles, commands, safe text."""

from __future__ import annotations

import math
import re
import shlex
import unicodedata
from typing import TYPE_CHECKING

from bench.pipeline import AXES, STRATEGIES, differences
from bench.trial import Trial

if TYPE_CHECKING:  # `list` and `--help` start without pandas
    import pandas as pd

LONGEST = 300  # characters of a name or an error that a page shows
WIDE = 3.0  # an interval whose upper bound is more than 3 times its lower bound
MOST_CROSSED = 2  # axes whose values a command crosses to measure two trials
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
_NONE = object()


def visible(text: object, longest: int = LONGEST) -> str:
    """Return a text that is safe to show: one line, cut, without control characters.

    Characters that move the cursor, reorder or hide other characters become escapes.
    The whole text is in table.csv.
    """
    text = str(text)
    if len(text) <= longest and text.isprintable():
        return text
    shown = "".join(_character(character) for character in text[:longest])
    return shown + (f"... ({len(text):,} characters)" if len(text) > longest else "")


def figure(estimate: float, low: float = math.nan, high: float = math.nan) -> str:
    """Return a number, rounded to the precision of its interval.

    The last digit is the first significant digit of the interval's half-width, or the
    second if the first is 1. Without an interval the number has two digits.
    """
    if not math.isfinite(estimate):
        return "-"
    if estimate == 0:
        return "0"
    if math.isfinite(low) and math.isfinite(high) and high > low:
        half = (high - low) / 2
        exponent = math.floor(math.log10(half))
        exponent -= half / 10**exponent < 2
        # A wide interval must not round the number itself away.
        exponent = min(exponent, math.floor(math.log10(abs(estimate))))
    else:
        exponent = math.floor(math.log10(abs(estimate))) - 1
    if exponent < -6:
        return f"{estimate:.0e}"
    decimals = max(0, -exponent)
    return f"{round(estimate, -exponent):,.{decimals}f}"


def bounds(estimate: float, low: float, high: float) -> str:
    """Return an interval as text: `low to high`, rounded to its precision.

    The text is empty if there is no interval.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if high <= low or high > WIDE * low:  # shared digits would round the low bound to 0
        return f"{figure(low)} to {figure(high)}"
    exponent = math.floor(math.log10((high - low) / 2))
    exponent -= (high - low) / 2 / 10**exponent < 2
    if exponent < -6:
        digits = [max(0, math.floor(math.log10(b)) - exponent) for b in (low, high)]
        return f"{low:.{digits[0]}e} to {high:.{digits[1]}e}"
    decimals = max(0, -exponent)
    return " to ".join(f"{round(b, -exponent):,.{decimals}f}" for b in (low, high))


def rounded_with_bounds(row: pd.Series, name: str) -> tuple[str, str]:
    """Return a quantity of a trial as text, rounded, and the text of its interval."""
    values = row[name], row[f"{name}_low"], row[f"{name}_high"]
    return figure(*values), bounds(*values)


def scene_title(row: pd.Series) -> str:
    """Return the title of a scene, a set of trials that may be compared.

    The title has the workload, the consumer and other common settings that are no
    defaults, such as `prose, drain`.
    """
    parts = [visible(row["workload"], 60), str(row["consumer"])]
    if row["unit"] != "window":
        parts.append(f"whole {row['unit']}s")
    if row["data"]:
        parts.append(f"data {visible(row['data'], 60)}")
    for name in ("image_size", "storage", "read_latency_ms"):
        if row[name] != AXES[name].default:
            parts.append(f"{name}={row[name]}")
    return ", ".join(parts)


def repeat_command(trial: Trial, baseline: Trial | None = None) -> str:
    """Return the command that measures a trial again, quoted for a shell.

    Args:
        trial: The trial to measure.
        baseline: A trial of the same scene, to measure in the same sweep if that sweep
            has few further trials.
    """
    # The options fix everything that the sweep `quick` varies.
    words = ["run_bench.py", "run", "quick", "--workload", trial.workload]
    strategies, axes = _both(differences(trial.pipeline), baseline)
    for name in strategies:
        words += ["--strategy", name]
    words += ["--consumer", trial.consumer]
    if trial.unit != "window":
        words += ["--unit", trial.unit]
    if trial.data:
        words += ["--data", trial.data]
    for name, values in axes.items():
        words += ["--axis", f"{name}={','.join(_spelled(value) for value in values)}"]
    return shlex.join(words)


def _both(
    settings: dict[str, object], baseline: Trial | None
) -> tuple[list[str], dict[str, list[object]]]:
    """Return the strategies and axes of a small sweep that has both trials.

    If the trials differ in too many axes, the sweep has the first trial only.
    """
    others = differences(baseline.pipeline) if baseline else settings
    apart = [n for n in AXES if others.get(n, _NONE) != settings.get(n, _NONE)]
    axes = {name: [settings[name]] for name in settings if name not in apart}
    own = {name: settings[name] for name in apart if name in settings}
    strategies = [name for name, axes in STRATEGIES.items() if axes == own]
    if strategies and not any(name in others for name in apart):
        return list(dict.fromkeys(["naive", *strategies])), axes
    if len(apart) > MOST_CROSSED:
        return ["naive"], {name: [value] for name, value in settings.items()}
    for name in apart:
        default = AXES[name].default
        axes[name] = [side.get(name, default) for side in (others, settings)]
    return ["naive"], axes


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def wrapped(text: str, width: int) -> str:
    """Break a text into lines of a width, at blanks and, in long names, after commas.

    An option and its number (`--rounds 5`) stay on one line.
    """
    lines = [""]
    joined = re.sub(r"(--[a-z]+) (?=\d)", "\\1\0", text)
    for atom in re.split(r"(?<= )(?=\S)|(?<=,)(?=[^\s\d])", joined):
        if lines[-1] and len(lines[-1]) + len(atom.rstrip()) > width:
            lines.append("")
        while len(atom.rstrip()) > width:
            lines[-1], atom = atom[:width], atom[width:]
            lines.append("")
        lines[-1] += atom
    return "\n".join(line.rstrip() for line in lines).replace("\0", " ")


def _character(character: str) -> str:
    if character in "\n\r\t":
        return " "
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"\\u{ord(character):04x}"
    return character


def markdown(text: object) -> str:
    """Return a text, escaped so that Markdown shows it literally, in tables too."""
    return re.sub(r"([\\`*_{}\[\]<>#!|~&$])", r"\\\1", str(text))


def markdown_code(text: object) -> str:
    """Return a text as Markdown code; it may have backticks and be in a table."""
    shown = str(text).replace("|", "\\|")
    fence = "`" * (max((len(r) for r in re.findall("`+", shown)), default=0) + 1)
    padding = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun in singular or plural: `1 run`, `2 runs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def compact(number: float) -> str:
    """Return a number as text with three digits at most, and k or M for large ones."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"


def duration_text(seconds: float) -> str:
    """Return a span of time in two units at most: `45 s`, `2 min 50 s`, `1 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def spell_seconds(seconds: float) -> str:
    """Return a time as text in s, ms or us with three digits, such as `1.23 ms`."""
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / UNITS[-1][0]:.2g} us"


def spell_bytes(count: float) -> str:
    """Return bytes with a unit, such as `1.2 GB`."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
