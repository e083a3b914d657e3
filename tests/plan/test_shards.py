"""A sweep is divided among machines: alike everywhere, balanced, workloads whole."""

from pathlib import Path

import factory
import pytest

import run_bench
from bench import machine
from bench.commands import run
from bench.errors import UsageError
from bench.plan import plan, screening, shards, sweeps
from bench.trial import Effort, Trial


def planned(sweep: str, part: tuple[int, int] | None = None) -> plan.Plan:
    """Return the plan of a named sweep, or of a part of it."""
    found = sweeps.find(sweep)
    return plan.plan_sweep(found, found.effort, 7, 0.0, "", part=part)


def places(one: plan.Plan) -> set[tuple[str, int, int]]:
    """Return what each run of a plan is: its key, its round and its seed."""
    rounds = range(one.effort.rounds)
    return {(trial.key, number, one.seed) for trial in one.trials for number in rounds}


@pytest.mark.parametrize(("sweep", "count"), [("quick", 3), ("all", 5), ("order", 2)])
def test_the_shards_of_a_sweep_are_the_sweep(sweep: str, count: int) -> None:
    """They have the same keys, rounds and seeds, each once, and the same effort."""
    whole = planned(sweep)
    parts = [planned(sweep, (n, count)) for n in range(1, count + 1)]
    assert sum(len(part.trials) for part in parts) == len(whole.trials)
    assert set().union(*map(places, parts)) == places(whole)
    assert {part.effort for part in parts} == {whole.effort}
    for number, part in enumerate(parts, 1):
        assert (part.shard.number, part.shard.count) == (number, count)
        assert set(part.shard.keys) >= {trial.key for trial in whole.trials}
        assert part.shard.most_trials >= len(part.trials) > 0


def test_whatever_is_compared_stays_on_one_machine() -> None:
    """These are scenes, and the consumers of a workload, which attribution compares."""
    parts = [planned("bottleneck", (n, 3)).trials for n in (1, 2, 3)]
    of_scenes = [{screening.scene(trial) for trial in part} for part in parts]
    of_workloads = [{trial.workload for trial in part} for part in parts]
    for one in (of_scenes, of_workloads):
        assert sum(map(len, one)) == len(set().union(*one))


def test_shards_take_about_equally_long() -> None:
    """The sweep `all` has 40 workloads and more, the largest a small part of it."""
    seconds = [planned("all", (n, 4)).run_seconds for n in (1, 2, 3, 4)]
    assert max(seconds) < 1.1 * min(seconds)


def test_a_machine_without_a_gpu_divides_as_one_with_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ["Example GPU"])
    with_gpu = [planned("all", (n, 3)) for n in (1, 2, 3)]
    monkeypatch.setattr(machine, "gpus", lambda: [])
    without = [planned("all", (n, 3)) for n in (1, 2, 3)]
    for one, other in zip(with_gpu, without, strict=True):
        assert one.shard == other.shard
        left = {trial.key for trial in other.trials}
        assert left < {trial.key for trial in one.trials}


def test_a_race_with_a_large_scene_counts_less_than_its_trials() -> None:
    """Screening leaves a quarter of it, so fewer trials may take longer."""
    many = [factory.trial(batch_size=n) for n in range(1, 1 + 4 * screening.LARGE)]
    few = [factory.trial(workload="prices", batch_size=n) for n in range(1, 33)]
    own = plan.Plan(
        sweep="mine", trials=many + few, refused={}, effort=Effort(), seed=0
    )

    def seconds(some: list[Trial]) -> float:
        return plan.replace(own, trials=some, precision=0.02).run_seconds

    assert seconds(many) < seconds(few)
    assert shards.divide(own.trials, 2, seconds) == [few, many]  # the longest first


def test_more_shards_than_workloads_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        planned("quick", (1, 4))
    assert str(caught.value) == (
        "This sweep has 3 workloads, which is too few for 4 shards: all trials of a "
        "workload stay on one machine, because the report compares them. Use at most "
        "3 shards."
    )


@pytest.mark.parametrize("text", ["3", "0/3", "4/3", "a/b", "1/0", "-1/3", "1/3/5"])
def test_a_bad_shard_is_named(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_bench.main(["run", "quick", f"--shard={text}"])
    assert caught.value.code == 2
    assert (
        "argument --shard: a shard i/n, its number from 1 to the number of shards, "
        f"such as 1/3, got '{text}'"
    ) in capsys.readouterr().err


def test_a_budget_gives_every_shard_the_same_effort(tmp_path: Path) -> None:
    """It is the effort that the largest shard can afford."""
    efforts = set()
    for number in range(1, 5):
        words = ["run", "all", "--budget", "4m", "--shard", f"{number}/4"]
        _, own = run.make_plan(run_bench.parsed([*words, "--out", str(tmp_path)]))
        efforts.add(own.effort)
        assert own.seconds < 1.1 * 240
    (effort,) = efforts
    assert effort != sweeps.find("all").effort


def test_the_stored_command_plans_the_whole_sweep(tmp_path: Path) -> None:
    """A shard records it, so that a report can name the command of a missing shard."""
    words = ["run", "quick", "--strategy", "naive", "--axis", "batch_size=16,32"]
    words += ["--consumer", "train", "--rounds", "2", "--seed", "5", "--limit", "3m"]
    words += ["--budget", "90s", "--precision", "2%"]
    named, part = run.make_plan(run_bench.parsed([*words, "--shard", "1/2"]))
    folder, whole = run.make_plan(run_bench.parsed(words))
    assert named.name.startswith("quick-1-of-2-")
    assert "-of-" not in folder.name
    _, again = run.make_plan(run_bench.parsed(part.shard.command))
    assert again == whole
    assert part.shard.keys == [trial.key for trial in whole.trials]
    plan.save(part, tmp_path)
    assert plan.load(tmp_path) == part
