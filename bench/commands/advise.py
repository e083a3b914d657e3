"""The verb `advise` proposes changes to a user's input pipeline, and measures them."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench import shell, store
from bench.commands import user_functions, values
from bench.errors import Exit, UsageError, check_folder, write_atomically

BUDGET = "5m"
ALLOW = {
    "order": "examples may come in another order",
    "drop_remainder": "the last, smaller batch may be left out",
    "determinism": "a seed need not repeat the order or the draws",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `advise` to its parser."""
    add = parser.add_argument
    add("target", metavar="FILE.py:FUNCTION", help="returns a tf.data.Dataset")
    add(
        "--call",
        default="",
        metavar="EXPRESSION",
        help="how to call it, such as 'train_dataset(\"data\", batch_size=64)'; "
        "default: without arguments",
    )
    add(
        "--model",
        default="",
        metavar="FILE.py:FUNCTION",
        help="returns a compiled Keras model: time its training on the pipeline, and "
        "stop where the model hides the pipeline",
    )
    add(
        "--budget",
        type=values.duration,
        default=values.duration(BUDGET),
        help=f"default {BUDGET}",
    )
    add(
        "--allow",
        type=_allowed,
        default=(),
        metavar="NAME,NAME",
        help="what may change: " + "; ".join(f"{k} ({v})" for k, v in ALLOW.items()),
    )
    add("--apply", action="store_true", help="write the tuned source into the file")
    add("--limit", type=values.duration, default=120.0, help=values.LIMIT)
    add("--out", type=Path, metavar="DIR", help="default results/advise-DATE")


def main(options: argparse.Namespace) -> int:
    """Search for changes that make the pipeline faster, print and write them.

    The result is the exit code.

    Raises:
        UsageError: The file, the function or its pipeline cannot be read, or the model
            cannot be trained on it.
    """
    path, call = user_functions.pipeline(options.target, options.call)
    model = user_functions.model(options.model) if options.model else ("", "")
    out = options.out or store.new_folder("advise")
    check_folder(out)
    from bench.advise.search import Search  # late: LibCST, SciPy
    from bench.run.executors import executor
    from bench.run.user_pipeline import PipelineExecutor

    server = PipelineExecutor(executor())
    server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="feedrate-") as scratch:
            advice = Search(
                path=path,
                call=call,
                server=server,
                scratch=Path(scratch),
                budget_seconds=options.budget,
                allow=options.allow,
                limit_seconds=options.limit,
                model_path=model[0],
                model_call=model[1],
                report_progress=_report_progress,
            ).run()
    finally:
        server.stop()
    return _finish(advice, options, out)


def _finish(advice, options: argparse.Namespace, out: Path) -> int:
    """Write the files of the advice and print it; return the exit code."""
    from bench.report import advice as report

    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "advice.md", report.as_markdown(advice).encode())
    write_atomically(out / "advice.json", report.as_json(advice))
    written = f"Files: {shell.short_path(out)}/advice.md, advice.json"
    lines = [written]
    if advice.tuned != advice.original:
        changes = out / "advice.diff"
        write_atomically(changes, report.diff(advice).encode())
        write_atomically(out / Path(advice.path).name, advice.tuned.encode())
        lines = [f"{written}, advice.diff, {Path(advice.path).name} (tuned)"]
        if options.apply:
            _apply(advice)
            undo = report.apply_command(advice, changes.absolute(), "-R")
            lines.append(f"Written into {advice.path}. Undo: {undo}")
        else:
            here = Path(shell.short_path(changes))
            at_home = report.diff_folder(advice) == Path.cwd()
            name = here if at_home else changes.absolute()
            lines.append(f"Apply: {report.apply_command(advice, name)}")
            lines.append(f"Undo: {report.apply_command(advice, name, '-R')}")
    if options.json:
        sys.stdout.write(report.as_json(advice).decode())
    else:
        print(report.terminal(advice, lines), end="")
    return Exit.INTERRUPTED if advice.interrupted else Exit.OK


def _apply(advice) -> None:
    """Write the changed source into the user's file, if that file is as measured.

    Raises:
        UsageError: The file changed meanwhile, or cannot be written.
    """
    path = Path(advice.path)
    if path.read_bytes() != advice.original.encode():
        raise UsageError(
            f"{path} changed while it was measured, so it is left as it is. The diff "
            "is in the output folder."
        )
    write_atomically(path, advice.tuned.encode())


def _allowed(text: str) -> tuple[str, ...]:
    """Return the names that the user wrote after `--allow`.

    Raises:
        ArgumentTypeError: A name is not one of `ALLOW`.
    """
    names = tuple(filter(None, text.split(",")))
    for name in names:
        if name not in ALLOW:
            raise argparse.ArgumentTypeError(
                f"names of {', '.join(ALLOW)}, with commas between, got '{name}'"
            )
    return names


def _report_progress(line: str) -> None:
    from bench.text import visible

    print(visible(line), file=sys.stderr, flush=True)
