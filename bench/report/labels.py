"""This module makes short names of trials, from the settings in which they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.text import visible

LONGEST = 60  # characters of a name within a sentence


def names(labels: Sequence[str], longest: int = LONGEST) -> dict[str, str]:
    """Return a short name for each label, which fits into a sentence.

    A name leaves out the settings that all labels share. The rarest settings come
    first. If labels get equal names, the names get the settings in which these labels
    differ.

    Args:
        labels: The labels of the trials, settings joined by commas.
        longest: The largest number of characters in a name.
    """
    parts = {label: label.split(",") for label in labels}
    counts = Counter(part for some in parts.values() for part in dict.fromkeys(some))
    shared = {p for p, n in counts.items() if n == len(parts) > 1 and "=" in p}
    if any(shared.issuperset(some) for some in parts.values()):
        shared = set()  # else a label would have no name
    short = {
        label: _short([part for part in some if part not in shared], counts, longest)
        for label, some in parts.items()
    }
    alike: dict[str, list[str]] = {}
    for label, name in short.items():
        alike.setdefault(name, []).append(label)
    for name, some in alike.items():
        if len(some) == len(parts) > 1:
            return {label: visible(label, 2 * LONGEST) for label in some}
        if len(some) > 1:
            head = name.partition(",")[0]
            own = names(some, longest)
            short |= {label: _joined(head, own[label]) for label in some}
    return short


def _joined(head: str, own: str) -> str:
    return own if own.partition(",")[0] == head else f"{head},{own}"


def _short(parts: Sequence[str], counts: Mapping[str, int], longest: int) -> str:
    whole = ",".join(parts)
    if len(whole) <= longest:
        return visible(whole)
    order = sorted(parts, key=lambda part: ("=" in part, counts[part]))
    shown = [visible(order[0], longest)]
    for part in order[1:]:
        if len(",".join([*shown, part])) <= longest - 15:
            shown.append(visible(part))
    rest = len(parts) - len(shown)
    more = f" and {rest} more setting{'s' if rest > 1 else ''}" if rest else ""
    return ",".join(shown) + more
