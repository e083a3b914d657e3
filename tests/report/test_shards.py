"""A report of shards is the report of the whole sweep, or says why it is not."""

import json
from dataclasses import replace
from pathlib import Path

import factory
import pytest

from bench import shell, store
from bench.analysis import between_machines, table
from bench.errors import UsageError
from bench.plan import plan, sweeps
from bench.report import exports, formats, sections
from bench.trial import Effort, Run, Trial

OTHER = factory.MACHINE | {"cpu": "Other CPU"}
TWIN = factory.MACHINE | {"host": "twin"}
SECONDS = {"naive": 0.02, "vectorized": 0.01, "parallel": 0.015}
SWEEP = sweeps.Sweep(
    name="mine",
    blocks=(
        sweeps.Block(
            workloads=("prose", "prices", "rescaling"), strategies=(*SECONDS,)
        ),
    ),
)


def planned(part: tuple[int, int] | None, seed: int = 1, **effort: float) -> plan.Plan:
    """Return the plan of the sweep or of a part of it."""
    own = Effort(rounds=5, **effort)
    command = ["run", "mine.toml"]
    return plan.plan_sweep(SWEEP, own, seed, 0.0, "", part=part, command=command)


def measured(trial: Trial, seconds: dict[str, float] = SECONDS, **fields) -> list[Run]:
    """Return the runs of one trial, the same ones whatever else is measured."""
    seed = sum(map(ord, trial.key))
    return factory.runs(
        {trial: seconds[trial.label]}, seed=seed, sweep="mine", **fields
    )


def stored(folder: Path, own: plan.Plan, **fields) -> Path:
    """Write the plan and its runs into a folder."""
    folder.mkdir()
    plan.save(own, folder)
    for trial in own.trials:
        for run in measured(trial, **fields):
            store.append(folder, run)
    return folder


PART = planned((2, 3))


@pytest.fixture
def thirds(tmp_path: Path) -> list[Path]:
    """Return the folders of all three shards."""
    return [stored(tmp_path / f"s{n}", planned((n, 3))) for n in (1, 2, 3)]


def document(folders: list[Path] | Path) -> dict:
    """Return the report as JSON, without what names the folders."""
    content = json.loads(exports.report_json(formats.gather(folders)))
    return {n: v for n, v in content.items() if n not in ("source", "notes")}


def test_shards_have_the_rows_of_the_whole_sweep(
    thirds: list[Path], tmp_path: Path
) -> None:
    """The order of their folders does not matter, except for that of the scenes."""
    whole = stored(tmp_path / "whole", planned(None))
    expected = document(whole)
    for folders in (thirds, thirds[::-1]):
        merged = document(folders)
        for content in (expected, merged):
            content["scenes"].sort(key=lambda scene: scene["title"])
        assert merged["scenes"] == expected["scenes"]
        assert merged["runs"] == expected["runs"] == 45
        assert merged["trials"] == 9
    assert formats.gather(thirds).content["notes"] == [
        "All 3 shards of the sweep 'mine' are here: together they are its 9 trials."
    ]


def test_a_missing_shard_is_named_with_its_command(thirds: list[Path]) -> None:
    assert formats.gather([thirds[0], thirds[2]]).content["notes"] == [
        "Of the 3 shards of the sweep 'mine' with its 9 trials these are here: 1, 3.",
        "Shard 2/3 is missing. This command runs it: "
        + shell.command("run", "mine.toml", "--shard", "2/3"),
    ]
    one = formats.gather(thirds[0]).content["notes"]
    assert one[0].endswith("with its 9 trials these are here: 1.")
    assert len(one) == 3


def test_a_shard_without_all_its_trials_is_not_finished(
    thirds: list[Path], tmp_path: Path
) -> None:
    """Its first trial was measured, and then it was stopped."""
    own = planned((2, 3))
    part = stored(tmp_path / "part", replace(own, trials=own.trials[:1]))
    plan.save(own, part)
    assert formats.gather([thirds[0], part, thirds[2]]).content["notes"][1] == (
        "Shard 2/3 is not finished: 2 of 3 trials have no run. Continue with: "
        + shell.command("run", "--resume", part)
    )


def test_many_missing_shards_are_counted(thirds: list[Path]) -> None:
    own = plan.load(thirds[0])
    shard = replace(own.shard, count=9)
    plan.save(replace(own, shard=shard), thirds[0])
    assert formats.gather(thirds[0]).content["notes"][-1] == "5 more shards missing."


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (planned((2, 3), seed=2), "the seed differs (1 and 2)"),
        (planned((2, 2)), "the number of shards differs (3 and 2)"),
        (planned((2, 3), steady_seconds=9.0), "the effort differs"),
        (replace(PART, sweep="his"), "the sweep differs (mine and his)"),
        (
            replace(planned((2, 3)), precision=0.1),
            "the precision differs (0.0 and 0.1)",
        ),
    ],
)
def test_shards_of_two_sweeps_are_no_sweep(
    other: plan.Plan, difference: str, thirds: list[Path], tmp_path: Path
) -> None:
    folder = stored(tmp_path / "other", other)
    with pytest.raises(UsageError) as caught:
        formats.gather([thirds[0], folder])
    assert str(caught.value) == (
        f"'{thirds[0]}' and '{folder}' are shards of different sweeps: {difference}. "
        "Name the shards of one sweep, or compare two sweeps with `compare A B`."
    )


def test_a_resumed_shard_may_have_another_time_limit(
    thirds: list[Path], tmp_path: Path
) -> None:
    own = planned((2, 3), limit_seconds=600.0)
    formats.gather([thirds[0], stored(tmp_path / "resumed", own), thirds[2]])


def test_a_shard_that_one_machine_ran_twice_is_refused(
    thirds: list[Path], tmp_path: Path
) -> None:
    again = stored(tmp_path / "again", planned((2, 3)))
    for folders in ([*thirds, again], [*thirds, thirds[1]]):
        with pytest.raises(UsageError) as caught:
            formats.gather(folders)
        assert str(caught.value) == (
            f"Shard 2/3 is twice here, from one machine: in '{thirds[1]}' and in "
            f"'{folders[-1]}'. Name one of them."
        )


@pytest.mark.parametrize("machine", [OTHER, TWIN], ids=["other", "twin"])
def test_two_machines_are_compared_by_their_factors_and_never_averaged(
    machine: dict, thirds: list[Path], tmp_path: Path
) -> None:
    """The second is half as fast; one factor is larger there and one the same."""
    seconds = {"naive": 0.04, "vectorized": 0.01, "parallel": 0.03}
    again = stored(
        tmp_path / "again", planned((2, 3)), machine=machine, seconds=seconds
    )
    report = formats.gather([*thirds, again])
    workload = plan.load(again).trials[0].workload
    both = [s for s in report.content["scenes"] if s["names"]["workload"] == workload]
    assert len({scene["machine"] for scene in both}) == 2
    assert all(row["runs"] == 5 for scene in both for row in scene["rows"])
    section = sections._between_machines(report)
    (shown,) = section.tables
    rows = {row["label"]: row for row in shown.rows}
    assert {label: row["outcome"] for label, row in rows.items()} == {
        "vectorized": "differs",
        "parallel": "holds",
    }
    for name, factor in (("first", 2), ("second", 4), ("change", 2)):
        assert float(rows["vectorized"][name]) == pytest.approx(factor, rel=0.05)
    assert report.content["notes"][-1] == (
        "Two machines measured the same trials. How many times as fast a trial is as "
        "its baseline holds for 1 and differs for 1 of 2 comparisons between machines, "
        "and is unknown for 0."
    )
    formats.write(report, tmp_path / "out", ["md", "json"])
    assert "## Between machines" in (tmp_path / "out" / "report.md").read_text()


def test_hosts_of_one_kind_stay_one_machine_within_a_folder(tmp_path: Path) -> None:
    """A container that resumes a sweep may have another host name."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    naive = factory.trial()
    for round_, host in enumerate(("x", "y")):
        own = factory.MACHINE | {"host": host}
        store.append(tmp_path / "a", factory.run(naive, round=round_, machine=own))
    own = factory.MACHINE | {"host": "x"}
    store.append(tmp_path / "b", factory.run(naive, machine=own))
    assert table.load(tmp_path / "a", tmp_path / "b")["machine"].nunique() == 1


def test_few_rounds_settle_nothing_between_machines() -> None:
    trials = {factory.trial(): 0.02, factory.trial("vectorized"): 0.01}
    runs = factory.runs(trials, rounds=2)
    runs += factory.runs(trials, rounds=2, machine=OTHER)
    (row,) = between_machines.compare(table.from_runs(runs)).to_dict("records")
    assert row["outcome"] == "unknown"


def test_one_machine_is_compared_with_nothing() -> None:
    runs = factory.runs({factory.trial(): 0.02, factory.trial("vectorized"): 0.01})
    compared = between_machines.compare(table.from_runs(runs))
    assert compared.empty and between_machines.sentences(compared) == []
    assert between_machines.compare(table.from_runs([])).empty
