"""A slow-down of a known length, put into a workload's layers, to test the guard with.

The workload's own file is copied with one more layer, which looks at the clock until so
many microseconds have passed, inside the graph, and adds 0 to the output; see `busy`.
How many it reads from a file beside it, so that all copies are the same text and share
their inputs.

Base has `LEAST` of them: what comes right after the workload's own work finds cold
caches, and its first looks at the clock take longer. With 5 and not 100 us in base,
head had 15 us less beyond it than it said. What is known is seconds, so a share of the
time is known as well as that time, which the turns themselves tell. Work of a known
amount told it far worse: what it costs beside other work moved by a tenth in minutes.
"""

from __future__ import annotations

from pathlib import Path

from bench import catalog

LEAST = 100.0  # microseconds, in base
SUFFIX = ".microseconds"  # of the file that holds how many

BUSY = '''

from pathlib import Path  # noqa: E402

from bench.measure.clockwork import nothing  # noqa: E402


class Busy(keras.layers.Layer):
    """The input, after so many microseconds."""

    def call(self, inputs):
        microseconds = Path(__file__).with_suffix("{suffix}").read_text()
        return inputs + nothing(inputs, float(microseconds))


_built = build


def build(examples, **variant):
    """The layers, and the busy one."""
    layers = _built(examples, **variant)
    return [*(layers if isinstance(layers, (list, tuple)) else [layers]), Busy()]
'''


def text(workload: str) -> str:
    """The text of a workload's file with the busy layer behind its own.

    Args:
        workload: A name on the shelves, whose layers give numbers.
    """
    own = catalog.find(workload).path.read_text(encoding="utf-8")
    return own + BUSY.format(suffix=SUFFIX)


def write(workload: str, seconds: float, folder: Path) -> Path:
    """Put such a file into a folder, under the workload's name.

    Args:
        workload: A name on the shelves, whose layers give numbers.
        seconds: How much longer a call takes than base's, whose have 0; not negative.
        folder: Where to.
    """
    path = folder / f"{workload}.py"
    path.write_text(text(workload), encoding="utf-8")
    lengthen(path, seconds)
    return path


def lengthen(path: Path, seconds: float) -> None:
    """Say how much longer a call takes than base's in processes that begin later.

    Args:
        path: A file that `write` has made.
        seconds: How much; not negative.

    Raises:
        ValueError: It is negative.
    """
    if seconds < 0:
        raise ValueError(f"A call cannot take {seconds:g} s more than none.")
    microseconds = LEAST + 1e6 * seconds
    path.with_suffix(SUFFIX).write_text(f"{microseconds:.3f}", encoding="utf-8")
