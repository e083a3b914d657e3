"""Let parallel calls hand on what is ready first."""

from collections.abc import Iterator
from functools import partial

from bench.advise.chain import Chain, Proposal
from bench.run.user_pipeline import Stage

NAME = "any_order"


def propose(chain: Chain) -> Iterator[Proposal]:
    """Set `deterministic=False` in parallel maps and interleaves."""
    for stage in chain.stages:
        parallel = stage.settings.get("num_parallel_calls") not in (None, 1)
        ordered = stage.settings.get("deterministic") is None
        if stage.method in ("map", "interleave") and parallel and ordered:
            yield chain.propose(
                NAME,
                stage,
                f"set deterministic=False in .{stage.method}",
                partial(_edit, chain, stage),
                consent=("order", "determinism"),
            )


def _edit(chain: Chain, stage: Stage) -> str:
    return chain.source.with_argument(chain.link(stage), "deterministic", "False")
