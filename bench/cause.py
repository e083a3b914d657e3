"""This module finds the cause of an exception: its innermost type, message and place.

TensorFlow and Keras wrap the error of a user's function in texts of their own:
AutoGraph's "in user code:", Keras's "Exception encountered when calling", a graph's
"Graph execution error:" and the traceback of a `tf.py_function`. The module removes one
wrapper after another until the user's own error remains.
"""

from __future__ import annotations

import linecache
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.shell import ROOT

LONGEST = 4000  # characters of a stored message
LONGEST_READ = 20_000  # characters at each end of a text that are searched
LONGEST_LINE = 200  # characters of a first line before its place
LOSS_SCOPE = "compile_loss/"  # the scope that Keras gives to the loss
CUT = "in user code:"  # the start of a wrapper, which remains if its end is missing
GENERATED = "__autograph_generated_file"
LIBRARIES = ("site-packages", "dist-packages")
NAMES = {"<module>": "", "<lambda>": ", in a lambda", "None": ", in a lambda"}

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r'File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<name>[^\s*]+)')
_NODE = re.compile(r"\[\[\{\{node (?P<op>[^}]+)\}\}\]\]")
_OP_OF_SHAPE = re.compile(r"for '\{\{node (?P<op>[^}]+)\}\} = .*?\)'(?= with|\.|$)")
_TAIL = re.compile(r"\s*\[Op:[^\]]*\](\s*name:\s*)?")
_DUMP = re.compile(r"Mismatched elements|Max absolute difference|nan location|x and y")
_COMPARED = re.compile(r"Not equal to tolerance|Arrays are not|Items are not")

# Texts around an error. A wrapper may name the type, the frames, the op, the layer and
# the dataset's stage; the group `message` is the wrapped text.
_WRAPPERS = tuple(
    re.compile(pattern)
    for pattern in (
        r"in user code:(?: \([^\n]*\))?\s*\n\n(?P<frames>(?:[^\S\n]*\S[^\n]*\n)+)\s*\n"
        r"\s*(?P<type>[\w.]+)(?:: ?(?P<message>(?s:.*)))?\Z",
        r"Exception encountered when calling (?P<layer>[^\n]+?)(?:\.call\(\))?\.\s*\n\n"
        r"(?P<message>(?s:.*?))(?:\n\s*\nArguments received by (?s:.*))?\Z",
        r"Graph execution error:(?: \([^\n]*\))?\s*"
        r"(?:Detected at node (?P<op>\S+) defined at [^\n]*\n)?"
        r"(?P<frames>(?:\s*(?:File \"[^\n]*|<stack traces unavail[^\n]*|"
        r"Detected at node [^\n]*)\n)*)\s*(?P<message>(?s:.+))\Z",
        r"\d+ root error\(s\) found\.\s*\(0\) \w+: *"
        r"(?P<message>(?s:.*?))(?:\n\s*\(1\)(?s:.*))?\Z",
        r"\{\{function_node [^}]*\}\}\s*(?P<message>(?s:.*))\Z",
        r"Error in user-defined function passed to (?P<stage>[A-Za-z]+)Dataset\w*:\d+ "
        r"transformation with iterator: \S+: (?P<message>(?s:.*))\Z",
        r"(?P<type>[A-Za-z_][\w.]*): (?P<message>(?s:.*?))\n"
        r"Traceback \(most recent call last\):\n(?P<frames>(?s:.*))\Z",
        r"Traceback \(most recent call last\):\n(?P<frames>(?s:.*)\n)"
        r"(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>[^\n]*(?:\n(?! )[^\n]+)*))?\s*\Z",
    )
)


@dataclass(frozen=True)
class Frame:
    """A frame is a place of a traceback: the file, the line and the function's name."""

    path: str
    line: int
    name: str


@dataclass(frozen=True)
class Cause:
    """A cause is an error without the texts that TensorFlow and Keras wrap around it.

    Attributes:
        type: The type of the innermost exception.
        message: The message, without names of generated files and graph functions.
        frames: The places in the user's files, the innermost last.
        layer: The class or the name of the layer that failed; empty if unknown.
        op: The graph's node that failed; empty if unknown.
        stage: The dataset's step that failed, such as `map`; empty if unknown.
    """

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    layer: str = ""
    op: str = ""
    stage: str = ""


def innermost(
    error: BaseException,
    layers: Iterable[str] = (),
    made: Callable[[str], Sequence[Frame]] = lambda op: (),
) -> Cause:
    """Return the cause of an exception: its innermost error, message and place.

    Args:
        error: The exception as the program caught it.
        layers: The names of the layers, which identify the layer of a graph's node.
        made: A function that returns the lines of source that created a node of a
            graph, the innermost last.
    """
    text = str(error)
    if isinstance(error, KeyError) and error.args and is_wrapped(str(error.args[0])):
        text = str(error.args[0])  # of a key error `str` is the message's `repr`
    cause = from_text(type(error).__name__, text)
    layer = cause.layer or _layer(cause.op, layers)
    frames = cause.frames
    if not frames and not isinstance(
        error, SyntaxError
    ):  # a syntax error has its place
        stack = traceback.walk_tb(error.__traceback__)
        frames = user_frames(
            Frame(frame.f_code.co_filename, line, frame.f_code.co_name)
            for frame, line in stack
        )
    if not frames and cause.op:
        frames = user_frames(made(cause.op))
    return replace(cause, layer=layer, frames=frames)


def from_text(type_: str, text: str) -> Cause:
    """Return the cause of a stored error, from the error's type and message."""
    if len(text) > 2 * LONGEST_READ:
        text = f"{text[:LONGEST_READ]}\n...\n{text[-LONGEST_READ:]}"
    cause = Cause(type_, _ANSI.sub("", text).strip())
    while wrapper := _wrapper(cause.message):
        parts = wrapper.groupdict()
        frames = _frames(parts.get("frames") or "")
        cause = Cause(
            type=(parts.get("type") or cause.type).rpartition(".")[2],
            message=_outdented(parts["message"] or ""),
            frames=cause.frames + user_frames(frames),
            layer=parts.get("layer") or cause.layer,
            op=parts.get("op") or _op(cause.message) or cause.op,
            stage=_stage(parts.get("stage") or "") or cause.stage,
        )
    if cause.message.startswith(CUT):  # an earlier version cut the message off
        frames = cause.frames + user_frames(_frames(cause.message))
        return replace(cause, message="its cause was cut off", frames=frames)
    return replace(
        cause, message=_cleaned(cause.message), op=_op(cause.message) or cause.op
    )


def is_wrapped(text: str) -> bool:
    """Return whether a text of TensorFlow or Keras still wraps the error's own text."""
    return text.startswith(CUT) or _wrapper(text) is not None


def sentence(cause: Cause, otherwise: str = "") -> str:
    """Return an error's cause as text: a summary line, then the rest of the message.

    The summary line ends with the place: the user's file and line if known, else the
    layer, the op and the stage.

    Args:
        cause: The cause of an error.
        otherwise: The place to name if the cause has none.
    """
    first, rest = _headline(cause.message)
    place = _place(cause) or otherwise
    if place and len(first) > LONGEST_LINE:
        first, rest = _cut(first), cause.message
    if not first:
        first = "no message"
        if cause.frames:
            first += f": {_source(cause.frames[-1])}"
    first = f"{first} ({place})" if place else first
    return "\n".join(filter(None, (first, rest)))[:LONGEST]


def _frames(text: str) -> list[Frame]:
    return [
        Frame(frame["path"], int(frame["line"]), frame["name"])
        for frame in _FRAME.finditer(text)
    ]


def _wrapper(text: str) -> re.Match | None:
    matches = (pattern.match(text) for pattern in _WRAPPERS)
    return next((match for match in matches if match), None)


def _outdented(message: str) -> str:
    """Return an error's message without the indent that AutoGraph adds to its lines."""
    lines = message.strip("\n").split("\n")
    if all(line.startswith("    ") for line in lines[1:] if line.strip()):
        lines[1:] = [line[4:] for line in lines[1:]]
    return "\n".join(lines).strip()


def _op(text: str) -> str:
    match = _NODE.search(text) or _OP_OF_SHAPE.search(text)
    return match["op"] if match else ""


def _cleaned(message: str) -> str:
    message = _TAIL.sub("", _NODE.sub("", message))
    message = _OP_OF_SHAPE.sub("", message).replace("  ", " ").replace(" .", ".")
    return message.strip()


def _stage(dataset: str) -> str:
    """Return the method for a dataset's class name: `map` for `ParallelMap`."""
    return dataset.removeprefix("Parallel").lower()


def _layer(op: str, layers: Iterable[str]) -> str:
    """Return the name of the layer that created a graph's node; empty if unknown.

    Names are compared without the numbers that Keras appends to equal names.
    """
    scopes = {re.sub(r"(_\d+)+$", "", scope) for scope in op.split("/")[:-1]}
    return next((n for n in layers if re.sub(r"(_\d+)+$", "", n) in scopes), "")


def user_frames(frames: Iterable[Frame]) -> tuple[Frame, ...]:
    """Return the frames in the user's files after the last frame of this suite."""
    frames = list(frames)
    own = [place for place, frame in enumerate(frames) if _is_own(frame.path)]
    after = frames[own[-1] + 1 :] if own else frames
    return tuple(frame for frame in after if not _is_library(frame.path))


def _is_own(path: str) -> bool:
    file = Path(path)
    if file == ROOT / "run_bench.py":
        return True
    return file.is_relative_to(ROOT / "bench") and file.parent.name != "workloads"


def _is_library(path: str) -> bool:
    if GENERATED in path or path.startswith("<"):
        return True
    if not set(LIBRARIES).isdisjoint(Path(path).parts):
        return True
    packages = (sys.modules.get(name) for name in ("tensorflow", "keras", "numpy"))
    folders = [str(Path(p.__file__).parent) for p in packages if p and p.__file__]
    folders.append(sysconfig.get_path("stdlib"))
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _headline(message: str) -> tuple[str, str]:
    """Return the first line of an error's message as a summary, and the rest.

    If the first line is incomplete, the summary includes the next lines: the
    differences of NumPy's comparisons, or the text after a colon.
    """
    lines = [line.strip() for line in message.strip().splitlines()]
    if not lines:
        return "", ""
    if _COMPARED.match(lines[0]):
        parts = [*lines[:2], *(line for line in lines[2:] if _DUMP.match(line))]
        return "; ".join(filter(None, parts)), message.strip().partition("\n")[2]
    head, rest = lines[0], lines[1:]
    while head.endswith(":") and rest:
        head = f"{head} {rest.pop(0)}".strip()
    return head, "\n".join(rest).strip()


def _cut(line: str) -> str:
    """Cut a long line after a sentence, or else after a word, and append dots."""
    sentences = line[:LONGEST_LINE].rpartition(". ")[0]
    if len(sentences) > LONGEST_LINE // 4:
        return f"{sentences}. ..."
    return line[:LONGEST_LINE].rpartition(" ")[0] + " ..."


def _source(frame: Frame) -> str:
    return (
        linecache.getline(frame.path, frame.line).strip() or "the line cannot be read"
    )


def _place(cause: Cause) -> str:
    if cause.frames:
        last = cause.frames[-1]
        callers = [frame for frame in cause.frames if frame.path != last.path]
        called = f", called at {_at(callers[-1])}" if callers else ""
        return _at(last) + called
    parts = [f"layer {cause.layer}" if cause.layer else ""]
    if cause.op.startswith(LOSS_SCOPE):
        parts.append("the loss")
    parts.append(f"op {cause.op.rpartition('/')[2]}" if cause.op else "")
    parts.append(f"in {cause.stage}" if cause.stage else "")
    return ", ".join(filter(None, parts))


def _at(frame: Frame) -> str:
    where = NAMES.get(frame.name, f", in {frame.name}")
    return f"{Path(frame.path).name}, line {frame.line}{where}"
