"""The key of a trial, and its strategy."""

import pytest

from bench.pipeline import STRATEGIES, Pipeline
from bench.trial import Trial


def test_the_key_of_the_defaults_is_the_name() -> None:
    """The key has no default values, so a new axis changes no stored key."""
    assert Trial(workload="prose").key == "prose"


def test_the_key_has_differing_values_in_the_order_of_the_fields() -> None:
    """Consumer, unit and data come first; truth values are in lower case."""
    trial = Trial(
        workload="text_vectorization",
        pipeline=Pipeline(
            deterministic=False,
            map_parallel_calls="autotune",
            order="batch_map",
            batch_size=256,
        ),
        consumer="train",
        unit="epoch",
        data="my/folder",
    )
    assert trial.key == (
        "text_vectorization[consumer=train,unit=epoch,data=my/folder,batch_size=256,"
        "order=batch_map,map_parallel_calls=autotune,deterministic=false]"
    )


def test_trials_are_equal_where_their_keys_are() -> None:
    """Trials can be put into sets."""
    trials = {Trial(workload="prose", pipeline=Pipeline(prefetch=n)) for n in (0, 2, 2)}
    assert {trial.key for trial in trials} == {"prose", "prose[prefetch=2]"}


def test_a_strategy_is_known_whatever_the_batch_size() -> None:
    """A strategy has exactly its own axes."""
    for name, settings in STRATEGIES.items():
        for size in (32, 256):
            pipeline = Pipeline(**{**settings, "batch_size": size})
            assert Trial(workload="prose", pipeline=pipeline).strategy == name
    other = Trial(workload="prose", pipeline=Pipeline(prefetch=7))
    assert other.strategy == ""


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({}, "naive"),
        ({"batch_size": 256, "device": "cpu"}, "naive,device=cpu,batch_size=256"),
        ({"prefetch": 1}, "prefetch=1"),
        ({"order": "batch_map", "shuffle_buffer": 8}, "vectorized,shuffle_buffer=8"),
        ({"placement": "model", "prefetch": 2, "jit": "on"}, "in_model,jit=on"),
        ({"placement": "model", "jit": "on"}, "placement=model,jit=on"),
    ],
)
def test_a_label_names_the_nearest_strategy_and_the_rest(settings, label) -> None:
    """So a reader sees names in place of a list of settings."""
    assert Trial(workload="prices", pipeline=Pipeline(**settings)).label == label
