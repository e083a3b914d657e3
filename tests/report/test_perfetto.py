"""The trace for ui.perfetto.dev, read back by Protocol Buffers' own library."""

import factory
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bench.errors import UsageError
from bench.report import formats, perfetto

# The messages and fields of protos/perfetto/trace in github.com/google/perfetto that a
# thread's slices need: name, number, kind.
PROTOS = {
    "Trace": [("packet", 1, "*TracePacket")],
    "TracePacket": [
        ("timestamp", 8, "uint64"),
        ("trusted_packet_sequence_id", 10, "uint32"),
        ("track_event", 11, "TrackEvent"),
        ("track_descriptor", 60, "TrackDescriptor"),
    ],
    "TrackDescriptor": [
        ("uuid", 1, "uint64"),
        ("process", 3, "ProcessDescriptor"),
        ("thread", 4, "ThreadDescriptor"),
        ("sibling_order_rank", 12, "int32"),
        ("thread_ordering", 20, "int32"),
    ],
    "ProcessDescriptor": [("pid", 1, "int32"), ("process_name", 6, "string")],
    "ThreadDescriptor": [
        ("pid", 1, "int32"),
        ("tid", 2, "int64"),
        ("thread_name", 5, "string"),
    ],
    "TrackEvent": [
        ("type", 9, "int32"),
        ("track_uuid", 11, "uint64"),
        ("name", 23, "string"),
    ],
}
BEGIN, END = 1, 2  # of TrackEvent.Type
SPANS = [
    ("read", 0.0, 0.25),
    ("map", 0.125, 0.5),
    ("wait", 0.0, 0.5),
    ("train", 0.5, 1.5),
    ("wait", 1.5, 1.5),
    ("train", 1.5, 70.0),
]
TRAIN = factory.trial("vectorized", consumer="train")
OTHER = factory.trial(consumer="train", workload="prices")


@pytest.fixture(scope="module")
def trace_class():
    """Return the class of the message `Trace`, made of `PROTOS`."""
    file = descriptor_pb2.FileDescriptorProto(
        name="trace.proto", package="own", syntax="proto2"
    )
    types = descriptor_pb2.FieldDescriptorProto
    for name, fields in PROTOS.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = types.LABEL_REPEATED if kind[0] == "*" else types.LABEL_OPTIONAL
            own = message.field.add(name=field, number=number, label=label)
            if kind.islower():
                own.type = getattr(types, f"TYPE_{kind.upper()}")
            else:
                own.type = types.TYPE_MESSAGE
                own.type_name = f".own.{kind.lstrip('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("own.Trace"))


def packets_of(trace_class, runs):
    """Read a trace; no field of it may be unknown."""
    content = perfetto.trace(runs)
    trace = trace_class.FromString(content)
    assert trace.SerializeToString(deterministic=True) == content
    known = trace_class.FromString(content)
    known.DiscardUnknownFields()
    assert known == trace
    return trace.packet


def threads(packets):
    """Return process and thread of each thread's track, by the track's UUID."""
    descriptors = [
        packet.track_descriptor
        for packet in packets
        if packet.HasField("track_descriptor")
    ]
    processes = {d.process.pid: d.process.process_name for d in descriptors}
    return {
        d.uuid: (processes[d.thread.pid], d.thread.thread_name)
        for d in descriptors
        if d.HasField("thread")
    }


def slices(packets):
    """Return process, thread, name, begin and end in seconds of every slice."""
    names, open_slices, closed = threads(packets), {}, []
    for packet in packets:
        if packet.HasField("track_event"):
            event = packet.track_event
            assert packet.trusted_packet_sequence_id, "Perfetto demands a number"
            assert packet.HasField("timestamp")
            if event.type == BEGIN:
                assert event.track_uuid not in open_slices
                open_slices[event.track_uuid] = event.name, packet.timestamp / 1e9
            else:
                assert event.type == END
                name, begin = open_slices.pop(event.track_uuid)
                track = names[event.track_uuid]
                closed.append((*track, name, begin, packet.timestamp / 1e9))
    assert not open_slices
    return closed


def test_every_span_is_a_slice_on_the_thread_of_its_kind(trace_class):
    packets = packets_of(trace_class, [factory.run(TRAIN, spans=SPANS)])
    assert sorted(slices(packets)) == sorted(
        (TRAIN.key, name, name, start, end) for name, start, end in SPANS
    )


def test_threads_stand_in_the_order_of_the_timeline(trace_class):
    packets = packets_of(trace_class, [factory.run(TRAIN, spans=SPANS)])
    root = packets[0].track_descriptor
    assert root.HasField("uuid") and (root.uuid, root.thread_ordering) == (0, 1)
    ranks = {
        p.track_descriptor.sibling_order_rank: p.track_descriptor.thread.thread_name
        for p in packets
        if p.track_descriptor.HasField("thread")
    }
    assert [ranks[rank] for rank in sorted(ranks)] == ["read", "map", "wait", "train"]


def test_each_trial_is_a_process_with_its_first_traced_run(trace_class):
    runs = [
        factory.run(TRAIN),
        factory.run(TRAIN, spans=SPANS, round=1),
        factory.run(OTHER, spans=SPANS[:1], round=1),
        factory.run(TRAIN, spans=SPANS[:3], round=2),
    ]
    packets = packets_of(trace_class, runs)
    by_process = [process for process, *_ in slices(packets)]
    assert by_process.count(TRAIN.key) == len(SPANS)
    assert by_process.count(OTHER.key) == 1
    uuids = [p.track_descriptor.uuid for p in packets if p.HasField("track_descriptor")]
    assert len(set(uuids)) == len(uuids) == 1 + 2 * 5


def test_several_machines_are_named(trace_class):
    runs = [
        factory.run(TRAIN, spans=SPANS, machine={**factory.MACHINE, "cpu": cpu})
        for cpu in ("Einst", "日本")
    ]
    processes = {process for process, *_ in slices(packets_of(trace_class, runs))}
    assert len(processes) == 2
    assert any("日本" in process for process in processes)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**32, 2**64 - 1])
def test_whole_numbers_are_encoded_as_protocol_buffers_do(trace_class, number):
    trace = trace_class()
    trace.packet.add(timestamp=number)
    field = perfetto._field(1, {8: number})
    assert field == trace.SerializeToString()


def test_results_without_traced_steps_get_a_sentence_and_no_file(tmp_path):
    report = formats.summed([factory.run(TRAIN)])
    report.content["source"] = "made up"
    with pytest.raises(UsageError) as raised:
        formats.write(report, tmp_path, ["perfetto", "bmf"])
    assert str(raised.value) == (
        "No run has traced training steps, so there is no trace to write. `run "
        "prefetch` traces some; in a sweep of your own set trace_steps = 10 under "
        "[effort], with the consumer train and without a cache."
    )
    assert list(tmp_path.iterdir()) == []
