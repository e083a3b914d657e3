"""What a pipeline's threads work on: reading, parsing or Python, from a short profile.

A node of the executed graph does not say what its function does: a map in `read` may
parse, and a map over records may wait for Python. TensorFlow's profiler records each
call of a function, and those of its operations that are not cheap. What a call without
such operations does is read from the function's graph.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from bench.pipeline import Pipeline

# By the first letters of an operation's name; the first kind that fits.
OPERATIONS = {
    "python": ("PyFunc", "EagerPyFunc"),
    "parsing": ("Parse", "DecodeCSV", "DecodeJSON", "DecodeProto", "StringToNumber"),
    "reading": ("ReadFile",),
}
# By the first letters of an iterator's name.
ITERATORS = {
    "reading": ("TFRecord", "TextLine", "FixedLength", "Snapshot", "Load"),
    "waiting": ("Sleep",),
}
KINDS = (*OPERATIONS, "waiting")
CALL = "InstantiatedCapturedFunction::Run"
WORK = "ExecutorState::Process"
MOST_BATCHES = 1000  # in a profile
LEAST_SECONDS = 0.2  # of a profile, where it comes to fewer batches
ITERATOR = "Iterator::"
OPERATION = re.compile("[^:]+:[^:]+")  # its node's name, and its own
WITH_FUNCTION = re.compile("FlatMap|Interleave|Filter|Generator|Map|Scan")
Path_ = tuple[str, ...]  # of nodes that call functions, from the root


class Event(NamedTuple):
    """One event of a profile: its thread, times in picoseconds, name and call."""

    thread: int
    start: int
    end: int
    name: str
    call: int = 0


class Call(NamedTuple):
    """A call of a function, and the path of the node that made it."""

    start: int
    end: int
    path: Path_


def shares(
    p: Pipeline, window: Callable[[], object], batches: int, dataset: tf.data.Dataset
) -> dict[str, float]:
    """The part of a pipeline's time by kind, while windows are pulled.

    Several, where one is short: not every batch opens a file.

    Args:
        p: The pipeline.
        window: Pulls some batches, in the runtime.
        batches: How many a window has.
        dataset: The dataset that they come from.

    Returns:
        `python_share`, `parsing_share`, `reading_share` and `waiting_share` (for added
        latency), each from 0 to 1. Nothing where layers run in the model, where a
        window has too many events to read, or where another profile is being made.
    """
    if p.place.in_model or batches > MOST_BATCHES:
        return {}
    if not _has_any_kind(dataset):  # then no profile is needed, which takes a second
        return {f"{kind}_share": 0.0 for kind in KINDS}
    level = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=2, python_tracer_level=0, device_tracer_level=0
    )
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        try:
            tf.profiler.experimental.start(folder, level)
        except tf.errors.AlreadyExistsError:  # the user's own file has started one
            return {}
        try:
            begun, spent, pulled = time.perf_counter(), 0.0, 0
            while spent < LEAST_SECONDS and pulled + batches <= MOST_BATCHES:
                window()
                spent, pulled = time.perf_counter() - begun, pulled + batches
        finally:
            tf.profiler.experimental.stop()
        (path,) = Path(folder).rglob("*.xplane.pb")
        content = path.read_bytes()
    seconds = seconds_by_kind(events(content), operations(dataset))
    whole = max(spent, sum(seconds.values()))
    return {f"{kind}_share": seconds[kind] / whole for kind in KINDS}


def seconds_by_kind(
    profile: Iterable[Event], functions: Mapping[Path_, set[str]]
) -> dict[str, float]:
    """Seconds of all threads together in each of `KINDS` and in `other` functions.

    A call lasts from its start to its end, or to that of its operations, whichever is
    later: some calls are only started, and end in another thread. It is divided among
    the kinds by the time of its operations.

    Args:
        profile: What happened.
        functions: The names of all operations of the functions, from `operations`.
    """
    calls: dict[int, Call] = {}
    kinds: dict[int, dict[str, int]] = {}  # of a call's operations, their time
    found = dict.fromkeys((*KINDS, "other"), 0.0)
    work: list[Event] = []
    thread, closed, opened, until = 0, "", [], 0  # iterators of this thread
    for event in sorted(profile, key=lambda e: (e.thread, e.start, -e.end)):
        if event.thread != thread:
            thread, closed, opened = event.thread, "", []
        while opened and opened[-1].end <= event.start:
            closed = opened.pop().name
        if event.name.startswith(ITERATOR):
            opened.append(event)
            last = event.name.rpartition("::")[2]
            for kind in (
                k for k, begins in ITERATORS.items() if last.startswith(begins)
            ):
                found[kind] += (event.end - event.start) / 1e12
        elif event.name.startswith(CALL):
            # A parallel map calls after its input's iterator has come back.
            caller = opened[-1].name if opened else closed.rpartition("::")[0]
            calls[event.call] = Call(event.start, event.end, _path(caller))
        elif event.name == WORK:
            work.append(event)
            until = event.start
        elif OPERATION.fullmatch(event.name) and _inside(event, work, until):
            until = event.end
            own = kinds.setdefault(work[-1].call, {})
            kind = _kind([event.name.rpartition(":")[2]])
            own[kind] = own.get(kind, 0) + max(1, event.end - event.start)
    for event in work:  # of one call there may be several, in several threads
        if event.call in calls:
            began = calls[event.call]
            calls[event.call] = began._replace(end=max(began.end, event.end))
    for number, call in calls.items():
        parts = kinds.get(number) or {_kind(functions.get(call.path, ())): 1}
        for kind, part in parts.items():
            share = part / sum(parts.values())
            found[kind] += (call.end - call.start) / 1e12 * share
    return found


def operations(dataset: tf.data.Dataset) -> dict[Path_, set[str]]:
    """The operations of each function of a dataset, by the path of the calling node."""
    graph = _graph(dataset)
    library = {f.signature.name: f for f in graph.library.function}
    found: dict[Path_, set[str]] = {}
    (root,) = (node for node in graph.node if node.op == "_Retval")
    waiting = [("", {node.name: node for node in graph.node}, root, ())]
    seen: set[tuple[str, str, Path_]] = set()  # a node may be an input of many others
    while waiting:
        place, nodes, node, path = waiting.pop()
        if (place, node.name, path) in seen:
            continue
        seen.add((place, node.name, path))
        below = (*path, *_path(node.op)) if node.op.find("Dataset") > 0 else path
        called = [library[name] for name in _called(node)]
        if called and below != path:
            found[below] = found.get(below, set()) | _all_operations(called, library)
            for function in called:
                own = {inner.name: inner for inner in function.node_def}
                ends = (_name(end) for end in function.ret.values())
                name = function.signature.name
                waiting += [(name, own, own[end], below) for end in ends if end in own]
        inputs = (_name(given) for given in node.input)
        given_here = (nodes[given] for given in inputs if given in nodes)
        waiting += [(place, nodes, given, below) for given in given_here]
    return found


def _node_names(dataset: tf.data.Dataset) -> set[str]:
    """The names of the operations of all nodes of a dataset and of its functions."""
    graph = _graph(dataset)
    inner = (node for function in graph.library.function for node in function.node_def)
    return {node.op for node in (*graph.node, *inner)}


def _graph(dataset: tf.data.Dataset) -> graph_pb2.GraphDef:
    return graph_pb2.GraphDef.FromString(dataset._as_serialized_graph().numpy())


def _has_any_kind(dataset: tf.data.Dataset) -> bool:
    """Whether anything in a dataset is of one of `KINDS`, by the names of its nodes."""
    kinds = (*OPERATIONS.values(), *ITERATORS.values())
    names = _node_names(dataset)
    return any(name.startswith(begins) for name in names for begins in kinds)


def runs_python(dataset: tf.data.Dataset) -> bool:
    """Whether any function of a dataset calls Python, as a generator's does."""
    begins = OPERATIONS["python"]
    return any(name.startswith(begins) for name in _node_names(dataset))


def events(content: bytes) -> Iterator[Event]:
    """The events of a profile in the form that TensorFlow writes."""
    thread = 0
    for plane in xplane_pb2.XSpace.FromString(content).planes:
        names = {number: m.name for number, m in plane.event_metadata.items()}
        ids = [number for number, m in plane.stat_metadata.items() if m.name == "id"]
        for line in plane.lines:
            thread += 1
            for event in line.events:
                start = line.timestamp_ns * 1000 + event.offset_ps
                call = [s.int64_value for s in event.stats if s.metadata_id in ids]
                name = names[event.metadata_id].partition("#")[0]
                yield Event(thread, start, start + event.duration_ps, name, *call[:1])


def _inside(event: Event, work: list[Event], until: int) -> bool:
    """Whether an operation is of the call at work, and in no other operation."""
    if not work or work[-1].thread != event.thread:
        return False
    return until <= event.start and event.end <= work[-1].end


def _path(name: str) -> Path_:
    """The nodes that call functions, of an iterator's or a dataset's name."""
    return tuple(
        match.group()
        for part in name.split("::")
        if (match := WITH_FUNCTION.search(part))
    )


def _kind(names: Iterable[str]) -> str:
    names = list(names)
    for kind, begins in OPERATIONS.items():
        if any(name.startswith(begins) for name in names):
            return kind
    return "other"


def _name(given: str) -> str:
    """The node of an input such as `^node` or `node:handle:0`."""
    return given.lstrip("^").partition(":")[0]


def _called(node: object) -> list[str]:
    """The names of the functions in a node's attributes."""
    return [
        function.name
        for value in node.attr.values()
        for function in (value.func, *value.list.func)
        if function.name
    ]


def _all_operations(functions: list, library: Mapping[str, object]) -> set[str]:
    """Of functions and of all that they call; not of the datasets that they make."""
    found, seen, waiting = set(), set(), list(functions)
    while waiting:
        function = waiting.pop()
        if function.signature.name not in seen:
            seen.add(function.signature.name)
            for node in function.node_def:
                found.add(node.op)
                if node.op.find("Dataset") < 0:
                    waiting += [library[name] for name in _called(node)]
    return found
