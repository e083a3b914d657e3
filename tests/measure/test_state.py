"""These tests adapt, restore and save the state of every layer that has state."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench import catalog

STATEFUL = (
    "discretization",
    "integer_lookup",
    "normalization",
    "string_lookup",
    "text_vectorization",
)
VARIANTS = [
    name
    for stem in STATEFUL
    for name in (stem, *(f"{stem}:{v}" for v in catalog.find(stem).variants))
]
LINES = [
    "The Brain is wider than the Sky",
    "For put them side by side",
    "The one the other will contain",
    "With ease and You beside",
]


def layer_and_examples(name: str) -> tuple[keras.Layer, tf.Tensor]:
    """Return the first layer of an entry, with 64 raw examples."""
    entry = catalog.find(name)
    module = catalog.load(entry)
    raw = module.examples(np.random.default_rng(3), 64)
    layers = module.build(raw, **entry.variant)
    layer = layers[0] if isinstance(layers, list) else layers
    return layer, tf.constant(raw)


def test_string_lookup_orders_by_count_then_from_high_to_low() -> None:
    """The most frequent word comes first; an unknown word is 0."""
    layer = keras.layers.StringLookup()
    layer.adapt(np.array(["cyan", "turquoise", "celeste", "turquoise"]))
    assert layer.get_vocabulary() == ["[UNK]", "turquoise", "cyan", "celeste"]
    assert layer(tf.constant(["azure", "cyan"])).numpy().tolist() == [0, 2]


def test_string_lookup_breaks_ties_from_high_to_low() -> None:
    """Equally frequent words come in reverse alphabetical order."""
    layer = keras.layers.StringLookup()
    layer.adapt(np.array(["cyan", "turquoise", "celeste"]))
    assert layer.get_vocabulary() == ["[UNK]", "turquoise", "cyan", "celeste"]
    assert layer(tf.constant(["azure", "cyan"])).numpy().tolist() == [0, 2]


@pytest.mark.parametrize("mode", ["multi_hot", "tf_idf"])
def test_bigrams_of_four_lines_are_41_terms(mode: str) -> None:
    """The terms are words and pairs of words, with one place for unknown words."""
    layer = keras.layers.TextVectorization(ngrams=2, output_mode=mode)
    layer.adapt(np.array(LINES))
    vocabulary = layer.get_vocabulary()
    assert len(vocabulary) == 41
    vector = layer(tf.constant(["The Brain is deeper than the sea"])).numpy()
    assert vector.shape == (1, 41)
    present = {vocabulary[place] for place in vector[0].nonzero()[0]}
    terms = {"the", "brain", "is", "than", "the brain", "brain is", "than the"}
    assert present == {*terms, "[UNK]"}


def test_hashing_then_one_hot_is_a_vector_of_64() -> None:
    """Each key has exactly one of 64 places."""
    entry = catalog.find("hashing:one_hot")
    module = catalog.load(entry)
    raw = module.examples(np.random.default_rng(3), 16)
    hashing, encoding = module.build(raw, **entry.variant)
    vectors = encoding(hashing(tf.constant(raw))).numpy()
    assert vectors.shape == (16, 64)
    assert (vectors.sum(axis=1) == 1).all()


def test_farmhash_in_python_is_tensorflow_s() -> None:
    """The check's own hash agrees with the operation behind the layer."""
    module = catalog.load(catalog.find("hashing"))
    rng = np.random.default_rng(3)
    keys = [rng.bytes(size).replace(b"\0", b"x") for size in range(8, 17)] * 4
    bins = tf.strings.to_hash_bucket_fast(keys, 2**62).numpy().tolist()
    assert [module._farmhash64(key) % 2**62 for key in keys] == bins


@pytest.mark.parametrize("stem", STATEFUL)
def test_arrays_datasets_and_given_state_agree(stem: str) -> None:
    """The output does not depend on the way in which a layer got its state."""
    names = (stem, f"{stem}:adapt_dataset", f"{stem}:given")
    outputs = [layer(raw).numpy() for layer, raw in map(layer_and_examples, names)]
    for output in outputs[1:]:
        if stem == "discretization":
            # Learned boundaries are approximate: few values fall into the next bin.
            assert np.abs(output - outputs[0]).max() <= 1
            assert (output != outputs[0]).mean() < 0.15
        else:
            np.testing.assert_allclose(output, outputs[0], rtol=1e-4, atol=1e-5)


# Keras 3.15 saves a Normalization through np.array() of its variables, whose
# __array__ knows no `copy` yet; NumPy 2 warns of that.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", VARIANTS)
def test_a_saved_layer_gives_the_same_output(name: str, tmp_path: Path) -> None:
    """A `.keras` file saves and restores the layer."""
    layer, raw = layer_and_examples(name)
    kind = "string" if raw.dtype == tf.string else raw.dtype.name
    inputs = keras.Input(raw.shape[1:], dtype=kind)
    path = tmp_path / "layer.keras"
    keras.Model(inputs, layer(inputs)).save(path)
    restored = keras.models.load_model(path)
    np.testing.assert_array_equal(restored(raw).numpy(), layer(raw).numpy())


@pytest.mark.parametrize("name", VARIANTS)
def test_a_layer_with_restored_state_gives_the_same_output(name: str) -> None:
    """The state is the vocabulary or the layer's statistics."""
    layer, raw = layer_and_examples(name)
    copy = rebuilt(layer)
    np.testing.assert_allclose(copy(raw).numpy(), layer(raw).numpy(), rtol=1e-5)


def rebuilt(layer: keras.Layer) -> keras.Layer:
    """Return a new layer with the state that the old layer exposes."""
    if isinstance(layer, keras.layers.Normalization):
        mean, variance = np.ravel(layer.mean), np.ravel(layer.variance)
        return keras.layers.Normalization(mean=mean, variance=variance)
    if isinstance(layer, keras.layers.Discretization):
        return keras.layers.Discretization(bin_boundaries=layer.bin_boundaries)
    vocabulary = layer.get_vocabulary()
    if not isinstance(layer, keras.layers.TextVectorization):
        copy = type(layer)()
        copy.set_vocabulary(vocabulary)
        return copy
    names = ("output_mode", "ngrams", "max_tokens", "output_sequence_length")
    config = layer.get_config()
    copy = keras.layers.TextVectorization(**{name: config[name] for name in names})
    if config["output_mode"] == "tf_idf":
        weights = layer._lookup_layer.idf_weights.numpy()
        copy.set_vocabulary(vocabulary, idf_weights=weights)
    else:
        copy.set_vocabulary(vocabulary)
    return copy


def swapped(vocabulary: list) -> list:
    """Return the vocabulary with its two most frequent terms exchanged."""
    return [vocabulary[1], vocabulary[0], *vocabulary[2:]]


def shifted(vocabulary: list) -> list:
    """Return the vocabulary with every term one place later."""
    return [vocabulary[-1], *vocabulary[:-1]]


@pytest.mark.parametrize("harm", [swapped, shifted])
@pytest.mark.parametrize(
    "name", [name for name in VARIANTS if "lookup" in name or "text" in name]
)
def test_check_refuses_a_vocabulary_in_another_order(
    name: str, harm: Callable[[list], list]
) -> None:
    """Every word is known, but has another word's place."""
    entry = catalog.find(name)
    module = catalog.load(entry)
    raw = module.examples(np.random.default_rng(3), 64)
    built = module.build(raw, **entry.variant)
    layer, *others = built if isinstance(built, list) else [built]
    module.check(raw, apply([layer, *others], raw), **entry.variant)
    vocabulary = harm(layer.get_vocabulary(include_special_tokens=False))
    if entry.variant.get("mode") == "tf_idf":
        # Special terms come first in the weights: one place, for unknown words.
        weights = layer._lookup_layer.idf_weights.numpy()[1:]
        layer.set_vocabulary(vocabulary, idf_weights=harm(weights.tolist()))
    else:
        layer.set_vocabulary(vocabulary)
    with pytest.raises(AssertionError):
        module.check(raw, apply([layer, *others], raw), **entry.variant)


def apply(layers: list[keras.Layer], raw: np.ndarray) -> np.ndarray:
    """Apply the layers in order; return a NumPy array."""
    features = tf.constant(raw)
    for layer in layers:
        features = layer(features)
    return features.numpy()
