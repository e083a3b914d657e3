"""Edits of source texts: comments and layout survive, and what is not safe is refused.

The calls are recorded by running the text, as the measuring process does.
"""

import difflib
import subprocess
from pathlib import Path

import pytest

from bench.advise import chain as chains
from bench.advise.chain import Chain
from bench.advise.proposals import (
    batch_before_map,
    cache,
    drop_remainder,
    interleave_files,
    parallel_map,
    parse_in_batches,
    prefetch,
    redundant_stage,
    shuffle_before_map,
)
from bench.measure import recorder
from bench.measure.user_function import make_dataset
from bench.report import advice as report
from bench.report.advice_record import Advice
from bench.run.user_pipeline import PipelineReading

HEAD = """import tensorflow as tf

def double(x):
    return x * 2

def make():
"""
CHAIN = (
    HEAD
    + """    return (
        tf.data.Dataset.range(100)  # numbers
        .map(double)  # the costly part
        .map(lambda x: x + 1)
        .shuffle(10, seed=1)
        # batches of four
        .batch(
            4,
        )
    )
"""
)
STATEMENTS = (
    HEAD
    + """    ds = tf.data.Dataset.range(100)
    # the costly part
    ds = ds.map(double)
    ds = ds.batch(4)
    return ds
"""
)


def read(tmp_path: Path, text: str) -> Chain:
    """The chain of the dataset that `make` returns."""
    path = str(tmp_path / "pipeline.py")
    Path(path).write_text(text)
    with recorder.recorded() as calls:
        dataset = make_dataset(path, text, "make()")
    stages = recorder.stages(calls, dataset)
    for stage in stages:
        stage.element_bytes = 8.0
    reading = PipelineReading(stages=stages, epoch_batches=25, batch_size=4)
    return chains.chain(reading, path, text)


def changed(before: str, after: str) -> list[str]:
    """The lines that a diff takes out and puts in."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0)
    return [x for x in lines if x[0] in "+-" and not x.startswith(("---", "+++"))]


def edits(module: object, tmp_path: Path, text: str) -> list[list[str]]:
    proposals = list(module.propose(read(tmp_path, text)))
    assert not any(one.refusal or one.by_hand for one in proposals), proposals
    return [changed(text, one.source) for one in proposals]


def test_parallel_calls_are_added_before_a_comment(tmp_path: Path) -> None:
    first, second = edits(parallel_map, tmp_path, CHAIN)
    assert first == [
        "-        .map(double)  # the costly part",
        "+        .map(double, num_parallel_calls=tf.data.AUTOTUNE)  # the costly part",
    ]
    assert second[1].endswith("lambda x: x + 1, num_parallel_calls=tf.data.AUTOTUNE)")


@pytest.mark.parametrize("given", ["double, 1", "double, num_parallel_calls=1"])
def test_a_single_call_at_a_time_is_replaced(tmp_path: Path, given: str) -> None:
    text = STATEMENTS.replace("double)\n    ds = ds.b", f"{given})\n    ds = ds.b")
    ((_, line),) = edits(parallel_map, tmp_path, text)
    assert line == f"+    ds = ds.map({given.replace('1', 'tf.data.AUTOTUNE')})"


def test_maps_move_behind_the_batch_with_their_comments(tmp_path: Path) -> None:
    one, both = (p.source for p in batch_before_map.propose(read(tmp_path, CHAIN)))
    assert one.endswith("4,\n        )\n        .map(lambda x: x + 1)\n    )\n")
    assert both == (
        HEAD
        + """    return (
        tf.data.Dataset.range(100)  # numbers
        .shuffle(10, seed=1)
        # batches of four
        .batch(
            4,
        )
        .map(double)  # the costly part
        .map(lambda x: x + 1)
    )
"""
    )


def test_a_statement_moves_whole_with_the_comment_above_it(tmp_path: Path) -> None:
    (proposal,) = batch_before_map.propose(read(tmp_path, STATEMENTS))
    assert proposal.source == STATEMENTS.replace(
        "    # the costly part\n    ds = ds.map(double)\n    ds = ds.batch(4)\n",
        "    ds = ds.batch(4)\n    # the costly part\n    ds = ds.map(double)\n",
    )


def test_calls_of_two_names_are_exchanged(tmp_path: Path) -> None:
    text = HEAD + (
        "    numbers = tf.data.Dataset.range(100)\n"
        "    ds = numbers.map(double)\n"
        "    ds = ds.batch(4)\n"
        "    return ds\n"
    )
    ((*_, first, second),) = edits(batch_before_map, tmp_path, text)
    assert (first, second) == (
        "+    ds = numbers.batch(4)",
        "+    ds = ds.map(double)",
    )


def test_a_statement_joins_a_later_chain(tmp_path: Path) -> None:
    text = HEAD + (
        "    ds = tf.data.Dataset.range(100)\n"
        "    ds = ds.map(double)\n"
        "    return ds.batch(4).prefetch(1)\n"
    )
    (proposal,) = batch_before_map.propose(read(tmp_path, text))
    assert proposal.source.endswith(
        "range(100)\n    return ds.batch(4).map(double).prefetch(1)\n"
    )


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        ("    print(ds)\n", "ds is used between the two calls"),
        ("    size = ds.cardinality()\n", "ds is used between the two calls"),
        (
            "    if True:\n        ds = ds.take(50)\n",
            "ds is used between the two calls",
        ),
    ],
)
def test_a_name_that_is_used_between_is_left_to_the_user(
    tmp_path: Path, between: str, reason: str
) -> None:
    text = STATEMENTS.replace("    ds = ds.batch", f"{between}    ds = ds.batch")
    (proposal,) = batch_before_map.propose(read(tmp_path, text))
    assert proposal.source == ""
    assert proposal.by_hand == (
        f"line 9: move .map(double) behind .batch of line {10 + between.count(chr(10))}"
        f" ({reason})"
    )


def test_a_loop_that_makes_several_stages_is_left_to_the_user(tmp_path: Path) -> None:
    text = HEAD + (
        "    ds = tf.data.Dataset.range(100)\n"
        "    for _ in range(2):\n"
        "        ds = ds.map(double)\n"
        "    return ds.batch(4)\n"
    )
    proposals = list(batch_before_map.propose(read(tmp_path, text)))
    assert {p.by_hand.partition("(line")[2] for p in proposals} == {
        " 9 makes more than one stage)"
    }


def test_calls_get_a_line_of_their_own_in_a_chain_of_lines(tmp_path: Path) -> None:
    (lines,) = edits(cache, tmp_path, CHAIN)
    assert lines == ["+        .cache()"]
    (lines,) = edits(prefetch, tmp_path, STATEMENTS)
    assert lines[1] == "+    ds = ds.batch(4).prefetch(tf.data.AUTOTUNE)"


def test_arguments_go_before_a_trailing_comma(tmp_path: Path) -> None:
    (lines,) = edits(drop_remainder, tmp_path, CHAIN)
    assert lines[1] == "+            4, drop_remainder=True,"


def test_a_shuffle_goes_before_the_maps(tmp_path: Path) -> None:
    (proposal,) = shuffle_before_map.propose(read(tmp_path, CHAIN))
    assert proposal.source.index(".shuffle") < proposal.source.index(".map(double)")
    assert "        .map(double)  # the costly part\n" in proposal.source


def test_flat_map_becomes_interleave(tmp_path: Path) -> None:
    text = HEAD + (
        "    ds = tf.data.Dataset.range(4)\n"
        "    return ds.flat_map(lambda n: tf.data.Dataset.range(n))\n"
    )
    ((_, line),) = edits(interleave_files, tmp_path, text)
    assert line == (
        "+    return ds.interleave(lambda n: tf.data.Dataset.range(n), cycle_length=8, "
        "num_parallel_calls=tf.data.AUTOTUNE)"
    )


RECORDS = """import tensorflow as tf

SPEC = {"x": tf.io.FixedLenFeature([], tf.float32)}

def parse(record):
    parsed = tf.io.parse_single_example(record, SPEC)
    return parsed["x"]

def double(x):
    return x * 2

def make():
    ds = tf.data.TFRecordDataset("none")
    ds = ds.map(parse)
    ds = ds.map(double)
    ds = ds.shuffle(9)
    return ds.batch(4).prefetch(1)
"""


def test_records_are_parsed_in_batches(tmp_path: Path) -> None:
    (proposal,) = parse_in_batches.propose(read(tmp_path, RECORDS))
    assert proposal.change == (
        "line 14: move .map(parse) and .map(double) behind .batch of line 17, and "
        "write parse_example in place of parse_single_example in parse"
    )
    assert proposal.source == RECORDS.replace("parse_single", "parse").replace(
        "    ds = ds.map(parse)\n    ds = ds.map(double)\n", ""
    ).replace(".batch(4)", ".batch(4).map(parse).map(double)")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("def make", "read_one = parse\n\ndef make", "parse is used elsewhere too"),
        (
            "    return parsed",
            "    tf.io.parse_single_example(record, SPEC)\n    return parsed",
            "parse_single_example is not named just once in the function",
        ),
    ],
)
def test_a_parser_that_is_needed_elsewhere_is_left_to_the_user(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    (proposal,) = parse_in_batches.propose(read(tmp_path, RECORDS.replace(old, new, 1)))
    assert proposal.source == ""
    assert proposal.by_hand.endswith(f" in parse ({reason})")


REDUNDANT = (
    HEAD
    + """    ds = tf.data.Dataset.range(100)
    # not needed
    ds = ds.prefetch(1)  # indeed
    ds = (
        ds.batch(10)
        .unbatch()  # singles
        .map(double)  # twice
        .shuffle(50)
    )
    return ds.shuffle(9).skip(0).batch(4)
"""
)


def test_redundant_stages_go_with_their_comments(tmp_path: Path) -> None:
    chain = read(tmp_path, REDUNDANT)
    proposals = list(redundant_stage.propose(chain))
    assert [(p.change, p.consent) for p in proposals] == [
        ("line 9: take out .prefetch: it hands every element to another thread", ()),
        ("line 11: take out .batch and .unbatch: the second undoes the first", ()),
        (
            "line 14: take out .shuffle: a later shuffle mixes the same examples",
            ("order",),
        ),
        ("line 16: take out .skip: with count=0 it does nothing", ()),
    ]
    prefetch, batches, shuffle, skip = (p.source for p in proposals)
    assert prefetch == REDUNDANT.replace(
        "    # not needed\n    ds = ds.prefetch(1)  # indeed\n", ""
    )
    assert batches == REDUNDANT.replace(".batch(10)\n        .unbatch()  # singles", "")
    assert shuffle == REDUNDANT.replace("\n        .shuffle(50)", "")
    assert skip == REDUNDANT.replace(".skip(0)", "")


def test_a_cache_that_never_serves_is_redundant_and_others_are_not(
    tmp_path: Path,
) -> None:
    endless = STATEMENTS.replace("ds.batch", "ds.repeat().cache().batch")
    twice = STATEMENTS.replace("ds.batch", "ds.cache().map(double).cache().batch")
    needed = STATEMENTS.replace("ds.batch", "ds.repeat(2).cache().batch")
    changes = [
        [one.change for one in redundant_stage.propose(read(tmp_path, text))]
        for text in (endless, twice, needed)
    ]
    assert changes == [
        [
            "line 10: take out .cache: its input never ends, so it keeps all and never "
            "serves"
        ],
        ["line 10: take out .cache: a later cache holds what it holds"],
        [],
    ]


def test_a_call_that_is_all_of_its_block_is_left_to_the_user(tmp_path: Path) -> None:
    text = STATEMENTS.replace(
        "    ds = ds.batch",
        "    if True:\n        ds = ds.prefetch(1)\n    ds = ds.batch",
    )
    (proposal,) = redundant_stage.propose(read(tmp_path, text))
    assert proposal.by_hand.endswith("(the call is all that its block has)")


@pytest.mark.parametrize("text", [CHAIN, STATEMENTS, STATEMENTS.rstrip("\n")])
def test_the_diff_applies_and_is_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    chain = read(tmp_path, text)
    (proposal, *_) = batch_before_map.propose(chain)
    advice = Advice(
        path="pipeline.py",
        call="make()",
        reading=chain.reading,
        original=text,
        tuned=proposal.source,
    )
    Path("advice.diff").write_text(report.diff(advice))
    for options, content in (([], proposal.source), (["-R"], text)):
        subprocess.run(["git", "apply", *options, "advice.diff"], check=True)
        assert Path("pipeline.py").read_text() == content
