"""Names in sentences are short, say what sets a trial apart, and differ."""

import factory
import pytest

from bench import answers, report, store
from bench.errors import UsageError

CHAIN = "shuffle_buffer=256,interleave_cycle_length=4,interleave_parallel_calls=4"


def test_what_all_trials_share_is_left_out():
    assert answers.names(["in_model,device=cpu", "autotuned,device=cpu"]) == {
        "in_model,device=cpu": "in_model",
        "autotuned,device=cpu": "autotuned",
    }
    assert answers.names(["cache=raw", "naive"])["cache=raw"] == "cache=raw"
    assert answers.names(["read_latency_ms=5", "naive,read_latency_ms=5"]) == {
        "read_latency_ms=5": "read_latency_ms=5",  # both would be called naive
        "naive,read_latency_ms=5": "naive,read_latency_ms=5",
    }


def test_long_names_keep_the_strategy_and_what_few_others_have():
    cached = f"cached_raw,{CHAIN},prefetch=2"
    called = answers.names([cached, f"autotuned,{CHAIN}", "naive"])
    assert called[cached] == (
        "cached_raw,prefetch=2,shuffle_buffer=256 and 2 more settings"
    )
    assert called["naive"] == "naive"


def test_names_that_came_out_alike_stay_whole():
    labels = [f"cached_raw,{CHAIN},batch_size={size}" for size in (32, 64)]
    assert len(set(answers.names([*labels, "naive"]).values())) == 3


def test_mixed_schemas_are_refused_with_the_line(tmp_path):
    store.append(tmp_path, factory.run(factory.trial()))
    with (tmp_path / store.FILE).open("a") as file:
        file.write('{"schema": 99}\n')
    with pytest.raises(UsageError, match="line 2: schema 99, and this version reads"):
        report.write(tmp_path, tmp_path)
