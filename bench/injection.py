"""A slow-down of a known length, put into a workload's layers, to test the guard with.

The workload's own file is copied with one more layer, which looks at the clock until so
many microseconds have passed, inside the graph, and adds 0 to the output; see `busy`.

Base and head differ in nothing but that number. Base has `LEAST` of them: what comes
right after the workload's own work finds cold caches, and its first looks at the clock
take longer. With 5 and not 100 us in base, head had 15 us less beyond it than it said.
What is known is seconds, so a share of the trial's time is known as well as that time,
which the turns themselves tell. Work of a known amount told its share far worse: what
it costs beside other work moved by a tenth within minutes.
"""

from __future__ import annotations

from pathlib import Path

from bench import catalog

LEAST = 100.0  # microseconds, in base

BUSY = '''

from bench.busy import nothing  # noqa: E402


class Busy(keras.layers.Layer):
    """The input, after so many microseconds."""

    def call(self, inputs):
        return inputs + nothing(inputs, {microseconds:010.3f})


_built = build


def build(examples, **variant):
    """The layers, and the busy one."""
    layers = _built(examples, **variant)
    return [*(layers if isinstance(layers, (list, tuple)) else [layers]), Busy()]
'''


def text(workload: str, seconds: float) -> str:
    """The text of a workload's file with the busy layer behind its own.

    Args:
        workload: A name on the shelves, whose layers give numbers.
        seconds: How much longer a call takes than base's, whose have 0; not negative.

    Raises:
        ValueError: It is negative.
    """
    if seconds < 0:
        raise ValueError(f"A call cannot take {seconds:g} s more than none.")
    own = catalog.find(workload).path.read_text(encoding="utf-8")
    return own + BUSY.format(microseconds=LEAST + 1e6 * seconds)


def write(workload: str, seconds: float, folder: Path) -> Path:
    """Put such a file into a folder, under the workload's name."""
    path = folder / f"{workload}.py"
    path.write_text(text(workload, seconds), encoding="utf-8")
    return path
