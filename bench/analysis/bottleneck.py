"""This module determines what limits training: the pipeline, the model, or both.

It needs three trials, and uses these terms, each for one batch:

    t_pipe    seconds of the pipeline alone (consumer `drain`)
    t_model   seconds of a training step on a batch held in memory (consumer `model`)
    t_train   seconds of pipeline and model together (consumer `train`)
    c_pipe    CPU seconds of the pipeline alone
    c_model   CPU seconds of the model alone
    P         the number of processors, or less by a container's quota

The results are:

    stall share          max(0, 1 - t_model / t_train)
    overlap efficiency   (t_pipe + t_model - t_train) / min(t_pipe, t_model)
    attainable bound     max(t_model, t_pipe, (c_model + c_pipe) / P)   model on the CPU
                         max(t_model, t_pipe)                           model on a GPU
    part of attainable   bound / t_train

- The stall share is the part of training that immediate data would save.
- The overlap is 1 if the longer of the two hides the shorter, 0 if they take turns, and
  below 0 if they slow each other.
- The bound is the bottleneck law of queueing (Denning and Buzen 1978): no system is
  faster than its busiest resource. A model on the CPU shares the P processors with its
  pipeline.

These values are computed within each round, where a slow machine cancels, and then
averaged over the rounds.

The side that binds (limits training) is the one with the largest term of the bound. The
term (c_model + c_pipe) / P belongs to the side that uses more CPU, or to both if their
CPU seconds are within 5 %. If the largest terms of the two sides are within 5 % of each
other (the margin of training), both sides are named, since they bind about equally. In
simulations of five rounds whose runs vary by 5 %, with terms 2 % apart, the lesser term
is then named alone in 1 % of cases, and without this rule in 26 %.

The pipeline's side gets the name of the largest of four shares of t_pipe, whose sum is
1. First t_pipe is divided into Python, waiting and computing:

    p   Python: functions and generators in Python, including their waiting
    w   waiting: max(0, 1 - c_pipe s / t_pipe), at most 1 - p
    c   computing: 1 - p - w
    s   max(1, t_model / c_model), by which other processes slow computing; 1 with a GPU

Computing is divided further: q is the part of c in operations that parse, r the part of
c in reading files. So the four shares are:

    Python              p
    parsing             c q
    storage             w + c r
    preprocessing CPU   the rest

`bench.measure.activity` measures p, q and r by a profile. w is not from the profile: it
covers more batches, so it reflects better how often a file is opened. Records without a
profile have p = q = 0, and r is the part of the source nodes in the busy time of the
graph. Those nodes count reading as busy, but not the wait for a slow server.

The model's side is named `transfer` if moving the features to the GPU takes more than
half of t_model; else `Python` if a step of a model with one weight takes more than half
of t_model, since such a step is Python and Keras without work; else `model`.

With placement=model the layers are part of both t_pipe and t_model, so such a trial has
no row.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bench import text
from bench.analysis import decisions, intervals, pairs, stats
from bench.pipeline import AXES, IN_MODEL
from bench.plan.refusals import HELD
from bench.stages import STAGES
from bench.trial import HOLDING

BINDING = (
    *("storage", "parsing", "preprocessing CPU", "Python"),  # of the pipeline
    *("model", "transfer"),  # of the model, beside Python
)
HALF = 0.5
BOTH = " and "
NAMES = {"pipe": "drain", "model": "model", "train": "train"}
VALUES = ("stall", "overlap", "attainable")
COLUMNS = (
    *("machine", "workload", "data", "key", "label", "rounds"),
    *(f"{name}_seconds" for name in NAMES),
    *(f"{name}_cpu_seconds" for name in ("pipe", "model")),
    *("bound_seconds", "storage_share", "parsing_share", "python_share"),
    *("empty_step_seconds", "transfer_seconds"),
    *(f"{name}{end}" for name in VALUES for end in ("", "_low", "_high")),
    "binds",
)


def attribute(table: pd.DataFrame) -> pd.DataFrame:
    """Determine what limits each trained pipeline whose parts were measured alone too.

    The parts are the pipeline (consumer `drain`) and the model (consumer `model`). All
    three trials must have runs in the same rounds.

    Args:
        table: The table from `table.from_runs`.

    Returns:
        A row for each such pipeline with `COLUMNS`: seconds a batch (geometric means
        over the rounds); `stall` (the stall share), `overlap` (the overlap efficiency)
        and `attainable` (bound / t_train; 1 is all that is attainable) with 95 %
        intervals; and `binds`, one or two names of `BINDING`, joined by ` and `.
    """
    runs = _usable(table)
    rows = []
    for (machine, _, _), group in runs.groupby(["machine", "workload", "data"]):
        if not group["consumer"].isin(HOLDING).any():
            continue  # most tables have none
        keys = {
            (row["consumer"], _spelled(row)): row["key"]
            for _, row in group.drop_duplicates("key").iterrows()
        }
        names = sorted(set(keys.values()))
        # Screening runs count only where the three trials share no other rounds.
        measured = [
            [
                pd.DataFrame(pairs.seconds(some, names, column), columns=names)
                for column in ("seconds_per_batch", "_cpu")
            ]
            for some in (group[~group["short"]], group.assign(short=False))
        ]
        trained = group[
            (group["consumer"] == NAMES["train"]) & ~group["placement"].isin(IN_MODEL)
        ]
        for _, row in trained.drop_duplicates("key").iterrows():
            three = _three(row, keys)
            if all(three.values()):
                order = list(three.values())
                tried = (
                    _row(group, three, times[order], cpu[order])
                    for times, cpu in measured
                )
                values = next(filter(None, tried), None)
                rows += [{**values, **_names(row, machine)}] if values else []
    return pd.DataFrame(rows, columns=list(COLUMNS))


def model_seconds(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return the seconds of a training step on a batch in memory, by trained trial.

    The dictionary's keys are pairs of a machine's label and the trained trial's key.
    """
    rows = attribute(table)
    names = zip(rows["machine"], rows["key"], strict=True)
    return dict(zip(names, rows["model_seconds"].astype(float), strict=True))


def sentence(row: Mapping[str, object]) -> str:
    """Return a sentence on the bottleneck of a trained pipeline.

    An example is: prose (naive): training waits for data 82 % of the time (80 to 84 %);
    preprocessing CPU binds; 91 % (88 to 94 %) of what is attainable here.

    Args:
        row: A row of `attribute`.
    """
    verb = "bind about equally" if BOTH in row["binds"] else "binds"
    name = f"{text.visible(row['workload'], 60)} ({text.visible(row['label'], 80)})"
    stall = _percent(row, "stall")
    waits = f"training waits for data {stall} of the time"
    if row["stall"] < 0.005:
        most = f" (at most {100 * row['stall_high']:.0f} % of the time)"
        waits = f"training does not wait for data{most if row['rounds'] > 1 else ''}"
    reached = f"{_percent(row, 'attainable')} of what is attainable here"
    return f"{name}: {waits}; {row['binds']} {verb}; {reached}."


def binds(
    seconds: Mapping[str, float],
    cpu: Mapping[str, float],
    cores: float,
    *,
    on_gpu: bool = False,
    storage_share: float = 0.0,
    parsing_share: float = 0.0,
    python_share: float = 0.0,
    empty_step: float = 0.0,
    transfer: float = 0.0,
) -> str:
    """Return what limits training: one or two names of `BINDING`, joined by ` and `.

    The rules are in the docstring of this module.

    Args:
        seconds: Seconds a batch by side: `pipe` is the pipeline alone, `model` the
            model alone.
        cpu: CPU seconds a batch of the same two sides.
        cores: The number of processors, or less by a container's quota.
        on_gpu: Whether the model runs on a GPU.
        storage_share: The share of the pipeline's time in waiting and reading, 0 to 1.
        parsing_share: The share of the pipeline's time in functions that parse, 0 to 1.
        python_share: The share of the pipeline's time in Python, 0 to 1.
        empty_step: The seconds of a step of a model with one weight.
        transfer: The seconds to move the features of a batch to the GPU.
    """
    shared = 0.0 if on_gpu else (cpu["pipe"] + cpu["model"]) / cores
    near = 1 + decisions.MARGINS["train"]
    terms = {
        side: max(alone, shared) if cpu[side] * near >= max(cpu.values()) else alone
        for side, alone in seconds.items()
    }
    names = {
        "pipe": _pipe_side(storage_share, parsing_share, python_share),
        "model": "Python" if empty_step > HALF * seconds["model"] else "model",
    }
    if on_gpu and transfer > HALF * seconds["model"]:
        names["model"] = "transfer"
    largest = max(terms.values())
    binding = [names[side] for side in names if terms[side] * near >= largest]
    return BOTH.join(dict.fromkeys(binding))  # Python may bind on both sides


def _pipe_side(storage: float, parsing: float, python: float) -> str:
    """Return the name of the largest part of the pipeline's time.

    The arguments are the shares of three parts, 0 to 1. The rest is preprocessing.
    """
    parts = {
        "preprocessing CPU": 1 - storage - parsing - python,
        "storage": storage,
        "parsing": parsing,
        "Python": python,
    }
    return max(parts, key=parts.__getitem__)


def _usable(table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        return table
    runs = stats.runs(table)
    known = runs["log_seconds"].notna() & (runs["unit"] == "window")
    runs = runs[known & runs["consumer"].isin(NAMES.values())]
    size = runs["batch_size"].to_numpy(float)
    return runs.assign(_cpu=runs["cpu_seconds_per_example"].to_numpy(float) * size)


def _spelled(row: Mapping[str, object]) -> tuple:
    return tuple(str(row[name]) for name in AXES)


def _three(row: pd.Series, keys: Mapping[tuple, str]) -> dict[str, str]:
    """Return the keys of a trained trial (`train`) and of its parts (`pipe`, `model`).

    A key is empty if that part was not measured.
    """
    default = {name: axis.default for name, axis in AXES.items()}
    drained = {**row[list(AXES)], "device": "auto", "jit": "off"}
    held = {name: row[name] if name in HELD else default[name] for name in AXES}
    held["placement"] = default["placement"]  # the origin of the batch does not matter
    return {
        "pipe": keys.get(("drain", _spelled(drained)), ""),
        "model": keys.get(("model", _spelled(held)), ""),
        "train": row["key"],
    }


def _names(row: pd.Series, machine: str) -> dict[str, object]:
    names = {name: row[name] for name in ("workload", "data", "key", "label")}
    return {"machine": machine, **names}


def _row(
    group: pd.DataFrame,
    three: Mapping[str, str],
    seconds: pd.DataFrame,
    used_cpu: pd.DataFrame,
) -> dict[str, object]:
    times, cpu = seconds.to_numpy(), used_cpu.to_numpy()
    whole = ~np.isnan(times).any(axis=1)
    if not whole.any():
        return {}
    pipe, model, train = times[whole].T
    pipe_cpu, model_cpu, _ = np.nan_to_num(cpu[whole]).T
    own = {name: group[group["key"] == key] for name, key in three.items()}
    trained = own["train"].iloc[0]
    cores = np.fmin(trained["cpus"] or trained["cpu_count"], trained["cpu_limit"])
    on_gpu = "GPU" in str(own["train"]["ran_on"].iloc[0])
    bound = np.fmax(pipe, model)
    if not on_gpu:
        bound = np.fmax(bound, (pipe_cpu + model_cpu) / cores)
    slowed = np.ones(len(pipe))
    if not on_gpu:
        computing = np.where(model_cpu > 0, model_cpu, model)
        slowed = np.fmax(1, model / computing)
    # CPU time may be unknown.
    computed = np.where(pipe_cpu > 0, pipe_cpu, pipe) * slowed
    waits = float(np.median(np.fmax(0, 1 - computed / pipe)))
    stalled = intervals.ratio(model, train)
    shares = 1 - np.array([stalled.estimate, stalled.high, stalled.low])
    values = {
        "stall": np.maximum(0, shares).tolist(),  # NaN of a single round stays NaN
        "overlap": _mean((pipe + model - train) / np.fmin(pipe, model)),
        "attainable": _three_of(intervals.ratio(bound, train)),
    }
    middle = {
        "pipe": _center(pipe),
        "model": _center(model),
        "train": _center(train),
    }
    other = {
        **_pipe_shares(own["pipe"], waits),
        "empty_step": _fact(own["model"], "empty_step_seconds_per_batch"),
        "transfer": _fact(own["model"], "transfer_seconds_per_batch"),
    }
    used = {"pipe": float(np.mean(pipe_cpu)), "model": float(np.mean(model_cpu))}
    parts = {name: middle[name] for name in used}
    return {
        "rounds": int(whole.sum()),
        **{f"{name}_seconds": value for name, value in middle.items()},
        **{f"{name}_cpu_seconds": value for name, value in used.items()},
        "bound_seconds": _center(bound),
        **{name: other[name] for name in other if name.endswith("_share")},
        "empty_step_seconds": other["empty_step"],
        "transfer_seconds": other["transfer"],
        **{
            f"{name}{end}": value
            for name, three in values.items()
            for end, value in zip(("", "_low", "_high"), three, strict=True)
        },
        "binds": binds(parts, used, cores, on_gpu=on_gpu, **other),
    }


def _center(values: np.ndarray) -> float:
    return intervals.geometric(values).estimate


def _three_of(interval: intervals.Interval) -> list[float]:
    return [interval.estimate, interval.low, interval.high]


def _mean(values: np.ndarray) -> list[float]:
    """Return mean, lower and upper bound of values that may be negative.

    The bounds are those of Student's t interval.
    """
    interval = intervals.geometric(np.exp(values))
    return [float(np.log(v)) for v in _three_of(interval)]


def _pipe_shares(runs: pd.DataFrame, waits: float) -> dict[str, float]:
    """Return the shares of the pipeline's time in storage, parsing and Python, 0 to 1.

    The rules are in the docstring of this module.

    Args:
        runs: The runs of the pipeline alone.
        waits: The share of the time in which the pipeline computes nothing.
    """
    names = ("python", "parsing", "reading", "waiting")
    python, parsing, reading, slept = (_fact(runs, f"{name}_share") for name in names)
    known = "fact_reading_share" in runs and runs["fact_reading_share"].notna().any()
    profiled = 1 - python - slept
    if not known:
        parsing, reading, profiled = 0.0, _source_share(runs), 1.0
    waits = min(waits, 1 - python)
    scale = (1 - python - waits) / profiled if profiled > 0 else 0.0
    return {
        "storage_share": waits + scale * reading,
        "parsing_share": scale * parsing,
        "python_share": python,
    }


def _source_share(runs: pd.DataFrame) -> float:
    columns = [f"stage_{name}_seconds_per_batch" for name in STAGES]
    busy = runs[columns].astype(float).sum().to_numpy()
    return float(busy[0] / busy.sum()) if busy.sum() > 0 else 0.0


def _fact(runs: pd.DataFrame, name: str) -> float:
    if f"fact_{name}" not in runs:
        return 0.0
    value = runs[f"fact_{name}"].astype(float).median()
    return float(value) if np.isfinite(value) else 0.0


def _percent(row: Mapping[str, object], name: str) -> str:
    """Return a share as text with its interval, such as `82 % (80 to 84 %)`.

    If the interval is missing or too wide, the text has the reason in its place.
    """
    value, low, high = (100 * row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if not np.isfinite(low):
        return f"{value:.0f} % (one round: no interval)"
    if high - low > 100:
        return f"{value:.0f} % (too few or too uneven rounds for an interval)"
    return f"{value:.0f} % ({low:.0f} to {high:.0f} %)"
