"""This module injects a slow-down of known length into a workload, to test the guard.

A copy of the workload's file has one more layer. Inside the graph, that layer reads the
clock until a number of microseconds have passed, and adds 0 to the output; see
`measure/clockwork.py`. The layer reads the number from a file beside the copy, so all
copies have the same text and share their inputs.

The copy without a slow-down, base, has the operation too, for `LEAST` microseconds:
right after the workload's own work the caches are cold, and the first readings of the
clock take longer. The injected length is seconds, because the cost of a known amount of
work varies; see results/method/README.md.
"""

from __future__ import annotations

from pathlib import Path

from bench import catalog

LEAST = 100.0  # microseconds, in base
SUFFIX = ".microseconds"  # of the file that has their number

BUSY = '''

from pathlib import Path  # noqa: E402

from bench.measure.clockwork import busy_wait  # noqa: E402


class Busy(keras.layers.Layer):
    """This layer returns its input after a number of microseconds."""

    def call(self, inputs):
        microseconds = Path(__file__).with_suffix("{suffix}").read_text()
        return inputs + busy_wait(inputs, float(microseconds))


_built = build


def build(examples, **variant):
    """Return the layers of the workload, and the busy layer."""
    layers = _built(examples, **variant)
    return [*(layers if isinstance(layers, (list, tuple)) else [layers]), Busy()]
'''


def text(workload: str) -> str:
    """Return the source text of a workload with one more layer, which only takes time.

    Args:
        workload: The name of a workload or layer whose layers return numbers.
    """
    own = catalog.find(workload).path.read_text(encoding="utf-8")
    return own + BUSY.format(suffix=SUFFIX)


def write(workload: str, seconds: float, folder: Path) -> Path:
    """Write a copy of a workload with the layer that takes time; return its path.

    The name of the file is that of the workload.

    Args:
        workload: The name of a workload or layer whose layers return numbers.
        seconds: How much longer a call of the layer takes than in base, which has 0;
            seconds, not negative.
        folder: The folder, which must exist.
    """
    path = folder / f"{workload}.py"
    path.write_text(text(workload), encoding="utf-8")
    lengthen(path, seconds)
    return path


def lengthen(path: Path, seconds: float) -> None:
    """Set how long the added layer takes, for processes that start later.

    Args:
        path: A file from `write`.
        seconds: How much longer a call takes than in base; seconds, not negative.

    Raises:
        ValueError: The number is negative.
    """
    if seconds < 0:
        raise ValueError(f"A call cannot take {seconds:g} s longer than in base.")
    microseconds = LEAST + 1e6 * seconds
    path.with_suffix(SUFFIX).write_text(f"{microseconds:.3f}", encoding="utf-8")
