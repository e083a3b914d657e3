"""This module writes jobs that run the shards of a sweep on several machines."""

from __future__ import annotations

import argparse
import json
import posixpath
import re
import shlex
from pathlib import Path

from bench import shell, store
from bench.errors import UsageError

# By the scheduler: the template of a job, a text with names such as @SHARDS@.
TEMPLATES = {
    "kubernetes": "job.kubernetes.yaml",
    "github": "job.github.yaml",
    "slurm": "job.slurm.sh",
}
PROGRAM = ".venv/bin/python run_bench.py"  # from the folder of this repository
FOLDER = "/feedrate"  # of this repository in an image, for Kubernetes


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
