"""Plain examples, on which right layers may fail a check, are named as the cause."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench import catalog
from bench.errors import UsageError
from bench.measure import check, plain_data, randomness
from bench.pipeline import Pipeline


def images(count: int, plain: int, edge: int = 8) -> np.ndarray:
    """Return random images, the first ones of one colour."""
    images = np.random.default_rng(1).integers(0, 255, (count, edge, edge, 3))
    images[:plain] = images[:plain, :1, :1]
    return images.astype(np.uint8)


@pytest.mark.parametrize(
    ("examples", "sentence"),
    [
        (images(64, 12), "12 of 64 checked images are of one colour"),
        (images(64, 1), "1 of 64 checked images is of one colour"),
        (images(4, 0, edge=1), "4 of 4 checked images are of one colour"),
        (images(64, 0), ""),
        (np.array([[1.0, 1], [1, 2]]), "1 of 2 checked examples is of one value"),
        (np.array([1.0, 1]), ""),
        (np.array([["a", "a"]]), ""),
        (np.zeros((0, 2)), ""),
    ],
)
def test_plain_examples_are_counted(examples: np.ndarray, sentence: str) -> None:
    assert plain_data.sentence(examples) == sentence


@pytest.mark.parametrize("plain", [0, 12])
def test_a_check_that_fails_names_plain_images(plain: int) -> None:
    """Its own message follows."""

    def refuse(batch: np.ndarray, output: np.ndarray) -> None:
        raise AssertionError("only 81% of the images changed")

    batch = tf.constant(images(64, plain))
    entry = SimpleNamespace(deterministic=False, variant={})
    with pytest.raises(AssertionError) as caught:
        module = SimpleNamespace(check=refuse)
        check.check(entry, module, Pipeline(), [(batch, batch)], lambda batch: batch)
    cause = (
        "12 of 64 checked images are of one colour, so the data may be the cause:\n"
        if plain
        else ""
    )
    assert str(caught.value) == f"{cause}only 81% of the images changed"


def test_a_workload_says_that_plain_images_do_not_change() -> None:
    """The check of a shelf's file fails on them, although its layers are right."""
    entry = catalog.find("cifar_augmentation:flip_only")
    module = catalog.load(entry)
    batch = tf.constant(images(64, 64))
    with pytest.raises(AssertionError) as caught:
        scaled = tf.cast(batch, tf.float32) / 255
        check.check(entry, module, Pipeline(), [(batch, scaled)], lambda batch: scaled)
    assert str(caught.value) == (
        "64 of 64 checked images are of one colour, so the data may be the cause:\n"
        "100% of images are mirrored"
    )


def test_random_layers_that_plain_images_do_not_show() -> None:
    layers = [keras.layers.RandomFlip("horizontal")]
    with pytest.raises(UsageError) as caught:
        randomness.demand_random(layers, images(64, 64))
    assert str(caught.value) == (
        "DETERMINISTIC = False, but 12 calls with one batch gave the same: 64 of 64 "
        "checked images are of one colour. Use other data."
    )
