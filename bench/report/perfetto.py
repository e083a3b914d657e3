"""This module writes the spans of traced training steps for ui.perfetto.dev.

The file is a Perfetto trace: a `Trace` message, whose packets describe tracks and the
begin and end of slices on them. The field numbers are those of protos/perfetto/trace
in https://github.com/google/perfetto; its guide "Advanced Guide to Programmatic Trace
Generation" says which fields a thread's slices need. The encoding is Protocol
Buffers' (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench import text
from bench.analysis.table import machine_labels
from bench.errors import UsageError
from bench.trial import Run

LANES = ("read", "map", "wait", "train")  # a thread each, in this order
PACKET = 1  # of Trace
TIMESTAMP, SEQUENCE, TRACK_EVENT, TRACK_DESCRIPTOR = 8, 10, 11, 60  # of TracePacket
UUID, PROCESS, THREAD, RANK, THREAD_ORDERING = 1, 3, 4, 12, 20  # of TrackDescriptor
PROCESS_PID, PROCESS_NAME = 1, 6  # of ProcessDescriptor
THREAD_PID, THREAD_TID, THREAD_NAME = 1, 2, 5  # of ThreadDescriptor
TYPE, TRACK, NAME = 9, 11, 23  # of TrackEvent
SLICE_BEGIN, SLICE_END = 1, 2  # values of TrackEvent.Type
ROOT, ORDERING_EXPLICIT = 0, 1  # the root's UUID; a value of ThreadOrdering
ONE_SEQUENCE = 1  # any number but 0 identifies the writer of the packets

Fields = Mapping[int, "int | str | Fields"]


def trace(runs: Sequence[Run]) -> bytes:
    """Return the trace: a process for each traced trial, a thread for each kind.

    Every process begins at time 0, so that trials stand below each other. Of a trial's
    traced runs the first counts, as in the figure `timeline`.

    Args:
        runs: The records.

    Raises:
        UsageError: No run has traced steps.
    """
    traced: dict[tuple[str, str], Run] = {}
    for run, label in zip(runs, machine_labels(runs), strict=True):
        if run.measured.spans:
            traced.setdefault((label, run.key), run)
    if not traced:
        raise UsageError(
            "No run has traced training steps, so there is no trace to write. `run "
            "prefetch` traces some; in a sweep of your own set trace_steps = 10 under "
            "[effort], with the consumer train and without a cache."
        )
    several = len({label for label, _ in traced}) > 1
    packets = [{TRACK_DESCRIPTOR: {UUID: ROOT, THREAD_ORDERING: ORDERING_EXPLICIT}}]
    for number, ((label, key), run) in enumerate(traced.items()):
        name = f"{key} on {label}" if several else key
        pid = 1 + number * (1 + len(LANES))
        packets += _process(pid, text.visible(name), run.measured.spans)
    return b"".join(_field(PACKET, packet) for packet in packets)


def _process(
    pid: int, name: str, spans: Sequence[tuple[str, float, float]]
) -> Iterator[Fields]:
    """Yield the packets of a run; its threads have the numbers after the process's."""
    process = {PROCESS_PID: pid, PROCESS_NAME: name}
    yield {TIMESTAMP: 0, TRACK_DESCRIPTOR: {UUID: pid, PROCESS: process}}
    for rank, lane in enumerate(LANES, 1):
        track = pid + rank
        thread = {THREAD_PID: pid, THREAD_TID: track, THREAD_NAME: lane}
        descriptor = {UUID: track, THREAD: thread, RANK: rank}
        yield {TIMESTAMP: 0, TRACK_DESCRIPTOR: descriptor}
        for span, start, end in sorted(spans, key=lambda span: span[1:]):
            if span == lane:
                begin = {TYPE: SLICE_BEGIN, TRACK: track, NAME: lane}
                yield _event(start, begin)
                yield _event(end, {TYPE: SLICE_END, TRACK: track})


def _event(seconds: float, event: Fields) -> Fields:
    nanoseconds = round(1e9 * seconds)
    return {TIMESTAMP: nanoseconds, SEQUENCE: ONE_SEQUENCE, TRACK_EVENT: event}


def _field(number: int, value: int | str | Fields) -> bytes:
    """Encode a field: a whole number as a varint, else its length and content."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, str):
        content = value.encode()
    else:
        content = b"".join(_field(*inner) for inner in value.items())
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Encode a whole number from 0 in groups of seven bits, the lowest group first."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
