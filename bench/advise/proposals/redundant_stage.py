"""Take out a stage that does nothing, or nothing that a later one does not do too."""

from collections.abc import Iterator, Sequence
from functools import partial

from bench.advise.chain import Chain, Proposal
from bench.run.user_pipeline import Stage

NAME = "redundant_stage"
WITHOUT_EFFECT = (("repeat", "count", 1), ("skip", "count", 0), ("take", "count", -1))
WITHOUT_EFFECT += (("shuffle", "buffer_size", 1),)
ENDLESS = -1  # the cardinality of a dataset without an end
KEEPS_EXAMPLES = ("map", "prefetch", "cache")  # and their order


def propose(chain: Chain) -> Iterator[Proposal]:
    """Propose each redundant stage by itself; a batch and its unbatch together."""
    for place, stage in enumerate(chain.stages):
        redundant, reason, consent = _redundant(chain.stages, place)
        if redundant:
            named = " and ".join(f".{one.method}" for one in redundant)
            yield chain.propose(
                NAME,
                stage,
                f"take out {named}: {reason}",
                partial(_edit, chain, redundant),
                consent=consent,
            )


def _redundant(
    stages: Sequence[Stage], place: int
) -> tuple[list[Stage], str, tuple[str, ...]]:
    """The stages that may go, why, and the consent that it needs; none if needed."""
    stage, later = stages[place], stages[place + 1 :]
    for method, setting, value in WITHOUT_EFFECT:
        if stage.method == method and stage.settings.get(setting) == value:
            return [stage], f"with {setting}={value} it does nothing", ()
    if stage.method == "prefetch" and later:
        return [stage], "it hands every element to another thread", ()
    if stage.method == "cache" and stage.cardinality == ENDLESS:
        return [stage], "its input never ends, so it keeps all and never serves", ()
    if stage.method == "cache" and _followed_by(later, "cache"):
        return [stage], "a later cache holds what it holds", ()
    if stage.method == "shuffle" and _followed_by(later, "shuffle"):
        return [stage], "a later shuffle mixes the same examples", ("order",)
    if stage.method == "batch" and later and later[0].method == "unbatch":
        return [stage, later[0]], "the second undoes the first", ()
    return [], "", ()


def _followed_by(later: Sequence[Stage], method: str) -> bool:
    """Whether a stage of this method comes before one that changes what there is."""
    for one in later:
        if one.method == method:
            return True
        if one.method not in KEEPS_EXAMPLES:
            return False
    return False


def _edit(chain: Chain, redundant: Sequence[Stage]) -> str:
    return chain.source.without([chain.link(one) for one in redundant])
