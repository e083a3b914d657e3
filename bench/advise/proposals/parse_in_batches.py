"""Parse a batch of serialized examples at a time in place of one after another."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from bench.advise.chain import Chain, Proposal, function_name
from bench.advise.proposals.batch_before_map import moves
from bench.advise.source import Source
from bench.run.user_pipeline import Stage

NAME = "parse_in_batches"
SINGLE, WHOLE = "parse_single_example", "parse_example"  # of the same arguments


def propose(chain: Chain) -> Iterator[Proposal]:
    """Move a map that parses behind the batch, where it parses whole batches.

    The maps between the two move as well.
    """
    for maps, batch, forbidden in moves(chain):
        if not chain.source.count_in_function(maps[0], SINGLE):
            continue
        moved = " and ".join(f".map({function_name(one)})" for one in maps)
        yield chain.propose(
            NAME,
            maps[0],
            f"move {moved} behind .batch of line {batch.line}, and write {WHOLE} in "
            f"place of {SINGLE} in {function_name(maps[0])}",
            partial(_edit, chain, maps, batch),
            refusal=forbidden,
        )


def _edit(chain: Chain, maps: list[Stage], batch: Stage) -> str:
    """Rename first: that moves no call to another line or column."""
    text = chain.source.renamed_in_function(maps[0], SINGLE, WHOLE)
    renamed = replace(chain, source=Source(text))
    links = [renamed.link(one) for one in maps]
    return renamed.source.moved(links, renamed.link(batch))
