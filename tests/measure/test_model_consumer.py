"""The consumer `model` makes training steps on one batch that is held in memory."""

import pytest
import tensorflow as tf

from bench import catalog
from bench.measure import assembly, consumers
from bench.measure.tf_data import options
from bench.pipeline import Pipeline
from bench.plan.refusals import HELD, refusal

PROSE = catalog.find("prose")


@pytest.mark.parametrize(
    "settings",
    [
        {"prefetch": 2},
        {"cache": "raw"},
        {"order": "batch_map"},
        {"map_parallel_calls": 2, "shuffle_buffer": 8},
    ],
)
def test_how_the_batch_was_made_is_refused(settings):
    reason = refusal(Pipeline(**settings), "model", "window", PROSE)
    assert reason.startswith("model: its one batch is held in memory")
    assert all(name in reason for name in settings)


def test_offline_and_epochs_are_refused():
    offline = refusal(Pipeline(placement="offline"), "model", "window", PROSE)
    assert "use placement=dataset" in offline
    assert "unit=window" in refusal(Pipeline(), "model", "epoch", PROSE)


@pytest.mark.parametrize(
    "settings",
    [{}, {"batch_size": 256}, {"device": "cpu", "jit": "on"}, {"placement": "model"}],
)
def test_what_a_step_depends_on_is_allowed(settings):
    assert set(settings) <= set(HELD)
    assert refusal(Pipeline(**settings), "model", "window", PROSE) is None


def test_it_needs_a_model():
    flip = catalog.find("random_flip")
    assert "no model to train" in refusal(Pipeline(), "model", "window", flip)


class OneWeight(assembly.Assembly):
    """An assembly whose model has one weight."""

    def model(self, batch):
        """Return a compiled model for features `[batch, 1]`."""
        model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(1)])
        model.compile(loss="mse", jit_compile=False)
        return model


def test_one_batch_is_made_and_every_step_trains_on_it():
    calls = tf.Variable(0, dtype=tf.int64)

    def example(_):
        calls.assign_add(1)
        return tf.ones([1]), tf.ones([1])

    dataset = tf.data.Dataset.range(10_000).repeat().map(example).batch(4)
    # As trials have it: with tf.data's own prefetch a thread would make more.
    dataset = dataset.with_options(options(Pipeline()))
    one = OneWeight(Pipeline(), PROSE, None, None, [], 0, "/CPU:0")
    consumer = one.consumer(dataset, "model")
    consumer.trace()
    consumer.step()
    before = int(calls)
    traces = consumer.traces()
    consumer.window(50)()
    assert int(calls) == before
    assert consumer.traces() == traces


def test_an_empty_step_is_timed_by_the_step():
    ticks = iter(range(10_000))
    batch = (tf.ones([4, 2]), tf.ones([4]))
    facts = consumers.step_facts(batch, "/CPU:0", clock=lambda: float(next(ticks)))
    # The clock moves by one in every window of 20 steps.
    assert facts == {"empty_step_seconds_per_batch": pytest.approx(1 / 20)}


def test_an_empty_step_takes_real_time():
    batch = (tf.ones([4, 2]), tf.ones([4]))
    (seconds,) = consumers.step_facts(batch, "/CPU:0").values()
    assert 1e-5 < seconds < 0.5
