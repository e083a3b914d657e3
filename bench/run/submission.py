"""This module submits the shards of a sweep to a cluster, and waits for them.

submitit (optional, MIT licence) writes, submits and watches the jobs.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench import shell, store
from bench.errors import UsageError

if TYPE_CHECKING:
    import submitit

CLUSTERS = ("slurm",)
POLL_SECONDS = 10.0  # between two looks at the scheduler


def submit(
    words: Sequence[str],
    folders: Sequence[Path],
    logs: Path,
    minutes: int,
    settings: Mapping[str, str | bool],
    cluster: str = "slurm",
) -> list[submitit.Job]:
    """Submit each shard of a sweep as a task of one array, on a machine of its own.

    A shard whose folder has a plan already resumes, also when the cluster starts its
    task again.

    Args:
        words: The verb and the options that run the whole sweep.
        folders: The result folder of each shard, which all machines see.
        logs: The folder of the scheduler's logs.
        minutes: The time limit of a shard.
        settings: Further options of the scheduler by name, for Slurm those of `sbatch`.
        cluster: A name of `CLUSTERS`, or `local`, which starts processes here.

    Raises:
        UsageError: submitit is not installed, this machine cannot submit, or the
            scheduler refuses the jobs.
    """
    try:
        import submitit
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"--on {cluster} needs the package submitit. Install it with "
            f"{shell.short_path(shell.ROOT / '.venv/bin/python')} -m pip install "
            "submitit, or print a job with --write-job."
        ) from missing
    commands = [
        submitit.helpers.CommandFunction(
            _command(words, number, len(folders), folder), cwd=Path.cwd()
        )
        for number, folder in enumerate(folders, 1)
    ]
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=cluster)
        executor.update_parameters(
            name="feedrate",
            timeout_min=minutes,
            slurm_additional_parameters={"exclusive": True, **settings},
        )
        with executor.batch():
            return [executor.submit(command) for command in commands]
    except (RuntimeError, submitit.core.utils.FailedSubmissionError) as error:
        raise UsageError(
            f"The shards cannot be submitted to {cluster}: {error} Submit from a "
            "machine that has srun and sbatch, or print a job with --write-job."
        ) from error


def _command(words: Sequence[str], number: int, count: int, folder: Path) -> list[str]:
    """Return the command that runs one shard, or resumes it if it has a plan."""
    plan = shlex.quote(str(folder / store.PLAN))
    run = shell.command(*words, "--shard", f"{number}/{count}", "--out", folder)
    resume = shell.command("run", "--resume", folder)
    script = f"if [ -e {plan} ]; then exec {resume}; else exec {run}; fi"
    return ["bash", "-c", script]


def wait(jobs: Sequence[submitit.Job]) -> list[str]:
    """Wait until all jobs have ended; return a sentence for each one that failed.

    Args:
        jobs: The jobs from `submit`, in the order of the shards.
    """
    from submitit import helpers

    for _ in helpers.as_completed(jobs, poll_frequency=POLL_SECONDS):
        pass
    return [
        f"Shard {number}/{len(jobs)} failed. Its log is {job.paths.stderr}."
        for number, job in enumerate(jobs, 1)
        if job.exception() is not None
    ]
