"""This module makes a DataFrame of stored runs, with a row for each sample.

    from bench.analysis import table
    samples = table.load("results/reference/quick")

The columns and their units are documented in results/README.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench import stages
from bench.machine import MEMBER, identity, limits_in_words
from bench.pipeline import AXES, allowed, differences
from bench.plan import screening
from bench.trial import Run, Trial, phases_of

PHASES, OVERHEAD = phases_of("once", "window"), phases_of("overhead")
STAGE_COLUMNS = tuple(f"stage_{name}_seconds_per_batch" for name in stages.STAGES)
CONDITIONS = ("load_at_start", "steal_share", "foreign_cpu_share")

SCENE = ("machine", *screening.SCENE)  # the columns that identify a scene


class Spans(dict):
    """This dictionary has the traced time spans of each run, by the run's number.

    pandas copies a table's `attrs` deeply; all copies share this one, which saves time.
    """

    def __deepcopy__(self, memo: dict) -> Spans:
        """Return the same object, since nothing changes it."""
        return self


def load(*folders: str | Path) -> pd.DataFrame:
    """Return a DataFrame of the samples in some result folders; see `from_runs`.

    Raises:
        UsageError: A folder cannot be read, or a line in it is broken.
    """
    runs, names, _ = read(folders)
    return from_runs(runs, names)


def read(folders: Iterable[str | Path]) -> tuple[list[Run], list[str], list[str]]:
    """Return the runs of result folders, the folder of each run, and notes.

    The notes name incomplete lines, early ends, and runs left out for other inputs.
    """
    from bench import store
    from bench.data import identity

    runs, names, notes = [], [], []
    folders = [Path(folder) for folder in folders]
    for folder in folders:
        stored, remarks = store.load(folder)
        runs += stored
        names += [str(folder)] * len(stored)
        notes += [f"{folder}: {n}" for n in remarks] if folders[1:] else remarks
    if folders[1:]:
        runs = _hosts_apart(runs, names)
    alike = identity.runs_with_equal_inputs(runs)
    return alike.runs, [names[n] for n in alike.numbers], [*notes, *alike.notes]


def _hosts_apart(runs: Sequence[Run], folders: Sequence[str]) -> list[Run]:
    """Return the runs, marked by host where machines of one kind are different hosts.

    Equal machines differ in speed, so times of different hosts are never averaged. The
    runs of one kind of machine in one folder stay together, since a container that is
    started again to resume a sweep may have another host name.

    Args:
        runs: The runs in file order.
        folders: The result folder of each run.
    """
    members: dict[tuple, str] = {}  # the first host, by kind of machine and folder
    kinds = [identity(run.machine) for run in runs]
    for run, kind, folder in zip(runs, kinds, folders, strict=True):
        members.setdefault((kind, folder), str(run.machine.get("host", "")))
    hosts: dict[tuple, set[str]] = {}
    for (kind, _), host in members.items():
        hosts.setdefault(kind, set()).add(host)
    return [
        replace(run, machine={**run.machine, MEMBER: members[kind, folder]})
        if len(hosts[kind]) > 1
        else run
        for run, kind, folder in zip(runs, kinds, folders, strict=True)
    ]


def from_runs(
    runs: Sequence[Run], folders: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return a row for each sample; a failed run is one row with NaN and its error.

    Args:
        runs: The runs in file order.
        folders: The result folder of each run, if there are several folders.

    Returns:
        The columns of `runs_frame`, repeated for each sample of the run, and the
        columns `sample` (from 0), `seconds_per_batch` and `examples_per_second`.
    """
    frame = runs_frame(runs, folders)
    counts = np.maximum(frame["samples"].to_numpy(int), 1)
    rows = frame.take(np.repeat(np.arange(len(frame)), counts))
    rows = rows.reset_index(drop=True)
    values = [run.measured.samples or [np.nan] for run in runs]
    seconds = np.concatenate([np.empty(0), *values]).astype(float)
    seconds[~(seconds > 0)] = np.nan  # such a value is no measured time
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    added = pd.DataFrame(
        {
            "sample": np.arange(len(rows)) - starts,
            "seconds_per_batch": seconds,
            "examples_per_second": rows["batch_size"].to_numpy(float) / seconds,
        }
    )
    table = pd.concat([rows, added], axis=1)
    traced = {n: run.measured.spans for n, run in enumerate(runs) if run.measured.spans}
    table.attrs["spans"] = Spans(traced)
    return table


def runs_frame(
    runs: Sequence[Run], folders: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return a DataFrame with a row for each run: its trial, times, costs and error.

    Args:
        runs: The runs in file order.
        folders: The result folder of each run, if there are several folders.
    """
    trials: dict[Trial, dict[str, object]] = {}
    labels = machine_labels(runs)
    rows = []
    for number, run in enumerate(runs):
        if run.trial not in trials:
            trials[run.trial] = _trial_columns(run.trial)
        measured, failure = run.measured, run.measured.error
        rows.append(
            {
                "run": number,
                "folder": folders[number] if folders is not None else "",
                "sweep": run.sweep,
                "round": run.round,
                "position": run.position,
                "started": run.started,
                "machine": labels[number],
                "cpu_count": int(run.machine.get("cpu_count") or 1),
                "cpu_limit": _number(run.machine.get("cpu_limit")),
                "key": run.key,
                **trials[run.trial],
                "samples": len(measured.samples),
                "batches_per_sample": measured.batches_per_sample,
                "laid_alike": run.effort.windows is not None,
                "start_batches": measured.start_batches,
                "epoch_batches": measured.epoch_batches,
                "foreign_share": _number(measured.foreign_share),
                "run_seconds": run.seconds,
                "effort_seconds": run.effort.warmup_seconds + run.effort.steady_seconds,
                **{f"{name}_seconds": np.nan for name in PHASES},
                **{f"{name}_seconds": s for name, s in measured.phases.items()},
                **{f"overhead_{name}_seconds": np.nan for name in OVERHEAD},
                **{
                    f"overhead_{name}_seconds": s
                    for name, s in measured.overhead.items()
                },
                "cpu_seconds_per_example": _number(measured.cpu_seconds_per_example),
                "peak_resident_bytes": _number(measured.peak_resident_bytes),
                "start_resident_bytes": _number(measured.start_resident_bytes),
                **dict.fromkeys(CONDITIONS, np.nan),
                **run.conditions,
                **dict.fromkeys(STAGE_COLUMNS, np.nan),
                **{
                    f"stage_{name}_seconds_per_batch": s
                    for name, s in stages.seconds_per_batch(measured.graph).items()
                },
                "flags": ";".join(measured.flags),
                "ran_on": measured.device,
                "input_fingerprint": measured.input_fingerprint,
                "output_fingerprint": measured.output_fingerprint,
                "error": failure.type if failure else "",
                "error_message": failure.message if failure else "",
                "error_phase": failure.phase if failure else "",
                **{f"fact_{name}": value for name, value in measured.facts.items()},
            }
        )
    frame = pd.DataFrame(rows, columns=None if rows else _columns())
    # Rows of Arrow text are slow to select, and selecting rows is most of the work.
    return frame.astype(dict.fromkeys(frame.select_dtypes("str"), object)).copy()


def machine_labels(runs: Sequence[Run]) -> list[str]:
    """Return a label for each run, which names its machine and versions.

    Runs have the same label if and only if their machine and versions are equal.
    """
    identities = [identity(run.machine) for run in runs]
    labels: dict[tuple, str] = {}
    for name, run in zip(identities, runs, strict=True):
        if name in labels:
            continue
        machine = run.machine
        gpus = machine.get("gpus") or []
        parts = [
            str(machine.get("cpu") or "unknown CPU"),
            f"{machine.get('cpu_count', '?')} CPUs",
            *limits_in_words(machine),
            *(str(gpu).partition(",")[0] for gpu in gpus),
            f"TensorFlow {machine.get('tensorflow', '?')}",
            f"Keras {machine.get('keras', '?')}",
            *([f"host {machine[MEMBER]}"] if machine.get(MEMBER) else []),
        ]
        label = ", ".join(parts)
        twins = sum(other.startswith(label) for other in labels.values())
        labels[name] = f"{label} (no. {twins + 1})" if twins else label
    return [labels[name] for name in identities]


def _trial_columns(trial: Trial) -> dict[str, object]:
    changed = differences(trial.pipeline)
    spelled = ",".join(f"{name}={_cell(name, v)}" for name, v in changed.items())
    strategy = trial.strategy or spelled
    return {
        "workload": trial.workload,
        "strategy": strategy,
        # The name of a strategy lacks the batch size; the label of a row has it.
        "label": trial.label,
        "consumer": trial.consumer,
        "unit": trial.unit,
        "data": trial.data,
        **{name: _cell(name, getattr(trial.pipeline, name)) for name in AXES},
    }


def _cell(name: str, value: object) -> object:
    """Return the value of an axis for a cell of the table.

    If an axis takes both words and numbers, every value becomes text, so that the
    column has one type.
    """
    words, numbers = allowed(name)
    return str(value) if words and numbers else value


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _columns() -> list[str]:
    trial = ("workload", "strategy", "label", "consumer", "unit", "data", *AXES)
    return [
        *("run", "folder", "sweep", "round", "position", "started", "machine"),
        *("cpu_count", "cpu_limit", "key"),
        *trial,
        *("samples", "batches_per_sample", "laid_alike", "start_batches"),
        *("epoch_batches", "foreign_share", "run_seconds", "effort_seconds"),
        *(f"{name}_seconds" for name in PHASES),
        *(f"overhead_{name}_seconds" for name in OVERHEAD),
        *("cpu_seconds_per_example", "peak_resident_bytes", "start_resident_bytes"),
        *CONDITIONS,
        *STAGE_COLUMNS,
        *("flags", "ran_on", "input_fingerprint", "output_fingerprint"),
        *("error", "error_message", "error_phase"),
    ]
