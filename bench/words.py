"""Results as text: figures with their digits, titles, commands, any text made safe."""

from __future__ import annotations

import math
import re
import shlex
import unicodedata

import pandas as pd

from bench.pipeline import AXES, differences
from bench.trial import Trial

LONGEST = 300  # characters of a name or an error that a page shows
WIDE = 3.0


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
        return f"{estimate:.0e}"
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


def command(trial: Trial) -> str:
    """The command that measures this trial alone again, quoted for a shell."""
    # The quick sweep with all that it varies pinned; the axes spell the strategy.
    words = ["python", "run_bench.py", "run", "quick", "--workload", trial.workload]
    words += ["--strategy", "naive", "--consumer", trial.consumer]
    if trial.unit != "window":
        words += ["--unit", trial.unit]
    if trial.data:
        words += ["--data", trial.data]
    for name, value in differences(trial.pipeline).items():
        spelled = str(value).lower() if isinstance(value, bool) else str(value)
        words += ["--axis", f"{name}={spelled}"]
    return shlex.join(words)


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
