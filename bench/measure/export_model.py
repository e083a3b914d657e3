"""This module exports a trained model and checks that its predictions stay the same.

With `placement=model` the exported model includes the layers and takes raw input. With
`placement=dataset` the model is exported as it was trained. The client then restores
the layers from their saved configuration and state, and applies them before each call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bench.measure import nests
from bench.measure.assembly import Assembly
from bench.measure.clean_interpreter import CleanInterpreter
from bench.measure.layers import apply_layers
from bench.measure.load_export import predictions
from bench.measure.sources import folder_bytes
from bench.pipeline import Pipeline

STEPS = 3
TRAINING_BATCH = 32
LEAST_TOLERANCE = 1e-4  # float32 through a recurrent or convolutional network
REASON_LENGTH = 200  # characters of a reason that a fact stores


@dataclass(frozen=True)
class Exported:
    """An export is the set of files that were written for the server and its client.

    Attributes:
        folder: The folder with `saved_model/`, `model.keras`, and `client.keras` where
            the client applies the layers.
        in_front: Whether the exported model begins with the layers.
        keras_file: `yes`, or why there is no `.keras` file of the model.
        client_file: `yes`, or why there is no file of the client's layers.
    """

    folder: Path
    in_front: bool
    keras_file: str = "yes"
    client_file: str = "yes"


def train_model(assembly: Assembly, scratch: Path) -> keras.Model:
    """Train the workload's model for a few steps, with the layers in the dataset."""
    batch = min(TRAINING_BATCH, assembly.inputs.count)
    p = Pipeline(
        batch_size=batch,
        image_size=assembly.pipeline.image_size,
        order="batch_map" if assembly.entry.decodes_batches else "map_batch",
    )
    training = replace(assembly, pipeline=p)
    batches = list(training.dataset(scratch, repeat=True).take(STEPS))
    model = training.model(batches[0])
    model.run_eagerly = True  # a graph takes longer to trace than these steps to run
    with tf.device(assembly.device):
        for batch in batches:
            model.train_on_batch(*batch)
    model.run_eagerly = False
    return model


def inference_model(assembly: Assembly, model: keras.Model) -> keras.Model:
    """Return the trained model with the layers in front, for raw input."""
    raw, prepared = _front(assembly)
    return keras.Model(raw, model(prepared, training=False))


def save(assembly: Assembly, model: keras.Model, folder: Path) -> Exported:
    """Write the SavedModel, the Keras file, and the layers that a client applies."""
    folder.mkdir()
    in_front = assembly.pipeline.place.in_model
    shipped = inference_model(assembly, model) if in_front else model
    shipped.export(folder / "saved_model", verbose=False)
    keras_file = _save_keras(shipped, folder / "model.keras")
    client_file = "yes"
    if not in_front:
        client_file = _save_keras(
            keras.Model(*_front(assembly)), folder / "client.keras"
        )
    return Exported(folder, in_front, keras_file, client_file)


def size_facts(exported: Exported) -> dict[str, float | str]:
    """Return the facts on the sizes of the written files, in bytes."""
    folder = exported.folder
    files = {"keras_file_bytes": "model.keras", "client_layers_bytes": "client.keras"}
    return {
        "saved_model_bytes": folder_bytes(folder / "saved_model"),
        **{
            fact: (folder / name).stat().st_size
            for fact, name in files.items()
            if (folder / name).is_file()
        },
    }


def training_predictions(
    assembly: Assembly, model: keras.Model, batches: int
) -> np.ndarray:
    """Return predictions for the first batches of the training pipeline.

    The layers run in the dataset with augmentation off, as in evaluation.
    """
    dataset = assembly.inference_dataset().take(batches)
    with tf.device(assembly.device):
        # A tuple of one, or Keras would take a tuple of features for labels.
        batches = dataset.map(lambda features, *_: (features,))
        return predictions(model.predict(batches, verbose=0))


def tolerance(assembly: Assembly) -> float:
    """Return how much predictions may differ, as one limit for both rtol and atol.

    The limit is the workload's `TOLERANCE`, but at least `LEAST_TOLERANCE`.
    """
    return max(float(assembly.entry.constants.get("TOLERANCE", 0.0)), LEAST_TOLERANCE)


def demand_same_predictions(
    expected: np.ndarray, answers: np.ndarray, limit: float, what: str
) -> float:
    """Return the largest absolute difference of two arrays of predictions.

    Args:
        expected: Predictions of the training-time pipeline.
        answers: Predictions of the exported model.
        limit: The largest difference allowed, absolute and relative.
        what: The exported model in words, for error messages.

    Raises:
        AssertionError: Shapes differ, or values differ by more than the limit.
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


def clean_process_facts(
    fresh: CleanInterpreter,
    exported: Exported,
    requests: list[object],
    expected: np.ndarray,
    limit: float,
) -> dict[str, float | str]:
    """Load the files in a process without the training code; return facts on them.

    Args:
        fresh: The process.
        exported: The files.
        requests: Raw batches.
        expected: Predictions of the training-time pipeline for these batches.
        limit: The largest difference of predictions, absolute and relative.

    Raises:
        AssertionError: Predictions differ, or the process can import the training code.
        RuntimeError: The process cannot load the SavedModel.
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
    for job, report in fresh.answer(exported.folder, jobs, front, requests).items():
        assert not report["training_code_found"], (
            f"the clean process could import {report['training_code_found']}"
        )
        loads = _shortened(report["loads"])
        if loads == "yes":
            answers = np.load(exported.folder / f"{job}.answers.npy")
            what = f"the {job} in a clean process"
            differences.append(demand_same_predictions(expected, answers, limit, what))
        if job == "keras_file":
            facts["keras_file_loads"] = loads
        elif front:
            facts["client_layers_load"] = loads
        elif loads != "yes":
            raise RuntimeError(f"the SavedModel does not load: {report['loads']}")
        if job == "saved_model" and loads == "yes":
            facts["cold_start_seconds"] = report["cold_start_seconds"]
    if differences:
        facts["export_max_difference"] = max(differences)
    return facts


def _front(assembly: Assembly) -> tuple[object, object]:
    """Return raw inputs and the layers' output for them, outside training."""
    (batch,) = assembly.raw_batches(1)[:1]
    raw = nests.keras_inputs(batch)
    return raw, apply_layers(assembly.layers, raw, training=False)


def _save_keras(model: keras.Model, path: Path) -> str:
    """Write a Keras file; return `yes`, or why that failed."""
    try:
        model.save(path)
    except Exception as error:  # a custom layer may raise any error
        path.unlink(missing_ok=True)
        return _shortened(f"no: cannot be saved: {' '.join(str(error).split())}")
    return "yes"


def _shortened(reason: str) -> str:
    short = len(reason) <= REASON_LENGTH
    return reason if short else reason[: REASON_LENGTH - 3] + "..."
