"""The two sides of a live guard: a base revision, or another interpreter, and head."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median

import msgspec

from bench import catalog
from bench.errors import UsageError
from bench.guard import metrics, revisions, scope
from bench.guard.record import BUDGET_SECONDS, GuardResult, Interrupted
from bench.guard.scope import GUARD, Trees
from bench.guard.settings import Settings
from bench.guard.trio import Side
from bench.pipeline import Pipeline
from bench.plan import plan, sweeps
from bench.plan.sweeps import Sweep
from bench.run.executors import executor
from bench.run.protocol import Executor, Home
from bench.run.turns import check_protocol
from bench.trial import Effort, Measured, Trial

REFERENCE = catalog.ROOT / "bench" / "reference.py"
REFERENCE_EFFORT = Effort(steady_seconds=1.0, warmup_seconds=0.5, facts=False)
EDITED = "the working tree changed while it was measured"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be guarded, and how strictly.

    Attributes:
        sweep: The trials; a workload's path is as the user gave it.
        named: Whether the user named the workloads, or the sweep did.
        thresholds: A trial's key to its thresholds by metric.
        budget_seconds: When to stop, counted from when this was made.
        seed: Of the processes.
        data: The user's data in place of the workloads' own.
        reference: Whether to measure the pinned reference workload too, for a history.
        said: Told what is being settled.
    """

    sweep: Sweep
    named: bool = False
    thresholds: Callable[[str], Mapping[str, float]] = Settings().thresholds
    budget_seconds: float = BUDGET_SECONDS
    seed: int = 0
    data: str = ""
    reference: bool = False
    began: float = field(default_factory=time.monotonic)
    said: Callable[[str], None] = field(default=lambda line: None)


def wanted(workloads: Sequence[str] = (), **settings: object) -> Wanted:
    """The guard's own sweep, or these workloads in its place."""
    sweep = sweeps.narrow(sweeps.find(GUARD), workloads=workloads)
    return Wanted(sweep=sweep, named=bool(workloads), **settings)


def demand_turns(sweep: Sweep) -> None:
    """Refuse what cannot take turns, before anything is started.

    Raises:
        UsageError: A block is served, or timed by the epoch.
    """
    for block in sweep.blocks:
        given = {"consumer": block.consumer, "unit": block.unit}
        for name, value in given.items():
            if value in ("serve", "epoch"):
                raise UsageError(
                    f"{name}={value} cannot be guarded live: only windows of drain, "
                    "train and model take turns. Compare stored figures: guard "
                    "--save-baseline FILE and later --baseline FILE, or two result "
                    "folders A B."
                )


def against_ref(repo: str | Path, ref: str, wanted: Wanted) -> GuardResult:
    """Compare a repository's working tree with one of its refs, live.

    Workloads given by path are the repository's own: each side has its file. In this
    suite's own repository each side has its whole tree, harness included.

    Args:
        repo: A folder of the repository.
        ref: What is compared with: a branch, tag or commit.
        wanted: What is to be guarded.

    Raises:
        UsageError: No such repository, ref or workload, or nothing to compare.
        Interrupted: Ctrl-C, with what was known by then.
    """
    demand_turns(wanted.sweep)
    # Each side works in its own tree, where a relative path would lead elsewhere.
    wanted = replace(wanted, data=scope.anywhere(wanted.data))
    top = revisions.repository(Path(repo))
    ours = top == catalog.ROOT
    with revisions.checked_out(top, ref) as base:
        both = Trees(top, base.tree, ours)
        trials, lost, refused = scope.trials(
            both,
            wanted.sweep,
            named=wanted.named,
            seed=wanted.seed,
            data=wanted.data,
        )
        notes, commit = plan.left_out(refused), revisions.commit_of(top, "HEAD")
        if revisions.is_dirty(top):
            notes.append("Head has changes that are not committed; they are measured.")
        if empty := revisions.submodules(base.tree):
            notes.append(
                f"Submodules are empty in base: {', '.join(empty)}. What is in them is "
                "not compared, and what needs them fails there."
            )
        content = revisions.content(top, commit)
        judged = partial(_judged, top=top, commit=commit, content=content)
        homes = [Home(root=base.tree) if ours else Home(), Home()]
        with _servers(*homes) as (base_server, control, head_server):

            def base_side(trial: Trial) -> Side | None:
                if not both.has(trial.workload, base.tree):
                    return None
                return Side(
                    base_server, trial, str(base.tree), str(top), control=control
                )

            sides = {
                trial.key: (base_side(trial), Side(head_server, trial, str(top)))
                for trial in trials
            } | {trial.key: (base_side(trial), None) for trial in lost}
            about = {"base": base.name, "head": f"working tree ({commit[:10]})"}
            try:
                return judged(
                    _guarded(sides, wanted, head_server, notes=notes, **about)
                )
            except Interrupted as stopped:
                raise Interrupted(judged(stopped.found)) from stopped


def _judged(found: GuardResult, top: Path, commit: str, content: str) -> GuardResult:
    """The record, without verdicts if head was edited meanwhile and so was not one.

    Args:
        found: The record.
        top: Head's tree.
        commit: With what its content was compared.
        content: What `revisions.content` said of it before.
    """
    try:
        same = revisions.content(top, commit) == content
    except UsageError as error:
        return replace(found, notes=[*found.notes, str(error)])
    if same:
        return found
    told = {"verdict": "unknown", "cause": EDITED}
    rows = [
        replace(row, **told)
        if row.verdict in ("slower", "faster", "unchanged")
        else row
        for row in found.rows
    ]
    note = f"{EDITED.capitalize()}, so that head was not one code: measure again."
    return replace(found, rows=rows, notes=[*found.notes, note])


def against_python(python: str, wanted: Wanted) -> GuardResult:
    """Compare this interpreter with another one, live: is the upgrade slower?

    Args:
        python: The other interpreter, which is the base.
        wanted: What is to be guarded.

    Raises:
        UsageError: It does not run, or lacks a package.
        Interrupted: Ctrl-C, with what was known by then.
    """
    demand_turns(wanted.sweep)
    theirs, ours = revisions.versions(python), revisions.versions(Home().python)
    trials, refused = sweeps.trials(wanted.sweep, wanted.data)
    differing = [name for name in ours if ours[name] != theirs[name]]
    notes = [
        f"{name}: {theirs[name]} in base, {ours[name]} in head." for name in differing
    ] or ["Both interpreters have the same versions of Python and of all packages."]
    notes += plan.left_out(refused)
    with _servers(Home(python=python), Home()) as (base, control, head):
        sides = {
            trial.key: (Side(base, trial, control=control), Side(head, trial))
            for trial in trials
        }
        named = ("tensorflow", "keras")
        spelled = [
            ", ".join(f"{name} {found[name]}" for name in named)
            for found in (theirs, ours)
        ]
        return _guarded(
            sides,
            wanted,
            head,
            base=f"{python} ({spelled[0]})",
            head=f"this interpreter ({spelled[1]})",
            notes=notes,
        )


def _guarded(
    sides: Mapping[str, tuple[Side | None, Side | None]],
    wanted: Wanted,
    server: Executor,
    **about: object,
) -> GuardResult:
    """The guard; before and after it, where wanted, the pinned reference workload.

    Args:
        sides: A trial's key to where it runs on base and on head; None if it does not.
        wanted: What is to be guarded.
        server: Of head, started.
        about: Further arguments of `guard.live`.
    """
    from bench.guard import case_session, session  # late: see `_servers`

    cases = [
        case_session.Case(
            key=key,
            base=base,
            head=head,
            thresholds=(
                metrics.existing(wanted.thresholds(key), head.trial)
                if base and head
                else wanted.thresholds(key)  # it is missing, whatever it would have
            ),
        )
        for key, (base, head) in sides.items()
    ]
    if cases and not any(case.thresholds for case in cases):
        asked = ", ".join(wanted.thresholds(cases[0].key))
        raise UsageError(
            f"No trial here has {asked}. Name metrics that its pipeline has: "
            "fill_seconds needs a cache (--axis cache=mapped), offline_seconds --axis "
            "placement=offline."
        )
    reference = [_reference(server)] if wanted.reference else []
    found = session.live(
        cases,
        budget_seconds=wanted.budget_seconds - (time.monotonic() - wanted.began),
        effort=replace(session.EFFORT, limit_seconds=wanted.sweep.effort.limit_seconds),
        seed=wanted.seed,
        said=wanted.said,
        **about,
    )
    if not wanted.reference:
        return found
    try:
        reference.append(_reference(server))
    except KeyboardInterrupt as stopped:
        raise Interrupted(found) from stopped
    except (UsageError, OSError) as error:
        note = f"{str(error).rstrip('.')}. So this guard has no ratio in a history."
        return replace(found, notes=[*found.notes, note])
    return replace(found, reference=geometric_mean(reference))


def _reference(server: Executor) -> float:
    """Seconds an example of the pinned reference workload, on this machine now.

    Raises:
        UsageError: It failed, so that there is nothing to put into a history.
    """
    trial = Trial(workload=str(REFERENCE), pipeline=Pipeline(batch_size=256))
    outcome = server.execute("measure", trial, REFERENCE_EFFORT, 0)
    found = outcome.failure
    if not found:
        measured = msgspec.json.decode(outcome.result, type=Measured)
        found = measured.error
    if found:
        message = found.message.rstrip(".")
        raise UsageError(f"The reference workload failed: {message}.")
    return median(measured.samples) / trial.pipeline.batch_size


@contextlib.contextmanager
def _servers(base: Home, head: Home) -> Iterator[tuple[Executor, Executor, Executor]]:
    """Started servers of base, its control and head; one for all if homes are the same.

    Else the control has one of its own, as head does: with base's, head was slower in
    all twelve guards of one interpreter against itself, by 1.0 % on average (prose).
    """
    homes = [base] if base == head else [base, base, head]
    started = [executor(home) for home in homes]
    try:
        with ThreadPoolExecutor() as all_at_once:
            starting = all_at_once.map(lambda server: server.start(), started)
            importlib.import_module(
                "bench.guard.session"
            )  # SciPy, pandas: while they start
            list(starting)
        for server, home in zip(started, homes, strict=True):
            check_protocol(server.protocol, home.root)
        yield started[0], started[len(started) // 2], started[-1]
    finally:
        for server in started:
            server.stop()
