"""An intake states what was taken from the user's data, and what was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Why a file is left out, as the sentence of an intake ends.
OTHER = "of other types"
DEEPER = "in deeper folders"
HIDDEN = "hidden"
BESIDE = "beside the class folders"
DAMAGED = "damaged"
UNREADABLE = "unreadable"
UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, kw_only=True)
class Intake:
    """An intake states what was taken from the user's data, and what was left out.

    Attributes:
        name: The data as the user named them.
        examples: The number of examples: files, or rows of a table.
        classes: The number of classes; 0 if the labels are no classes.
        size: The bytes of the files that were taken; 0 if unknown.
        left_out: The number of files that were left out, by reason.
        remarks: Sentences on properties of the data that change their meaning, such as
            rotations that are not applied.
        untrainable: Why no model of the workload can be trained on the labels; empty if
            one can.
    """

    name: str
    examples: int
    classes: int
    size: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    untrainable: str = ""

    @property
    def sentences(self) -> list[str]:
        """Sentences on what was taken and what was left out, and then the remarks."""
        of = f" of {_counted(self.classes, 'class', 'classes')}" * (self.classes > 0)
        size = f", {_size(self.size)}" * (self.size > 0)
        taken = _counted(self.examples, "example", "examples")
        counts = ", ".join(
            f"{count:,} {reason}" for reason, count in self.left_out.items() if count
        )
        first = f"Data '{self.name}': {taken}{of}{size}."
        return [f"{first} Left out: {counts}." if counts else first, *self.remarks]


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _size(count: int) -> str:
    """Return a number of bytes with three digits, as `12.3 MB`."""
    size, unit = float(count), 0
    while size >= 999.5 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {UNITS[unit]}"
