"""Make the model of a user's own function, and train it on the user's pipeline."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from bench import cause
from bench.measure import consumers, node_origin
from bench.measure.recorder import spell_spec
from bench.measure.user_function import SEED, run_module
from bench.run.user_pipeline import ModelError, PipelineTask


def make_model(task: PipelineTask) -> keras.Model:
    """Call the user's function, and return its compiled model.

    A model in the pipeline's own file is made by the module that made the last dataset,
    so it sees what that dataset's function left there, such as a vocabulary.

    Args:
        task: Names the model's file and call.

    Raises:
        ModelError: The function fails, or returns no compiled model of one device.
    """
    keras.utils.set_random_seed(SEED)
    try:
        model = eval(task.model_call, vars(_module(task)))
    except Exception as error:
        raise ModelError(f"{_name(task)} fails: {_sentence(error)}") from error
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"{_name(task)} returned a {type(model).__name__}, not a keras.Model. Let "
            "it return the compiled model."
        )
    if not model.compiled:
        raise ModelError(
            f"{_name(task)} returned a model that is not compiled. Let it call "
            "compile(optimizer=..., loss=...) before it returns the model."
        )
    replicas = model.distribute_strategy.num_replicas_in_sync
    if replicas > 1:
        raise ModelError(
            f"{_name(task)} returned a model on {replicas} devices, and advise trains "
            "on one. Let it make the model without tf.distribute."
        )
    return model


class TrainUserModel(consumers.Train):
    """A user's model makes training steps on batches, as its own `fit` does."""

    def __init__(
        self, dataset: tf.data.Dataset, model: keras.Model, first: object
    ) -> None:
        """Leave the device to Keras, as `fit` does.

        Args:
            dataset: Batches as `fit` takes them.
            model: The compiled model.
            first: A batch to trace with.
        """
        super().__init__(dataset, model, first, None)
        self.batches_a_call = model.steps_per_execution

    def window(self, batches: int, start: int = 0) -> Callable[[], None]:
        """Return a function that trains on batches of a fresh iterator, as a drain's.

        While nobody pulled, the last iterator may have filled its buffers.
        """
        self._begin()
        return super().window(batches, start)

    def _call(self) -> object:
        """Make one call; a training step may return any nest with a value."""
        return tf.nest.flatten(self._model.train_function(self._iterator))[0]

    def _pull(self, batches: int) -> None:
        """Consume batches, by whole calls."""
        if self._iterator is None:
            self._begin()
        for _ in range(-(-batches // self.batches_a_call)):
            value = self._call()
            self._pulled += self.batches_a_call
        float(value)  # device work is asynchronous until a value comes back


def traced(
    dataset: tf.data.Dataset, model: keras.Model, first: object, task: PipelineTask
) -> TrainUserModel:
    """Return the consumer that trains a model on a dataset, after its first step.

    Args:
        dataset: The endless pipeline.
        model: The compiled model.
        first: A batch of the pipeline.
        task: Names the model and the pipeline.

    Raises:
        ModelError: The model cannot make a step on what the pipeline yields.
    """
    consumer = TrainUserModel(dataset, model, first)
    try:
        consumer.trace()
        consumer.window(consumer.batches_a_call)()
    except Exception as error:
        raise ModelError(
            f"{_name(task)} returned a model that cannot be trained on what "
            f"{task.call} yields, {spell_spec(dataset.element_spec)}: "
            f"{_sentence(error).rstrip('.')}. Let it yield batches of (features, "
            "labels) or (features, labels, weights), of the model's shapes and types."
        ) from error
    return consumer


def _module(task: PipelineTask) -> object:
    """The module of the model's file: the pipeline's, or a new one."""
    path = Path(task.model_path)
    if path.samefile(task.path):
        return sys.modules[Path(task.path).stem]
    return run_module(task.model_path, path.read_text(encoding="utf-8"))


def _name(task: PipelineTask) -> str:
    """The file and the function as the user names them."""
    return f"{task.model_path}:{task.model_call.partition('(')[0]}"


def _sentence(error: Exception) -> str:
    """An error's type, its message and the user's line, on one line."""
    innermost = cause.innermost(error, (), node_origin.frames)
    first = cause.sentence(innermost).partition("\n")[0]
    return f"{innermost.type}: {first}"
