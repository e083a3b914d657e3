"""What is on the shelves: names, first lines and traits, without importing anything.

A file's name is its registration. What an entry can do is read from its syntax tree
(which functions it has, which arguments they take, its literal constants), so listing
the shelves loads neither TensorFlow nor Keras, and bad input fails before a process
starts.
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
    *("KIND", "EXAMPLES", "DETERMINISTIC", "TOLERANCE", "LOSS", "OPTIMIZER"),
    *("ACCEPTS", "CLASSES", "BINARY_LABELS", "VARIANTS"),
}
GONE = {"random_height": "RandomHeight", "random_width": "RandomWidth"}
REQUIRED = {
    "layers": ("examples", "build", "check"),
    "workloads": ("examples", "build", "check"),
    "plots": ("draw",),
}


@dataclass(frozen=True)
class Entry:
    """One file on a shelf, as far as its text tells.

    Attributes:
        name: The file's stem, with `:variant` where one was asked for.
        shelf: `layers`, `workloads`, `plots`, or `user` for a file given by path.
        path: Where the file is.
        summary: The first line of its docstring.
        functions: Argument names by function name.
        constants: The literal values of its upper-case names.
        variant: Arguments given to `build` and `check`, from `VARIANTS`.
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
        """What it works on: image, structured, text or audio."""
        return str(self.constants.get("KIND", ""))

    @property
    def deterministic(self) -> bool:
        """Whether the same input must give the same output everywhere."""
        return bool(self.constants.get("DETERMINISTIC", True))

    @property
    def reads_files(self) -> bool:
        """Whether its examples are files, which `read(path, label)` opens."""
        return "read" in self.functions

    @property
    def decodes(self) -> bool:
        """Whether a record must be decoded before the layers can have it."""
        return "decode" in self.functions

    @property
    def trains(self) -> bool:
        """Whether it has a model to train."""
        return "model" in self.functions

    @property
    def sized(self) -> bool:
        """Whether its examples come in a size that can be asked for."""
        return "size" in self.functions.get("examples", ())

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of its variants."""
        return tuple(self.constants.get("VARIANTS", {}))


def entries(shelf: str) -> dict[str, Entry]:
    """Every entry of a shelf by name, in alphabetical order."""
    files = sorted(SHELVES[shelf].glob("*.py"))
    return {
        file.stem: _read(file, shelf) for file in files if not file.stem.startswith("_")
    }


def workload_names() -> list[str]:
    """Everything `--workload` takes: workloads, layers, and their variants."""
    return [
        name
        for shelf in ("workloads", "layers")
        for entry in entries(shelf).values()
        for name in (entry.name, *(f"{entry.name}:{v}" for v in entry.variants))
    ]


def find(name: str) -> Entry:
    """The workload or layer of this name, or the user's own file at this path.

    Raises:
        UsageError: No such name, no such file, or the file lacks a function.
    """
    stem, _, variant = name.partition(":")
    if stem.endswith(".py"):
        path = Path(stem)
        if not path.is_file():
            raise UsageError(f"No workload file at '{stem}'.")
        entry = _read(path, "user")
    else:
        shelf = next((s for s in ("workloads", "layers") if _file(s, stem)), None)
        if shelf is None and stem in GONE:
            raise UsageError(
                f"{GONE[stem]} is gone in Keras 3: use 'resizing' or 'random_zoom'."
            )
        path = Path(stem)
        if shelf is None and (path.exists() or path.suffix or path.name != stem):
            raise UsageError(
                f"'{stem}' is no workload: a workload file ends in .py. See "
                "`run_bench.py list` for those with a name."
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
    """Import one entry; this is where TensorFlow and Keras get loaded."""
    name = f"feedrate_{entry.shelf}_{entry.path.stem}"
    folder = str(entry.path.parent.absolute())
    if entry.shelf == "user" and folder not in sys.path:
        sys.path.append(folder)  # for the modules beside the user's file
    spec = importlib.util.spec_from_file_location(name, entry.path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _file(shelf: str, stem: str) -> Path | None:
    path = SHELVES[shelf] / f"{stem}.py"
    return path if path.is_file() and not stem.startswith("_") else None


@functools.cache
def _read(path: Path, shelf: str) -> Entry:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UsageError(
            f"{path} is not valid Python: {error.msg} in line {error.lineno}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as UTF-8 text: {error}.") from error
    functions = {
        node.name: tuple(a.arg for a in node.args.args + node.args.kwonlyargs)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
    required = REQUIRED.get(shelf, REQUIRED["workloads"])
    missing = [name for name in required if name not in functions]
    if missing:
        raise UsageError(
            f"{path} needs {', '.join(f'{name}()' for name in required)}; "
            f"it lacks {', '.join(f'{name}()' for name in missing)}."
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
    """The literal values of upper-case names, by name.

    Raises:
        UsageError: A trait is computed.
    """
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name = target.id if isinstance(target, ast.Name) else ""
        if not name.isupper():
            continue
        try:
            found[name] = ast.literal_eval(node.value)
        except (ValueError, TypeError) as error:
            if name in TRAITS:  # else an array, say, which is no trait
                raise UsageError(
                    f"{path}, line {node.lineno}: {name} must be a literal, since it "
                    "is read without running the file."
                ) from error
    return found
