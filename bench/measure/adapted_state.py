"""This module stores the states that `adapt` learned, for other processes.

Adapting reads all examples, so its cost grows with the data. The first process of a
round that builds a workload's layers adapts them. The others run the same `build`, in
which each call of `adapt` sets the state that was learned.
"""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from unittest.mock import patch

import keras
import numpy as np

from bench.catalog import ROOT, Entry
from bench.data import inputs
from bench.data.inputs import Inputs
from bench.shell import STARTED

LEAST_SECONDS = 0.2  # that building the layers takes: below it each process adapts
STATE = "state.pickle"
ADAPTABLE = (
    keras.layers.Normalization,
    keras.layers.Discretization,
    keras.layers.StringLookup,
    keras.layers.IntegerLookup,
    keras.layers.TextVectorization,
)


@dataclass(frozen=True)
class Adapted:
    """The states of layers, in the order in which `build` adapted them.

    Attributes:
        states: The class of each layer, and its state; None where it cannot be kept.
        seconds: The seconds of building and adapting in the process that did it.
        work: The same seconds, without the time in which the process waited for a
            processor.
    """

    states: list[tuple[str, dict | None]]
    seconds: float
    work: float


def folder(entry: Entry, data: Inputs, source: str, seed: int) -> Path:
    """Return the folder for the states of a workload's layers.

    Args:
        entry: The workload or layer.
        data: Its inputs.
        source: The value of `--data`.
        seed: The seed of the round: each round adapts once.
    """
    places = (ROOT, Path.cwd(), entry.path.absolute(), sorted(entry.variant.items()))
    identity = hashlib.sha256(entry.path.read_bytes())
    identity.update(
        repr([STARTED, *map(str, places), source, data.fingerprint, seed]).encode()
    )
    return inputs.root() / f"{inputs.OWN}adapted-{identity.hexdigest()[:16]}"


def load(place: Path) -> Adapted | None:
    """Return the states that are stored in a folder; None if there are none."""
    if not inputs.exists(place):
        return None
    return pickle.loads((place / STATE).read_bytes())  # we wrote it


def save(place: Path, layers: list[keras.Layer], seconds: float, work: float) -> None:
    """Store the states of layers that were adapted, in this order."""
    states = [(type(layer).__name__, _state(layer)) for layer in layers]
    content = pickle.dumps(Adapted(states, seconds, work))
    inputs.make_once(place, lambda scratch: (scratch / STATE).write_bytes(content))


@contextmanager
def adapting(kept: Adapted | None) -> Iterator[list[keras.Layer]]:
    """Note which layers the block adapts, or set their stored states instead.

    Args:
        kept: The states to set; None to adapt.

    Yields:
        The layers, which are complete when the block ends.
    """
    layers: list[keras.Layer] = []
    inside = []  # a call of `adapt` within another one is a part of it

    def noting(adapt: Callable) -> Callable:
        @wraps(adapt)
        def adapted(layer: keras.Layer, *args: object, **kwargs: object) -> None:
            if inside:
                adapt(layer, *args, **kwargs)
                return
            layers.append(layer)
            known = kept.states[len(layers) - 1 :][:1] if kept else []
            if known and known[0][0] == type(layer).__name__ and known[0][1]:
                _restore(layer, known[0][1])
                return
            inside.append(layer)
            try:
                adapt(layer, *args, **kwargs)
            finally:
                inside.pop()

        return adapted

    patches = [patch.object(kind, "adapt", noting(kind.adapt)) for kind in ADAPTABLE]
    for one in patches:
        one.start()
    try:
        yield layers
    finally:
        for one in patches:
            one.stop()


def _state(layer: keras.Layer) -> dict | None:
    """Return the state that an adapted layer learned; None if it has none to store."""
    if isinstance(layer, keras.layers.Normalization):
        learned = {"mean": layer.adapt_mean, "variance": layer.adapt_variance}
        arrays = {name: value.numpy() for name, value in learned.items()}
        return {"build": layer.get_build_config(), **arrays}
    if isinstance(layer, keras.layers.Discretization):
        return {"bin_boundaries": [*layer.bin_boundaries], "summary": layer.summary}
    vocabulary = layer.get_vocabulary(include_special_tokens=False)
    if not len(vocabulary):  # set_vocabulary takes no empty one
        return None
    table, weights = _lookup(layer), None
    if table.output_mode == "tf_idf":
        weights = table.idf_weights.numpy()
    return {"vocabulary": vocabulary, "weights": weights}


def _restore(layer: keras.Layer, state: dict) -> None:
    if isinstance(layer, keras.layers.Normalization):
        if not layer.built:
            layer.build_from_config(state["build"])
        layer.adapt_mean.assign(state["mean"])
        layer.adapt_variance.assign(state["variance"])
        layer.finalize_state()
    elif isinstance(layer, keras.layers.Discretization):
        layer.bin_boundaries, layer.summary = state["bin_boundaries"], state["summary"]
    elif state["weights"] is None:
        layer.set_vocabulary(state["vocabulary"])
    else:
        table, vocabulary = _lookup(layer), state["vocabulary"]
        layer.set_vocabulary(vocabulary, np.ones(len(vocabulary), np.float32))
        # As learned: set_vocabulary rounds the weight of unknown words otherwise.
        table.idf_weights.assign(state["weights"])
        table.idf_weights_const = table.idf_weights.value()


def _lookup(layer: keras.Layer) -> keras.Layer:
    """Return the layer that has the vocabulary: in TextVectorization an inner layer."""
    with suppress(AttributeError):
        return layer._lookup_layer
    return layer
