"""Judging claims from the table: each compares trials that were measured.

A claim holds when the whole 95 % interval is as predicted, does not hold when none of
it is, and is not settled in between, nor by fewer than three rounds of what is timed.
What is counted without error and compared with nothing has the range over its rounds in
place of the interval. What was not measured is never judged.

Each case has its own 95 %, uncorrected for their number: of cases that lie right at
their limit about 1 in 40 is called wrongly to either side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats as distributions

from bench import text
from bench.analysis import intervals, pairs, rounds, stats, verdicts
from bench.plan.claims import Case, Claim, Prediction, Side, load
from bench.run.progress import plural

HOLDS, FAILS = "holds", "does not hold"
UNSETTLED, UNMEASURED, UNTESTABLE = "not settled", "not measured", "not testable here"
VERDICTS = (HOLDS, FAILS, UNSETTLED, UNMEASURED, UNTESTABLE)
SECONDS = {"speed": "seconds", "later_speed": "later_seconds"}
NOTHING = intervals.Interval(np.nan, np.nan, np.nan, 0)


@dataclass(frozen=True)
class Finding:
    """What the measurements say of one case.

    Attributes:
        verdict: One of `VERDICTS`.
        reason: Why, where it is neither `holds` nor `does not hold`.
        factor: The estimate with its interval; NaN where there is none.
    """

    verdict: str
    reason: str = ""
    factor: intervals.Interval = NOTHING


class _Unjudged(Exception):
    """Nothing to judge, with the verdict that says so."""

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


def judge(samples: pd.DataFrame, claims: Sequence[Claim] | None = None) -> pd.DataFrame:
    """A row for each claim, workload and machine.

    Args:
        samples: The table of `bench.analysis.table`, a row a sample.
        claims: What to judge; the file's, if not given.

    Returns:
        `claim`, `workload`, `machine`, `data`, `sentence`, `source`, `predicted`,
        `measure`, `trial`, `than`, `factor`, `low`, `high`, `rounds`, `verdict` and
        `reason`. Columns compare `than` over `trial`, so a factor above 1 favours the
        trial; without `than` the factor is the value itself.
    """
    claims = load() if claims is None else claims
    scenes = [("", "", _runs(samples))]
    if len(samples):
        scenes = [
            (machine, data, _runs(part))
            for (machine, data), part in samples.groupby(
                ["machine", "data"], sort=False
            )
        ]
    found = []
    for machine, data, runs in scenes:
        by_key = runs.groupby("plain_key", sort=False).indices
        for claim in claims:
            for case in claim.cases:
                finding = _finding(claim, case, runs, by_key)
                found.append(_row(claim, case, finding, machine, data))
    return pd.DataFrame(found)


def _finding(
    claim: Claim, case: Case, runs: pd.DataFrame, by_key: Mapping[str, np.ndarray]
) -> Finding:
    try:
        _demand_measured(claim, case, runs, by_key)
        if claim.predict.word:
            return _said(claim, case, runs)
        interval = _interval(claim, case, runs)
    except _Unjudged as nothing:
        return Finding(nothing.verdict, str(nothing))
    if (
        interval.count < verdicts.FEWEST_ROUNDS
        and not claim.counted
        and not claim.error
    ):
        made = plural(interval.count, "round")
        return Finding(UNSETTLED, f"too few to judge by: {made}; --rounds 5", interval)
    return _verdict(interval, claim.predict)


def _verdict(interval: intervals.Interval, predict: Prediction) -> Finding:
    if predict.low <= interval.low and interval.high <= predict.high:
        return Finding(HOLDS, "", interval)
    if interval.high < predict.low or interval.low > predict.high:
        return Finding(FAILS, "", interval)
    return Finding(UNSETTLED, f"the interval crosses {predict}: more rounds", interval)


def _demand_measured(
    claim: Claim, case: Case, runs: pd.DataFrame, by_key: Mapping[str, np.ndarray]
) -> None:
    """Raise unless every trial of the case has a valid run."""
    if claim.needs == "gpu" and not runs["ran_on"].str.contains("GPU").any():
        raise _Unjudged(UNTESTABLE, "no GPU: none of these runs saw one")
    wanted = {trial.key for trial in case.trials}
    missing = len(wanted - by_key.keys())
    if missing:
        what = f"{missing} of {len(wanted)} trials missing"
        raise _Unjudged(UNMEASURED, f"{what}: run_bench.py run {claim.sweep}")
    for trial in case.trials:
        some = runs.iloc[by_key[trial.key]]
        good = some[some["error"] == ""]
        if claim.refuted_by:
            said = some["error_message"]
            for message in said[said.str.contains(claim.refuted_by, regex=False)]:
                raise _Unjudged(FAILS, text.visible(message, 120))
        if good.empty:
            error = text.visible(some["error"].iloc[0], 60)
            raise _Unjudged(UNMEASURED, f"every run of {trial.key} failed: {error}")
        # What is said in words is no time, and flags bar times.
        flags = [] if claim.predict.word else pairs.barring(some)
        if claim.measure.startswith("fact_"):  # counted, whatever part was timed
            flags = [flag for flag in flags if flag != "partly_timed"]
        if flags:
            raise _Unjudged(UNSETTLED, f"{trial.key} is flagged {flags[0]}")


def _said(claim: Claim, case: Case, runs: pd.DataFrame) -> Finding:
    """The verdict on a fact in words: every run must say it."""
    some = runs[(runs["plain_key"] == case.trial.trials[0].key) & (runs["error"] == "")]
    said = _column(some, claim).dropna().astype(str)
    if said.empty:
        raise _Unjudged(UNMEASURED, f"no run tells {claim.measure}")
    others = sorted(set(said) - {claim.predict.word})
    told = intervals.Interval(np.nan, np.nan, np.nan, len(said))
    if not others:
        return Finding(HOLDS, "", told)
    heard = ", ".join(text.visible(other, 60) for other in others)
    return Finding(FAILS, f"it is: {heard}", told)


def _interval(claim: Claim, case: Case, runs: pd.DataFrame) -> intervals.Interval:
    """By short runs, which only chose who raced, where no others tell it."""
    try:
        return _told(claim, case, runs[~runs["short"]])
    except _Unjudged:
        return _told(claim, case, runs)


def _told(claim: Claim, case: Case, runs: pd.DataFrame) -> intervals.Interval:
    first = _values(claim, case.trial, runs)
    if case.than is None:
        interval = _alone(claim, case, runs, first)
    else:
        both = pd.concat(
            {"trial": first, "than": _values(claim, case.than, runs)}, axis=1
        ).dropna()
        if both.empty:
            raise _Unjudged(UNMEASURED, "its trials share no round")
        interval = intervals.ratio(both["than"].to_numpy(), both["trial"].to_numpy())
    if claim.counted and np.isnan(interval.low):
        interval = intervals.Interval(*[interval.estimate] * 3, interval.count)
    scaled = (
        value * claim.scale
        for value in (interval.estimate, interval.low, interval.high)
    )
    return intervals.Interval(*scaled, interval.count)


def _alone(
    claim: Claim, case: Case, runs: pd.DataFrame, values: pd.Series
) -> intervals.Interval:
    """The interval of a value that is compared with no other trial; a count's range."""
    if claim.measure == "later_over_first":
        return intervals.geometric(values.to_numpy())
    numbers = values.to_numpy(float)
    mean, count = float(numbers.mean()), len(numbers)
    if claim.error:
        # Every round counts the same stream again, so more rounds tell no more.
        some = runs[runs["plain_key"] == case.trial.trials[0].key]
        error = float(some[claim.error].astype(float).max())
        half = distributions.norm.ppf((1 + intervals.CONFIDENCE) / 2) * error
        return intervals.Interval(mean, mean - half, mean + half, count)
    if claim.counted:
        return intervals.Interval(mean, numbers.min(), numbers.max(), count)
    if count < 2:
        return intervals.Interval(mean, np.nan, np.nan, count)
    half = distributions.t.ppf((1 + intervals.CONFIDENCE) / 2, count - 1)
    half *= numbers.std(ddof=1) / np.sqrt(count)
    return intervals.Interval(mean, mean - half, mean + half, count)


def _values(claim: Claim, side: Side, runs: pd.DataFrame) -> pd.Series:
    """The measured value of one side by round.

    Which trial is the fastest or slowest is decided over all rounds: by the round, the
    noise would choose.
    """
    wanted = [trial.key for trial in side.trials]
    some = runs[runs["plain_key"].isin(wanted) & (runs["error"] == "")]
    values = pd.to_numeric(_column(some, claim), errors="coerce")
    matrix = some.assign(value=values).dropna(subset="value")
    matrix = matrix.pivot_table(index=rounds.ROUND, columns="plain_key", values="value")
    matrix = matrix.reindex(columns=wanted).dropna()
    if matrix.empty:
        raise _Unjudged(UNMEASURED, f"no round has {claim.measure} of {side}")
    if side.how == "sum":
        return matrix.sum(axis=1)
    means = matrix.mean()
    return matrix[means.idxmin() if side.how == "fastest" else means.idxmax()]


def _column(runs: pd.DataFrame, claim: Claim) -> pd.Series:
    name = SECONDS.get(claim.measure, claim.measure)
    if name not in runs:
        raise _Unjudged(UNMEASURED, f"no run tells {claim.measure}")
    return runs[name]


def _runs(samples: pd.DataFrame) -> pd.DataFrame:
    """A row a run with what claims compare; seconds are by the example."""
    runs = stats.runs(samples)
    later = samples[samples["sample"] > 0].groupby("run")["seconds_per_batch"].median()
    first = samples[samples["sample"] == 0].set_index("run")["seconds_per_batch"]
    size = runs["batch_size"].astype(float)
    later_seconds = later.reindex(runs.index) / size
    data = [f"data={value}" for value in runs["data"]]
    return runs.assign(
        seconds=runs["seconds_per_batch"] / size,
        later_seconds=later_seconds,
        later_over_first=first.reindex(runs.index) / size / later_seconds,
        resident_bytes=runs["peak_resident_bytes"] - runs["start_resident_bytes"],
        plain_key=[
            _without(key, part) for key, part in zip(runs["key"], data, strict=True)
        ],
    )


def _without(key: str, part: str) -> str:
    """A key without its data: a claim is about the workload, with whatever data."""
    if part == "data=" or part not in key:
        return key
    for spelled in (f",{part}", f"{part},", f"[{part}]"):
        key = key.replace(spelled, "", 1)
    return key


def _row(
    claim: Claim, case: Case, finding: Finding, machine: str, data: str
) -> dict[str, object]:
    factor = finding.factor
    return {
        "claim": claim.id,
        "workload": case.workload,
        "machine": machine,
        "data": data,
        "sentence": claim.sentence,
        "source": claim.source,
        "predicted": str(claim.predict),
        "measure": claim.measure,
        "trial": str(case.trial),
        "than": str(case.than) if case.than else "",
        "factor": factor.estimate,
        "low": factor.low,
        "high": factor.high,
        "rounds": factor.count,
        "verdict": finding.verdict,
        "reason": finding.reason,
    }
