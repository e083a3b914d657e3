"""The search with an injected executor, clock and test: nothing is timed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from bench.advise import search, turns_test
from bench.advise.search import Search
from bench.errors import UsageError
from bench.guard.record import Row
from bench.measure import recorder
from bench.measure.user_function import make_dataset
from bench.report import advice as report
from bench.report.advice_record import STATES, Advice
from bench.run.protocol import Outcome
from bench.run.user_pipeline import (
    Lift,
    ModelError,
    PipelineComparison,
    PipelineReading,
    PipelineTask,
    read_task,
)
from bench.trial import Failure, Trial

TEXT = """import tensorflow as tf


def scale(x):
    return x * 2


def make():
    ds = tf.data.Dataset.range(100)
    ds = ds.map(scale)
    ds = ds.batch(4)
    return ds
"""


def seconds(source: str) -> float:
    """What a source takes, by the fake clock: batching first and a cache help."""
    batch_first = source.index(".batch") < source.index(".map")
    return (0.2 if batch_first else 1.0) * (0.1 if ".cache" in source else 1.0)


@dataclass
class Machine:
    """An executor, a clock and a test by turns in one.

    Attributes:
        outcomes: What the gate says by a piece of the source; `same` of the others.
        step: How long each request and each test takes; seconds.
        interrupt_at: The request or test that Ctrl-C interrupts.
        speeds: Further fields of the reading, such as the times of a model.
    """

    outcomes: dict[str, PipelineComparison] = field(default_factory=dict)
    step: float = 1.0
    interrupt_at: int = 0
    repeats: bool = True
    cost: Callable[[str], float] = seconds
    speeds: dict[str, object] = field(default_factory=dict)
    now: float = 0.0
    done: int = 0
    alphas: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self.step
        self.done += 1
        if self.done == self.interrupt_at:
            raise KeyboardInterrupt

    def execute(self, verb: str, trial: Trial, effort: object, seed: int) -> Outcome:
        self.work()
        task = read_task(trial)
        answer = self.read(task) if verb == "read_pipeline" else self.compare_(task)
        return Outcome(msgspec.json.encode(answer), None, 1.0)

    def read(self, task: PipelineTask) -> PipelineReading:
        try:
            with recorder.recorded() as calls:
                dataset = make_dataset(task.path, task.source, task.call)
        except Exception as error:
            return PipelineReading(error=Failure(type="Oops", message=str(error)))
        stages = recorder.stages(calls, dataset)
        for stage in stages:
            stage.element_bytes = 8.0
        return PipelineReading(
            stages=stages,
            batch_size=4,
            epoch_batches=25,
            repeats=self.repeats,
            seconds_per_batch=0.01,
            cpu_seconds_per_batch=0.015,
            **self.speeds,
        )

    def compare_(self, task: PipelineTask) -> PipelineComparison:
        for piece, outcome in self.outcomes.items():
            if piece in task.source and piece not in task.against:
                return outcome
        ratio = self.cost(task.source) / self.cost(task.against)
        return PipelineComparison(outcome="same", examples=100, whole=True, ratio=ratio)

    def compare(self, base: Trial, head: Trial, server: object, **how: object) -> Row:
        self.work()
        self.alphas.append(how["alpha"])
        ratio = self.cost(read_task(head).source) / self.cost(read_task(base).source)
        return Row(
            key="advice",
            metric="seconds_per_example",
            verdict="faster" if ratio < 0.97 else "unchanged",
            ratio=ratio,
            low=0.98 * ratio,
            high=1.02 * ratio,
            count=5,
        )


def advise(tmp_path: Path, machine: Machine, **settings: object) -> Advice:
    path = tmp_path / "pipeline.py"
    path.write_text(settings.pop("text", TEXT))
    known = {"budget_seconds": 300.0, "call": "make()"} | settings
    return Search(
        path=str(path),
        server=machine,
        scratch=tmp_path,
        clock=machine.clock,
        compare=machine.compare,
        **known,
    ).run()


def states(advice: Advice) -> dict[str, str]:
    return {one.proposal: one.state for one in advice.attempts}


def test_what_is_faster_is_kept_one_after_another(tmp_path: Path) -> None:
    machine = Machine()
    advice = advise(tmp_path, machine)
    assert "ds = ds.batch(4)\n    ds = ds.map(scale).cache()" in advice.tuned
    assert (advice.verdict, round(advice.ratio, 3)) == ("faster", 0.02)
    assert states(advice) == {
        "batch_before_map": "kept",
        "cache": "kept",
        "drop_remainder": "not_allowed",
        "parallel_map": "no_gain_seen",
        "prefetch": "done_already",
    }
    assert set(states(advice).values()) <= set(STATES)
    assert (tmp_path / "pipeline.py").read_text() == TEXT
    assert machine.alphas == [turns_test.share(1), turns_test.share(2), 0.05]


def test_a_cache_that_the_memory_limit_does_not_leave_room_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.machine.available_memory", lambda: 300)
    advice = advise(tmp_path, Machine())
    refused = {a.proposal: a.reason for a in advice.attempts if a.state == "refused"}
    assert refused == {
        "cache": "it needs 200 bytes, more than 25% of the available memory, 300 bytes"
    }


def test_the_ceiling_is_that_of_the_container_s_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipeline takes 15 ms of processor time a batch."""
    advice = advise(tmp_path, Machine())
    for count, words in ((1.5, "1.5 processors would take 10 ms"), (1, "1 processor ")):
        monkeypatch.setattr(report, "usable_processors", lambda count=count: count)
        assert words in report.ceiling(advice)


def test_of_the_best_pipeline_nothing_is_proposed(tmp_path: Path) -> None:
    advice = advise(tmp_path, Machine(cost=lambda source: 1.0))
    assert advice.tuned == TEXT
    assert report.diff(advice) == ""
    assert report.headline(advice) == (
        "Nothing is advised: no change that may be made was shown to be at least 3 % "
        "faster. 0 of 5 were tested by turns."
    )


def test_a_pipeline_that_the_model_hides_is_left_alone(tmp_path: Path) -> None:
    machine = Machine(
        speeds={"model_seconds_per_batch": 0.1, "training_seconds_per_batch": 0.102}
    )
    advice = advise(tmp_path, machine, model_path="models.py", model_call="build()")
    assert (advice.attempts, advice.tuned, machine.done) == ([], TEXT, 1)
    (note,) = advice.notes
    assert note.startswith("The pipeline is hidden behind the model: a training step")
    text = " ".join(report.terminal(advice, []).split())
    assert "make(), training models.py:build() " in text
    assert "the model alone takes 100 ms, and the pipeline" in text


def test_the_search_ends_when_the_kept_changes_reach_the_model(tmp_path: Path) -> None:
    """Batching first takes a fifth of the time, and so does the model alone."""
    machine = Machine(
        speeds={"model_seconds_per_batch": 0.1, "training_seconds_per_batch": 0.5}
    )
    advice = advise(tmp_path, machine, model_path="models.py", model_call="build()")
    kept = [one.proposal for one in advice.attempts if one.state == "kept"]
    assert kept == ["batch_before_map"]
    assert advice.notes[-1].startswith("With the accepted changes the pipeline is hid")
    assert report.headline(advice).startswith("With 1 change training is 5.0")


def test_a_pipeline_at_its_ceiling_is_left_alone(tmp_path: Path) -> None:
    advice = advise(tmp_path, Machine(speeds={"ceiling_seconds": 0.0098}))
    assert (advice.attempts, advice.tuned) == ([], TEXT)
    assert advice.notes[-1].startswith("The pipeline is at its ceiling: a batch takes")


def test_a_difference_and_a_failure_are_lines_of_the_trail(tmp_path: Path) -> None:
    machine = Machine(
        outcomes={
            ".cache": PipelineComparison(outcome="differs", reason="example 3 differs"),
            "num_parallel": PipelineComparison(
                error=Failure(type="ValueError", message="no (pipeline.py, line 9)")
            ),
        }
    )
    advice = advise(tmp_path, machine)
    reasons = {one.proposal: (one.state, one.reason) for one in advice.attempts}
    assert reasons["cache"] == ("refused", "example 3 differs")
    assert reasons["parallel_map"][0] == "failed"
    assert "no (pipeline.py, line 9)" in reasons["parallel_map"][1]
    assert reasons["batch_before_map"][0] == "kept"


@pytest.mark.parametrize(
    ("allow", "state"), [((), "not_allowed"), (("order",), "kept")]
)
def test_another_order_needs_consent(
    tmp_path: Path, allow: tuple[str, ...], state: str
) -> None:
    found = PipelineComparison(outcome="order", reason="another order", ratio=0.2)
    machine = Machine(outcomes={"ds.batch(4)\n    ds = ds.map": found})
    advice = advise(tmp_path, machine, allow=allow)
    assert states(advice)["batch_before_map"] == state


def test_the_whole_must_be_faster_too(tmp_path: Path) -> None:
    machine = Machine()
    rows = machine.compare

    def compare(*sides: object, **how: object) -> Row:
        row, whole = rows(*sides, **how), how["alpha"] == turns_test.FALSE_ADVICE
        unknown = {"verdict": "unknown", "cause": "too noisy"}
        return replace(row, **unknown) if whole else row

    machine.compare = compare
    advice = advise(tmp_path, machine)
    assert advice.tuned == TEXT
    assert advice.notes[-1] == (
        "The whole tuned file was not shown to be faster by fresh processes (unknown: "
        "too noisy), so it is not advised. More time may settle it: --budget."
    )


def test_the_budget_ends_the_search(tmp_path: Path) -> None:
    machine = Machine(step=10.0)
    advice = advise(tmp_path, machine, budget_seconds=60.0)
    assert advice.seconds <= 60.0
    assert "not_tried" in states(advice).values()


def test_ctrl_c_keeps_what_is_known(tmp_path: Path) -> None:
    machine = Machine(interrupt_at=8)  # in the second round
    advice = advise(tmp_path, machine)
    assert advice.interrupted
    assert states(advice)["batch_before_map"] == "kept"
    assert ".batch(4)\n    ds = ds.map" in advice.tuned
    assert report.headline(advice) == (
        "1 change made it faster, each by its own test. The whole tuned file was not "
        "measured again."
    )


def test_ctrl_c_while_the_pipeline_is_read_gives_a_record_too(tmp_path: Path) -> None:
    advice = advise(tmp_path, Machine(interrupt_at=1))
    assert (advice.interrupted, advice.attempts, advice.tuned) == (True, [], TEXT)
    note = "Interrupted: what was known by then is shown."
    assert advice.notes == [note]
    assert f"! {note}" in report.terminal(advice, [])
    assert f"- {note}" in report.as_markdown(advice)
    assert msgspec.json.decode(report.as_json(advice))["interrupted"]


def test_the_final_figure_of_a_single_change_is_measured(tmp_path: Path) -> None:
    """Fresh processes see less than the test that kept the change."""
    machine = Machine(
        cost=lambda source: 0.2 if source.index(".batch") < source.index(".map") else 1
    )
    rows = machine.compare

    def compare(*sides: object, **how: object) -> Row:
        row, whole = rows(*sides, **how), how["alpha"] == turns_test.FALSE_ADVICE
        machine.now += 50.0  # of a budget of 100 s
        return replace(row, ratio=0.5, low=0.4, high=0.6) if whole else row

    machine.compare = compare
    advice = advise(tmp_path, machine, budget_seconds=100.0)
    assert [one.ratio for one in advice.attempts if one.state == "kept"] == [0.2]
    assert (advice.verdict, advice.ratio, advice.high) == ("faster", 0.5, 0.6)


def test_a_first_test_leaves_time_for_the_final_one(tmp_path: Path) -> None:
    machine, allowed = Machine(), []
    rows = machine.compare

    def compare(*sides: object, **how: object) -> Row:
        allowed.append((how["seconds"], 300.0 - machine.now))
        return rows(*sides, **how)

    machine.compare = compare
    advise(tmp_path, machine)
    (first, left), *_ = allowed
    assert first == left / 2


def test_a_cache_goes_before_what_would_bar_it(tmp_path: Path) -> None:
    """Behind a shuffle no cache is legal, however large the gain of moving a map."""

    def cost(source: str) -> float:
        places = [source.index(one) for one in (".shuffle", ".map", ".batch")]
        return (0.3 if places == sorted(places) else 1.0) * (
            0.1 if ".cache" in source else 1.0
        )

    text = TEXT.replace(
        "    ds = ds.batch", "    ds = ds.shuffle(9)\n    ds = ds.batch"
    )
    advice = advise(tmp_path, Machine(cost=cost), text=text)
    kept = [one.proposal for one in advice.attempts if one.state == "kept"]
    assert kept == ["cache"]
    assert "ds = ds.map(scale).cache()\n    ds = ds.shuffle(9)" in advice.tuned


def test_what_was_overtaken_is_proposed_anew(tmp_path: Path) -> None:
    """A cache behind the batch is overtaken in the first round, and tried later."""
    advice = advise(tmp_path, Machine())
    caches = [one for one in advice.attempts if one.proposal == "cache"]
    assert [(one.state, one.round) for one in caches] == [("kept", 2)]
    assert "not_tried" not in states(advice).values()


def test_what_differs_each_time_gets_no_proposal(tmp_path: Path) -> None:
    advice = advise(tmp_path, Machine(repeats=False))
    assert advice.attempts == []
    assert set(report.ORDER) == set(STATES)
    assert advice.notes == [search.DIFFERS_EACH_TIME]


def test_a_pipeline_that_fails_is_bad_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"pipeline.py cannot be read as a pipeline: "):
        advise(tmp_path, Machine(), text=TEXT.replace("range(100)", "range(none)"))


def test_a_model_that_cannot_be_trained_is_bad_use(tmp_path: Path) -> None:
    """The sentence names the model's file, so the pipeline's is not blamed."""
    error = Failure(type="ModelError", message="models.py:build returned a list")
    with pytest.raises(ModelError, match=r"\Amodels.py:build returned a list\Z"):
        advise(tmp_path, Machine(speeds={"error": error}))


def test_shares_of_alpha_never_exceed_the_whole() -> None:
    shares = [turns_test.share(number) for number in range(1, 1000)]
    assert shares == sorted(shares, reverse=True)
    assert 0.049 < sum(shares) < turns_test.FALSE_ADVICE


def test_the_terminal_has_80_columns_and_every_state(tmp_path: Path) -> None:
    advice = advise(tmp_path, Machine(), allow=("order",))
    advice.reading.stages[1].wait = 0.94
    advice.reading.lifts = [Lift(constraint="stage", stage=1, factor=9.1)]
    text = report.terminal(advice, ["Files: x"])
    assert "element         wait     busy share" in text
    assert "   10 map(scale)                             int64[]          94%" in text
    assert max(map(len, text.splitlines()[1:])) <= 80  # the first has the path
    for one in advice.attempts:
        assert one.state.replace("_", " ") in text
    assert text.index("kept (faster") < text.index("no gain seen")
    page = report.as_markdown(advice)
    assert "A stage binds: map(scale) of line 10. Without it the pipeline" in text
    assert "A stage binds: map(scale) of line 10. Without it the pipeline" in page
    assert "| 10 | map(scale) |  | int64\\[\\] | 94% |  |  |" in page
    assert "| kept | line 10: move .map(scale) behind .batch of line 11 | " in page
    record = msgspec.json.decode(report.as_json(advice))
    assert record["schema"] == 1
    assert record["binds"]["factor"] == 9.1
    assert record["diff"] == report.diff(advice)
