"""What a sweep will do, said before it does it: trials, runs, and time."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from bench import catalog, machine
from bench.errors import UsageError, replace_whole
from bench.plan import screening
from bench.plan.sweeps import Sweep, trials
from bench.store import PLAN as FILE
from bench.trial import Effort, Run, Trial

# Seen on 2 shared cores: everything of a run that is not ramp or steady phase, and a
# round's server. They only make the first estimate; progress corrects it.
RUN_SECONDS = 1.0
ROUND_SECONDS = 5.0
LEAST_STEADY_SECONDS = 0.25
MOST_LEFT_OUT = 5  # named one by one where a sweep leaves combinations out
MOST_ROUNDS = 30  # of a race; it ends there though not everything is settled


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a sweep will run; stored beside its results so that it can go on.

    Attributes:
        sweep: Its name.
        trials: What to run.
        refused: Combinations that mean nothing, with the reason.
        effort: How much measuring each trial gets; in a race, at the least.
        seed: Of the random orders.
        budget_seconds: When to stop; 0 for never.
        precision: Half the width, relative, to which a race brings the intervals of
            what could still be the best of its scene; 0 for no race.
        most_rounds: Where a race ends.
        notes: How the race ended, for the report.
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

    @property
    def runs(self) -> int:
        """How many runs it makes; a race, at the least."""
        return sum(len(efforts) for efforts in self._rounds)

    @property
    def seconds(self) -> float:
        """How long they should take."""
        runs = [run_seconds(effort) for efforts in self._rounds for effort in efforts]
        return len(self._rounds) * ROUND_SECONDS + sum(runs)

    def seconds_left(self, kept: Sequence[Run]) -> float:
        """How long what is missing should take, by what the runs there took."""
        made = [run.seconds for run in kept if not run.repeat]
        left = max(0, self.runs - len(made))
        if not made:
            return self.seconds
        servers = ROUND_SECONDS * left / max(1, len(self.trials))
        return left * statistics.median(made) + servers

    @property
    def _rounds(self) -> list[list[Effort]]:
        if self.precision:
            return screening.rounds(self.trials, self.effort)
        return [[self.effort] * len(self.trials)] * self.effort.rounds


def run_seconds(effort: Effort) -> float:
    """Seconds that a run should take."""
    return RUN_SECONDS + 0.6 * effort.warmup_seconds + effort.steady_seconds


def estimate(count: int, effort: Effort) -> float:
    """Seconds that so many trials should take."""
    return effort.rounds * (ROUND_SECONDS + count * run_seconds(effort))


def fit_to_budget(effort: Effort, count: int, budget_seconds: float) -> Effort:
    """The effort cut down to a budget: fewer rounds first, then shorter runs."""
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
    sweep: Sweep, effort: Effort, seed: int, budget_seconds: float, data: str
) -> Plan:
    """The plan of a sweep, from names and values alone.

    Raises:
        UsageError: Something unknown, or nothing is left to run.
    """
    wanted, refused = trials(sweep, data)
    if data:
        _look(wanted, data)
    has_gpu = bool(machine.gpus())
    if not has_gpu:
        for trial in wanted:
            if trial.pipeline.device == "gpu":
                refused[trial.key] = "device=gpu: no NVIDIA GPU here, not testable"
    kept = [trial for trial in wanted if trial.key not in refused]
    if not kept:
        raise UsageError("device=gpu: no NVIDIA driver answers here; see doctor.")
    return Plan(
        sweep=sweep.name,
        trials=kept,
        refused=refused,
        effort=effort,
        seed=seed,
        budget_seconds=budget_seconds,
    )


def _look(wanted: Sequence[Trial], data: str) -> None:
    from bench.data import inputs  # late: it needs NumPy

    for name in dict.fromkeys(trial.workload for trial in wanted):
        try:
            inputs.look(catalog.find(name), data)
        except UsageError as error:
            raise UsageError(f"'{name}' cannot be prepared: {error}") from error


def left_out(refused: Mapping[str, str], where: str = "") -> list[str]:
    """A line each for what is not run and why, at most `MOST_LEFT_OUT`.

    Args:
        refused: By key, the reason.
        where: What is added to how many more there are, such as where they are listed.
    """
    items = list(refused.items())
    lines = [f"left out: {key}: {reason}" for key, reason in items[:MOST_LEFT_OUT]]
    more = len(items) - len(lines)
    return [*lines, f"left out: {more} more{where}"] if more else lines


def save(plan: Plan, folder: Path) -> None:
    """Store the plan beside its results, whole or not at all: `--resume` needs it.

    Raises:
        OSError: It cannot be written; one that was there is as it was.
    """
    content = msgspec.json.format(msgspec.json.encode(plan))
    replace_whole(folder / FILE, content)


def load(folder: Path) -> Plan:
    """The plan of a result folder.

    Raises:
        UsageError: There is none, or it is not a plan.
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
