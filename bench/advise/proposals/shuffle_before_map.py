"""Shuffle what is small: before a map that makes examples larger or is costly."""

from collections.abc import Iterator

from bench.advise.chain import Chain, Proposal
from bench.advise.proposals.batch_before_map import refusal
from bench.run.user_pipeline import Stage

NAME = "shuffle_before_map"


def propose(chain: Chain) -> Iterator[Proposal]:
    """Move the maps right before a shuffle behind it: the order stays the same."""
    for place, shuffle in enumerate(chain.stages):
        if shuffle.method != "shuffle":
            continue
        maps: list[Stage] = []
        for stage in reversed(chain.stages[:place]):
            if stage.method != "map":
                break
            maps.insert(0, stage)
        if maps:
            forbidden = next(filter(None, map(refusal, maps)), "")
            yield chain.propose_move(NAME, maps, shuffle, forbidden, bars_cache=True)
