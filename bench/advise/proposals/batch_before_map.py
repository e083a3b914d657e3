"""Batch first, and map whole batches: one call a batch in place of one an example."""

from collections.abc import Iterator

from bench.advise.chain import Chain, Proposal, label
from bench.run.user_pipeline import Stage

NAME = "batch_before_map"
# What a map may be moved over: each hands on the same elements, fewer, or in another
# order. A filter depends on what the map makes, and a cache holds it.
PASSED = ("shuffle", "repeat", "take", "skip", "prefetch")


def propose(chain: Chain) -> Iterator[Proposal]:
    """Move the last map before a batch behind it; or the last two, three ..."""
    for maps, batch, forbidden in moves(chain):
        yield chain.propose_move(NAME, maps, batch, forbidden)


def moves(chain: Chain) -> Iterator[tuple[list[Stage], Stage, str]]:
    """Yield the maps that may move together, their batch, and why they must not."""
    for place, batch in enumerate(chain.stages):
        if batch.method != "batch":
            continue
        maps: list[Stage] = []
        for stage in reversed(chain.stages[:place]):
            if stage.method == "map":
                maps.insert(0, stage)
                yield list(maps), batch, next(filter(None, map(refusal, maps)), "")
                if refusal(stage):
                    break  # whatever is before it would move as well
            elif stage.method not in PASSED:
                break


def refusal(stage: Stage) -> str:
    """Why a map must meet single examples; empty if nothing forbids batches."""
    if "random" in stage.traits:
        return (
            f"{label(stage)} draws: an example has a draw of its own now, and a batch "
            "might share one"
        )
    if "stateful" in stage.traits:
        return f"{label(stage)} writes a variable once an example"
    if "python" in stage.traits:
        return (
            f"{label(stage)} calls Python, and nobody can see what it does to a batch"
        )
    return ""
