"""These tests distinguish draws once an example, once a batch and once a trace."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.measure import random_draws
from bench.measure.layers import graph_function, to_numpy

COPIES = 8


def image() -> tf.Tensor:
    """Return an image of soft tiles, which shows noise, blur and distortion."""
    rng = np.random.default_rng(0)
    tiles = np.kron(rng.uniform(20, 230, (4, 4, 3)), np.ones((4, 4, 1)))
    return tf.constant(tiles + rng.normal(0, 5, tiles.shape), tf.float32)


def levels(layer: keras.Layer) -> list[str]:
    """Return what has its own draw in a layer."""
    copies = tf.repeat(image()[None], COPIES, axis=0)
    call = graph_function([layer])
    return random_draws.levels([to_numpy(call(copies)) for _ in range(COPIES)])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (keras.layers.RandomFlip(seed=1), ["example"]),
        (keras.layers.RandomContrast(0.5, seed=1), ["example"]),
        (keras.layers.GaussianNoise(0.5, seed=1), ["example"]),
        (keras.layers.RandomCrop(12, 12, seed=1), ["batch"]),
        (keras.layers.RandomGaussianBlur(seed=1), ["example", "batch"]),
        (keras.layers.RandAugment(seed=1), ["example", "batch"]),  # of operations
        (keras.layers.Rescaling(2.0), []),
        (keras.layers.MixUp(seed=1), []),  # of an image with itself: only rounding
    ],
)
def test_shared_draws_of_a_batch_are_detected(
    layer: keras.Layer, expected: list[str]
) -> None:
    assert levels(layer) == expected


def test_outputs_of_calls_are_grouped_by_value_by_distance_or_by_strength() -> None:
    rng = np.random.default_rng(0)
    independent = rng.normal(size=(8, 8, 30))
    assert not random_draws.is_grouped(independent)
    assert random_draws.is_grouped(independent + 2 * rng.normal(size=(8, 1, 30)))
    assert random_draws.is_grouped(independent * np.exp(rng.normal(size=(8, 1, 1))))
    words = np.array(["a", "b"])[rng.integers(0, 2, (8, 8, 1))]
    assert not random_draws.is_grouped(words)
    words[::2, :, 0] = "c"
    assert random_draws.is_grouped(words)


def test_independent_draws_rarely_seem_shared() -> None:
    """The outputs are coin flips with several chances of heads."""
    rng = np.random.default_rng(1)
    flips = [rng.random((8, 8, 1)) < share for share in (0.1, 0.3, 0.5) * 20]
    assert (
        sum(random_draws.is_grouped(outputs.astype(float), 500) for outputs in flips)
        <= 2
    )


def test_draws_during_tracing_are_frozen() -> None:
    """The generator is Python's, NumPy's, or the layer's own."""
    own = np.random.default_rng(0)
    choices = [
        lambda x: x * random.choice([1.0, 2.0]),
        lambda x: tf.reverse(x, [0]) if np.random.uniform() < 0.5 else x,
        lambda x: x + own.normal(),
    ]
    for choose in choices:
        comparison = random_draws.compare_traces([keras.layers.Lambda(choose)], image())
        assert comparison == random_draws.TraceComparison(
            frozen=True, begins_again=False
        )


@pytest.mark.parametrize(
    ("call", "begins_again"),
    [
        (lambda x: x + tf.random.uniform([]), True),
        (lambda x: tf.cond(x[0, 0, 0] > 0, lambda: tf.image.random_hue(x, 0.1),
                           lambda: x), True),
        (lambda x: tf.numpy_function(lambda a: a + random.random(), [x], x.dtype),
         False),
        (lambda x: tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * 2),
                                 [0, x])[1], False),
    ],
)  # fmt: skip
def test_draws_in_the_graph_are_not_frozen(call, begins_again: bool) -> None:
    """Texts of assertions, tokens of Python functions, and names are not draws."""

    def checked(x: tf.Tensor) -> tf.Tensor:
        tf.debugging.assert_greater(tf.reduce_max(x), -1.0, message=x.name)
        return call(x)

    comparison = random_draws.compare_traces([keras.layers.Lambda(checked)], image())
    assert comparison == random_draws.TraceComparison(
        frozen=False, begins_again=begins_again
    )


def test_tracing_leaves_the_generators_as_they_were() -> None:
    random.seed(5)
    np.random.seed(5)
    expected = random.Random(5).random(), np.random.RandomState(5).uniform()
    assert random_draws.compare_traces(
        [keras.layers.AugMix(seed=1)], image()
    ).frozen  # its chain
    assert (random.random(), np.random.uniform()) == expected
