"""These tests cover draws of layers, seeds in a parallel map, and inference."""

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


def assembly(name: str, **axes: object) -> Assembly:
    """Return an assembly for images of 16 pixels."""
    return shelf.assembly(name, image_size=16, **axes)


def test_random_crop_draws_once_a_batch():
    """In a batch all 64 copies share one window, and a seed repeats the window."""
    facts = randomness.facts(assembly("random_crop", order="batch_map"), "drain")
    assert facts == {
        "draws": "per batch",
        "distinct_draws": 1,
        "reproducible": "yes",
        "epochs_repeat": "no",
    }


def test_random_crop_draws_for_each_bare_example():
    """With map before batch, each example is its own call."""
    facts = randomness.facts(assembly("random_crop"), "drain")
    assert facts["draws"] == "per example"
    assert 2 <= facts["distinct_draws"] <= 9  # 16 pixels to 14: three by three windows
    assert facts["reproducible"] == "yes"


def test_random_flip_draws_for_each_example_of_a_batch():
    """There are two outcomes; in the model there is no fact on seeds."""
    facts = randomness.facts(assembly("random_flip", placement="model"), "drain")
    assert facts == {
        "draws": "per example",
        "distinct_draws": 2,
    }


def test_a_deterministic_layer_has_no_draws():
    assert randomness.facts(assembly("rescaling"), "drain") == {}


@pytest.mark.parametrize(
    ("order", "expected"),
    [("batch_map", "among the examples of a batch"), ("map_batch", "none")],
)
def test_a_layer_that_mixes_examples_draws_among_a_batch(order, expected):
    """Copies of one example stay equal, and a single example has no partner."""
    flips = assembly("random_flip", order=order, batch_size=16)
    flips.module.build = lambda features: keras.layers.MixUp(seed=1)
    flips.layers = [keras.layers.MixUp(seed=1)]
    facts = randomness.facts(flips, "drain")
    assert (facts["draws"], facts["distinct_draws"]) == (expected, 1)
    assert "reproducible" not in facts


def test_a_draw_during_tracing_is_among_the_draws():
    """Another layer draws for each example."""
    layers = [
        keras.layers.RandomBrightness(0.2, seed=1),
        keras.layers.Lambda(lambda x: x * random.random()),
    ]
    flips = assembly("random_flip")
    flips.layers = layers
    flips.module.build = lambda features: layers
    assert randomness.facts(flips, "drain")["draws"] == "per example and per trace"


class Counting(keras.layers.Layer):
    """This layer adds its number of calls in the process, which no seed repeats."""

    calls = tf.Variable(0, dtype=tf.int64, trainable=False)

    def call(self, images: tf.Tensor, training: bool = True) -> tf.Tensor:
        images = tf.cast(images, tf.float32)
        return images + tf.cast(Counting.calls.assign_add(1), tf.float32)


def test_outputs_that_differ_between_two_builds_are_not_reproducible(monkeypatch):
    """The second pipeline continues the count of the first."""
    flips = assembly("random_flip")
    monkeypatch.setattr(flips.module, "build", lambda features: Counting())
    facts = randomness.draw_facts(flips, tf.zeros([2, 16, 16, 3], tf.uint8))
    assert facts["reproducible"] == "no"
    assert facts["distinct_draws"] == 64


def test_the_repeated_pipeline_has_the_trials_parallelism(monkeypatch):
    """Other axes, such as the cache, have their defaults."""
    pipelines = []

    def build(p, source, decode, layers, **settings):
        pipelines.append(p)
        return source.map(lambda *record: layers(record)).batch(p.batch_size)

    monkeypatch.setattr(randomness, "build", build)
    flips = assembly("random_flip", map_parallel_calls=2, prefetch=2, cache="raw")
    facts = randomness.draw_facts(flips, images())
    assert facts["reproducible"] == "yes"
    expected = Pipeline(batch_size=2, map_parallel_calls=2)
    assert pipelines == [expected] * randomness.RUNS


def images() -> tf.Tensor:
    """Return sixteen images, none of which is its own mirror image."""
    return tf.constant(np.random.default_rng(0).uniform(0, 255, (16, 8, 8, 3)))


def test_random_layers_are_the_identity_outside_training():
    """Rescaling is not random, so it need not be the identity."""
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.RandomFlip(seed=1)]
    facts = randomness.outside_training(layers, images())
    assert facts == {"identity_outside_training": "yes"}


def test_random_crop_outside_training_does_not_even_crop():
    """The output shape differs from training: keras #21868, in 3.15."""
    layers = [keras.layers.RandomCrop(4, 4, seed=1)]
    assert randomness.outside_training(layers, images()) == {
        "identity_outside_training": "yes",
        "shape_outside_training": "RandomCrop: (8, 8, 3), in training (4, 4, 3)",
    }


class Centred(keras.layers.Layer):
    """This layer crops to four pixels: a random window in training, else the centre."""

    def call(self, images: tf.Tensor, training: bool = True) -> tf.Tensor:
        start = tf.random.uniform([], 0, 5, tf.int32) if training else 2
        return tf.cast(images, tf.float32)[:, start : start + 4, start : start + 4]


def test_a_centre_crop_outside_training_is_deterministic():
    """The facts have the layer's name."""
    assert randomness.outside_training([Centred()], images()) == {
        "identity_outside_training": "deterministic",
        "not_identity_outside_training": "Centred",
    }


def test_a_lambda_still_draws_outside_training():
    """Keras does not pass the training flag to a Lambda."""
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


def test_random_layers_do_not_draw_in_predict_and_evaluate():
    """Keras does the same in a model as `outside_training` finds."""
    features = keras.Input([8, 8, 3])
    flipped = keras.layers.RandomFlip(seed=1)(features)
    model = keras.Model(features, flipped)
    model.compile(loss="mse")
    batch = images().numpy().astype(np.float32)
    np.testing.assert_array_equal(model.predict(batch, verbose=0), batch)
    assert model.evaluate(batch, batch, verbose=0) == 0
    assert not np.array_equal(model(batch, training=True), batch)


def test_layers_that_repeat_themselves_are_refused_as_random():
    """One random layer is enough; the later check reports layers that fail."""
    batch = images().numpy()
    fixed, flip = keras.layers.Rescaling(2.0), keras.layers.RandomFlip(seed=1)
    with pytest.raises(UsageError) as caught:
        randomness.demand_random([fixed], batch)
    assert str(caught.value) == (
        "DETERMINISTIC = False, but 12 calls with one batch gave the same: nothing is "
        "random."
    )
    randomness.demand_random([fixed, flip], batch)
    generator = random.Random(1)
    frozen = keras.layers.Lambda(lambda x: x + generator.random())
    with pytest.raises(UsageError) as caught:
        randomness.demand_random([frozen], batch)
    assert str(caught.value) == (
        "DETERMINISTIC = False, but 12 calls with one batch gave the same: the layers "
        "draw only while they are traced. Draw by keras.random or tf.random, not by "
        "Python's or NumPy's random."
    )
    randomness.demand_random([keras.layers.Reshape([7])], batch)
