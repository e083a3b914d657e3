"""These tests find layers that do nothing, and cover the flags that facts raise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench import catalog
from bench.data import inputs
from bench.flags import FLAGS, NOT_RANKED
from bench.measure import layer_facts
from bench.measure.assembly import Assembly, build_result
from bench.measure.layers import apply_layers, as_layers
from bench.pipeline import pipeline

L = keras.layers
NUMBERS = tf.constant(np.random.default_rng(0).normal(size=(4, 3)), tf.float32)
BYTES = tf.constant([[1, 2], [3, 4]], tf.uint8)


def unchanged(layers, raw, output, *, random=False):
    """Return the facts on two equal batches."""
    return layer_facts.unchanged(layers, [(raw, output), (raw, output)], random=random)


def test_a_layer_that_was_never_adapted_is_detected():
    """Its output equals its input, perhaps in another type."""
    layer = L.Normalization()
    layer.build([None, 3])
    assert unchanged([layer], NUMBERS, layer(NUMBERS)) == {"unchanged_examples": 8}
    whole = tf.cast(BYTES, tf.float32)
    assert unchanged([layer], BYTES, whole) == {"unchanged_examples": 4}
    layer.adapt(NUMBERS)
    assert unchanged([layer], NUMBERS, layer(NUMBERS)) == {}


def test_a_layer_of_a_chain_that_was_never_adapted_is_named():
    """The layers before and after hide this layer from the chain's output."""
    idle, fit = L.Normalization(), L.Normalization()
    idle.build([None, 3])
    fit.adapt(NUMBERS)
    for layers, names in (
        ([L.Rescaling(2.0), idle, L.Rescaling(0.5, offset=1.0)], "Normalization"),
        ([L.Rescaling(2.0), fit], None),
    ):
        output = apply_layers(layers, NUMBERS)
        result = unchanged(layers, NUMBERS, output)
        assert result.get("unchanged_layers") == names
        assert layer_facts.flags(result) == (["output_is_input"] if names else [])


def test_a_layer_may_change_only_the_type():
    """A layer that is declared random may not: MixUp leaves a single example alone."""
    whole = tf.cast(BYTES, tf.float32)
    assert unchanged([L.Rescaling(1.0)], BYTES, whole) == {}
    assert unchanged([L.MixUp()], BYTES, whole, random=True) == {
        "unchanged_examples": 4
    }


def test_layers_that_do_nothing_on_purpose_are_exempt():
    assert unchanged([L.Identity()], NUMBERS, NUMBERS) == {}
    assert unchanged([], NUMBERS, NUMBERS) == {}
    assert unchanged([L.Rescaling(1.0)], NUMBERS, NUMBERS) == {"unchanged_examples": 8}


def test_missing_numbers_and_texts_are_compared_too():
    missing = tf.constant([[np.nan, 1.0]])
    assert unchanged([L.Rescaling(1.0)], missing, missing) == {"unchanged_examples": 2}
    assert unchanged([L.Rescaling(1.0)], missing, missing + 1) == {}
    texts = tf.constant([["a"], ["b"]])
    assert unchanged([L.Rescaling(1.0)], texts, texts) == {"unchanged_examples": 4}
    assert unchanged([L.Rescaling(1.0)], texts, tf.constant([[1], [2]])) == {}


def test_every_flag_that_facts_raise_has_its_words():
    assert set(layer_facts.RAISED) <= set(FLAGS)
    assert "frozen_trace" in NOT_RANKED
    assert layer_facts.flags({"draws": "per example and per trace"}) == ["frozen_trace"]
    assert layer_facts.flags({"draws": "per batch"}) == ["draws_shared"]
    assert layer_facts.flags({"draws": "per example", "epochs_repeat": "no"}) == []
    assert layer_facts.flags({"epochs_repeat": "yes"}) == ["epochs_repeat"]
    assert layer_facts.flags({"epochs_repeat": "once seeded"}) == [
        "epochs_repeat_seeded"
    ]
    assert layer_facts.flags({"masks_left": "labels of [8, 8]"}) == ["masks_left"]
    assert layer_facts.flags({"unchanged_examples": 64}) == ["output_is_input"]


def test_each_flag_has_full_sentences_and_a_remedy():
    for name, flag in FLAGS.items():
        assert all((flag.mark, flag.meaning, flag.remedy))
        assert bool(flag.caution) == (name != "partly_timed")  # `lumps` has its words
        assert len(flag.mark) <= 40
        assert flag.meaning.endswith(".") and flag.remedy.endswith(".")
        assert flag.bars == ("not ranked" in flag.caution + flag.meaning)


def test_bytes_of_numbers_and_of_text_are_counted_by_the_example():
    text = tf.constant([["ab"], ["cdef"]])
    whole = tf.cast(BYTES, tf.float32)
    assert layer_facts.size_facts([(BYTES, whole), (BYTES, whole)]) == {
        "input_bytes_per_example": 2.0,
        "output_bytes_per_example": 8.0,
    }
    assert layer_facts.size_facts([(text, BYTES)]) == {
        "input_bytes_per_example": 3.0,
        "output_bytes_per_example": 2.0,
    }


def facts_of(name, folder, **axes):
    """Return all facts of a layer's trial, with the folder of a sweep."""
    entry = catalog.find(name)
    module = catalog.load(entry)
    p = pipeline(axes)
    data = inputs.prepare(entry, module, p, "")
    built = build_result(entry, module, data)
    layers = as_layers(built, with_labels=entry.takes_labels)
    assembly = Assembly(p, entry, module, data, layers, inputs.SEED, "/CPU:0")
    return layer_facts.facts(assembly, "drain", assembly.raw_and_outputs(), folder)


def test_trials_of_other_batches_and_sizes_share_the_slow_facts(tmp_path, monkeypatch):
    first = facts_of("rescaling", tmp_path, order="batch_map", image_size=16)
    assert (first["supports_jit"], first["output_bytes_per_example"]) == ("yes", 3072)
    monkeypatch.setattr(layer_facts, "jit_refusal", lambda _: "it was tried again")
    same = {"order": "batch_map", "image_size": 32, "batch_size": 64}
    other = facts_of("rescaling", tmp_path, **same)
    assert (other["supports_jit"], other["output_bytes_per_example"]) == ("yes", 12288)
    assert facts_of("rescaling", tmp_path)["jit_refusal"] == "it was tried again"


@pytest.mark.parametrize(
    ("name", "alone"), [("mix_up", "unchanged"), ("rescaling", None)]
)
def test_a_layer_that_mixes_a_batch_does_nothing_to_one_example(tmp_path, name, alone):
    facts = facts_of(name, tmp_path, order="batch_map", image_size=16)
    assert facts.get("alone") == alone
    assert "unchanged_examples" not in facts
