"""Results as text: figures with their digits, titles, commands, any text made safe."""

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
WIDE = 3.0
MOST_CROSSED = 2  # axes that are crossed to have both of two trials
_NONE = object()


def visible(text: object, longest: int = LONGEST) -> str:
    """Text as it may be shown: one line, no control or direction characters, cut.

    Characters that move the cursor, reorder or hide their neighbours are spelled as
    escapes; the whole text stays in table.csv.
    """
    text = str(text)
    if len(text) <= longest and text.isprintable():
        return text
    shown = "".join(_character(character) for character in text[:longest])
    return shown + (f"... ({len(text):,} characters)" if len(text) > longest else "")


def figure(estimate: float, low: float = math.nan, high: float = math.nan) -> str:
    """A number with as many digits as its interval allows.

    The half-width is kept to one significant digit, two where that is a 1; without an
    interval the number is given to two digits.
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
    """`low to high` with the digits of `figure`; empty where there is no interval."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if high <= low or high > WIDE * low:  # shared digits would make the low bound 0
        return f"{figure(low)} to {figure(high)}"
    exponent = math.floor(math.log10((high - low) / 2))
    exponent -= (high - low) / 2 / 10**exponent < 2
    if exponent < -6:
        digits = [max(0, math.floor(math.log10(b)) - exponent) for b in (low, high)]
        return f"{low:.{digits[0]}e} to {high:.{digits[1]}e}"
    decimals = max(0, -exponent)
    return " to ".join(f"{round(b, -exponent):,.{decimals}f}" for b in (low, high))


def triple(row: pd.Series, name: str) -> tuple[str, str]:
    """The figure and the bounds of one quantity of a trial's row."""
    values = row[name], row[f"{name}_low"], row[f"{name}_high"]
    return figure(*values), bounds(*values)


def title(row: pd.Series) -> str:
    """What a scene is: `prose, drain`, and what sets it apart from the usual."""
    parts = [visible(row["workload"], 60), str(row["consumer"])]
    if row["unit"] != "window":
        parts.append(f"whole {row['unit']}s")
    if row["data"]:
        parts.append(f"data {visible(row['data'], 60)}")
    for name in ("image_size", "storage", "read_latency_ms"):
        if row[name] != AXES[name].default:
            parts.append(f"{name}={row[name]}")
    return ", ".join(parts)


def command(trial: Trial, baseline: Trial | None = None) -> str:
    """The command that measures this trial again, quoted for a shell.

    Args:
        trial: What is measured.
        baseline: What it is compared with, of the same scene: measured with it where
            one sweep has both and little else.
    """
    # The quick sweep with all that it varies pinned; the axes spell the strategy.
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
    given: dict[str, object], baseline: Trial | None
) -> tuple[list[str], dict[str, list[object]]]:
    """Strategies and axes of a sweep that has both trials, or just the first."""
    plain = differences(baseline.pipeline) if baseline else given
    apart = [n for n in AXES if plain.get(n, _NONE) != given.get(n, _NONE)]
    shared = {name: [given[name]] for name in given if name not in apart}
    own = {name: given[name] for name in apart if name in given}
    named = [name for name, settings in STRATEGIES.items() if settings == own]
    if named and not any(name in plain for name in apart):
        return list(dict.fromkeys(["naive", *named])), shared
    if len(apart) > MOST_CROSSED:
        return ["naive"], {name: [value] for name, value in given.items()}
    for name in apart:
        sides = (side.get(name, AXES[name].default) for side in (plain, given))
        shared[name] = list(sides)
    return ["naive"], shared


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def wrapped(text: str, width: int) -> str:
    """Text in lines of this width, broken at blanks and in names after commas.

    An option and its value (`--rounds 5`) stay on a line.
    """
    lines = [""]
    whole = re.sub(r"(--[a-z]+) (?=\d)", "\\1\0", text)
    for atom in re.split(r"(?<= )(?=\S)|(?<=,)(?=[^\s\d])", whole):
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
    """Text as Markdown that shows just this text, in a table's cell too."""
    return re.sub(r"([\\`*_{}\[\]<>#!|~&$])", r"\\\1", str(text))


def markdown_code(text: object) -> str:
    """Text as Markdown code, in a table's cell too, whatever backticks it has."""
    shown = str(text).replace("|", "\\|")
    fence = "`" * (max((len(r) for r in re.findall("`+", shown)), default=0) + 1)
    padding = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{padding}{shown}{padding}{fence}"
