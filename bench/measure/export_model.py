"""A model trained, exported with its layers in front, and proved to predict the same.

With placement=model the exported model takes raw input. With placement=dataset the
model is exported as it was trained, and the client applies the layers, re-made from
their saved configuration and state, before each call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bench.measure.assembly import Assembly
from bench.measure.clean_interpreter import CleanInterpreter
from bench.measure.layers import apply_layers
from bench.measure.sources import folder_bytes
from bench.pipeline import Pipeline

STEPS = 3
TRAINING_BATCH = 32
LEAST_TOLERANCE = 1e-4  # float32 through a recurrent or convolutional network
REASON_LENGTH = 200


@dataclass(frozen=True)
class Exported:
    """What was written for the server, and for its client.

    Attributes:
        folder: Holds `saved_model/`, `model.keras`, and `client.keras` where the client
            applies the layers.
        in_front: Whether the layers are inside the model.
        keras_file: `yes`, or why there is no `.keras` file of the model.
        client_file: `yes`, or why there is none of the client's layers.
    """

    folder: Path
    in_front: bool
    keras_file: str = "yes"
    client_file: str = "yes"


def trained(work: Assembly, scratch: Path) -> keras.Model:
    """The workload's model after a few steps, with the layers in the dataset."""
    batch = min(TRAINING_BATCH, work.inputs.count)
    p = Pipeline(batch_size=batch, image_size=work.pipeline.image_size)
    training = replace(work, pipeline=p)
    batches = list(training.dataset(scratch, repeat=True).take(STEPS))
    model = training.model(batches[0])
    model.run_eagerly = True  # a graph takes longer to trace than these steps to run
    with tf.device(work.device):
        for features, labels in batches:
            model.train_on_batch(features, labels)
    model.run_eagerly = False
    return model


def end_to_end(work: Assembly, model: keras.Model) -> keras.Model:
    """The inference model: raw input, layers outside training, the trained model."""
    raw, prepared = _front(work)
    return keras.Model(raw, model(prepared, training=False))


def save(work: Assembly, model: keras.Model, folder: Path) -> Exported:
    """Write the SavedModel and the Keras file, and the layers that a client applies."""
    folder.mkdir()
    in_front = work.pipeline.place.in_model
    shipped = end_to_end(work, model) if in_front else model
    shipped.export(folder / "saved_model", verbose=False)
    keras_file = _saved(shipped, folder / "model.keras")
    client_file = "yes"
    if not in_front:
        client_file = _saved(keras.Model(*_front(work)), folder / "client.keras")
    return Exported(folder, in_front, keras_file, client_file)


def sizes(exported: Exported) -> dict[str, float | str]:
    """Bytes on disk of what was written."""
    folder = exported.folder
    found: dict[str, float | str] = {
        "saved_model_bytes": folder_bytes(folder / "saved_model")
    }
    for name in ("model.keras", "client.keras"):
        if (folder / name).is_file():
            fact = (
                "keras_file_bytes" if name == "model.keras" else "client_layers_bytes"
            )
            found[fact] = (folder / name).stat().st_size
    return found


def training_predictions(
    work: Assembly, model: keras.Model, batches: int
) -> np.ndarray:
    """What the model predicts of the first batches with the layers in the dataset.

    As in evaluation: the training pipeline, with augmentation off.
    """
    dataset = work.inference_dataset().take(batches)
    with tf.device(work.device):
        return model.predict(dataset.map(lambda features, *label: features), verbose=0)


def tolerance(work: Assembly) -> float:
    """How far predictions may differ, absolute and relative."""
    return max(float(work.entry.constants.get("TOLERANCE", 0.0)), LEAST_TOLERANCE)


def demand_same(
    expected: np.ndarray, answers: np.ndarray, limit: float, what: str
) -> float:
    """The largest difference of two predictions.

    Raises:
        AssertionError: Shapes differ, or a value by more than the limit.
    """
    assert answers.shape == expected.shape, (
        f"{what} predicts {answers.shape}, the training-time pipeline {expected.shape}"
    )
    difference = float(np.abs(answers - expected).max())
    assert np.allclose(answers, expected, rtol=limit, atol=limit), (
        f"{what} differs from the training-time pipeline by {difference:.3g} "
        f"(tolerance {limit:g})"
    )
    return difference


def fresh_facts(
    fresh: CleanInterpreter,
    exported: Exported,
    requests: list[np.ndarray],
    expected: np.ndarray,
    limit: float,
) -> dict[str, float | str]:
    """What a process without the training code makes of the files.

    Raises:
        AssertionError: It predicts something else, or it could see the training code.
        RuntimeError: It cannot load the SavedModel.
    """
    facts: dict[str, float | str] = {}
    jobs = {"saved_model": "saved_model"}
    if not exported.in_front and exported.client_file != "yes":
        facts["client_layers_load"] = exported.client_file
        return facts
    if exported.in_front and exported.keras_file == "yes":
        jobs["keras_file"] = "model.keras"
    elif exported.in_front:
        facts["keras_file_loads"] = exported.keras_file
    front = "" if exported.in_front else "client.keras"
    differences = []
    for job, told in fresh.answer(exported.folder, jobs, front, requests).items():
        assert not told["training_code_found"], (
            f"the clean process could import {told['training_code_found']}"
        )
        loads = _shortened(told["loads"])
        if loads == "yes":
            answers = np.load(exported.folder / f"{job}.answers.npy")
            what = f"the {job} in a clean process"
            differences.append(demand_same(expected, answers, limit, what))
        if job == "keras_file":
            facts["keras_file_loads"] = loads
        elif front:
            facts["client_layers_load"] = loads
        elif loads != "yes":
            raise RuntimeError(f"the SavedModel does not load: {told['loads']}")
        if job == "saved_model" and loads == "yes":
            facts["cold_start_seconds"] = told["cold_start_seconds"]
    if differences:
        facts["export_max_difference"] = max(differences)
    return facts


def _front(work: Assembly) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    (batch,) = work.raw_batches(1)[:1]
    raw = keras.Input(batch.shape[1:], dtype=batch.dtype.name)
    return raw, apply_layers(work.layers, raw, training=False)


def _saved(model: keras.Model, path: Path) -> str:
    try:
        model.save(path)
    except Exception as error:  # a custom layer may raise anything; it is the answer
        path.unlink(missing_ok=True)
        return _shortened(f"no: cannot be saved: {' '.join(str(error).split())}")
    return "yes"


def _shortened(reason: str) -> str:
    whole = len(reason) <= REASON_LENGTH
    return reason if whole else reason[: REASON_LENGTH - 3] + "..."
