"""A plan states what a sweep will do before it starts: trials, runs and time."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench import catalog, machine
from bench.data import source
from bench.errors import UsageError, replace_atomically
from bench.plan import screening, shards
from bench.plan.sweeps import Sweep, trials
from bench.store import PLAN as FILE
from bench.trial import CONSUMER_ROWS, Effort, Run, Trial

if TYPE_CHECKING:
    from bench.data.intake import Intake

# Measured on 2 shared cores: the part of a run outside ramp and steady phase, and the
# start of a round's server. Both serve the first estimate only; progress corrects it.
RUN_SECONDS = 1.0
ROUND_SECONDS = 5.0
LEAST_STEADY_SECONDS = 0.25
MOST_LEFT_OUT = 5  # refused combinations that are listed one by one
MOST_ROUNDS = 30  # of a race, which then ends even if trials are not settled


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan lists everything that a sweep will run, so that the sweep can be resumed.

    Attributes:
        sweep: The name of the sweep.
        trials: The trials to run.
        refused: The reason for each refused combination of settings, by the trial's
            key.
        effort: How much to measure of each trial; in a race, the least.
        seed: The seed of the random orders.
        budget_seconds: The time after which the sweep stops; 0 for no limit.
        precision: The half-width of an interval, relative, that ends a race for a trial
            that could be the best of its scene (set of comparable trials); 0 for no
            race.
        most_rounds: The number of rounds after which a race ends.
        notes: Sentences on the user's data and on how the race ended, for the report.
        shard: The part of the sweep that this plan is; None for the whole sweep.
    """

    sweep: str
    trials: list[Trial]
    refused: dict[str, str]
    effort: Effort
    seed: int
    budget_seconds: float = 0.0
    precision: float = 0.0
    most_rounds: int = MOST_ROUNDS
    notes: list[str] = field(default_factory=list)
    shard: shards.Shard | None = None

    @property
    def title(self) -> str:
        """Return the name of the sweep and, if the plan is a part of it, which part."""
        return f"{self.sweep}, shard {self.shard}" if self.shard else self.sweep

    @property
    def runs(self) -> int:
        """Return the number of runs; in a race, the least number."""
        return sum(len(efforts) for efforts in self._rounds)

    @property
    def seconds(self) -> float:
        """Return the expected time of all runs in seconds."""
        return len(self._rounds) * ROUND_SECONDS + self.run_seconds

    @property
    def run_seconds(self) -> float:
        """Return the expected seconds of all runs without the rounds' servers."""
        return sum(run_seconds(effort) for row in self._rounds for effort in row)

    def seconds_left(self, stored: Sequence[Run]) -> float:
        """Return the expected seconds of the missing runs, by those of stored runs."""
        seconds = [run.seconds for run in stored if not run.repeat]
        left = max(0, self.runs - len(seconds))
        if not seconds:
            return self.seconds
        servers = ROUND_SECONDS * left / max(1, len(self.trials))
        return left * statistics.median(seconds) + servers

    @property
    def _rounds(self) -> list[list[Effort]]:
        if self.precision:
            return screening.rounds(self.trials, self.effort)
        return [[self.effort] * len(self.trials)] * self.effort.rounds


def run_seconds(effort: Effort) -> float:
    """Return the expected seconds of one run."""
    return RUN_SECONDS + 0.6 * effort.warmup_seconds + effort.steady_seconds


def estimate(count: int, effort: Effort) -> float:
    """Return the expected seconds of a sweep of `count` trials with all its rounds."""
    return effort.rounds * (ROUND_SECONDS + count * run_seconds(effort))


def fit_to_budget(effort: Effort, count: int, budget_seconds: float) -> Effort:
    """Reduce how much is measured to fit a budget: fewer rounds, then shorter runs."""
    while effort.rounds > 1 and estimate(count, effort) > budget_seconds:
        effort = replace(effort, rounds=effort.rounds - 1)
    while (
        effort.steady_seconds > LEAST_STEADY_SECONDS
        and estimate(count, effort) > budget_seconds
    ):
        effort = replace(
            effort,
            steady_seconds=max(LEAST_STEADY_SECONDS, effort.steady_seconds * 0.8),
            warmup_seconds=effort.warmup_seconds * 0.8,
        )
    return effort


def plan_sweep(
    sweep: Sweep,
    effort: Effort,
    seed: int,
    budget_seconds: float,
    data: str,
    *,
    precision: float = 0.0,
    part: tuple[int, int] | None = None,
    command: Sequence[str] = (),
) -> Plan:
    """Make the plan of a sweep, or of a part of it, without starting a process.

    Args:
        sweep: The sweep.
        effort: The effort of each trial.
        seed: The seed of the random orders.
        budget_seconds: The time after which the sweep stops; 0 for no limit.
        data: The user's data, a name or a path; empty for the workloads' own.
        precision: The precision of a race; 0 for no race.
        part: The number of a shard, from 1, and the number of shards; None for the
            whole sweep.
        command: The verb and the options that run the whole sweep, for a shard.

    Raises:
        UsageError: A name or value is unknown, the data cannot be used, there are more
            shards than workloads, or nothing is left to run.
    """
    accepted, refused = trials(sweep, data)
    whole = Plan(
        sweep=sweep.name,
        trials=accepted,
        refused=refused,
        effort=effort,
        seed=seed,
        budget_seconds=budget_seconds,
        precision=precision,
    )
    # Before this machine refuses any trial: all machines must divide the sweep alike.
    planned = shard(whole, *part, command) if part else whole
    accepted = planned.trials
    intakes = _intakes(accepted)
    refused |= _untrainable(accepted, intakes) | _unlabelled(accepted)
    if not machine.gpus():
        for trial in accepted:
            if trial.pipeline.device == "gpu":
                refused[trial.key] = "device=gpu: no NVIDIA GPU here, not testable"
    remaining = [trial for trial in accepted if trial.key not in refused]
    if not remaining:
        if all(trial.pipeline.device == "gpu" for trial in accepted):
            raise UsageError("device=gpu: no NVIDIA driver answers here; see doctor.")
        reasons = dict.fromkeys(refused[trial.key] for trial in accepted)
        raise UsageError(f"Nothing is left to run: {' '.join(reasons)}")
    return replace(planned, trials=remaining, refused=refused, notes=_notes(intakes))


def shard(whole: Plan, number: int, count: int, command: Sequence[str]) -> Plan:
    """Return the plan of one shard of a sweep.

    Args:
        whole: The plan of the whole sweep.
        number: The number of the shard, from 1.
        count: The number of shards.
        command: The verb and the options that run the whole sweep.

    Raises:
        UsageError: There are more shards than workloads.
    """
    parts = shards.divide(
        whole.trials, count, lambda some: replace(whole, trials=some).run_seconds
    )
    own = shards.Shard(
        number=number,
        count=count,
        keys=[trial.key for trial in whole.trials],
        most_trials=max(map(len, parts)),
        command=list(command),
    )
    return replace(whole, trials=parts[number - 1], shard=own)


def data_notes(planned: Sequence[Trial]) -> list[str]:
    """Return sentences on what the trials use of the user's data, and leave out.

    There are none if the trials have data of their own, or if the user's data cannot be
    used: then the trials fail with the reason.
    """
    try:
        return _notes(_intakes(planned))
    except UsageError:
        return []


def _intakes(planned: Sequence[Trial]) -> dict[str, Intake]:
    """Check the user's data; return which of them each workload uses, by workload.

    Raises:
        UsageError: The data cannot be used.
    """
    from bench.data import inputs  # late: it needs NumPy

    intakes = {}
    own = {trial.workload: trial.data for trial in planned if trial.data}
    for name, data in own.items():
        try:
            intakes[name] = inputs.check_user_data(catalog.find(name), data)
        except UsageError as error:
            raise UsageError(f"'{name}' cannot be prepared: {error}") from error
    return intakes


def _untrainable(
    planned: Sequence[Trial], intakes: Mapping[str, Intake]
) -> dict[str, str]:
    """Return why models cannot be trained on the user's labels, by the trial's key.

    Trials that can be trained, or have no model, are left out.
    """
    return {
        trial.key: intakes[trial.workload].untrainable
        for trial in planned
        if CONSUMER_ROWS[trial.consumer].has_model
        and trial.workload in intakes
        and intakes[trial.workload].untrainable
    }


def _unlabelled(planned: Sequence[Trial]) -> dict[str, str]:
    """Return why the classes of some trials cannot be resampled, by the trial's key.

    Resampling needs labels, which the lines of a CSV file lack until they are decoded.
    """
    reason = (
        "resample needs labels, which CSV lines have only once they are decoded: add "
        "--axis cache=decoded, or load the table first with --data {}"
    )
    refused = {}
    for trial in planned:
        p, entry = trial.pipeline, catalog.find(trial.workload)
        lines = entry.constants.get("ACCEPTS") in source.TABLES
        decoded = p.cache == "decoded" or p.place.stores_outputs
        if p.resample == "none" or decoded or not lines:
            continue
        if source.streams(entry, trial.data):
            refused[trial.key] = reason.format(source.MEMORY + trial.data)
    return refused


def _notes(intakes: Mapping[str, Intake]) -> list[str]:
    """Return the sentences on the data that all workloads use, each sentence once."""
    return list(dict.fromkeys(s for each in intakes.values() for s in each.sentences))


def refusal_lines(refused: Mapping[str, str], where: str = "") -> list[str]:
    """Return a line for each refused combination of settings, and a line on the rest.

    At most `MOST_LEFT_OUT` combinations have a line of their own.

    Args:
        refused: The reasons by key.
        where: Text after the number of combinations that are not listed, such as the
            name of a file that lists them.
    """
    items = list(refused.items())
    lines = [f"left out: {key}: {reason}" for key, reason in items[:MOST_LEFT_OUT]]
    more = len(items) - len(lines)
    return [*lines, f"left out: {more} more{where}"] if more else lines


def save(plan: Plan, folder: Path) -> None:
    """Store the plan in the result folder, where `--resume` reads it.

    Raises:
        OSError: The plan cannot be written. An earlier plan stays as it was.
    """
    content = msgspec.json.format(msgspec.json.encode(plan))
    replace_atomically(folder / FILE, content)


def load(folder: Path) -> Plan:
    """Read the plan of a result folder.

    Raises:
        UsageError: The folder has no plan, the plan is not valid, or a workload of the
            plan no longer exists.
    """
    try:
        content = (folder / FILE).read_bytes()
    except OSError as error:
        raise UsageError(
            f"Nothing to resume at '{folder}': it has no {FILE}, which `run` writes."
        ) from error
    try:
        plan = msgspec.json.decode(content, type=Plan)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{folder / FILE} is not a plan: {error}.") from error
    for trial in plan.trials:
        catalog.find(trial.workload)
    return plan
