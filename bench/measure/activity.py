"""This module divides a pipeline's time into reading, parsing, Python and waiting.

A node of the executed graph does not show what its function does: a map in `read` may
parse, and a map over records may wait for Python. TensorFlow's profiler records each
call of a function and its expensive operations. For a call without such operations the
module reads the function's graph.
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

# Kinds by the beginning of an operation's name; the first kind that fits counts.
OPERATIONS = {
    "python": ("PyFunc", "EagerPyFunc"),
    "parsing": ("Parse", "DecodeCSV", "DecodeJSON", "DecodeProto", "StringToNumber"),
    "reading": ("ReadFile",),
}
# Kinds by the beginning of an iterator's name.
ITERATORS = {
    "reading": ("TFRecord", "TextLine", "FixedLength", "Snapshot", "Load"),
    "waiting": ("Sleep",),
}
KINDS = (*OPERATIONS, "waiting")
CALL = "InstantiatedCapturedFunction::Run"
WORK = "ExecutorState::Process"
MOST_BATCHES = 1000  # in a profile
LEAST_SECONDS = 0.2  # of a profile with fewer batches
ITERATOR = "Iterator::"
OPERATION = re.compile("[^:]+:[^:]+")  # the names of its node and of itself
WITH_FUNCTION = re.compile("FlatMap|Interleave|Filter|Generator|Map|Scan")
NodePath = tuple[str, ...]  # names of nodes that call functions, from the root


class Event(NamedTuple):
    """An event of a profile has a thread, times in picoseconds, a name and a call."""

    thread: int
    start: int
    end: int
    name: str
    call: int = 0


class Call(NamedTuple):
    """A call of a function has times in picoseconds and its calling node's path."""

    start: int
    end: int
    path: NodePath


def shares(
    p: Pipeline, window: Callable[[], object], batches: int, dataset: tf.data.Dataset
) -> dict[str, float]:
    """Return the share of each kind in a pipeline's time while windows are pulled.

    Short windows are repeated, since not every batch opens a file.

    Args:
        p: The pipeline.
        window: Pulls some batches in the runtime.
        batches: Batches in a window.
        dataset: The dataset of these batches.

    Returns:
        `python_share`, `parsing_share`, `reading_share` and `waiting_share` (waiting
        for added latency), each from 0 to 1. Empty where layers run in the model, where
        a window has too many events, or where another profile is running.
    """
    if p.place.in_model or batches > MOST_BATCHES:
        return {}
    if not _has_any_kind(dataset):  # saves the second that a profile takes
        return {f"{kind}_share": 0.0 for kind in KINDS}
    level = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=2, python_tracer_level=0, device_tracer_level=0
    )
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        try:
            tf.profiler.experimental.start(folder, level)
        except tf.errors.AlreadyExistsError:  # of the user's own file
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
    profile: Iterable[Event], functions: Mapping[NodePath, set[str]]
) -> dict[str, float]:
    """Return the seconds of all threads in each of `KINDS` and in `other` functions.

    A call lasts from its start to its end or to the end of its operations, whichever is
    later: some calls only start work, which ends in another thread. The time of a call
    is divided among the kinds by the time of its operations.

    Args:
        profile: The events of the profile.
        functions: The names of each function's operations, from `operations`.
    """
    calls: dict[int, Call] = {}
    kinds: dict[int, dict[str, int]] = {}  # time of a call's operations
    seconds = dict.fromkeys((*KINDS, "other"), 0.0)
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
            for kind, begins in ITERATORS.items():
                if last.startswith(begins):
                    seconds[kind] += (event.end - event.start) / 1e12
        elif event.name.startswith(CALL):
            # A parallel map calls after its input's iterator has returned.
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
    for event in work:  # a call may have several events, in several threads
        if event.call in calls:
            call = calls[event.call]
            calls[event.call] = call._replace(end=max(call.end, event.end))
    for number, call in calls.items():
        parts = kinds.get(number) or {_kind(functions.get(call.path, ())): 1}
        for kind, part in parts.items():
            share = part / sum(parts.values())
            seconds[kind] += (call.end - call.start) / 1e12 * share
    return seconds


def operations(dataset: tf.data.Dataset) -> dict[NodePath, set[str]]:
    """Return the operations of a dataset's functions, by the calling node's path."""
    graph = _graph(dataset)
    library = {f.signature.name: f for f in graph.library.function}
    by_path: dict[NodePath, set[str]] = {}
    (root,) = (node for node in graph.node if node.op == "_Retval")
    waiting = [("", {node.name: node for node in graph.node}, root, ())]
    # A node may be an input of many others.
    seen: set[tuple[str, str, NodePath]] = set()
    while waiting:
        scope, nodes, node, path = waiting.pop()
        if (scope, node.name, path) in seen:
            continue
        seen.add((scope, node.name, path))
        below = (*path, *_path(node.op)) if node.op.find("Dataset") > 0 else path
        called = [library[name] for name in _called(node)]
        if called and below != path:
            names = _all_operations(called, library)
            by_path[below] = by_path.get(below, set()) | names
            for function in called:
                own = {inner.name: inner for inner in function.node_def}
                ends = (_name(end) for end in function.ret.values())
                name = function.signature.name
                waiting += [(name, own, own[end], below) for end in ends if end in own]
        sources = (_name(reference) for reference in node.input)
        inputs = (nodes[name] for name in sources if name in nodes)
        waiting += [(scope, nodes, each, below) for each in inputs]
    return by_path


def _operation_names(dataset: tf.data.Dataset) -> set[str]:
    """Return the operations' names of all nodes of a dataset and of its functions."""
    graph = _graph(dataset)
    inner = (node for function in graph.library.function for node in function.node_def)
    return {node.op for node in (*graph.node, *inner)}


def _graph(dataset: tf.data.Dataset) -> graph_pb2.GraphDef:
    return graph_pb2.GraphDef.FromString(dataset._as_serialized_graph().numpy())


def _has_any_kind(dataset: tf.data.Dataset) -> bool:
    """Whether any operation of a dataset belongs to one of `KINDS`, by its name."""
    kinds = (*OPERATIONS.values(), *ITERATORS.values())
    names = _operation_names(dataset)
    return any(name.startswith(begins) for name in names for begins in kinds)


def runs_python(dataset: tf.data.Dataset) -> bool:
    """Whether any function of a dataset calls Python, as a generator does."""
    begins = OPERATIONS["python"]
    return any(name.startswith(begins) for name in _operation_names(dataset))


def events(content: bytes) -> Iterator[Event]:
    """Yield the events of a profile from the bytes of TensorFlow's file."""
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
    """Whether an operation belongs to the current call and to no other operation."""
    if not work or work[-1].thread != event.thread:
        return False
    return until <= event.start and event.end <= work[-1].end


def _path(name: str) -> NodePath:
    """Return the parts of an iterator's name that are nodes which call functions."""
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


def _name(reference: str) -> str:
    """Return the name of the node in a reference such as `^node` or `node:handle:0`."""
    return reference.lstrip("^").partition(":")[0]


def _called(node: object) -> list[str]:
    """Return the names of the functions in a node's attributes."""
    return [
        function.name
        for value in node.attr.values()
        for function in (value.func, *value.list.func)
        if function.name
    ]


def _all_operations(functions: list, library: Mapping[str, object]) -> set[str]:
    """Return the operations of functions and of those that they call.

    The functions of inner datasets are left out, because they run in other iterators.
    """
    names, seen, waiting = set(), set(), list(functions)
    while waiting:
        function = waiting.pop()
        if function.signature.name not in seen:
            seen.add(function.signature.name)
            for node in function.node_def:
                names.add(node.op)
                if node.op.find("Dataset") < 0:
                    waiting += [library[name] for name in _called(node)]
    return names
