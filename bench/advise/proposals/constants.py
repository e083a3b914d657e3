"""Write down what AUTOTUNE chose, so that no epoch has to find it out again."""

from collections.abc import Iterator
from functools import partial

from bench.advise.chain import Chain, Proposal
from bench.run.user_pipeline import Stage

NAME = "constants"
POSITIONS = {"map": 1, "prefetch": 0, "interleave": 3}  # of the setting, among all


def propose(chain: Chain) -> Iterator[Proposal]:
    """Set the number that the runtime chose in place of each AUTOTUNE."""
    for stage in chain.stages:
        for name, value in stage.chosen.items():
            if stage.method in POSITIONS:
                yield chain.propose(
                    NAME,
                    stage,
                    f"set {name}={value} in .{stage.method}, as AUTOTUNE chose here",
                    partial(_edit, chain, stage, name, str(value)),
                )


def _edit(chain: Chain, stage: Stage, name: str, value: str) -> str:
    link, place = chain.link(stage), POSITIONS[stage.method]
    arguments = link.node.args
    if len(arguments) > place and arguments[place].keyword is None:
        return chain.source.with_positional(link, place, value)
    return chain.source.with_argument(link, name, value)
