"""Keep in memory what is the same in every epoch."""

from collections.abc import Iterator
from functools import partial

from bench import machine
from bench.advise.chain import Chain, Proposal, label
from bench.advise.proposals.interleave_files import READERS
from bench.run.user_pipeline import BATCHING, Stage
from bench.text import spell_bytes

NAME = "cache"
SHARE = 0.25  # of the memory that is available
COSTLY = ("map", "filter", "flat_map", "interleave", "library", *BATCHING)
COSTLY += ("from_generator", *READERS)
REORDERS = ("shuffle", "repeat")  # behind it an epoch is not the same, or has no end


def propose(chain: Chain) -> Iterator[Proposal]:
    """Insert `.cache()` behind the last costly stage whose output never changes."""
    if any(stage.method in ("cache", "snapshot") for stage in chain.stages):
        return
    last, obstacle = None, ""
    for stage in chain.stages:
        obstacle = _obstacle(stage)
        if obstacle or stage.method in REORDERS:
            break
        last = stage if stage.method in COSTLY else last
    if last is None:
        if obstacle:
            yield chain.propose(
                NAME, chain.stages[-1], "insert .cache()", str, refusal=obstacle
            )
        return
    size = last.element_bytes * _elements(chain, last)
    yield chain.propose(
        NAME,
        last,
        f"insert .cache() behind .{last.method}{_price(size)}",
        partial(_edit, chain, last),
        refusal=_refusal(chain, last, size),
        fills=True,
    )


def _obstacle(stage: Stage) -> str:
    """Why nothing behind a stage may be kept; empty if it may.

    A generator is Python code, but it often yields the same in every epoch. The gate
    refuses the others, as it compares the whole second epoch.
    """
    traits = {
        "random": "draws anew",
        "python": "calls Python",
        "stateful": "keeps state",
    }
    for trait, words in traits.items():
        if trait in stage.traits and stage.method != "from_generator":
            return (
                f"{label(stage)} {words} in every epoch, and a cache would freeze that"
            )
    return ""


def _refusal(chain: Chain, stage: Stage, size: float) -> str:
    if not chain.reading.epoch_batches:
        return "an epoch takes too long here, or has no end, so no cache was filled"
    if not size:
        return f"the size of what {label(stage)} makes is not known"
    available = machine.available_memory()
    if size > SHARE * available:
        return (
            f"it needs {spell_bytes(size)}, more than {SHARE:.0%} of the available "
            f"memory, {spell_bytes(available)}"
        )
    return ""


def _price(size: float) -> str:
    if not size:
        return ""
    return f": about {spell_bytes(size)} of memory; it serves from the second epoch on"


def _elements(chain: Chain, stage: Stage) -> int:
    """Elements that a cache behind a stage holds: examples, or batches."""
    behind = chain.stages[: chain.stages.index(stage) + 1]
    batched = any(one.method in BATCHING for one in behind)
    return chain.reading.epoch_batches if batched else chain.examples


def _edit(chain: Chain, stage: Stage) -> str:
    return chain.source.with_call(chain.link(stage), ".cache()")
