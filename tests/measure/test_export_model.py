"""These tests load exported models in a clean process and refuse wrong ones."""

import os
import select
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from shelf import assembly

from bench import catalog
from bench.data.inputs import CHECKED_EXAMPLES
from bench.measure import clean_interpreter, export_model, serving
from bench.measure.assembly import Assembly
from bench.measure.layers import to_numpy
from bench.measure.load_export import OURS
from bench.measure.phase_recorder import Stopwatch
from bench.pipeline import Pipeline
from bench.plan.refusals import refusal
from bench.plan.sweeps import find as find_sweep
from bench.plan.sweeps import trials
from bench.trial import Effort

pytestmark = pytest.mark.filterwarnings(
    # Keras hands its variables to NumPy as they are when it writes a .keras file.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

BRIEF = Effort(rounds=1, steady_seconds=0.05, warmup_seconds=0.1)


def served(name: str, folder: Path, **axes) -> dict:
    """Return the fields that a whole serving run measures."""
    parts = list(serving.measure(assembly(name, **axes), folder, BRIEF, Stopwatch()))
    facts = {name: fact for part in parts for name, fact in part.facts.items()}
    return {**vars(parts[-1]), "facts": facts}


def test_strings_go_into_the_exported_model(tmp_path):
    """Both files load in a clean process and predict as the training pipeline does."""
    fields = served("text_bigrams", tmp_path, placement="model", batch_size=16)
    facts = fields["facts"]
    assert facts["keras_file_loads"] == "yes"
    assert facts["export_max_difference"] < 1e-6
    assert facts["cold_start_seconds"] > 0
    assert facts["saved_model_bytes"] > 10_000
    assert facts["keras_file_bytes"] > 10_000
    assert fields["batches_per_sample"] == 1
    assert len(fields["samples"]) >= 3
    median = float(np.median(fields["samples"]))
    assert facts["latency_p50_seconds"] == pytest.approx(median)
    assert (
        facts["latency_p50_seconds"]
        <= facts["latency_p95_seconds"]
        <= facts["latency_p99_seconds"]
        <= max(fields["samples"])
    )


def test_the_client_applies_layers_remade_from_their_saved_vocabulary(tmp_path):
    """The exported model takes numbers, and the client's file holds the words."""
    facts = served("text_bigrams", tmp_path, batch_size=1)["facts"]
    assert facts["client_layers_load"] == "yes"
    assert facts["client_layers"] == "remade"
    assert facts["client_layers_bytes"] > 1000
    assert facts["export_max_difference"] < 1e-6
    assert "keras_file_loads" not in facts


CUSTOM = '''"""Doubles positive numbers."""

import keras
import numpy as np

KIND = "structured"


class Doubled(keras.layers.Layer):
    """Floats to floats."""

    def call(self, features):
        """Twice the positive part."""
        return 2 * keras.ops.relu(features)


def examples(rng, count):
    """Features and labels."""
    return rng.normal(size=(count, 3)).astype("float32"), np.arange(count) % 2


def build(examples):
    """The layer."""
    return Doubled()


def check(batch, output):
    """The formula."""
    np.testing.assert_allclose(output, 2 * np.maximum(batch, 0))


def model(features):
    """One dense layer."""
    return keras.layers.Dense(2, activation="softmax")(features)
'''


@pytest.fixture
def custom(tmp_path):
    """Return a user's own workload, with a layer class that only its file defines."""
    path = tmp_path / "doubled.py"
    path.write_text(CUSTOM)
    return str(path)


def test_a_custom_layer_is_in_the_saved_model_but_not_in_the_keras_file(
    custom, tmp_path
):
    """The graph needs no class; the error of the Keras file names its class."""
    facts = served(custom, tmp_path, placement="model", jit="on")["facts"]
    assert facts["keras_file_loads"].startswith("no: TypeError: Could not locate class")
    assert "Doubled" in facts["keras_file_loads"]
    assert facts["cold_start_seconds"] > 0
    assert facts["export_max_difference"] < 1e-6


def test_layers_that_cannot_be_remade_come_from_the_training_code(tmp_path):
    """A fact shows this; a missing file has the same effect as an unreadable file."""
    text = assembly("text_bigrams", batch_size=4)
    model = export_model.train_model(text, tmp_path)
    exported = export_model.save(text, model, tmp_path / "export")
    (exported.folder / "client.keras").unlink()
    call, facts = serving.loaded(text, exported)
    assert facts == {"client_layers": "the training code's own"}
    (batch,) = text.raw_batches(4)
    expected = export_model.training_predictions(text, model, 1)
    np.testing.assert_allclose(call(to_numpy(batch)), expected, rtol=1e-5, atol=1e-6)


def test_random_layers_are_off_in_the_exported_model(tmp_path):
    """Two predictions are equal to the prediction for rescaled images."""
    images = assembly("cifar_augmentation", placement="model", batch_size=8)
    model = export_model.train_model(images, tmp_path)
    whole = export_model.inference_model(images, model)
    (batch,) = images.raw_batches(8)
    expected = model(tf.cast(batch, tf.float32) / 255, training=False)
    for _ in range(2):
        np.testing.assert_allclose(whole(batch), expected, rtol=1e-5, atol=1e-6)
    training = export_model.training_predictions(images, model, 1)
    np.testing.assert_allclose(training, expected, rtol=1e-5, atol=1e-6)


def test_a_wrong_export_is_refused_before_the_clock(tmp_path, monkeypatch):
    """A model whose predictions differ from the training pipeline is not timed."""
    text = assembly("text_bigrams", placement="model")

    def scaled(parts: Assembly, model: keras.Model) -> keras.Model:
        raw, prepared = export_model._front(parts)
        return keras.Model(raw, 0.5 * model(prepared, training=False))

    monkeypatch.setattr(export_model, "inference_model", scaled)
    monkeypatch.setattr(serving, "CleanInterpreter", lambda *_: nullcontext())
    monkeypatch.setattr(export_model, "clean_process_facts", lambda *_: {})
    parts = []
    with pytest.raises(AssertionError, match="the loaded model differs from the"):
        parts.extend(serving.measure(text, tmp_path, BRIEF, Stopwatch()))
    assert not any(part.samples for part in parts)


class FakeProcess:
    """A fake clean process writes a fixed report and predicts zeros."""

    def __init__(self, **report):
        self.report = {"loads": "yes", "training_code_found": [], **report}

    def answer(self, folder, jobs, front, requests):
        for job in jobs:
            np.save(folder / f"{job}.answers.npy", np.zeros(3))
        return {job: {"cold_start_seconds": 0.5, **self.report} for job in jobs}


def facts_of(
    process: FakeProcess, folder: Path, expected: float = 0, **attributes
) -> dict:
    """Return the facts that a process yields where these predictions are expected."""
    exported = export_model.Exported(folder, **{"in_front": True, **attributes})
    predictions = np.full(3, expected)
    requests = [np.zeros(3)]
    return export_model.clean_process_facts(
        process, exported, requests, predictions, 1e-4
    )


def test_wrong_predictions_of_a_clean_process_are_refused(tmp_path):
    """The message has the difference and the tolerance."""
    with pytest.raises(
        AssertionError,
        match=r"the saved_model in a clean process differs from the training-time "
        r"pipeline by 1 \(tolerance 0.0001\)",
    ):
        facts_of(FakeProcess(), tmp_path, expected=1)


def test_a_clean_process_with_the_training_code_is_refused(tmp_path):
    """Loading a model there would prove nothing."""
    with pytest.raises(AssertionError, match=r"could import \['bench'\]"):
        facts_of(FakeProcess(training_code_found=["bench"]), tmp_path)


def test_a_saved_model_that_does_not_load_is_an_error(tmp_path):
    """A Keras file may lack its classes; a SavedModel needs none."""
    with pytest.raises(RuntimeError, match="SavedModel does not load: no: KeyError: x"):
        facts_of(FakeProcess(loads="no: KeyError: x"), tmp_path)


def test_a_client_without_the_class_of_a_layer_is_a_fact(tmp_path):
    """There are no facts on the cold start and the difference."""
    facts = facts_of(FakeProcess(loads="no: TypeError: x"), tmp_path, in_front=False)
    assert facts == {"client_layers_load": "no: TypeError: x"}
    facts = facts_of(FakeProcess(), tmp_path, in_front=False, client_file="no: y")
    assert facts == {"client_layers_load": "no: y"}


def test_predictions_of_another_shape_are_refused():
    """Broadcasting must not hide a wrong shape."""
    with pytest.raises(AssertionError, match=r"predicts \(1, 2\), the training-time"):
        export_model.demand_same_predictions(
            np.zeros((3, 2)), np.zeros((1, 2)), 1e-4, "it"
        )


def test_requests_are_the_first_raw_examples_in_order():
    """The training-time predictions belong to the same examples."""
    text = assembly("text_bigrams", placement="model", batch_size=16)
    raw = np.concatenate([to_numpy(b) for b in text.raw_batches(CHECKED_EXAMPLES)])
    assert raw.tolist() == text.inputs.features[:CHECKED_EXAMPLES].tolist()


def test_the_clean_process_cannot_import_our_code():
    """Its path has neither this folder, nor the script's folder, nor PYTHONPATH."""
    script = "import importlib.util as u; print([u.find_spec(n) for n in {}])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script.format(OURS)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(catalog.ROOT)},
    )
    assert done.stdout.strip() == "[None, None, None]"


def test_the_clean_process_ends_with_its_parent(tmp_path):
    """The process ends soon after its parent was killed."""
    script = (
        "import sys, time; from pathlib import Path\n"
        "from bench.measure.clean_interpreter import CleanInterpreter\n"
        f"clean = CleanInterpreter(Path({str(tmp_path)!r}), '/CPU:0')\n"
        "print(clean._processes[0].pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=catalog.ROOT,
    )
    child = os.pidfd_open(int(parent.stdout.readline()))
    try:
        assert not select.select([child], [], [], 0)[0]
        parent.kill()
        parent.communicate()
        # The process checks only after importing TensorFlow, which takes seconds.
        assert select.select([child], [], [], 300)[0], "it still runs"
    finally:
        os.close(child)


def test_a_death_while_loading_shows_the_log(tmp_path):
    """The error has the last lines of the log."""
    dying = clean_interpreter.CleanInterpreter.__new__(
        clean_interpreter.CleanInterpreter
    )
    dying._log, dying._forks = tmp_path / "fresh.log", True
    dying._log.write_text("out of luck")
    command = [sys.executable, "-c", "input()"]
    dying._processes = [subprocess.Popen(command, stdin=subprocess.PIPE)]
    with (
        dying,
        pytest.raises(RuntimeError, match=r"died loading the saved_model: out of luck"),
    ):
        dying.answer(tmp_path, {"saved_model": "saved_model"}, "", [np.zeros((1, 2))])


@pytest.mark.parametrize(
    ("axes", "unit", "reason"),
    [
        ({"prefetch": 2}, "window", "not from a dataset: leave out prefetch"),
        ({"cache": "raw", "order": "batch_map"}, "window", "leave out order, cache"),
        ({"placement": "offline"}, "window", "use placement=dataset"),
        ({}, "epoch", "serve has no epochs: use unit=window"),
    ],
)
def test_axes_without_a_meaning_for_a_request_are_refused(axes, unit, reason):
    """Each refusal has its reason."""
    entry = catalog.find("text_gru")
    assert reason in refusal(Pipeline(**axes), "serve", unit, entry)


def test_a_layer_has_no_model_to_serve():
    """A layer cannot be served."""
    reason = refusal(Pipeline(), "serve", "window", catalog.find("rescaling"))
    assert reason.startswith("'rescaling' has no model")


def test_the_export_sweep_is_complete():
    """No trial of the sweep is refused."""
    planned, refused = trials(find_sweep("export"))
    assert refused == {}
    assert {trial.consumer for trial in planned} == {"serve"}
    assert {trial.pipeline.placement for trial in planned} == {"dataset", "model"}
    assert {trial.pipeline.batch_size for trial in planned} == {1, 32}
