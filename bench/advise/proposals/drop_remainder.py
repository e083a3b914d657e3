"""Leave out the last, smaller batch, so that every batch has the same shape."""

from collections.abc import Iterator
from functools import partial

from bench.advise.chain import Chain, Proposal

NAME = "drop_remainder"


def propose(chain: Chain) -> Iterator[Proposal]:
    """Set `drop_remainder=True` in a batch."""
    for stage in chain.stages:
        if stage.method == "batch" and not stage.settings.get("drop_remainder"):
            yield chain.propose(
                NAME,
                stage,
                "set drop_remainder=True in .batch",
                partial(
                    lambda one: chain.source.with_argument(
                        chain.link(one), "drop_remainder", "True"
                    ),
                    stage,
                ),
                consent=("drop_remainder",),
            )
