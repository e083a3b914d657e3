"""Flags are one table, and every row has every property."""

import ast
from dataclasses import MISSING, fields

import pytest

from bench.flags import FLAGS, NOT_RANKED, UNMARKED, Flag
from bench.shell import ROOT


def test_a_row_cannot_lack_a_property() -> None:
    for field in fields(Flag):
        assert field.default is field.default_factory is MISSING
    with pytest.raises(TypeError, match="missing 6 required"):
        Flag(mark="x")


@pytest.mark.parametrize("name", FLAGS)
def test_the_texts_of_a_flag_are_sentences(name: str) -> None:
    flag = FLAGS[name]
    assert flag.mark and len(flag.mark) <= 40 and not flag.mark.endswith(".")
    for text in (flag.meaning, flag.remedy, *filter(None, [flag.caution])):
        assert text.endswith((".", "?"))
    assert flag.bars == ("not ranked" in flag.caution + flag.meaning)
    assert flag.bars >= flag.bars_facts


def test_the_flags_of_facts_are_those_that_facts_raise() -> None:
    from bench.measure import layer_facts

    by_facts = {name: flag.raised_by for name, flag in FLAGS.items() if flag.raised_by}
    assert by_facts == layer_facts.RAISED
    assert by_facts == {
        "frozen_trace": ("draws", "per trace"),
        "draws_shared": ("draws", "per batch"),
        "draws_repeated": ("repeated_draws", ""),
        "epochs_repeat": ("epochs_repeat", "yes"),
        "epochs_repeat_seeded": ("epochs_repeat", "once seeded"),
        "masks_left": ("masks_left", ""),
        "output_is_input": ("unchanged_examples", ""),
        "batch_statistics": ("statistics", "batch"),
    }


def test_every_flag_that_the_worker_raises_is_in_the_table() -> None:
    """Every string in a call of `flags.append` is a flag of the table."""
    spelled = set()
    for file in (ROOT / "bench").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            is_append = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("flags.append", "flags'].append")
            )
            if is_append:
                spelled |= {a.value for a in node.args if isinstance(a, ast.Constant)}
    assert spelled <= {*FLAGS, UNMARKED}
    assert set(NOT_RANKED) <= set(FLAGS)
