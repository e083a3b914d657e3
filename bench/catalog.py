"""This module lists the layers, workloads and plots without importing them.

Each kind has a folder, its shelf, and a file is registered by its name alone. The
module reads the syntax tree of a file: its functions, their arguments, and its literal
constants. So listing the shelves loads neither TensorFlow nor Keras, and bad input
fails before a process starts.
"""

import ast
import functools
import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from bench.errors import UsageError, unknown
from bench.shell import ROOT

SHELVES = {
    "layers": ROOT / "layers",
    "workloads": ROOT / "bench" / "workloads",
    "plots": ROOT / "bench" / "plots",
}
TRAITS = {
    *("KIND", "EXAMPLES", "DETERMINISTIC", "TOLERANCE", "ACCEPTS", "CLASSES"),
    *("BINARY_LABELS", "VARIANTS", "ON", "DECODE"),
}
ONLY_VALUES = {"ON": "example", "DECODE": "batch"}
REMOVED = {"random_height": "RandomHeight", "random_width": "RandomWidth"}
REQUIRED = {
    "layers": ("examples", "build", "check"),
    "workloads": ("examples", "build", "check"),
    "plots": ("draw",),
}


@dataclass(frozen=True)
class Entry:
    """An entry describes a file of layers, a workload or a plot, from its source text.

    Attributes:
        name: The name of the file without `.py`, with `:variant` for a variant.
        shelf: `layers`, `workloads`, `plots`, or `user` for a user's own file.
        path: The path of the file.
        summary: The first line of the file's docstring.
        functions: The names of a function's arguments, by the function's name.
        constants: The literal values of the file's upper-case names.
        variant: Further arguments of `build` and `check`; empty if the entry is no
            variant.
    """

    name: str
    shelf: str
    path: Path
    summary: str
    functions: dict[str, tuple[str, ...]]
    constants: dict[str, object]
    variant: dict[str, object] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Return the kind of the examples: image, structured, text or audio."""
        return str(self.constants.get("KIND", ""))

    @property
    def deterministic(self) -> bool:
        """Return whether equal input must give equal output everywhere."""
        return bool(self.constants.get("DETERMINISTIC", True))

    @property
    def reads_files(self) -> bool:
        """Return whether the examples are files, which `read(path, label)` opens."""
        return "read" in self.functions

    @property
    def decodes(self) -> bool:
        """Return whether records must be decoded before they reach the layers."""
        return "decode" in self.functions

    @property
    def has_source(self) -> bool:
        """Return whether the records come from a dataset that `source()` returns."""
        return "source" in self.functions

    @property
    def decodes_batches(self) -> bool:
        """Return whether `decode` gets a whole batch of records at a time."""
        return self.decodes and "DECODE" in self.constants

    @property
    def takes_labels(self) -> bool:
        """Return whether the layers get the labels together with the features."""
        return "ON" in self.constants

    @property
    def trains(self) -> bool:
        """Return whether the workload has a model to train."""
        return "model" in self.functions

    @property
    def sized(self) -> bool:
        """Return whether the examples come in a size that can be chosen."""
        return "size" in self.functions.get("examples", ())

    @property
    def variants(self) -> tuple[str, ...]:
        """Return the names of the variants, which differ in further arguments."""
        return tuple(self.constants.get("VARIANTS", {}))


def entries(shelf: str) -> dict[str, Entry]:
    """Return all entries of a shelf, such as `layers`, by name and sorted by name."""
    files = sorted(SHELVES[shelf].glob("*.py"))
    return {
        file.stem: _read(file, shelf) for file in files if not file.stem.startswith("_")
    }


def workload_names() -> list[str]:
    """Return every name that `--workload` takes: workloads, layers, their variants."""
    return [
        name
        for shelf in ("workloads", "layers")
        for entry in entries(shelf).values()
        for name in (entry.name, *(f"{entry.name}:{v}" for v in entry.variants))
    ]


def find(name: str) -> Entry:
    """Return the workload or layer of a name, or the user's own file of a path.

    Args:
        name: A name, a path that ends in `.py`, or either with `:variant`.

    Raises:
        UsageError: The name, file or variant does not exist, or the file lacks a
            function.
    """
    stem, _, variant = name.partition(":")
    if stem.endswith(".py"):
        path = Path(stem)
        if not path.is_file():
            raise UsageError(f"No workload file at '{stem}'.")
        entry = _read(path, "user")
    else:
        shelf = next((s for s in ("workloads", "layers") if _file(s, stem)), None)
        if shelf is None and stem in REMOVED:
            raise UsageError(
                f"{REMOVED[stem]} does not exist in Keras 3: use 'resizing' or "
                "'random_zoom'."
            )
        path = Path(stem)
        if shelf is None and (path.exists() or path.suffix or path.name != stem):
            raise UsageError(
                f"'{stem}' is no workload: a workload file ends in .py. See "
                "`run_bench.py list` for all named workloads."
            )
        if shelf is None:
            raise unknown("workload", stem, workload_names())
        entry = _read(_file(shelf, stem), shelf)
    if not variant:
        return entry
    if variant not in entry.variants:
        raise unknown(f"variant of '{entry.name}'", variant, entry.variants)
    arguments = entry.constants["VARIANTS"][variant]
    return Entry(**{**vars(entry), "name": name, "variant": arguments})


def load(entry: Entry) -> ModuleType:
    """Import an entry, and with it TensorFlow and Keras."""
    name = f"feedrate_{entry.shelf}_{entry.path.stem}"
    folder = str(entry.path.parent.absolute())
    if entry.shelf == "user" and folder not in sys.path:
        sys.path.append(folder)  # for modules in the folder of the user's file
    spec = importlib.util.spec_from_file_location(name, entry.path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _file(shelf: str, stem: str) -> Path | None:
    path = SHELVES[shelf] / f"{stem}.py"
    return path if path.is_file() and not stem.startswith("_") else None


def parse_python(path: Path) -> ast.Module:
    """Parse a Python file without running it.

    Raises:
        UsageError: It cannot be read, or is not valid Python.
    """
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UsageError(
            f"{path} is not valid Python: {error.msg} in line {error.lineno}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as UTF-8 text: {error}.") from error


@functools.cache
def _read(path: Path, shelf: str) -> Entry:
    tree = parse_python(path)
    functions = {
        node.name: tuple(a.arg for a in node.args.args + node.args.kwonlyargs)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
    required = REQUIRED.get(shelf, REQUIRED["workloads"])
    if "source" in functions:
        required = tuple(name for name in required if name != "examples")
        if others := [name for name in ("examples", "read") if name in functions]:
            raise UsageError(
                f"{path} has source() and {others[0]}(): records come from one of them."
            )
    missing = [name for name in required if name not in functions]
    if missing:
        raise UsageError(
            f"{path} needs {', '.join(f'{name}()' for name in required)}; "
            f"the file lacks {', '.join(f'{name}()' for name in missing)}."
        )
    return Entry(
        name=path.stem if shelf != "user" else str(path),
        shelf=shelf,
        path=path,
        summary=(ast.get_docstring(tree) or "").partition("\n")[0],
        functions=functions,
        constants=_constants(tree, path),
    )


def _constants(tree: ast.Module, path: Path) -> dict[str, object]:
    """Return the literal values of upper-case names, by name.

    Raises:
        UsageError: The value of a trait is computed and not literal.
    """
    constants = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name = target.id if isinstance(target, ast.Name) else ""
        if not name.isupper():
            continue
        try:
            constants[name] = ast.literal_eval(node.value)
        except (ValueError, TypeError) as error:
            if name in TRAITS:  # other names may hold arrays, for example
                raise UsageError(
                    f"{path}, line {node.lineno}: {name} must be a literal, since "
                    "Feedrate reads it without running the file."
                ) from error
        only = ONLY_VALUES.get(name, constants.get(name))
        if constants.get(name) != only:
            raise UsageError(
                f"{path}, line {node.lineno}: {name} must be {only!r} or absent, got "
                f"{constants[name]!r}."
            )
    return constants
