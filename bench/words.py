"""Results in plain words: figures with their digits, sentences, cautions, remedies."""

from __future__ import annotations

import math
import re
import shlex
import unicodedata
from dataclasses import dataclass

import pandas as pd

from bench.pipeline import AXES, differences
from bench.stats import MARGINS, NOT_RANKED, UNSTABLE_SPREAD
from bench.trial import Trial

LONGEST = 300  # characters of a name or an error that a page shows
FEW_ROUNDS = 3
BUSY_SHARE = 0.10
WIDE = 3.0

FLAGS = {
    "retraced": "a function was traced again inside the timed windows, so they hold "
    "compilation; not ranked. Give the model one shape: look for a changing batch.",
    "frozen_random": "a random layer's output was stored once and repeated, so the "
    "augmentation never changes; not ranked. Put the cache before the random layer.",
    "cache_not_filled": "the cache was never read to its end, so nothing came from it; "
    "not ranked. Let nothing before the consumer cut an epoch short.",
    "xla_off": "one layer cannot be compiled, which switched XLA off for the whole "
    "model. Move that layer into the dataset, or compare with jit=off.",
}


@dataclass(frozen=True)
class Caution:
    """Something that weakens a result, and what to do about it."""

    what: str
    remedy: str


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


def sentence(scene: pd.DataFrame) -> str:
    """Which strategy won, by what factor, against what, and how sure; plain text.

    Args:
        scene: The rows of `stats.trials` of one scene.
    """
    if not scene["runs"].any():
        failed = int(scene["failed"].sum())
        return f"Nothing could be measured: {failed} of {failed} runs failed."
    if not scene["best"].any():
        return "No trial here can be ranked: see the cautions."
    best = scene[scene["best"]].iloc[0]
    name = visible(best["label"], 80)
    others = scene[scene["ranked"] & ~scene["best"]]
    if others.empty:
        rate, interval = triple(best, "examples_per_second")
        interval = f" ({interval})" if interval else ""
        return (
            f"Only {name} was measured: {rate} examples a second{interval}; there is "
            "nothing to compare it with."
        )
    lost = int(((scene["runs"] == 0) & (scene["failed"] > 0)).sum())
    tail = f" {lost} of {len(scene)} trials failed." if lost else ""
    return f"{_won(best, name)} {_lead(best, others)}{_once(best)}{tail}"


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


def cautions(scene: pd.DataFrame) -> list[Caution]:
    """What weakens the results of a scene, gravest first, each with its remedy."""
    found = []

    def add(rows: pd.Series, what: str, remedy: str) -> None:
        if rows.any():
            found.append(Caution(f"{_names(scene[rows])}: {what}", remedy))

    failed = int(scene["failed"].sum())
    add(
        scene["failed"] > 0,
        f"{failed} run{'s' if failed > 1 else ''} failed.",
        "The errors are listed below; run the command of the row to see one again.",
    )
    for flag, text in FLAGS.items():
        what, _, remedy = text.partition(". ")
        add(scene["flags"].str.contains(flag), f"{what}.", remedy)
    measured = scene["runs"] > 0
    once = measured & (scene["runs"] == 1)
    add(once, "one run: no interval.", "Measure more rounds: --rounds 5.")
    few = measured & (scene["runs"] > 1) & (scene["runs"] < FEW_ROUNDS)
    add(few, "two runs give very wide intervals.", "Measure more rounds: --rounds 5.")
    unstable = scene["unstable"]
    worst = 100 * scene.loc[unstable, "spread"].max() if unstable.any() else 0
    add(
        unstable,
        f"unstable: runs differ by {worst:.0f} % (standard deviation), more than "
        f"{100 * UNSTABLE_SPREAD:.0f} %.",
        _calm(scene[unstable]),
    )
    add(
        scene["not_steady"],
        "not steady: the samples still rose or fell while they were timed.",
        "Warm up for longer, or look at the spread figure for what drifts.",
    )
    unpaired = measured & (scene["pairs"] == 0)
    add(
        unpaired,
        "no round in common with the baseline, so there is no factor.",
        "Complete the sweep with --resume.",
    )
    return found


def _won(best: pd.Series, name: str) -> str:
    if best["is_baseline"]:
        return f"{name} won: nothing here was faster."
    factor, interval = triple(best, "factor")
    against = visible(best["baseline"], 80)
    if not interval:
        return (
            f"{name} was fastest, {factor} times as fast as {against} (one run: no "
            "interval, a hint and not a result)."
        )
    sure = f"95 % interval {interval}, {int(best['pairs'])} rounds"
    if best["verdict"] == "faster":
        return f"{name} won: {factor} times as fast as {against} ({sure})."
    return (
        f"{name} came first, but is not shown to be faster than {against}: {factor} "
        f"times as fast ({sure})."
    )


def _lead(best: pd.Series, others: pd.DataFrame) -> str:
    margin = f"{100 * MARGINS[best['consumer']]:.0f} %"
    second = others.loc[others["lead"].idxmin()]
    rivals = others[others["lead_verdict"] != "faster"].sort_values("lead")
    lead, interval = triple(second, "lead")
    name = visible(second["label"], 80)
    if not interval:
        return f"The runner-up was {name}, {lead} times slower."
    if rivals.empty:
        return (
            f"The runner-up is {name}, which takes {lead} times as long ({interval})."
        )
    if len(rivals) == 1 and second["lead_verdict"] == "unchanged":
        return f"{name} is as fast within {margin} ({interval}): take the simpler one."
    return (
        f"At a margin of {margin} it cannot be told from {_names(rivals)} "
        f"({name}: {interval})."
    )


def _once(best: pd.Series) -> str:
    seconds = best["offline_seconds"]
    if not seconds > 0:
        return ""
    return f" The {figure(seconds)} s it prepares once before are not in this."


def _calm(rows: pd.DataFrame) -> str:
    if rows["foreign_cpu_share"].max() > BUSY_SHARE:
        share = 100 * rows["foreign_cpu_share"].max()
        return (
            f"Other processes took {share:.0f} % of the CPU: stop them, measure again."
        )
    if rows["steal_share"].max() > BUSY_SHARE / 2:
        share = 100 * rows["steal_share"].max()
        return f"The hypervisor took {share:.0f} % of the CPU: use a dedicated machine."
    return "Measure more rounds (--rounds 9), or longer on a quiet machine."


def _names(rows: pd.DataFrame, most: int = 4) -> str:
    names = [visible(label, 60) for label in rows["label"][:most]]
    rest = len(rows) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


def _character(character: str) -> str:
    if character in "\n\r\t":
        return " "
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"\\u{ord(character):04x}"
    return character


def not_ranked(row: pd.Series) -> str:
    """The flags that keep a trial out of the ranking, comma-separated."""
    return ", ".join(flag for flag in NOT_RANKED if flag in row["flags"].split(";"))


def markdown(text: object) -> str:
    """Text as Markdown that shows just this text, in a table's cell too."""
    return re.sub(r"([\\`*_{}\[\]<>#!|~&$])", r"\\\1", str(text))


def markdown_code(text: object) -> str:
    """Text as Markdown code, in a table's cell too, whatever backticks it has."""
    shown = str(text).replace("|", "\\|")
    fence = "`" * (max((len(r) for r in re.findall("`+", shown)), default=0) + 1)
    padding = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{padding}{shown}{padding}{fence}"
