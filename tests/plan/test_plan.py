"""A plan counts its runs, estimates their time, and is stored for `--resume`."""

import errno
import json
import time
from dataclasses import replace
from pathlib import Path

import factory
import pytest

from bench import machine
from bench.errors import UsageError
from bench.plan import plan, sweeps
from bench.run.executors import Outcome
from bench.run.prepare import prepare_inputs
from bench.run.protocol import GRACE_SECONDS
from bench.trial import Effort, Failure, Trial

TRAITS = {"supports_jit": False, "examples": 64, "error": None}


def plan_of(**axes: tuple) -> plan.Plan:
    """Return the plan of `prices` under the plain pipeline with these values."""
    block = sweeps.Block(workloads=("prices",), axes=axes)
    return plan.plan_sweep(
        sweeps.Sweep(name="mine", blocks=(block,)), Effort(), 3, 0.0, ""
    )


class Fake:
    """An executor that answers `prepare` without a process."""

    def __init__(self, answer: dict | Failure) -> None:
        """Store the answer, which is always the same."""
        self.answer, self.requests, self.running = answer, [], False

    def start(self) -> None:
        """Start the server."""
        self.running = True

    def stop(self) -> None:
        """Stop the server."""
        self.running = False

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Return the answer, if the server is running."""
        assert self.running
        assert verb == "prepare"
        self.requests.append(trial)
        if isinstance(self.answer, Failure):
            return Outcome(b"", self.answer, 0.1)
        return Outcome(json.dumps(self.answer).encode(), None, 0.1)


def test_runs_are_trials_times_rounds() -> None:
    few, many = plan_of(), plan_of(batch_size=(16, 32, 64))
    assert (few.runs, many.runs) == (5, 15)
    assert 0 < few.seconds < many.seconds


@pytest.mark.parametrize(
    ("workload", "data", "message"),
    [
        ("prices", "no.csv", "No data at 'no.csv'. This workload takes a CSV file "),
        ("photographs", "no", "No data at 'no'. This workload takes a folder that "),
        ("photographs", "bare", "'bare' has no folders in it. This workload takes"),
        ("rescaling", "no", "'rescaling' takes no --data: it declares no ACCEPTS."),
    ],
)
def test_data_that_cannot_be_used_is_refused_before_anything_starts(
    workload: str,
    data: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "bare").mkdir()
    monkeypatch.chdir(tmp_path)
    sweep = sweeps.Sweep(name="mine", blocks=(sweeps.Block(workloads=(workload,)),))
    with pytest.raises(UsageError) as caught:
        plan.plan_sweep(sweep, Effort(), 3, 0.0, data)
    assert str(caught.value).startswith(f"'{workload}' cannot be prepared: {message}")


def test_models_are_not_trained_on_labels_that_they_do_not_have(tmp_path: Path) -> None:
    """Trials that only read take any labels; the plan states what it read."""
    path = tmp_path / "a.csv"
    path.write_text("x,label\n1,0.5\n2,1\n3,2\n")
    reading, training = (
        sweeps.Block(workloads=("prices",), consumer=consumer)
        for consumer in ("drain", "train")
    )
    sweep = sweeps.Sweep(name="mine", blocks=(reading, training))
    planned = plan.plan_sweep(sweep, Effort(), 3, 0.0, str(path))
    reason = (
        f"'{path}:label' has fractions as labels, and the workload's model "
        "distinguishes classes. Use --consumer drain, which trains no model, or name a "
        "column of classes."
    )
    assert {trial.consumer for trial in planned.trials} == {"drain"}
    assert list(planned.refused.values()) == [reason] * len(planned.refused)
    assert planned.notes == [f"Data '{path}': 3 examples, 22 bytes."]
    assert plan.data_notes(planned.trials) == planned.notes
    with pytest.raises(UsageError) as caught:
        sweep = sweeps.Sweep(name="mine", blocks=(training,))
        plan.plan_sweep(sweep, Effort(), 3, 0.0, str(path))
    assert str(caught.value) == f"Nothing is left to run: {reason}"
    path.unlink()
    assert plan.data_notes(planned.trials) == []


def test_classes_of_lines_are_not_resampled_before_they_are_decoded(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,label\n1,0\n2,1\n3,1\n")
    axes = {"resample": ("filter",), "cache": ("none", "decoded")}
    block = sweeps.Block(workloads=("fraud",), axes=axes)
    sweep = sweeps.Sweep(name="mine", blocks=(block,))
    planned = plan.plan_sweep(sweep, Effort(), 3, 0.0, str(path))
    assert [trial.pipeline.cache for trial in planned.trials] == ["decoded"]
    assert list(planned.refused.values()) == [
        "resample needs labels, which CSV lines have only once they are decoded: add "
        f"--axis cache=decoded, or load the table first with --data memory:{path}"
    ]


def test_texts_of_a_user_are_read_as_files(tmp_path: Path) -> None:
    """The axes of files then have a meaning, and not for texts in memory."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("some words")
    axes = {"interleave_cycle_length": (1, 4)}
    block = sweeps.Block(workloads=("prose",), axes=axes)
    sweep = sweeps.Sweep(name="mine", blocks=(block,))
    read, loaded = (
        plan.plan_sweep(sweep, Effort(), 3, 0.0, f"{prefix}{tmp_path}")
        for prefix in ("", "memory:")
    )
    assert [len(each.trials) for each in (read, loaded)] == [2, 1]


def test_missing_runs_are_expected_to_take_as_long_as_stored_runs() -> None:
    """The median counts, with a server a round; repeats do not count."""
    planned = plan_of(batch_size=(16, 32))
    assert planned.seconds_left([]) == planned.seconds
    runs = [factory.run(factory.trial()) for _ in range(4)]
    runs.append(replace(runs[0], repeat=1))
    assert planned.seconds_left(runs) == 6 * 2.0 + 3 * plan.ROUND_SECONDS


def test_a_race_plans_its_least_number_of_runs() -> None:
    """Few trials get all rounds; many trials are screened first."""
    few = plan_of(batch_size=(16, 32, 64))
    assert replace(few, precision=0.02).runs == few.runs
    assert replace(few, precision=0.02).seconds == pytest.approx(few.seconds)
    many = plan_of(batch_size=tuple(range(1, 11)), prefetch=tuple(range(10)))
    race = replace(many, precision=0.02)
    assert (many.runs, race.runs) == (500, 100 + 25 + 3 * 8)
    assert race.seconds < many.seconds / 3


def test_a_budget_cuts_rounds_first_and_then_runs() -> None:
    """One round and a quarter of a second always remain."""
    whole = Effort(rounds=5)
    seconds = plan.estimate(10, whole)
    assert plan.fit_to_budget(whole, 10, seconds) == whole
    assert plan.fit_to_budget(whole, 10, seconds / 2) == replace(whole, rounds=2)
    least = plan.fit_to_budget(whole, 10, 1.0)
    assert (least.rounds, least.steady_seconds) == (1, plan.LEAST_STEADY_SECONDS)


def test_a_plan_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    planned = plan_of(prefetch=(0, 2, "autotune"), cache_storage=("memory", "disk"))
    assert len(planned.refused) == 3
    plan.save(planned, tmp_path)
    assert plan.load(tmp_path) == planned


def test_a_disk_that_fills_leaves_the_plan_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep can still be resumed."""

    def torn(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    plan.save(plan_of(), tmp_path)
    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(OSError, match="No space"):
        plan.save(replace(plan_of(), seed=7), tmp_path)
    assert plan.load(tmp_path) == plan_of()


def test_a_missing_plan_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan.load(tmp_path)
    assert str(caught.value) == (
        f"Nothing to resume at '{tmp_path}': it has no plan.json, which `run` writes."
    )


def test_a_broken_plan_is_an_error(tmp_path: Path) -> None:
    (tmp_path / plan.FILE).write_text("{}")
    with pytest.raises(UsageError) as caught:
        plan.load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/plan.json is not a plan: Object missing required field `sweep`."
    )


def test_a_plan_whose_workload_is_gone_is_an_error(tmp_path: Path) -> None:
    gone = Trial(workload="my/own.py")
    plan.save(replace(plan_of(), trials=[gone]), tmp_path)
    with pytest.raises(UsageError) as caught:
        plan.load(tmp_path)
    assert str(caught.value) == "No workload file at 'my/own.py'."


def test_without_a_gpu_its_trials_are_not_testable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other trials run; a plan without other trials is an error."""
    monkeypatch.setattr(machine, "gpus", list)
    block = sweeps.Block(
        workloads=("prices",), axes={"device": ("cpu", "gpu")}, consumer="train"
    )
    sweep = sweeps.Sweep(name="mine", blocks=(block,))
    planned = plan.plan_sweep(sweep, Effort(), 0, 0.0, "")
    assert [trial.pipeline.device for trial in planned.trials] == ["cpu"]
    assert planned.refused == {
        "prices[consumer=train,device=gpu]": (
            "device=gpu: no NVIDIA GPU here, not testable"
        )
    }
    only = sweeps.narrow(sweep, axes={"device": ("gpu",)})
    with pytest.raises(UsageError) as caught:
        plan.plan_sweep(only, Effort(), 0, 0.0, "")
    assert str(caught.value) == (
        "device=gpu: no NVIDIA driver answers here; see doctor."
    )


def test_inputs_are_prepared_once_for_the_largest_batch() -> None:
    """The server keeps running for the first round."""
    planned, fake = plan_of(batch_size=(16, 64, 32)), Fake(TRAITS)
    assert prepare_inputs(planned, fake) == planned
    assert [trial.pipeline.batch_size for trial in fake.requests] == [64]
    assert fake.running


def test_a_batch_of_more_than_there_is_is_refused() -> None:
    """A plan without other trials is an error."""
    planned = prepare_inputs(plan_of(batch_size=(64, 128)), Fake(TRAITS))
    assert [trial.pipeline.batch_size for trial in planned.trials] == [64]
    reason = "batch_size=128 is more than its 64 examples"
    assert planned.refused == {"prices[batch_size=128]": reason}
    with pytest.raises(UsageError) as caught:
        prepare_inputs(plan_of(batch_size=(128,)), Fake(TRAITS))
    assert str(caught.value) == (
        "No trial can run on these inputs. Change the axes or the data. The "
        f"reasons:\n  prices[batch_size=128]: {reason}"
    )


def test_layers_that_do_not_compile_are_refused_with_jit() -> None:
    """This concerns layers in the model only."""
    planned = plan_of(placement=("model",), jit=("off", "on", "auto"))
    planned = prepare_inputs(planned, Fake(TRAITS))
    assert [trial.pipeline.jit for trial in planned.trials] == ["off", "auto"]
    assert planned.refused == {
        "prices[placement=model,jit=on]": (
            "jit=on: Keras says that a layer of it does not compile with XLA"
        )
    }
    planned = plan_of(placement=("model",), jit=("on",))
    assert prepare_inputs(planned, Fake({**TRAITS, "supports_jit": True})) == planned


def test_a_layer_that_mixes_a_batch_is_refused_where_it_gets_single_examples() -> None:
    order = ("map_batch", "batch_map")
    planned = plan_of(order=order, batch_size=(1, 32))
    assert prepare_inputs(planned, Fake(TRAITS)) == planned
    planned = prepare_inputs(planned, Fake({**TRAITS, "mixes": "MixUp"}))
    assert [trial.key for trial in planned.trials] == ["prices[order=batch_map]"]
    alone = "MixUp cannot mix a single example: it needs a batch"
    larger = f"batch_size=1: {alone}; use a larger batch_size"
    assert planned.refused == {
        "prices": f"order=map_batch: {alone}; use order=batch_map",
        "prices[batch_size=1]": larger,
        "prices[batch_size=1,order=batch_map]": larger,
    }


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"error": {"type": "ValueError", "message": "bad pixel", "phase": ""}},
            "'prices' cannot be prepared: ValueError: bad pixel",
        ),
        (
            {"error": {"type": "UsageError", "message": "No rows.", "phase": ""}},
            "'prices' cannot be prepared: No rows.",
        ),
        (
            Failure(type="Timeout", message="stopped after its limit of 120 s"),
            "'prices' cannot be prepared: Timeout: stopped after its limit of 120 s",
        ),
    ],
)
def test_a_workload_that_cannot_be_made_is_an_error(
    answer: dict | Failure, message: str
) -> None:
    fake = Fake(answer)
    with pytest.raises(UsageError) as caught:
        prepare_inputs(plan_of(), fake)
    assert str(caught.value) == message


def test_trials_of_other_inputs_are_prepared_apart() -> None:
    """Inputs differ by workload and by image size."""
    trials = [
        factory.trial(workload="rescaling"),
        factory.trial(workload="rescaling", image_size=96),
        factory.trial(workload="rescaling", prefetch=2),
        factory.trial(workload="resizing"),
    ]
    fake = Fake(TRAITS)
    prepare_inputs(replace(plan_of(), trials=trials), fake)
    assert {trial.key for trial in fake.requests} == {
        "rescaling[prefetch=2]",
        "rescaling[image_size=96]",
        "resizing",
    }


def test_labels_are_checked_once_where_they_are_resampled() -> None:
    """Raw and decoded records are checked apart."""
    trials = [
        factory.trial(workload="fraud", **settings)
        for settings in (
            {},
            {"resample": "filter"},
            {"resample": "split", "prefetch": 2},
            {"resample": "split", "placement": "offline"},
            {"placement": "offline"},
        )
    ]
    fake = Fake(TRAITS)
    prepare_inputs(replace(plan_of(), trials=trials), fake)
    prepared = [(t.pipeline.resample, t.pipeline.placement) for t in fake.requests]
    assert prepared == [("none", "offline"), ("split", "dataset"), ("split", "offline")]


def test_files_that_stay_in_memory_are_not_measured_as_cold() -> None:
    """The trials of warm storage remain."""
    warm = factory.trial(workload="record_shards", unit="epoch")
    cold = factory.trial(workload="record_shards", unit="epoch", storage="cold")
    fake = Fake({**TRAITS, "warm": "they stay"})
    planned = prepare_inputs(replace(plan_of(), trials=[warm, cold]), fake)
    assert (planned.trials, planned.refused) == ([warm], {cold.key: "they stay"})
    assert len(fake.requests) == 2


@pytest.mark.parametrize(
    ("budget_seconds", "limit"),
    [(0.0, 120.0), (25.0, 25.0 + GRACE_SECONDS), (600.0, 120.0)],
)
def test_preparing_ends_with_the_budget_too(
    monkeypatch: pytest.MonkeyPatch, budget_seconds: float, limit: float
) -> None:
    """Otherwise a build() that hangs would take the whole limit."""
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    limits: list[float] = []

    class Limited(Fake):
        """An executor that records the limit of each request."""

        def execute(
            self, verb: str, trial: Trial, effort: Effort, seed: int
        ) -> Outcome:
            limits.append(effort.limit_seconds)
            return super().execute(verb, trial, effort, seed)

    planned = replace(plan_of(), budget_seconds=budget_seconds)
    prepare_inputs(planned, Limited(TRAITS))
    assert limits == [limit]
