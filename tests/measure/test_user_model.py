"""A user's model is trained on the user's pipeline, wherever it is timed."""

from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from bench.measure import user_model, user_pipeline
from bench.run import turns
from bench.run.user_pipeline import ModelError, PipelineTask, write_task
from bench.trial import Trial

PIPELINE = """import time
import tensorflow as tf

def rest(x):
    time.sleep(0.04)
    return x

def make():
    ds = tf.data.Dataset.range(40).map(lambda x: tf.cast(x, "float32")[None])
    return ds.map(lambda x: (x, x)).batch(4)
"""
SLOW = (
    PIPELINE
    + """
def slow():
    def stage(x, y):
        return tf.ensure_shape(tf.numpy_function(rest, [x], x.dtype), x.shape), y
    return make().map(stage)
"""
)
MODEL = """import keras

def build():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    return model
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look only briefly, and leave no seed to other tests."""
    for name in ("LOOK", "TRAINING_LOOK", "WARM", "SHORT_WINDOW"):
        monkeypatch.setattr(user_pipeline, f"{name}_SECONDS", 0.02)
    yield
    tf.random.set_seed(None)


def task(
    folder: Path, model: str = MODEL, pipeline: str = PIPELINE, **settings: object
) -> PipelineTask:
    path, model_path = folder / "pipeline.py", folder / "models.py"
    path.write_text(pipeline)
    model_path.write_text(model)
    known = {
        "path": str(path),
        "call": "make()",
        "source": pipeline,
        "seconds": 0.5,
        "model_path": str(model_path),
        "model_call": "build()",
    }
    return PipelineTask(**known | settings)


def trial(folder: Path, content: PipelineTask) -> Trial:
    return write_task(content, folder / "task.json")


def dataset_of(content: PipelineTask) -> tf.data.Dataset:
    return user_pipeline.make_dataset(content.path, content.source, content.call)


def test_without_a_model_none_is_timed(tmp_path: Path) -> None:
    content = task(tmp_path, model_path="", model_call="")
    reading = user_pipeline.read_pipeline(trial(tmp_path, content))
    assert reading.error is None
    assert reading.model_seconds_per_batch == reading.training_seconds_per_batch == 0


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("return model", "return None", "build returned a NoneType, not a keras.Model"),
        ("loss=", "lss=", "build fails: TypeError: "),
        (
            '    model.compile(loss="mse")\n',
            "",
            "build returned a model that is not com",
        ),
        (
            "keras.Input((1,))",
            "keras.Input((3,))",
            "build returned a model that cannot be trained on what make() yields, "
            "(float32[?, 1], float32[?, 1]): ValueError: ",
        ),
    ],
)
def test_a_model_that_cannot_be_trained_is_named(
    tmp_path: Path, old: str, new: str, error: str
) -> None:
    content = task(tmp_path, model=MODEL.replace(old, new))
    reading = user_pipeline.read_pipeline(trial(tmp_path, content))
    assert reading.error.type == ModelError.__name__
    assert reading.error.message.startswith(f"{content.model_path}:{error}")
    assert "\n" not in reading.error.message


def test_a_model_sees_what_the_pipeline_of_its_file_left(tmp_path: Path) -> None:
    text = (PIPELINE + MODEL).replace("def make():", "def make():\n    make.units = 7")
    content = task(tmp_path, pipeline=text.replace("Dense(1)", "Dense(make.units)"))
    content.model_path = content.path
    dataset_of(content)
    assert user_model.make_model(content).output_shape == (None, 7)


@pytest.mark.parametrize("batches_a_call", [1, 4])
def test_every_batch_is_a_training_step(tmp_path: Path, batches_a_call: int) -> None:
    """Also where Keras makes several steps in one call."""
    compiled = f'loss="mse", steps_per_execution={batches_a_call}'
    content = task(tmp_path, model=MODEL.replace('loss="mse"', compiled))
    model = user_model.make_model(content)
    training = user_pipeline._Training(dataset_of(content), model, content)
    batches = training.window_batches(0.005, epoch=10)
    assert batches % batches_a_call == 0
    before = int(model.optimizer.iterations)
    training.window(batches)()
    assert int(model.optimizer.iterations) - before == batches


def test_turns_are_windows_of_training_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[keras.Model] = []
    make = user_model.make_model
    monkeypatch.setattr(
        user_model, "make_model", lambda task: models.append(make(task)) or models[-1]
    )
    steps: list[int] = []

    class TwoTurns:
        """It requests two turns, in place of the runner."""

        def __init__(self, path: str) -> None:
            pass

        def example(self) -> None:
            return None

        def serve(self, work: turns.TurnWork, clock: object) -> list[turns.Turn]:
            for _ in range(2):
                before = int(models[0].optimizer.iterations)
                work.window()
                steps.append(int(models[0].optimizer.iterations) - before)
            return [turns.Turn(0.1, 0.1)] * 2

    monkeypatch.setattr(turns, "TurnWorker", TwoTurns)
    content = task(tmp_path, epoch=10)
    measured = user_pipeline.drain_pipeline(trial(tmp_path, content), "", 0.01)
    assert measured.error is None
    assert steps == [measured.batches_per_sample] * 2


def test_a_first_look_trains_on_both_sides(tmp_path: Path) -> None:
    """Without its model neither side could be timed."""
    content = task(tmp_path, against=PIPELINE, epoch=10)
    comparison = user_pipeline.compare_pipelines(trial(tmp_path, content))
    assert comparison.error is None
    assert comparison.outcome == "same"
    assert comparison.ratio > 0
    content.model_call = "missing()"
    comparison = user_pipeline.compare_pipelines(trial(tmp_path, content))
    assert comparison.error.type == ModelError.__name__


def test_a_reading_has_the_model_alone_and_training(tmp_path: Path) -> None:
    """A pipeline of 40 ms a batch is not as fast as its full buffers of 20 batches."""
    slow = SLOW.replace("map(stage)", "map(stage).repeat().prefetch(20)")
    content = task(tmp_path, pipeline=slow, call="slow()", against=slow, epoch=10)
    reading = user_pipeline.read_pipeline(trial(tmp_path, content))
    assert reading.error is None
    assert reading.training_seconds_per_batch > 0.036
    assert 0 < reading.model_seconds_per_batch < reading.training_seconds_per_batch


def test_a_training_step_may_return_what_it_likes(tmp_path: Path) -> None:
    """Keras's own step returns the value `loss`."""
    step = "    def train_step(self, data):\n"
    step += '        return {"mine": {"own": super().train_step(data)["loss"]}}\n\n'
    own = MODEL.replace("keras.Sequential(", "Own(")
    own = own.replace("def build", f"class Own(keras.Sequential):\n{step}def build")
    content = task(tmp_path, model=own)
    side = user_pipeline._side(dataset_of(content), content)
    assert side.window(3)() is None
