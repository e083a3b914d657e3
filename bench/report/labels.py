"""What trials are called beside each other: by what sets them apart, and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.text import visible

LONGEST = 60  # characters of a name within a sentence


def names(labels: Sequence[str], longest: int = LONGEST) -> dict[str, str]:
    """Each label short enough for a sentence, without what all of them share.

    Of what is left those settings come first that fewest others have; those that come
    out alike are told apart by what differs among them.
    """
    parts = {label: label.split(",") for label in labels}
    held = Counter(part for some in parts.values() for part in dict.fromkeys(some))
    shared = {p for p, n in held.items() if n == len(parts) > 1 and "=" in p}
    if any(shared.issuperset(some) for some in parts.values()):
        shared = set()  # nothing would be left to call it by
    short = {
        label: _short([part for part in some if part not in shared], held, longest)
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


def _short(parts: Sequence[str], held: Mapping[str, int], longest: int) -> str:
    whole = ",".join(parts)
    if len(whole) <= longest:
        return visible(whole)
    order = sorted(parts, key=lambda part: ("=" in part, held[part]))
    kept = [visible(order[0], longest)]
    for part in order[1:]:
        if len(",".join([*kept, part])) <= longest - 15:
            kept.append(visible(part))
    rest = len(parts) - len(kept)
    more = f" and {rest} more setting{'s' if rest > 1 else ''}" if rest else ""
    return ",".join(kept) + more
