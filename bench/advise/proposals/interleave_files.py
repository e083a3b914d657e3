"""Read several files at a time in place of one after another."""

from collections.abc import Iterator
from functools import partial

from bench.advise.chain import Chain, Proposal
from bench.advise.proposals.parallel_map import refusal
from bench.run.user_pipeline import Stage

NAME = "interleave_files"
CYCLE = 8  # files open at a time; None would be settled by the runtime
READERS = ("TFRecordDataset", "FixedLengthRecordDataset", "TextLineDataset")


def propose(chain: Chain) -> Iterator[Proposal]:
    """Turn flat_map into a parallel interleave; read lists of files in parallel."""
    value = chain.source.autotune
    for stage in chain.stages:
        if stage.method == "flat_map":
            arguments = f"cycle_length={CYCLE}, num_parallel_calls={value}"
            yield chain.propose(
                NAME,
                stage,
                f"write .interleave(..., {arguments}) in place of .flat_map(...)",
                partial(_renamed, chain, stage, arguments),
                refusal=refusal(stage),
                consent=("order",),
            )
        elif stage.method == "interleave" and _sequential(stage, "num_parallel_calls"):
            yield chain.propose(
                NAME,
                stage,
                f"set num_parallel_calls={value} in .interleave",
                partial(_set, chain, stage, "num_parallel_calls", value),
                refusal=refusal(stage),
            )
        elif stage.method in READERS and _reads_one_by_one(stage):
            yield chain.propose(
                NAME,
                stage,
                f"set num_parallel_reads={value} in {stage.method}",
                partial(_set, chain, stage, "num_parallel_reads", value),
                consent=("order",),
            )


def _sequential(stage: Stage, setting: str) -> bool:
    return stage.settings.get(setting) in (None, 1)


def _reads_one_by_one(stage: Stage) -> bool:
    several = str(stage.settings.get("filenames", "")).startswith("list of")
    return several and _sequential(stage, "num_parallel_reads")


def _renamed(chain: Chain, stage: Stage, arguments: str) -> str:
    return chain.source.with_method(chain.link(stage), "interleave", arguments)


def _set(chain: Chain, stage: Stage, name: str, value: str) -> str:
    return chain.source.with_argument(chain.link(stage), name, value)
