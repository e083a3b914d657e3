"""One run by the worker itself: every placement, the check, and its errors."""

import re
import subprocess
import sys
import tempfile
import time
import types
from dataclasses import replace
from pathlib import Path

import factory
import keras
import msgspec
import numpy as np
import pytest
import tensorflow as tf

from bench import machine, worker
from bench.machine import cpu_seconds
from bench.measure import layer_facts, measurement, page_cache, resources
from bench.run import protocol
from bench.run.protocol import Prepared, Request
from bench.trial import Effort, Failure, Measured

WORKLOAD = '''"""Adds one to numbers, or does something else."""
import keras
import numpy as np
import tensorflow as tf

KIND = "structured"
EXAMPLES = 96
VARIANTS = {
    "wrong": {"how": "wrong"},
    "by_rank": {"how": "by_rank"},
    "in_a_graph": {"how": "in_a_graph"},
    "lazy": {"how": "lazy"},
}

class Layer(keras.layers.Layer):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def call(self, features):
        if self.how == "by_rank" and len(features.shape) == 1:
            return features + 1.5
        if self.how == "in_a_graph" and not tf.executing_eagerly():
            return features + 1.5
        return features + {"wrong": 2.0, "lazy": 0.0}.get(self.how, 1.0)

def examples(rng, count):
    return rng.normal(size=(count, 3)).astype(np.float32), np.arange(count) % 2

def build(examples, how=""):
    return Layer(how)

def check(batch, output, how=""):
    np.testing.assert_allclose(output, batch + 1, rtol=1e-5, err_msg="not one more")

def model(features):
    return keras.layers.Dense(2, activation="softmax")(features)
'''
FILES = '''"""Lines of files, one number each."""
import keras
import numpy as np
import tensorflow as tf

KIND = "structured"
EXAMPLES = 96

def examples(rng, count, folder):
    for n in range(4):
        lines = [str(n * count // 4 + i) for i in range(count // 4)]
        (folder / f"{n}.txt").write_text("\\n".join(lines))

def read(path, label):
    return tf.data.TextLineDataset(path).map(lambda line: (line, label))

def decode(line, label):
    return tf.strings.to_number(line)[None], label

def build(examples):
    return keras.layers.Rescaling(1.0, offset=1.0)

def check(batch, output):
    np.testing.assert_array_equal(output, batch + 1)
'''
QUICK = Effort(steady_seconds=0.01, window_seconds=0.001, warmup_seconds=0.01, epochs=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the two user files."""
    folder = tmp_path_factory.mktemp("workloads")
    (folder / "numbers.py").write_text(WORKLOAD)
    (folder / "lines.py").write_text(FILES)
    return folder


def request_for(
    folder: Path, name: str, verb: str = "measure", **settings: object
) -> Request:
    """Return the request that a runner would send."""
    stem, colon, variant = name.partition(":")
    settings = {"batch_size": 16, **settings}
    trial = factory.trial(workload=f"{folder}/{stem}.py{colon}{variant}", **settings)
    return Request(
        verb=verb,
        trial=trial,
        effort=QUICK,
        seed=1,
        asked=time.monotonic(),
        result=str(folder / "result.json"),
    )


def measured(folder: Path, name: str, **settings: object) -> Measured:
    """Make one run in this process."""
    return worker.measure(request_for(folder, name, **settings), time.monotonic())


def demand_samples(run: Measured) -> None:
    """Demand that a run went well, from its first phase to its last."""
    assert run.error is None
    assert len(run.samples) >= 3
    assert all(sample > 0 for sample in run.samples)
    assert run.batches_per_sample >= 1
    assert run.cpu_seconds_per_example >= 0
    # The peak begins anew after building, and so may be below the start.
    assert run.peak_resident_bytes > 2**26
    assert run.start_resident_bytes > 2**26
    assert len(run.input_fingerprint) == len(run.output_fingerprint) == 16
    assert "CPU" in run.device


@pytest.fixture(scope="module")
def placed(folder: Path) -> dict[str, Measured]:
    """Make a run of each placement and order."""
    return {
        "naive": measured(folder, "numbers"),
        "vectorized": measured(folder, "numbers", order="batch_map"),
        "model": measured(folder, "numbers", placement="model", prefetch=2),
        "offline": measured(folder, "numbers", placement="offline"),
    }


def test_every_placement_is_measured(placed: dict[str, Measured]) -> None:
    """Each run is checked, and its time goes into named phases."""
    for run in placed.values():
        demand_samples(run)
        assert set(run.overhead) == {
            *("fork", "tensorflow", "inputs", "check", "graph")
        }
        phases = {"adapt", "build", "trace", "first_batch", "calibrate", "steady"}
        assert phases <= set(run.phases)
    assert "offline" in placed["offline"].phases
    assert placed["offline"].facts["stored_bytes"] > 96 * 12


def test_every_placement_gives_the_same_output(placed: dict[str, Measured]) -> None:
    """The inputs are the same, and so are the fingerprints."""
    assert len({run.output_fingerprint for run in placed.values()}) == 1
    assert len({run.input_fingerprint for run in placed.values()}) == 1


def test_the_graph_that_ran_is_stored(placed: dict[str, Measured]) -> None:
    """The graph is as requested; a window of several batches is a shard."""

    def names(which: str) -> list[str]:
        nodes = [str(node["name"]) for node in placed[which].graph]
        return [name for name in nodes if name not in ("FiniteSkip", "Shard")]

    head = ["TensorSlice", "ForeverRepeat"]
    assert names("naive") == [*head, "Map", "BatchV2", "Root"]
    assert names("vectorized") == [*head, "BatchV2", "Map", "Root"]
    assert names("model") == [*head, "BatchV2", "Prefetch", "Root"]
    assert "Map" not in names("offline")


@pytest.mark.parametrize("storage", ["memory", "disk"])
@pytest.mark.parametrize("cache", ["raw", "mapped"])
def test_a_cache_is_filled_before_it_is_timed(
    folder: Path, cache: str, storage: str
) -> None:
    """The cache then serves."""
    run = measured(folder, "numbers", cache=cache, cache_storage=storage)
    demand_samples(run)
    assert run.facts["cache_filled"] == "yes"
    assert run.facts["cache_bytes"] > 96 * 12
    assert "cache_not_filled" not in run.flags
    assert run.phases["fill"] > 0


@pytest.mark.parametrize("placement", ["dataset", "model"])
def test_training_is_measured(folder: Path, placement: str) -> None:
    """The model makes steps, with the layers before it or inside."""
    run = measured(folder, "numbers", consumer="train", placement=placement)
    demand_samples(run)
    assert "retraced" not in run.flags


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"placement": "model"},
        {"placement": "offline"},
        {"consumer": "train"},
        {"cache": "mapped"},
    ],
)
def test_epochs_are_measured(folder: Path, settings: dict) -> None:
    """Each epoch is a sample of six batches."""
    run = measured(folder, "numbers", unit="epoch", **settings)
    demand_samples(run)
    assert (len(run.samples), run.batches_per_sample) == (3, 6)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"interleave_cycle_length": 2, "interleave_parallel_calls": 2},
        {"placement": "model"},
        {"placement": "offline"},
        {"cache": "decoded"},
        {"unit": "epoch"},
        {"unit": "epoch", "storage": "cold"},
        {"unit": "epoch", "read_latency_ms": 250},
    ],
)
def test_files_are_measured(
    folder: Path, settings: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records are read, decoded and mapped; counting determines their number."""
    # The temporary folder may be in memory.
    monkeypatch.setattr(page_cache, "resident_share", lambda _: 0.0)
    run = measured(folder, "lines", **settings)
    demand_samples(run)
    if "unit" in settings:
        assert (len(run.samples), run.batches_per_sample) == (3, 6)
    if "read_latency_ms" in settings:
        assert 4 * 0.25 <= min(run.samples) * 6 < 1.7 * 4 * 0.25  # once a file


@pytest.mark.parametrize("placement", ["dataset", "model", "offline"])
@pytest.mark.parametrize("how", ["wrong", "lazy", "in_a_graph"])
def test_wrong_layers_are_not_timed(folder: Path, placement: str, how: str) -> None:
    """The file's own check refuses the layers before any clock starts."""
    run = measured(folder, f"numbers:{how}", placement=placement)
    assert run.error.type == "AssertionError"
    assert "not one more" in run.error.message
    assert run.error.phase == "check"
    assert run.samples == []
    assert "steady" not in run.phases


def test_layers_that_depend_on_the_order_are_not_timed(folder: Path) -> None:
    """The layer is right on batches, and not on bare examples."""
    run = measured(folder, "numbers:by_rank")
    assert run.error == Failure(
        type="AssertionError",
        message=run.error.message,
        phase="check",
    )
    assert run.error.message.startswith(
        "placement=dataset, order=map_batch differs from the layers themselves in "
        "100.0% of the values, most at ["
    )
    assert run.samples == []
    demand_samples(measured(folder, "numbers:by_rank", order="batch_map"))


def test_only_reproducible_operations_set_tensorflows_global_seed() -> None:
    """Keras draws the same again either way; `tf.random` in a map does not repeat."""
    drawn = []
    for reproducible in (False, True, False):
        measurement._seed(3, of_tensorflow=reproducible)
        seeded = tf.compat.v1.random.get_seed(None)[0]
        assert seeded == (3 if reproducible else None)
        drawn.append(float(keras.random.uniform([])))
    assert len(set(drawn)) == 1


IDLE = '''"""Images resized as XLA cannot, and a layer that was never adapted."""
import keras
import numpy as np

KIND = "image"
EXAMPLES = 64

def examples(rng, count):
    return rng.uniform(size=(count, 8, 8, 3)).astype(np.float32)

def build(examples):
    idle = keras.layers.Normalization()
    idle.build([None, 4, 4, 3])
    return [keras.layers.Resizing(4, 4, interpolation="bicubic"), idle]

def check(batch, output):
    assert output.shape[1:] == (4, 4, 3)
'''


def test_facts_raise_flags_and_xla_gives_its_reason(folder: Path) -> None:
    """With jit=on, the reason is the error, before any clock starts."""
    (folder / "idle.py").write_text(IDLE)
    run = measured(folder, "idle")
    demand_samples(run)
    assert "output_is_input" in run.flags
    assert (
        run.facts
        | {
            "supports_jit": "no",
            "jit_refusal": "XLA has no ResizeBicubic on this device",
            "unchanged_examples": 64,
            "unchanged_layers": "Normalization",
        }
        == run.facts
    )
    assert measured(folder, "idle", placement="model").error is None
    refused = measured(folder, "idle", placement="model", jit="on")
    assert refused.error == Failure(
        type="UsageError",
        message="jit=on, placement=model: the layers cannot be compiled, XLA has no "
        "ResizeBicubic on this device. Use jit=off, or placement=dataset.",
        phase="check",
    )


def test_preparing_answers_with_properties_or_the_error(folder: Path) -> None:
    """The answer has the number of examples, or why there are none."""
    prepared = worker.prepare(request_for(folder, "numbers", "prepare"))
    assert prepared == Prepared(examples=96, supports_jit=True)
    content = WORKLOAD.replace("return Layer(how)", "raise ValueError()")
    (folder / "empty.py").write_text(content)
    line = content.splitlines().index("    raise ValueError()") + 1
    prepared = worker.prepare(request_for(folder, "empty", "prepare"))
    assert prepared.error == Failure(
        type="ValueError",
        message=f"no message: raise ValueError() (empty.py, line {line}, in build)",
        phase="adapt",
    )


BESIDE = "def scaled(x):\n    return x.no_such()\n"
SCALED = "def decode(x, y):\n    return beside.scaled(x), y\n\ndef check("
LOADED = """def load(x):
    raise KeyError("no picture 7")

def decode(x, y):
    return tf.ensure_shape(tf.py_function(load, [x], tf.float32), [3]), y

def check("""
OPENED = """def decode(x, y):
    size = tf.strings.length(tf.io.read_file("/no/such/file"))
    return x + tf.cast(size, tf.float32), y

def check("""


@pytest.mark.parametrize(
    ("old", "new", "type_", "phase", "message"),
    [
        (
            "def check(",
            SCALED,
            "AttributeError",
            "build",
            "'SymbolicTensor' object has no attribute 'no_such' (beside.py, line 2, in "
            "scaled, called at broken.py, line {return beside}, in decode)",
        ),
        (
            "def check(",
            LOADED,
            "KeyError",
            "check",
            "'no picture 7' (broken.py, line {raise KeyError}, in load)",
        ),
        (
            "def check(",
            OPENED,
            "NotFoundError",
            "check",
            "/no/such/file; No such file or directory (broken.py, line {read_file}, in "
            "decode)",
        ),
        (
            "return features + {",
            "tf.debugging.check_numerics(features / 0.0, 'bad')\n"
            "        return features + {",
            "InvalidArgumentError",
            "check",
            "bad : Tensor had Inf values (broken.py, line {check_numerics}, in call)",
        ),
        (
            'np.testing.assert_allclose(output, batch + 1, rtol=1e-5, err_msg="not one '
            'more")',
            "return np.allclose(output, batch + 1)  # True is nothing wrong\n"
            "def unused(batch, output):\n    pass",
            "",
            "",
            "",
        ),
        (
            'np.testing.assert_allclose(output, batch + 1, rtol=1e-5, err_msg="not one '
            'more")',
            "return np.allclose(output, batch + 2)",
            "UsageError",
            "check",
            "check() returned False. Where the output is wrong it must raise "
            "AssertionError, as `assert` does, and otherwise return nothing.",
        ),
        (
            "return Layer(how)",
            "return lambda features: tf.repeat(features + 1, 2, axis=0)",
            "UsageError",
            "check",
            "The layers return 32 rows for 16 examples, but each example must stay one "
            "row. Let examples() or read() return one example for each row, and let "
            "the layers keep the number of rows.",
        ),
        (
            "return features + {",
            "return features + tf.random.uniform([]) + {",
            "UsageError",
            "check",
            "A layer is random: DETERMINISTIC = False is missing in broken.py, as two "
            "calls of the layers with one batch differ.",
        ),
        (
            "return features + {",
            "return tf.sqrt(features) + {",
            "AssertionError",
            "check",
            None,  # the message is from the file's own check
        ),
    ],
)
def test_the_likeliest_mistakes_have_a_sentence_with_the_line(
    folder: Path,
    tmp_path: Path,
    old: str,
    new: str,
    type_: str,
    phase: str,
    message: str | None,
) -> None:
    """The sentence has the user's own file and line, or what to do."""
    assert old in WORKLOAD
    content = WORKLOAD.replace(old, new, 1)
    if "beside" in new:
        (tmp_path / "beside.py").write_text(BESIDE)
        content = content.replace("import keras\n", "import beside\nimport keras\n")
    (tmp_path / "broken.py").write_text(content)
    lines = content.splitlines()
    failure = measured(tmp_path, "broken", order="batch_map").error
    if not type_:
        assert failure is None
        return
    assert (failure.type, failure.phase) == (type_, phase)
    first = failure.message.partition("\n")[0]
    if message is None:
        assert first.startswith("Not equal to tolerance rtol=1e-05, atol=0; not one ")
        return
    marks = re.findall(r"\{([^}]*)\}", message)
    for mark in marks:
        line = next(n for n, text in enumerate(lines, 1) if mark in text)
        message = message.replace(f"{{{mark}}}", str(line))
    assert first == message


def test_the_error_of_training_without_labels_states_what_to_return(
    tmp_path: Path,
) -> None:
    """Keras alone reports that None values are not supported."""
    content = WORKLOAD.replace(", np.arange(count) % 2", "")
    (tmp_path / "bare.py").write_text(content)
    failure = measured(tmp_path, "bare", consumer="train").error
    assert (failure.type, failure.phase) == ("UsageError", "trace")
    assert "needs labels to be trained" in failure.message


def test_the_running_phase_lies_beside_the_result(folder: Path) -> None:
    """The runner reads it when a limit or a signal ends the process."""
    request = request_for(folder, "numbers")
    demand_samples(worker.measure(request, time.monotonic()))
    assert protocol.phase_file(Path(request.result)).read_text() == "graph"


def test_the_result_is_written_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has its name only once it is complete."""
    monkeypatch.setattr(tempfile, "tempdir", None)  # the worker sets it: put it back
    request = request_for(folder, "numbers")
    worker.main(msgspec.json.encode(request))
    written = (folder / "result.json").read_bytes()
    demand_samples(msgspec.json.decode(written, type=Measured))
    assert not (folder / "result.partial").exists()
    assert tempfile.gettempdir() == str(folder)


def test_cpu_time_of_processes_that_a_run_starts_is_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would count as foreign load; in windows only the process counts."""
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    content = WORKLOAD.replace("return Layer(how)", f"{start}; return Layer(how)")
    (folder / "busy.py").write_text(content)
    monkeypatch.setattr(machine, "cpu_seconds", lambda: 0.0)
    before = machine.children_cpu_seconds()
    run = measured(folder, "busy")
    demand_samples(run)
    assert run.process_cpu_seconds - before > 0.29
    own = cpu_seconds()
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert cpu_seconds() - own < 0.2


@pytest.mark.parametrize("count", [32, 40])
def test_few_examples_of_ones_own_can_be_stored(folder: Path, count: int) -> None:
    """The check sees the same examples, whether or not they fill whole batches."""
    content = WORKLOAD.replace("EXAMPLES = 96", f"EXAMPLES = {count}")
    (folder / f"few{count}.py").write_text(content)
    demand_samples(measured(folder, f"few{count}", batch_size=32, placement="offline"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_memory_that_is_used_after_the_timing_is_not_in_the_peak(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading the graph uses such memory."""
    read, held = measurement.executed_graph, 400_000_000

    def hungry(iterator: object) -> list:
        np.ones(held // 8)
        return read(iterator)

    monkeypatch.setattr(measurement, "executed_graph", hungry)
    run = measured(folder, "numbers")
    demand_samples(run)
    assert resources.peak_resident_bytes() - run.peak_resident_bytes > 0.75 * held


def test_a_failed_run_keeps_the_parts_that_it_measured_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the samples, which a failed run never has."""

    def unreadable(iterator: object) -> list:
        raise RuntimeError("no graph")

    monkeypatch.setattr(measurement, "executed_graph", unreadable)
    run = measured(folder, "numbers", placement="offline", shuffle_buffer=8)
    assert (run.error.type, run.error.phase) == ("RuntimeError", "graph")
    assert (run.samples, run.graph) == ([], [])
    assert run.batches_per_sample > 0 and run.cpu_seconds_per_example > 0
    assert run.peak_resident_bytes > 2**26
    assert {"stored_bytes", "supports_jit", "share_timed"} <= set(run.facts)
    assert {"adapt", "offline", "build", "trace", "steady"} <= set(run.phases)
    assert {"fork", "tensorflow", "inputs", "check"} <= set(run.overhead)
    assert len(run.input_fingerprint) == len(run.output_fingerprint) == 16
    refused = measured(folder, "numbers:wrong")
    assert (refused.error.phase, refused.output_fingerprint) == ("check", "")
    assert "CPU" in refused.device and len(refused.input_fingerprint) == 16
    assert set(refused.input_parts) == {"features", "labels"}


def test_a_later_run_seeks_no_facts_and_is_checked_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first run of a trial determines facts that all its runs share."""

    def sought(*_: object, **__: object) -> dict:
        raise RuntimeError("facts are sought")

    monkeypatch.setattr(layer_facts, "unchanged", sought)
    first, later, wrong = (
        request_for(folder, name) for name in ("numbers", "numbers", "numbers:wrong")
    )
    later.effort = wrong.effort = replace(QUICK, facts=False)
    failure = worker.measure(first, time.monotonic()).error
    assert failure.type == "RuntimeError"
    assert failure.message.startswith("facts are sought (test_worker.py, line ")
    demand_samples(worker.measure(later, time.monotonic()))
    refused = worker.measure(wrong, time.monotonic()).error
    assert (refused.type, refused.phase) == ("AssertionError", "check")


def test_only_a_process_that_takes_turns_may_stay_unchecked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that measures alone is checked, whatever its request states."""

    def no_turns(*_: object, held: bool) -> None:
        raise RuntimeError("past the check")

    monkeypatch.setattr(measurement, "take_turns", no_turns)
    request = request_for(folder, "numbers:wrong")
    request.effort = replace(QUICK, check=False)
    assert worker.measure(request, time.monotonic()).error.type == "AssertionError"
    request.channel = "a socket"
    failure = worker.measure(request, time.monotonic()).error
    assert failure.message.startswith("past the check (test_worker.py, line ")


def test_a_run_is_confined_to_its_processors_from_its_first_op_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before TensorFlow's first op, which makes its threads, and before any clock."""
    events: list[object] = []
    start = measurement._start_tensorflow
    monkeypatch.setattr(machine, "confine", events.append)

    def started(*arguments: object) -> str:
        device = start(*arguments)
        events.append("op")
        return device

    def no_turns(*_: object, held: bool) -> None:
        events.append("turns")
        raise RuntimeError("enough")

    monkeypatch.setattr(measurement, "_start_tensorflow", started)
    monkeypatch.setattr(measurement, "take_turns", no_turns)
    request = request_for(folder, "numbers", cpus=1)
    demand_samples(worker.measure(request, time.monotonic()))
    assert events == [1, "op"]
    events.clear()
    request.channel = "a socket"
    worker.measure(request, time.monotonic())
    assert events == [1, "op", "turns"]


def test_a_base_that_imported_head_s_modules_is_not_measured(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The import hook of an editable install can cause that."""
    hooked = types.ModuleType("hooked")
    hooked.__file__ = str(tmp_path / "hooked.py")
    monkeypatch.setitem(sys.modules, "hooked", hooked)
    request = request_for(folder, "numbers")
    request.folder = str(folder)
    demand_samples(worker.measure(request, time.monotonic()))
    request.stands_for = str(tmp_path)
    run = worker.measure(request, time.monotonic())
    assert run.samples == []
    assert run.error.type == "UsageError"
    assert run.error.message.startswith("base imported 'hooked' from head's ")


def test_layers_declared_random_that_repeat_themselves_are_refused(
    folder: Path,
) -> None:
    """They are refused before any run; their check alone could not do that."""
    content = WORKLOAD.replace("EXAMPLES = 96", "EXAMPLES = 96\nDETERMINISTIC = False")
    (folder / "same.py").write_text(content)
    assert worker.prepare(request_for(folder, "same", "prepare")).error == Failure(
        type="UsageError",
        message="DETERMINISTIC = False, but 12 calls with one batch gave the same: "
        "nothing is random.",
        phase="prepare",
    )
    old, new = "return features + {", "return features + tf.random.uniform([]) + {"
    (folder / "drawn.py").write_text(content.replace(old, new))
    prepared = worker.prepare(request_for(folder, "drawn", "prepare"))
    assert (prepared.error, prepared.examples) == (None, 96)


def test_keras_is_as_it_is_without_a_settings_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise results would depend on the user's settings."""
    config = "keras.src.backend.config"
    monkeypatch.setattr(f"{config}._FLOATX", "float64")
    monkeypatch.setattr(f"{config}._IMAGE_DATA_FORMAT", "channels_first")
    demand_samples(measured(folder, "numbers"))
    settings = keras.config.floatx(), keras.config.image_data_format()
    assert settings == ("float32", "channels_last")


PARSED = '''"""Lines whose label is in their text: only decode knows the label."""
import keras
import numpy as np
import tensorflow as tf

KIND = "structured"
EXAMPLES = 96
BINARY_LABELS = True

def examples(rng, count, folder):
    (folder / "a.txt").write_text("\\n".join(f"{i} {i % 3 // 2}" for i in range(count)))

def read(path, label):
    return tf.data.TextLineDataset(path).map(lambda line: (line, label))

def decode(line, label):
    number, label = tf.unstack(tf.strings.to_number(tf.strings.split(line)), 2)
    return number[None], tf.cast(label, tf.int64)

def build(examples):
    return keras.layers.Rescaling(1.0, offset=1.0)

def check(batch, output):
    np.testing.assert_array_equal(output, batch + 1)
'''


def test_labels_that_only_decode_knows_are_refused_before_it(tmp_path: Path) -> None:
    """They are refused before any run; behind a decoded cache they are right."""
    (tmp_path / "parsed.py").write_text(PARSED)
    prepared = worker.prepare(
        request_for(tmp_path, "parsed", "prepare", resample="split")
    )
    assert prepared.error.type == "UsageError"
    assert prepared.error.message == (
        "resample=split needs labels that are 0 and 1, as whole numbers or bool, both "
        "present, one for each example: shape [count]. These are int64 [96]: 0 (96 "
        "times). Let read() return such labels, or leave resample out. decode() comes "
        "after resampling, unless cache=decoded is added."
    )
    settings = {"resample": "split", "cache": "decoded"}
    prepared = worker.prepare(request_for(tmp_path, "parsed", "prepare", **settings))
    assert prepared.error is None
    run = measured(tmp_path, "parsed", **settings)
    demand_samples(run)
    assert 0.3 < run.facts["positive_share"] < 0.7


def test_a_run_refuses_such_labels_too_and_without_resampling_has_no_shares(
    tmp_path: Path,
) -> None:
    """A run checks them itself, as a guard sends no request to prepare."""
    text = WORKLOAD.replace("% 2", "% 5") + "\nBINARY_LABELS = True\n"
    (tmp_path / "five.py").write_text(text)
    run = measured(tmp_path, "five", resample="filter")
    assert run.error.type == "UsageError" and run.error.phase == "check"
    assert "These are int64 [96]: 0 (20 times), 1 (19 times), " in run.error.message
    run = measured(tmp_path, "five")
    demand_samples(run)
    assert "positive_share" not in run.facts


@pytest.mark.parametrize(
    ("storage", "remedy"),
    [
        ("memory", "Set FEEDRATE_CACHE to a folder on a disk, or leave storage=cold "),
        ("disk", "Set TMPDIR to a folder on a disk, or leave storage=cold out."),
    ],
)
def test_files_that_stay_in_memory_are_known_before_the_first_run(
    storage: str, remedy: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That holds for input files and for the folder of a disk cache."""
    in_scratch = tempfile.gettempdir()

    def share(paths: list[Path]) -> float:
        return float((str(paths[0].parent) == in_scratch) == (storage == "disk"))

    monkeypatch.setattr(page_cache, "resident_share", share)
    settings = {"unit": "epoch", "storage": "cold"}
    cache = {"cache": "raw", "cache_storage": storage}
    prepared = worker.prepare(
        request_for(folder, "lines", "prepare", **settings, **cache)
    )
    assert prepared.error is None
    assert prepared.warm.startswith("storage=cold: the content of '")
    assert remedy in prepared.warm
    run = measured(folder, "lines", **settings, **cache)
    wanted = "UsageError" if storage == "memory" else None
    assert (run.error and run.error.type) == wanted
