"""This module lets several machines run the shards of a sweep, for the verb `run`.

It prints the file of a job (`--write-job`), or submits the shards itself (`--on`).
"""

from __future__ import annotations

import argparse
import json
import math
import posixpath
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from bench import shell, store
from bench.commands import report, values
from bench.errors import Exit, UsageError, check_folder
from bench.plan import plan, shards, sweeps
from bench.run import submission

# By the scheduler: the template of a job, a text with names such as @SHARDS@.
TEMPLATES = {
    "kubernetes": "job.kubernetes.yaml",
    "github": "job.github.yaml",
    "slurm": "job.slurm.sh",
}
PROGRAM = ".venv/bin/python run_bench.py"  # from the folder of this repository
# A shard's time limit on a cluster; a slow machine must not lose the end of its rounds.
MARGIN_MINUTES, MARGIN_FACTOR = 30, 3
FOLDER = "/feedrate"  # of this repository in an image, for Kubernetes


def main(options: argparse.Namespace) -> int:
    """Print the file of a job, or run the shards on a cluster; return the exit code.

    This machine need not be able to run the sweep: it may lack a GPU or the data.

    Raises:
        UsageError: Bad options, more shards than workloads, or a cluster that cannot be
            reached.
    """
    _check(options)
    sweep = values.sweep(options)
    accepted, _ = sweeps.trials(sweep, values.data(options))
    parts = shards.divide(accepted, options.shards, len)
    if options.write_job:
        print(write(options.write_job, options, sweep.name), end="")
        return Exit.OK
    effort = replace(sweep.effort, rounds=options.rounds or sweep.effort.rounds)
    if options.precision:
        effort = replace(effort, rounds=plan.MOST_ROUNDS)
    budget = options.budget or sweep.budget_seconds
    seconds = budget or plan.estimate(max(map(len, parts)), effort)
    minutes = MARGIN_MINUTES + math.ceil(MARGIN_FACTOR * seconds / 60)
    return _on_cluster(options, options.out or store.new_folder(sweep.name), minutes)


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: An option is missing, or one too many.
    """
    verb = "--write-job" if options.write_job else "--on"
    if not options.shards or bool(options.write_job) == bool(options.on):
        raise UsageError(
            "A sweep on several machines needs --shards, their number, and either "
            f"--write-job ({', '.join(TEMPLATES)}) or --on "
            f"({', '.join(submission.CLUSTERS)}), which takes --sbatch. To run one "
            "part of a sweep here, use --shard i/n."
        )
    for name in ("resume", "shard", *(["json", "sbatch"] if options.write_job else [])):
        if getattr(options, name):
            raise UsageError(f"{verb} takes a whole sweep: leave --{name} out.")


def _on_cluster(options: argparse.Namespace, out: Path, minutes: int) -> int:
    """Submit the shards, wait for them and report them; return the exit code.

    Args:
        options: The options of the command `run`.
        out: The folder of the shards' result folders.
        minutes: The time limit of a shard.
    """
    count, settings = options.shards, dict(map(_setting, options.sbatch))
    check_folder(out)
    folders = [out / f"shard-{n}-of-{count}" for n in range(1, count + 1)]
    words = sweep_words(options)
    tasks = submission.submit(words, folders, out / "logs", minutes, settings)
    names = " ".join(task.job_id for task in tasks)
    report_words = ("report", *folders, "--out", out / "report")
    print(f"Submitted {count} shards to {options.on}: {names}", file=sys.stderr)
    try:
        failed = submission.wait(tasks)
    except KeyboardInterrupt:
        print(
            f"\nThe shards run on; end them with scancel. When they have ended:\n"
            f"  {shell.command(*report_words)}",
            file=sys.stderr,
        )
        return Exit.INTERRUPTED
    for sentence in failed:
        print(sentence, file=sys.stderr)
    measured = [folder for folder in folders if (folder / store.FILE).exists()]
    if not measured:
        return Exit.NO
    formats = ("html", "md", "csv", "png")
    succeeded = report.show(measured, out / "report", formats, as_json=options.json)
    return Exit.OK if succeeded else Exit.NO


def _setting(text: str) -> tuple[str, str | bool]:
    """Return an option of the scheduler as name and value; a bare name is True."""
    name, equals, value = text.lstrip("-").partition("=")
    return name, value if equals else True


def write(scheduler: str, options: argparse.Namespace, sweep: str) -> str:
    """Return the file of a job that runs each shard of a sweep on its own machine.

    A shard that starts again resumes its result folder.

    Args:
        scheduler: A name of `TEMPLATES`.
        options: The options of the command `run`; `shards` is the number of shards, and
            `out` the folder of their result folders.
        sweep: The name of the sweep.

    Raises:
        UsageError: An option has a line break, which a job's file cannot have.
    """
    folder = store.new_folder(sweep)
    out = str(options.out or folder.relative_to(shell.ROOT))
    words = sweep_words(options)
    for word in (*words, out):
        if not word.isprintable():
            raise UsageError(
                f"A job's file takes one line for a command, got {word!r}. Leave out "
                "characters that are not printable."
            )
    name = re.sub(r"[^a-z0-9]+", "-", Path(out).name.lower()).strip("-")
    quoted, count = shlex.quote(out), options.shards
    texts = {
        "SWEEP": sweep,
        "NAME": name[:40].strip("-") or "sweep",
        "SHARDS": str(count),
        "NUMBERS": json.dumps(list(range(1, count + 1))),
        "PROGRAM": PROGRAM,
        "COMMAND": f"{PROGRAM} {shlex.join(words)}",
        "REPORT": f"{PROGRAM} report {quoted}/shard-*-of-{count} --out {quoted}/report",
        "OUT": quoted,
        "PATH": json.dumps(out),
        "REPORT_PATH": json.dumps(f"{out}/report"),
        "MOUNT": json.dumps(posixpath.join(FOLDER, out)),
    }
    template = Path(__file__).with_name(TEMPLATES[scheduler])
    return re.sub(
        "@([A-Z_]+)@", lambda name: texts[name[1]], template.read_text("utf-8")
    )


def sweep_words(options: argparse.Namespace) -> list[str]:
    """Return the verb and the options that plan the same whole sweep again.

    Args:
        options: The options of the command `run`.
    """
    words = ["run", str(options.sweep)]
    for name in ("workload", "strategy", "axis"):
        words += [word for one in getattr(options, name) for word in (f"--{name}", one)]
    for name in ("consumer", "unit", "rounds", "precision", "seed", "data"):
        if value := getattr(options, name):
            words += [f"--{name}", str(value)]
    if options.skip_damaged:
        words.append("--skip-damaged")
    for name in ("budget", "limit"):
        if seconds := getattr(options, name):
            words += [f"--{name}", f"{seconds}s"]
    return words
