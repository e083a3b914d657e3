"""This module finds the functions that a user names, before any code of theirs runs."""

from __future__ import annotations

import ast
from pathlib import Path

from bench import catalog, shell
from bench.errors import UsageError


def pipeline(target: str, call: str) -> tuple[str, str]:
    """Return the path of the user's file, and the expression that makes its dataset.

    Args:
        target: The user's text, such as `input_pipeline.py:train_dataset`.
        call: The expression, if the user gives it; empty to call without arguments.

    Raises:
        UsageError: No such file or function, or its call needs arguments. For a
            workload the text has the commands that answer the same question.
    """
    path, functions, name = _parts(target)
    if not name and not call:
        _demand_no_workload(path)
        raise _unnamed("the dataset", path, functions)
    if call:
        return path, call
    arguments = _function(path, functions, name).args
    if _missing(arguments):
        raise UsageError(
            f"{name} needs arguments: give the call, as --call "
            f"'{name}({ast.unparse(arguments)})'."
        )
    return path, f"{name}()"


def model(target: str) -> tuple[str, str]:
    """Return the path of the model's file, and the expression that makes the model.

    Args:
        target: The user's text, such as `models.py:build_model`.

    Raises:
        UsageError: No such file or function, or its call needs arguments.
    """
    path, functions, name = _parts(target)
    if not name:
        raise _unnamed("the compiled model", path, functions)
    arguments = _function(path, functions, name).args
    if _missing(arguments):
        raise UsageError(
            f"--model {target}: {name}({ast.unparse(arguments)}) needs arguments. Give "
            "them defaults, or name a function without arguments that calls it."
        )
    return path, f"{name}()"


def _parts(target: str) -> tuple[str, dict[str, ast.FunctionDef], str]:
    """Return a target's path, the functions of that file, and the function's name."""
    path, _, name = target.partition(":")
    if not Path(path).is_file():
        raise UsageError(f"No file at '{path}'. Name it as path/to/file.py:function.")
    tree = catalog.parse_python(Path(path))
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    return path, functions, name


def _function(
    path: str, functions: dict[str, ast.FunctionDef], name: str
) -> ast.FunctionDef:
    if name not in functions:
        raise UsageError(
            f"{path} has no function '{name}'. It has: {_listed(functions)}."
        )
    return functions[name]


def _unnamed(what: str, path: str, functions: dict[str, ast.FunctionDef]) -> UsageError:
    return UsageError(
        f"Name the function that returns {what}, as {path}:function. {path} has: "
        f"{_listed(functions)}."
    )


def _listed(functions: dict[str, ast.FunctionDef]) -> str:
    return ", ".join(functions) or "none"


def _missing(arguments: ast.arguments) -> bool:
    """Return whether a call without arguments fails."""
    count = len(arguments.posonlyargs) + len(arguments.args)
    named = sum(default is None for default in arguments.kw_defaults)
    return count > len(arguments.defaults) or named > 0


def _demand_no_workload(path: str) -> None:
    """Refuse a workload, whose pipelines the suite builds from axes.

    Raises:
        UsageError: The file is a workload; the text has the commands for workloads.
    """
    try:
        entry = catalog.find(path)
    except UsageError:
        return
    before, after = (
        f"results/{entry.path.stem}-{when}" for when in ("before", "after")
    )
    named = ("run", "quick", "--workload", path, "--out")
    commands = [
        ("Which pipeline is the fastest?", shell.command(*named, before)),
        ("The same after a change of the file:", shell.command(*named, after)),
        ("Is it faster now?", shell.command("compare", before, after)),
    ]
    if entry.trains:
        binds = shell.command("run", "bottleneck", "--workload", path)
        commands.append(("Does the pipeline or the model bind?", binds))
    lines = [f"\n# {question}\n{command}" for question, command in commands]
    raise UsageError(
        f"{path} is a workload: the suite builds its pipelines, so there is no source "
        f"of a pipeline to change. These commands answer for it:{''.join(lines)}"
    )
