"""Draws an example or a batch, seeds in a parallel map, and random layers at rest."""

import random

import keras
import numpy as np
import pytest
import shelf
import tensorflow as tf

from bench.errors import UsageError
from bench.measure import randomness
from bench.measure.assembly import Assembly
from bench.pipeline import Pipeline


def work(name: str, **axes: object) -> Assembly:
    """Of images of 16 pixels."""
    return shelf.work(name, image_size=16, **axes)


def test_random_crop_draws_once_a_batch():
    """Batched first, all 64 copies share one window, and a seed repeats it."""
    found = randomness.facts(work("random_crop", order="batch_map"), "drain")
    assert found == {
        "draws": "per batch",
        "distinct_draws": 1,
        "reproducible": "yes",
        "epochs_repeat": "no",
    }


def test_random_crop_draws_for_each_example_that_it_meets_alone():
    """In map before batch, each example is a call of its own."""
    found = randomness.facts(work("random_crop"), "drain")
    assert found["draws"] == "per example"
    assert 2 <= found["distinct_draws"] <= 9  # 16 pixels to 14: three by three windows
    assert found["reproducible"] == "yes"


def test_random_flip_draws_for_each_example_of_a_batch():
    """The image or its mirror: two outcomes; in the model nothing is told of seeds."""
    found = randomness.facts(work("random_flip", placement="model"), "drain")
    assert found == {
        "draws": "per example",
        "distinct_draws": 2,
    }


def test_a_deterministic_layer_has_no_draws():
    """Nothing is said of it."""
    found = randomness.facts(work("rescaling"), "drain")
    assert found == {}


@pytest.mark.parametrize(
    ("order", "expected"),
    [("batch_map", "among the examples of a batch"), ("map_batch", "none")],
)
def test_a_layer_that_mixes_examples_draws_among_a_batch(order, expected):
    """Copies of one example come out the same, and a single example has no partner."""
    one = work("random_flip", order=order, batch_size=16)
    one.module.build = lambda features: keras.layers.MixUp(seed=1)
    one.layers = [keras.layers.MixUp(seed=1)]
    found = randomness.facts(one, "drain")
    assert (found["draws"], found["distinct_draws"]) == (expected, 1)
    assert "reproducible" not in found


def test_a_choice_that_tracing_froze_is_among_the_draws():
    """Beside what each example draws."""
    layers = [
        keras.layers.RandomBrightness(0.2, seed=1),
        keras.layers.Lambda(lambda x: x * random.random()),
    ]
    one = work("random_flip")
    one.layers = layers
    one.module.build = lambda features: layers
    assert randomness.facts(one, "drain")["draws"] == "per example and per trace"


class Counting(keras.layers.Layer):
    """Adds how often any instance was called in the process: no seed repeats that."""

    calls = tf.Variable(0, dtype=tf.int64, trainable=False)

    def call(self, images: tf.Tensor, training: bool = True) -> tf.Tensor:
        images = tf.cast(images, tf.float32)
        return images + tf.cast(Counting.calls.assign_add(1), tf.float32)


def test_what_two_builds_do_not_repeat_is_not_reproducible(monkeypatch):
    """The second pipeline goes on where the first ended, as threads in a race would."""
    one = work("random_flip")
    monkeypatch.setattr(one.module, "build", lambda features: Counting())
    found = randomness.draw_facts(one, tf.zeros([2, 16, 16, 3], tf.uint8))
    assert found["reproducible"] == "no"
    assert found["distinct_draws"] == 64


def test_the_pipelines_own_parallelism_is_what_is_repeated(monkeypatch):
    """The parallel map reaches tf.data as the trial has it; nothing else moves."""
    seen = []

    def build(p, source, decode, layers, **settings):
        seen.append(p)
        return source.map(lambda image: (layers(image),)).batch(p.batch_size)

    monkeypatch.setattr(randomness, "build", build)
    one = work("random_flip", map_parallel_calls=2, prefetch=2, cache="raw")
    found = randomness.draw_facts(one, images())
    assert found["reproducible"] == "yes"
    assert seen == [Pipeline(batch_size=2, map_parallel_calls=2)] * randomness.RUNS


def images() -> tf.Tensor:
    """Sixteen images no one of which is its own mirror."""
    return tf.constant(np.random.default_rng(0).uniform(0, 255, (16, 8, 8, 3)))


def test_random_layers_are_the_identity_outside_training():
    """Rescaling works and is not random, so it is not asked to be the identity."""
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.RandomFlip(seed=1)]
    found = randomness.outside_training(layers, images())
    assert found == {"identity_outside_training": "yes"}


def test_random_crop_outside_training_does_not_even_crop():
    """The identity, and so another shape than in training: keras #21868, in 3.15."""
    layers = [keras.layers.RandomCrop(4, 4, seed=1)]
    assert randomness.outside_training(layers, images()) == {
        "identity_outside_training": "yes",
        "shape_outside_training": "RandomCrop: (8, 8, 3), in training (4, 4, 3)",
    }


class Centred(keras.layers.Layer):
    """A window of four pixels: any in training, else the middle."""

    def call(self, images: tf.Tensor, training: bool = True) -> tf.Tensor:
        start = tf.random.uniform([], 0, 5, tf.int32) if training else 2
        return tf.cast(images, tf.float32)[:, start : start + 4, start : start + 4]


def test_a_centre_crop_outside_training_is_deterministic():
    """Not the identity, but always the same: said, with the layer's name."""
    assert randomness.outside_training([Centred()], images()) == {
        "identity_outside_training": "deterministic",
        "not_identity_outside_training": "Centred",
    }


def test_a_lambda_still_draws_outside_training():
    """It is not told whether this is training."""
    layers = [
        keras.layers.RandomFlip(seed=1),
        keras.layers.Lambda(
            lambda x: x + tf.random.uniform(tf.shape(x), dtype=x.dtype)
        ),
    ]
    assert randomness.outside_training(layers, images()) == {
        "identity_outside_training": "no",
        "not_identity_outside_training": "Lambda",
    }


def test_predict_and_evaluate_agree_that_random_layers_rest():
    """What `outside_training` says is what Keras does in a model."""
    features = keras.Input([8, 8, 3])
    flipped = keras.layers.RandomFlip(seed=1)(features)
    model = keras.Model(features, flipped)
    model.compile(loss="mse")
    given = images().numpy().astype(np.float32)
    np.testing.assert_array_equal(model.predict(given, verbose=0), given)
    assert model.evaluate(given, given, verbose=0) == 0
    assert not np.array_equal(model(given, training=True), given)


def test_layers_that_repeat_themselves_are_refused_as_random():
    """One of them that draws is enough; what fails is left to the gate."""
    given = images().numpy()
    still, drawing = keras.layers.Rescaling(2.0), keras.layers.RandomFlip(seed=1)
    with pytest.raises(UsageError) as caught:
        randomness.demand([still], given)
    assert str(caught.value) == (
        "DETERMINISTIC = False, but 12 calls with one batch gave the same: nothing is "
        "random."
    )
    randomness.demand([still, drawing], given)
    chosen = random.Random(1)
    once = keras.layers.Lambda(lambda x: x + chosen.random())
    with pytest.raises(UsageError) as caught:
        randomness.demand([once], given)
    assert str(caught.value) == (
        "DETERMINISTIC = False, but 12 calls with one batch gave the same: the layers "
        "draw only while they are traced. Draw by keras.random or tf.random, not by "
        "Python's or NumPy's random."
    )
    randomness.demand([keras.layers.Reshape([7])], given)
