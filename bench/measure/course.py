"""The course of a run: which phase it is in, where its runner can read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

from bench.measure.layers import as_layers
from bench.measure.phases import Stopwatch
from bench.run.protocol import phase_file


class Course(Stopwatch):
    """Seconds by phase; the running phase also lies in a file for the runner to read.

    Attributes:
        layers: The names of the layers, as soon as they are known.
    """

    def __init__(self, result: str) -> None:
        """The file lies beside the result."""
        super().__init__()
        self._file = phase_file(Path(result))
        self.layers: list[str] = []

    @contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Add the block's time to a phase."""
        self._file.write_text(phase)
        with super().time(phase):
            yield

    def built(self, made: object) -> list[keras.Layer]:
        """The layers that `build` returned, whose names an error may need."""
        layers = as_layers(made)
        self.layers = [layer.name for layer in layers]
        return layers
