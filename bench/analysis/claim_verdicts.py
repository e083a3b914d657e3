"""This module tests published claims on preprocessing by the trials that were measured.

A claim `holds` if the whole 95 % interval is as predicted. It `does not hold` if no
part of the interval is. Otherwise it is `not settled`, and so is a timed value of fewer
than three rounds. A counted value without error that is compared with no other has the
range over its rounds in place of the interval. A claim whose trials were not measured
is `not measured`.

Where processes of a case's trials took turns until the case was settled, their ratio
replaces the one of the rounds; see `settlements.py`. A case that was settled at two
times with contrary verdicts is `not settled`.

Each case (a claim for one workload) has its own 95 % interval, without a correction for
the number of cases. Of cases whose value is exactly at the limit about 1 in 40 is wrong
on either side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy import stats as distributions

from bench import text
from bench.analysis import decisions, intervals, pairs, stats
from bench.analysis.rounds import ROUND
from bench.analysis.settlements import ByTurns
from bench.flags import FLAGS
from bench.plan.claims import Case, Claim, Prediction, Side, load
from bench.text import plural

HOLDS, FAILS = "holds", "does not hold"
UNSETTLED, UNMEASURED, UNTESTABLE = "not settled", "not measured", "not testable here"
VERDICTS = (HOLDS, FAILS, UNSETTLED, UNMEASURED, UNTESTABLE)
ROUNDS, TURNS = "rounds", "turns"  # the ways to measure a case
SECONDS = {"speed": "seconds", "later_speed": "later_seconds"}
NOTHING = intervals.Interval(np.nan, np.nan, np.nan, 0)


@dataclass(frozen=True)
class Finding:
    """A finding is the verdict on a claim for one workload, with the measured value.

    Attributes:
        verdict: One of `VERDICTS`.
        reason: The reason for a verdict that the interval alone does not explain.
        factor: The measured value or ratio with its interval; NaN if nothing was
            measured.
        by: How the value was measured: by `rounds`, or by `turns`.
    """

    verdict: str
    reason: str = ""
    factor: intervals.Interval = NOTHING
    by: str = ROUNDS


class _Undecided(Exception):
    """This error ends the test of a claim whose measurements cannot be compared.

    Its `verdict` is one of `VERDICTS`; its message is the reason.
    """

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


def evaluate(
    samples: pd.DataFrame,
    claims: Sequence[Claim] | None = None,
    turns: Mapping[tuple[str, str, str], ByTurns] = MappingProxyType({}),
) -> pd.DataFrame:
    """Test claims; the result has a row for each claim, workload, machine and data.

    Args:
        samples: The table from `table.from_runs`.
        claims: The claims to test; those of `claims.toml` by default.
        turns: What turns show, by machine, claim and workload; from
            `settlements.by_turns`.

    Returns:
        `claim`, `workload`, `machine`, `data`, `sentence`, `source`, `predicted`,
        `measure`, `trial`, `than`, `factor`, `low`, `high`, `rounds`, `by`, `verdict`
        and `reason`. `rounds` is the number of trios where `by` is `turns`. The factor
        is the measured value of `than` over that of `trial`, so a factor above 1
        favours the trial. If `than` is empty, the factor is the value of `trial`
        itself.
    """
    claims = load() if claims is None else claims
    groups = [("", "", _runs(samples))]
    if len(samples):
        groups = [
            (machine, data, _runs(part))
            for (machine, data), part in samples.groupby(
                ["machine", "data"], sort=False
            )
        ]
    shown = {machine for machine, _, _ in groups}
    others = dict.fromkeys(machine for machine, _, _ in turns if machine not in shown)
    groups += [(machine, "", _runs(samples[:0])) for machine in others]
    rows = []
    for machine, data, runs in groups:
        by_key = runs.groupby("plain_key", sort=False).indices
        for claim in claims:
            for case in claim.cases:
                finding = _finding(claim, case, runs, by_key)
                by_turns = turns.get((machine, claim.id, case.workload))
                if by_turns and not data:
                    finding = _settled(claim, finding, by_turns)
                rows.append(_row(claim, case, finding, machine, data))
    return pd.DataFrame(rows)


def _finding(
    claim: Claim, case: Case, runs: pd.DataFrame, by_key: Mapping[str, np.ndarray]
) -> Finding:
    try:
        _demand_measured(claim, case, runs, by_key)
        if claim.predict.word:
            return _compare_words(claim, case, runs)
        interval = _interval(claim, case, runs)
    except _Undecided as undecided:
        return Finding(undecided.verdict, str(undecided))
    if (
        interval.count < decisions.FEWEST_ROUNDS
        and not claim.counted
        and not claim.error
    ):
        rounds = plural(interval.count, "round")
        return Finding(UNSETTLED, f"too few: {rounds}; use --rounds 5", interval)
    return _decided(interval, claim.predict)


def verdict(interval: intervals.Interval, predict: Prediction) -> str:
    """Return `HOLDS`, `FAILS` or `UNSETTLED` for an interval and a prediction."""
    if predict.low <= interval.low and interval.high <= predict.high:
        return HOLDS
    if interval.high < predict.low or interval.low > predict.high:
        return FAILS
    return UNSETTLED


def _decided(interval: intervals.Interval, predict: Prediction) -> Finding:
    word = verdict(interval, predict)
    crosses = f"the interval crosses {predict}: more rounds"
    return Finding(word, crosses if word == UNSETTLED else "", interval)


def _settled(claim: Claim, by_rounds: Finding, turns: ByTurns) -> Finding:
    """Return the finding by turns, if turns know more than rounds.

    Turns that did not settle the case replace rounds that did not settle it either, if
    their interval is narrower.

    Args:
        claim: The claim.
        by_rounds: The finding by rounds.
        turns: What turns show of the case.
    """
    findings = [_decided(interval, claim.predict) for interval in turns.judged]
    if len({finding.verdict for finding in findings}) > 1:
        ratios = " and ".join(str(interval) for interval in turns.judged)
        reason = f"turns contradict each other at different times: {ratios}"
        return Finding(UNSETTLED, reason, turns.judged[-1], TURNS)
    if findings:
        return replace(findings[-1], by=TURNS)
    wider = _width(turns.latest) >= _width(by_rounds.factor)
    if wider or by_rounds.verdict in (HOLDS, FAILS):
        return by_rounds
    reason = f"the interval crosses {claim.predict}: claims --settle goes on"
    return Finding(UNSETTLED, reason, turns.latest, TURNS)


def _width(interval: intervals.Interval) -> float:
    """Return the upper over the lower bound; infinite if there is no interval."""
    return np.inf if np.isnan(interval.low) else interval.high / interval.low


def _demand_measured(
    claim: Claim, case: Case, runs: pd.DataFrame, by_key: Mapping[str, np.ndarray]
) -> None:
    """Raise `_Undecided` unless every trial of the case has a valid run."""
    if claim.needs == "gpu" and not runs["ran_on"].str.contains("GPU").any():
        raise _Undecided(UNTESTABLE, "no GPU: none of these runs saw one")
    keys = {trial.key for trial in case.trials}
    missing = len(keys - by_key.keys())
    if missing:
        what = f"{missing} of {len(keys)} trials missing"
        raise _Undecided(UNMEASURED, f"{what}: run_bench.py run {claim.sweep}")
    for trial in case.trials:
        some = runs.iloc[by_key[trial.key]]
        good = some[some["error"] == ""]
        if claim.refuted_by:
            messages = some["error_message"]
            refuting = messages.str.contains(claim.refuted_by, regex=False)
            for message in messages[refuting]:
                raise _Undecided(FAILS, text.visible(message, 120))
        if good.empty:
            error = text.visible(some["error"].iloc[0], 60)
            raise _Undecided(UNMEASURED, f"every run of {trial.key} failed: {error}")
        # The flags exclude times, and a value in words is no time.
        flags = [] if claim.predict.word else pairs.barring_flags(some)
        if claim.measure.startswith("fact_"):  # counted, not timed
            flags = [flag for flag in flags if FLAGS[flag].bars_facts]
        if flags:
            raise _Undecided(UNSETTLED, f"{trial.key} is flagged {flags[0]}")


def _compare_words(claim: Claim, case: Case, runs: pd.DataFrame) -> Finding:
    """Return whether a fact in words, such as `yes`, is as predicted in every run."""
    some = runs[(runs["plain_key"] == case.trial.trials[0].key) & (runs["error"] == "")]
    words = _column(some, claim).dropna().astype(str)
    if words.empty:
        raise _Undecided(UNMEASURED, f"no run has {claim.measure}")
    others = sorted(set(words) - {claim.predict.word})
    count = intervals.Interval(np.nan, np.nan, np.nan, len(words))
    if not others:
        return Finding(HOLDS, "", count)
    values = ", ".join(text.visible(other, 60) for other in others)
    return Finding(FAILS, f"it is: {values}", count)


def _interval(claim: Claim, case: Case, runs: pd.DataFrame) -> intervals.Interval:
    """Return the value of a claim for one workload, with its interval.

    Screening runs, the short first runs of a race, count only if there are no others.
    """
    try:
        return _interval_by(claim, case, runs[~runs["short"]])
    except _Undecided:
        return _interval_by(claim, case, runs)


def _interval_by(claim: Claim, case: Case, runs: pd.DataFrame) -> intervals.Interval:
    first = _values(claim, case.trial, runs)
    if case.than is None:
        interval = _alone(claim, case, runs, first)
    else:
        both = pd.concat(
            {"trial": first, "than": _values(claim, case.than, runs)}, axis=1
        ).dropna()
        if both.empty:
            raise _Undecided(UNMEASURED, "its trials share no round")
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
    """Return the value of a single trial, with its interval.

    The interval of a timed value is Student's, over the rounds. A counted value has an
    interval by its own standard error or, if it has none, the range over its rounds.
    """
    if claim.measure == "later_over_first":
        return intervals.geometric(values.to_numpy())
    numbers = values.to_numpy(float)
    mean, count = float(numbers.mean()), len(numbers)
    if claim.error:
        # Every round counts the same stream, so more rounds add no information.
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
    """Return the value of one side of a comparison in each round.

    A side of several trials is their sum, or the fastest or slowest of them. That trial
    is selected over all rounds: within single rounds noise would select it.
    """
    keys = [trial.key for trial in side.trials]
    some = runs[runs["plain_key"].isin(keys) & (runs["error"] == "")]
    values = pd.to_numeric(_column(some, claim), errors="coerce")
    matrix = some.assign(value=values).dropna(subset="value")
    matrix = matrix.pivot_table(index=ROUND, columns="plain_key", values="value")
    matrix = matrix.reindex(columns=keys).dropna()
    if matrix.empty:
        raise _Undecided(UNMEASURED, f"no round has {claim.measure} of {side}")
    if side.how == "sum":
        return matrix.sum(axis=1)
    means = matrix.mean()
    return matrix[means.idxmin() if side.how == "fastest" else means.idxmax()]


def _column(runs: pd.DataFrame, claim: Claim) -> pd.Series:
    name = SECONDS.get(claim.measure, claim.measure)
    if name not in runs:
        raise _Undecided(UNMEASURED, f"no run has {claim.measure}")
    return runs[name]


def _runs(samples: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each run with the values that claims compare."""
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
    """Return a trial's key without its setting `data=...`.

    A claim holds for any data, so it is tested on trials with any data.
    """
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
        "by": "" if finding.verdict in (UNMEASURED, UNTESTABLE) else finding.by,
        "verdict": finding.verdict,
        "reason": finding.reason,
    }
