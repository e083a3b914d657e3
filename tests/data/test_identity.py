"""Differences of inputs are described, and runs on other inputs do not count."""

from dataclasses import replace

import factory
import pytest

from bench import store
from bench.analysis import stats, table
from bench.data import identity
from bench.data.identity import CHANGED, InputIdentity
from bench.errors import Exit
from bench.guard import stored
from bench.guard.record import exit_code
from bench.report import compare
from bench.trial import InputPart, Measured

TRIAL = factory.trial()


def part(shape: list[int], dtype: str = "float32", digest: str = "0") -> InputPart:
    """Return a part of inputs."""
    return InputPart(dtype=dtype, shape=shape, digest=digest)


def inputs_of(**parts: InputPart) -> InputIdentity:
    """Return the identity of inputs with these parts."""
    return InputIdentity(str(sorted(parts.items())), parts)


@pytest.mark.parametrize(
    ("base", "head", "description"),
    [
        (
            inputs_of(features=part([64, 32])),
            inputs_of(features=part([64, 4096])),
            "the inputs differ in shape: features are float32[64, 32] in base and "
            "float32[64, 4096] in head",
        ),
        (
            inputs_of(features=part([64, 8]), labels=part([64], "int64")),
            inputs_of(features=part([96, 8], "float64"), labels=part([96], "int64")),
            "the inputs differ in count and dtype: features are float32[64, 8] in base "
            "and float64[96, 8] in head; labels are int64[64] in base and int64[96] in "
            "head",
        ),
        (
            inputs_of(features=part([64, 8]), labels=part([64], "int64")),
            inputs_of(features=part([64, 8]), labels=part([64], "int64", "1")),
            "the inputs differ in content: labels are int64[64] with other values in "
            "base than in head",
        ),
        (
            inputs_of(features=part([64, 8])),
            inputs_of(features=part([64, 8]), labels=part([64])),
            "the inputs differ in content: labels exist only in head",
        ),
        (InputIdentity("a"), InputIdentity("b"), "the inputs differ"),
        (InputIdentity("a"), inputs_of(features=part([64])), "the inputs differ"),
        (InputIdentity("a"), InputIdentity("a"), ""),
        (InputIdentity(""), InputIdentity("b"), ""),
        (inputs_of(features=part([64])), inputs_of(features=part([64])), ""),
    ],
)
def test_a_difference_of_inputs_is_described(base, head, description: str) -> None:
    """Older records have a fingerprint only; failed runs may have none."""
    assert identity.difference(base, head) == description


def runs(prints: str, **fields) -> list:
    """Return a round for each letter, on the inputs of that letter; `-` is unknown."""
    all_runs = factory.runs({TRIAL: 0.01, factory.trial("vectorized"): 0.005}, rounds=0)
    for number, letter in enumerate(prints):
        for trial, own in ((TRIAL, letter), (factory.trial("vectorized"), "a")):
            own = "" if own == "-" else own
            parts = {"features": part([90], digest=own)} if own else {}
            samples = [0.01 * (1 + ord(letter) - ord("a")) for _ in range(5)]
            all_runs.append(
                factory.run(
                    trial,
                    samples if trial is TRIAL else [0.005] * 5,
                    round=number,
                    input_fingerprint=own,
                    input_parts=parts,
                    **fields,
                )
            )
    return all_runs


CHANGE = (
    "Rounds 2, 3 of 'quick' had other inputs than round 0 of 'quick' and do not "
    "count: the inputs differ in content: features are float32[90] with other values "
    "in round 0 than in round 2."
)


def test_runs_on_other_inputs_do_not_count_and_bar_their_trial(tmp_path) -> None:
    """The record keeps these runs; the other trial of the scene does not change."""
    for run in runs("aabb"):
        store.append(tmp_path, run)
    alike, names, notes = table.read([tmp_path])
    assert len(alike) == len(names) == 6
    assert notes == [
        f"{TRIAL.key}: its data changed between rounds, so it is not ranked. {CHANGE}"
    ]
    trials = stats.trials(table.load(tmp_path)).set_index("key")
    mine = trials.loc[TRIAL.key]
    assert (mine["runs"], mine["flags"], mine["ranked"]) == (2, CHANGED, False)
    assert mine["seconds_per_batch"] == pytest.approx(0.01)
    assert trials["ranked"].sum() == 1
    assert len(store.load(tmp_path)[0]) == 8


@pytest.mark.parametrize("prints", ["aaaa", "a-aa", "--aa", "----"])
def test_the_same_or_unknown_inputs_count(prints: str) -> None:
    """The inputs of a run that failed early are unknown."""
    alike = identity.runs_with_equal_inputs(runs(prints))
    assert (len(alike.runs), alike.changes, alike.notes) == (8, {}, [])


def test_another_machine_may_have_other_inputs() -> None:
    """Runs of two machines are never averaged."""
    other = {**factory.MACHINE, "cpu": "Another CPU"}
    both = [*runs("aa"), *runs("bb", machine=other)]
    assert identity.runs_with_equal_inputs(both).changes == {}


def test_no_verdict_rests_on_data_that_changed(tmp_path) -> None:
    """Neither `guard A B` nor `compare A B` has a verdict on such a trial."""
    for name, prints in (("a", "aaaa"), ("b", "aabb")):
        for run in runs(prints):
            (tmp_path / name).mkdir(exist_ok=True)
            store.append(tmp_path / name, run)
    limits = {"seconds_per_example": 0.03}
    result = stored.folders(tmp_path / "a", tmp_path / "b", lambda key, margin: limits)
    row = next(row for row in result.rows if row.key == TRIAL.key)
    assert (row.verdict, row.cause) == (
        "not_comparable",
        f"its data changed between rounds. {CHANGE}",
    )
    assert exit_code(result) == Exit.NOT_COMPARABLE
    sides = [compare.read(tmp_path / name) for name in "ab"]
    rows = compare.comparison(*(side[0] for side in sides))["rows"].set_index("key")
    assert rows.loc[TRIAL.key, ["barred", "verdict"]].tolist() == [
        f"{CHANGED} in B",
        "not_comparable",
    ]
    assert CHANGE in sides[1][1][0]


def test_an_older_record_has_no_parts() -> None:
    old = replace(Measured(), input_fingerprint="a")
    assert identity.input_identity(old) == InputIdentity("a", {})
