"""Run several calls of a map at a time."""

from collections.abc import Iterator
from functools import partial

from bench.advise.chain import Chain, Proposal, label
from bench.run.user_pipeline import Stage

NAME = "parallel_map"
SETTING = "num_parallel_calls"


def propose(chain: Chain) -> Iterator[Proposal]:
    """Set `num_parallel_calls` where a map has none, or a single one."""
    for stage in chain.stages:
        calls = stage.settings.get(SETTING)
        if stage.method != "map" or calls not in (None, 1):
            continue
        yield chain.propose(
            NAME,
            stage,
            f"set {SETTING}={chain.source.autotune} in .map",
            partial(_edit, chain, stage),
            refusal=refusal(stage),
            done_already=_parallel_already(stage),
            consent=("determinism",) if "random" in stage.traits else (),
        )


def refusal(stage: Stage) -> str:
    """Why calls of a stage's function must not overlap; empty if they may."""
    if "python" in stage.traits:
        return f"{label(stage)} calls Python, which runs one call at a time anyway"
    if "stateful" in stage.traits and "random" in stage.traits:
        return (
            f"{label(stage)} takes its draws from a seed generator: of two calls at a "
            "time both may read the same seed, and examples would share a draw"
        )
    if "stateful" in stage.traits:
        return f"{label(stage)} writes a variable, so the order of its calls counts"
    return ""


def _parallel_already(stage: Stage) -> str:
    """Why the setting changes nothing: tf.data makes maps without state parallel."""
    if SETTING in stage.settings or stage.calls_at_a_time < 2:
        return ""
    return (
        f"tf.data's default rewrites run {stage.calls_at_a_time} calls of "
        f"{label(stage)} at a time already"
    )


def _edit(chain: Chain, stage: Stage) -> str:
    link, value = chain.link(stage), chain.source.autotune
    names = [argument.keyword for argument in link.node.args]
    if len(names) > 1 and names[1] is None:  # map(function, 1)
        return chain.source.with_positional(link, 1, value)
    return chain.source.with_argument(link, SETTING, value)
