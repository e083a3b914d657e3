"""Which cases of claims processes settle by turns, and by which pairs of trials."""

import dataclasses

import pytest

from bench import machine
from bench.plan import claim_pairs, claims
from bench.plan.claims import Case, Claim, Side

FAST, SLOW = claims.trial("prose[order=batch_map]"), claims.trial("prose")
EPOCH = claims.trial("prose[unit=epoch]")


def case(trial: object = FAST, than: object = SLOW) -> Case:
    """Return a case of two trials."""
    side = Side((than,)) if than else None
    return Case(workload="prose", trial=Side((trial,)), than=side)


def claim(**changes: object) -> Claim:
    """Return a claim that one trial is faster than another."""
    return Claim(
        id="one", sentence="It is.", source="us", sweep="quick", cases=(), **changes
    )


def test_each_trial_is_compared_with_each_other() -> None:
    one = case()
    both = dataclasses.replace(one, than=Side((SLOW, EPOCH), "sum"))
    assert claim_pairs.pairs(both) == [(FAST, SLOW), (FAST, EPOCH)]
    assert claim_pairs.pairs(case(than=None)) == []


@pytest.mark.parametrize(
    ("one", "tested", "reason"),
    [
        (claim(), case(), ""),
        (claim(measure="later_speed"), case(EPOCH, SLOW), ""),
        (
            claim(counted=True, measure="fact_cache_bytes"),
            case(),
            "it compares no times of two trials",
        ),
        (
            claim(measure="resident_bytes"),
            case(),
            "it compares no times of two trials",
        ),
        (
            claim(),
            case(than=None),
            "it compares no times of two trials",
        ),
        (
            claim(),
            case(claims.trial("prose[consumer=serve]")),
            "consumer=serve takes no turns",
        ),
        (
            claim(),
            case(claims.trial("rescaling[image_size=16]"), claims.trial("rescaling")),
            "its trials have different inputs",
        ),
        (
            claim(),
            case(claims.trial("prose[unit=epoch,cache=mapped]")),
            "its first epoch counts, and turns time the later ones",
        ),
        (
            claim(measure="later_speed"),
            case(claims.trial("prose[unit=epoch,storage=cold]")),
            "storage=cold drops files from memory, which all processes share",
        ),
        (claim(needs="gpu"), case(), "it needs a GPU, and there is none here"),
    ],
)
def test_what_takes_turns_and_why_others_do_not(
    one: Claim, tested: Case, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "gpus", list)
    assert claim_pairs.refusal(one, tested) == reason


def test_most_timed_cases_of_the_file_take_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ["one"])
    timed = [
        (claim, case)
        for claim in claims.load()
        if claim.measure in claim_pairs.TIMED
        for case in claim.cases
    ]
    refused = [
        case.workload for claim, case in timed if claim_pairs.refusal(claim, case)
    ]
    assert refused == ["rescaling"]  # images of two sizes
    assert len(timed) > 80
