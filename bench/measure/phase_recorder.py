"""This module records the phases of a run: their seconds, and the current one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

from bench import machine
from bench.measure.layers import as_layers
from bench.run.protocol import phase_file


class Stopwatch:
    """A stopwatch adds up seconds by phase.

    Attributes:
        seconds: Elapsed seconds by phase.
        work: Seconds by phase, without the time in which the process waited for a
            processor.
        phase: The current or last phase.
    """

    def __init__(self) -> None:
        """Begin with no phase measured."""
        self.seconds: dict[str, float] = {}
        self.work: dict[str, float] = {}
        self.phase = "start"

    @contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Add the block's time to a phase; a block that fails adds nothing."""
        before = machine.processor_use()
        self.phase, start = phase, time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        work = machine.work_seconds(seconds, before)
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds
        self.work[phase] = self.work.get(phase, 0.0) + work

    def set(self, **seconds: float) -> None:
        """Set the elapsed seconds of phases that were measured elsewhere."""
        self.seconds |= seconds


class PhaseRecorder(Stopwatch):
    """A phase recorder also writes its current phase to a file, for the runner to read.

    Attributes:
        layers: The names of the layers, once they are built.
    """

    def __init__(self, result: str) -> None:
        """Write the phase beside this result file."""
        super().__init__()
        self._file = phase_file(Path(result))
        self.layers: list[str] = []

    @contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Add the block's time to a phase; a block that fails adds nothing."""
        self._file.write_text(phase)
        with super().time(phase):
            yield

    def built(self, layers: object, *, with_labels: bool) -> list[keras.Layer]:
        """Return what `build` returned as a list of layers, and note their names."""
        layers = as_layers(layers, with_labels=with_labels)
        self.layers = [layer.name for layer in layers]
        return layers
