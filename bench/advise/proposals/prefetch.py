"""Prepare the next batches while the consumer works on this one."""

from collections.abc import Iterator
from functools import partial

from bench.advise.chain import Chain, Proposal

NAME = "prefetch"


def propose(chain: Chain) -> Iterator[Proposal]:
    """Append `.prefetch` at the end, where the last stage is none."""
    last = chain.stages[-1]
    if last.method == "prefetch":
        return
    call = f".prefetch({chain.source.autotune})"
    options = any(stage.method == "with_options" for stage in chain.stages)
    yield chain.propose(
        NAME,
        last,
        f"append {call}",
        partial(_edit, chain, call),
        done_already="" if options else "tf.data's default rewrites append one already",
    )


def _edit(chain: Chain, call: str) -> str:
    return chain.source.with_call(chain.link(chain.stages[-1]), call)
