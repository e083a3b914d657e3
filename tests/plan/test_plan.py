"""A sweep's plan: how many runs and how long, stored so that it can go on."""

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


def planned(**axes: tuple) -> plan.Plan:
    """Prices under the plain pipeline with these values."""
    block = sweeps.Block(workloads=("prices",), axes=axes)
    return plan.plan_sweep(
        sweeps.Sweep(name="mine", blocks=(block,)), Effort(), 3, 0.0, ""
    )


class Fake:
    """Answers `prepare` without a process."""

    def __init__(self, answer: dict | Failure) -> None:
        """Always with the same."""
        self.answer, self.asked, self.running = answer, [], False

    def start(self) -> None:
        """A round begins."""
        self.running = True

    def stop(self) -> None:
        """A round ends."""
        self.running = False

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """The answer, while it is running."""
        assert self.running
        assert verb == "prepare"
        self.asked.append(trial)
        if isinstance(self.answer, Failure):
            return Outcome(b"", self.answer, 0.1)
        return Outcome(json.dumps(self.answer).encode(), None, 0.1)


def test_runs_are_trials_times_rounds() -> None:
    """And more of them take longer."""
    few, many = planned(), planned(batch_size=(16, 32, 64))
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
    """As far as names tell."""
    (tmp_path / "bare").mkdir()
    monkeypatch.chdir(tmp_path)
    sweep = sweeps.Sweep(name="mine", blocks=(sweeps.Block(workloads=(workload,)),))
    with pytest.raises(UsageError) as caught:
        plan.plan_sweep(sweep, Effort(), 3, 0.0, data)
    assert str(caught.value).startswith(f"'{workload}' cannot be prepared: {message}")


def test_what_is_left_takes_as_long_as_what_is_there_took() -> None:
    """By its median, and a server a round; repeats are not counted."""
    made = planned(batch_size=(16, 32))
    assert made.seconds_left([]) == made.seconds
    kept = [factory.run(factory.trial()) for _ in range(4)]
    kept.append(replace(kept[0], repeat=1))
    assert made.seconds_left(kept) == 6 * 2.0 + 3 * plan.ROUND_SECONDS


def test_a_race_says_what_it_makes_at_the_least() -> None:
    """Its rounds where there are few trials, and less than all where there are many."""
    few = planned(batch_size=(16, 32, 64))
    assert replace(few, precision=0.02).runs == few.runs
    assert replace(few, precision=0.02).seconds == pytest.approx(few.seconds)
    many = planned(batch_size=tuple(range(1, 11)), prefetch=tuple(range(10)))
    race = replace(many, precision=0.02)
    assert (many.runs, race.runs) == (500, 100 + 25 + 3 * 8)
    assert race.seconds < many.seconds / 3


def test_a_budget_cuts_rounds_first_and_then_runs() -> None:
    """Never below one round, nor below a quarter of a second."""
    whole = Effort(rounds=5)
    seconds = plan.estimate(10, whole)
    assert plan.fit_to_budget(whole, 10, seconds) == whole
    assert plan.fit_to_budget(whole, 10, seconds / 2) == replace(whole, rounds=2)
    least = plan.fit_to_budget(whole, 10, 1.0)
    assert (least.rounds, least.steady_seconds) == (1, plan.LEAST_STEADY_SECONDS)


def test_a_plan_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    """With everything that was refused."""
    made = planned(prefetch=(0, 2, "autotune"), cache_storage=("memory", "disk"))
    assert len(made.refused) == 3
    plan.save(made, tmp_path)
    assert plan.load(tmp_path) == made


def test_a_disk_that_fills_leaves_the_plan_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is told to resume can."""

    def torn(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    plan.save(planned(), tmp_path)
    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(OSError, match="No space"):
        plan.save(replace(planned(), seed=7), tmp_path)
    assert plan.load(tmp_path) == planned()


def test_a_missing_plan_is_an_error(tmp_path: Path) -> None:
    """There is nothing to go on with."""
    with pytest.raises(UsageError) as caught:
        plan.load(tmp_path)
    assert str(caught.value) == (
        f"Nothing to resume at '{tmp_path}': it has no plan.json, which `run` writes."
    )


def test_a_broken_plan_is_an_error(tmp_path: Path) -> None:
    """With what is wrong."""
    (tmp_path / plan.FILE).write_text("{}")
    with pytest.raises(UsageError) as caught:
        plan.load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/plan.json is not a plan: Object missing required field `sweep`."
    )


def test_a_plan_whose_workload_is_gone_is_an_error(tmp_path: Path) -> None:
    """Before any process starts."""
    gone = Trial(workload="my/own.py")
    plan.save(replace(planned(), trials=[gone]), tmp_path)
    with pytest.raises(UsageError) as caught:
        plan.load(tmp_path)
    assert str(caught.value) == "No workload file at 'my/own.py'."


def test_without_a_gpu_its_trials_are_said_to_be_not_testable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others run; where there is no other, it is an error."""
    monkeypatch.setattr(machine, "gpus", list)
    block = sweeps.Block(
        workloads=("prices",), axes={"device": ("cpu", "gpu")}, consumer="train"
    )
    sweep = sweeps.Sweep(name="mine", blocks=(block,))
    made = plan.plan_sweep(sweep, Effort(), 0, 0.0, "")
    assert [trial.pipeline.device for trial in made.trials] == ["cpu"]
    assert made.refused == {
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
    """One process for each set of inputs; the first round has the server then."""
    made, fake = planned(batch_size=(16, 64, 32)), Fake(TRAITS)
    assert prepare_inputs(made, fake) == made
    assert [trial.pipeline.batch_size for trial in fake.asked] == [64]
    assert fake.running


def test_a_batch_of_more_than_there_is_is_refused() -> None:
    """With both numbers; where nothing else is left, it is an error."""
    made = prepare_inputs(planned(batch_size=(64, 128)), Fake(TRAITS))
    assert [trial.pipeline.batch_size for trial in made.trials] == [64]
    reason = "batch_size=128 is more than its 64 examples"
    assert made.refused == {"prices[batch_size=128]": reason}
    with pytest.raises(UsageError) as caught:
        prepare_inputs(planned(batch_size=(128,)), Fake(TRAITS))
    assert str(caught.value) == (
        f"Nothing is left to run:\n  prices[batch_size=128]: {reason}"
    )


def test_layers_that_do_not_compile_are_refused_with_jit() -> None:
    """In the model; elsewhere the model's own step is compiled."""
    made = planned(placement=("model",), jit=("off", "on", "auto"))
    made = prepare_inputs(made, Fake(TRAITS))
    assert [trial.pipeline.jit for trial in made.trials] == ["off", "auto"]
    assert made.refused == {
        "prices[placement=model,jit=on]": (
            "jit=on: Keras says that a layer of it does not compile with XLA"
        )
    }
    made = planned(placement=("model",), jit=("on",))
    assert prepare_inputs(made, Fake({**TRAITS, "supports_jit": True})) == made


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
    """Whatever the cause."""
    fake = Fake(answer)
    with pytest.raises(UsageError) as caught:
        prepare_inputs(planned(), fake)
    assert str(caught.value) == message


def test_trials_of_other_inputs_are_prepared_apart() -> None:
    """Another workload, another image size, other data."""
    trials = [
        factory.trial(workload="rescaling"),
        factory.trial(workload="rescaling", image_size=96),
        factory.trial(workload="rescaling", prefetch=2),
        factory.trial(workload="resizing"),
    ]
    fake = Fake(TRAITS)
    prepare_inputs(replace(planned(), trials=trials), fake)
    assert {trial.key for trial in fake.asked} == {
        "rescaling[prefetch=2]",
        "rescaling[image_size=96]",
        "resizing",
    }


def test_labels_are_looked_at_once_where_they_are_resampled() -> None:
    """As they come, and where the records are decoded before it."""
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
    prepare_inputs(replace(planned(), trials=trials), fake)
    asked = [(t.pipeline.resample, t.pipeline.placement) for t in fake.asked]
    assert asked == [("none", "offline"), ("split", "dataset"), ("split", "offline")]


def test_files_that_stay_in_memory_are_not_measured_as_cold() -> None:
    """The trials of warm storage are."""
    warm = factory.trial(workload="record_shards", unit="epoch")
    cold = factory.trial(workload="record_shards", unit="epoch", storage="cold")
    fake = Fake({**TRAITS, "warm": "they stay"})
    made = prepare_inputs(replace(planned(), trials=[warm, cold]), fake)
    assert (made.trials, made.refused) == ([warm], {cold.key: "they stay"})
    assert len(fake.asked) == 2


@pytest.mark.parametrize(
    ("budget_seconds", "limit"),
    [(0.0, 120.0), (25.0, 25.0 + GRACE_SECONDS), (600.0, 120.0)],
)
def test_preparing_ends_with_the_budget_too(
    monkeypatch: pytest.MonkeyPatch, budget_seconds: float, limit: float
) -> None:
    """A build() that hangs would else take the whole limit."""
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    limits: list[float] = []

    class Limited(Fake):
        """Notes how long it may take."""

        def execute(
            self, verb: str, trial: Trial, effort: Effort, seed: int
        ) -> Outcome:
            limits.append(effort.limit_seconds)
            return super().execute(verb, trial, effort, seed)

    made = replace(planned(), budget_seconds=budget_seconds)
    prepare_inputs(made, Limited(TRAITS))
    assert limits == [limit]
