"""A live guard compares two sides: another revision, or another interpreter, and head.

This module checks out base, starts the servers of both sides, and calls a session.
"""

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
from bench.data import source
from bench.errors import UsageError
from bench.guard import metrics, revisions, scope
from bench.guard.metrics import METRICS
from bench.guard.record import BUDGET_SECONDS, GuardResult, Interrupted
from bench.guard.scope import GUARD, Trees
from bench.guard.settings import Settings
from bench.guard.trio import Side
from bench.pipeline import Pipeline
from bench.plan import plan, sweeps
from bench.plan.sweeps import Sweep
from bench.run.executors import executor
from bench.run.protocol import Executor, Harness
from bench.run.turns import check_protocol
from bench.trial import CONSUMER_ROWS, Effort, Measured, Trial

REFERENCE = catalog.ROOT / "bench" / "reference.py"
REFERENCE_EFFORT = Effort(steady_seconds=1.0, warmup_seconds=0.5, facts=False)
EDITED = "the working tree changed while it was measured"


@dataclass(frozen=True, kw_only=True)
class GuardRequest:
    """A request to the guard: what to compare, how strictly, and for how long.

    Attributes:
        sweep: The trials; a workload's path is as the user typed it.
        named: Whether the user named the workloads; else they are those of the sweep.
        thresholds: Returns a trial's thresholds by metric, from its key.
        budget_seconds: When to stop, counted from `start`.
        seed: The seed of the processes.
        data: The user's data in place of the workloads' own; empty for none.
        reference: Whether to measure the pinned reference workload, for a history.
        start: When the request was made, by `time.monotonic`.
        report_progress: Receives one line of progress at a time.
    """

    sweep: Sweep
    named: bool = False
    thresholds: Callable[[str], Mapping[str, float]] = Settings().thresholds
    budget_seconds: float = BUDGET_SECONDS
    seed: int = 0
    data: str = ""
    reference: bool = False
    start: float = field(default_factory=time.monotonic)
    report_progress: Callable[[str], None] = field(default=lambda line: None)


def guard_request(workloads: Sequence[str] = (), **settings: object) -> GuardRequest:
    """Return a request for these workloads, or for the guard's own sweep if none.

    Args:
        workloads: Names or paths.
        settings: Other fields of the request.
    """
    sweep = sweeps.narrow(sweeps.find(GUARD), workloads=workloads)
    return GuardRequest(sweep=sweep, named=bool(workloads), **settings)


def check_takes_turns(sweep: Sweep) -> None:
    """Check that all trials of a sweep can take turns, before anything starts.

    Raises:
        UsageError: A block serves, or times whole epochs.
    """
    for block in sweep.blocks:
        refused = f"unit={block.unit}" if block.unit != "window" else ""
        if not CONSUMER_ROWS[block.consumer].takes_turns:
            refused = f"consumer={block.consumer}"
        if refused:
            taking = [name for name, row in CONSUMER_ROWS.items() if row.takes_turns]
            raise UsageError(
                f"{refused} cannot be guarded live: only windows of "
                f"{', '.join(taking[:-1])} and {taking[-1]} take turns. Compare stored "
                "figures: guard --save-baseline FILE and later --baseline FILE, or two "
                "result folders A B."
            )


def against_ref(repo: str | Path, ref: str, request: GuardRequest) -> GuardResult:
    """Compare a repository's working tree with one of its refs, live.

    Each side has its own file of a workload that is given by path. In this suite's own
    repository each side has its whole tree, harness included.

    Args:
        repo: A folder of the repository.
        ref: The base: a branch, tag or commit.
        request: What to compare, how strictly, and for how long.

    Raises:
        UsageError: No such repository, ref or workload, or nothing to compare.
        Interrupted: The user pressed Ctrl-C. The error holds the verdicts so far.
    """
    check_takes_turns(request.sweep)
    # Each side works in its own tree, where a relative path would lead elsewhere.
    request = replace(request, data=source.absolute(request.data))
    top = revisions.repository(Path(repo))
    ours = top == catalog.ROOT
    with revisions.checked_out(top, ref) as base:
        trees = Trees(top, base.tree, ours)
        trials, only_in_base, refused, notes = scope.trials(
            trees,
            request.sweep,
            named=request.named,
            seed=request.seed,
            data=request.data,
        )
        for note in notes:
            request.report_progress(note)
        notes += plan.refusal_lines(refused)
        commit = revisions.commit_of(top, "HEAD")
        if revisions.is_dirty(top):
            notes.append("Head has changes that are not committed; they are measured.")
        elif commit == revisions.commit_of(top, ref):
            notes.append(f"Base and head are the same commit, {commit[:10]}.")
        if empty := revisions.submodules(base.tree):
            notes.append(
                f"Submodules are empty in base: {', '.join(empty)}. Their content is "
                "not compared, and a workload that needs it fails there."
            )
        digest = revisions.content_digest(top, commit)
        unless_edited = partial(_unless_edited, top=top, commit=commit, digest=digest)
        homes = [Harness(root=base.tree) if ours else Harness(), Harness()]
        with _started_servers(*homes) as (base_server, control, head_server):

            def base_side(trial: Trial) -> Side | None:
                if not trees.has(trial.workload, base.tree):
                    return None
                return Side(
                    base_server, trial, str(base.tree), str(top), control=control
                )

            sides = {
                trial.key: (base_side(trial), Side(head_server, trial, str(top)))
                for trial in trials
            } | {trial.key: (base_side(trial), None) for trial in only_in_base}
            names = {"base": base.name, "head": f"working tree ({commit[:10]})"}
            try:
                result = _guard(sides, request, head_server, notes=notes, **names)
            except Interrupted as interrupt:
                raise Interrupted(unless_edited(interrupt.result)) from interrupt
            return unless_edited(result)


def _unless_edited(
    result: GuardResult, top: Path, commit: str, digest: str
) -> GuardResult:
    """Return the result, without its verdicts if head was edited during the guard.

    Args:
        result: The result.
        top: Head's tree.
        commit: The commit that the digest refers to.
        digest: The value of `revisions.content_digest` before the guard.
    """
    try:
        edited = revisions.content_digest(top, commit) != digest
    except UsageError as error:
        return replace(result, notes=[*result.notes, str(error)])
    if not edited:
        return result
    rows = [
        replace(row, verdict="unknown", cause=EDITED)
        if row.verdict in ("slower", "faster", "unchanged")
        else row
        for row in result.rows
    ]
    note = f"{EDITED.capitalize()}, so head was not one revision: measure again."
    return replace(result, rows=rows, notes=[*result.notes, note])


def against_python(python: str, request: GuardRequest) -> GuardResult:
    """Compare this interpreter with another one, live: is the upgrade slower?

    Args:
        python: The other interpreter, which is the base.
        request: What to compare, how strictly, and for how long.

    Raises:
        UsageError: The interpreter does not run, or lacks a package.
        Interrupted: The user pressed Ctrl-C. The error holds the verdicts so far.
    """
    check_takes_turns(request.sweep)
    theirs, ours = revisions.versions(python), revisions.versions(Harness().python)
    sweep = request.sweep
    planned = plan.plan_sweep(sweep, sweep.effort, request.seed, 0.0, request.data)
    for note in planned.notes:
        request.report_progress(note)
    differing = [name for name in ours if ours[name] != theirs[name]]
    notes = [
        f"{name}: {theirs[name]} in base, {ours[name]} in head." for name in differing
    ] or ["Both interpreters have the same versions of Python and of all packages."]
    notes += [*planned.notes, *plan.refusal_lines(planned.refused)]
    with _started_servers(Harness(python=python), Harness()) as (base, control, head):
        sides = {
            trial.key: (Side(base, trial, control=control), Side(head, trial))
            for trial in planned.trials
        }
        base_versions, head_versions = (
            ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "keras"))
            for versions in (theirs, ours)
        )
        return _guard(
            sides,
            request,
            head,
            base=f"{python} ({base_versions})",
            head=f"this interpreter ({head_versions})",
            notes=notes,
        )


def _guard(
    sides: Mapping[str, tuple[Side | None, Side | None]],
    request: GuardRequest,
    server: Executor,
    **names: object,
) -> GuardResult:
    """Guard the sides; measure the reference workload before and after if requested.

    Args:
        sides: By a trial's key, where it runs on base and on head; None if it does not.
        request: What to compare, how strictly, and for how long.
        server: The server of head, started.
        names: The base, the head and the notes, for `session.live`.
    """
    from bench.guard import case_session, session  # late: see `_started_servers`

    cases = [
        case_session.Case(
            key=key,
            base=base,
            head=head,
            # A trial on one side only is missing, whatever metrics it would have.
            thresholds=(
                metrics.applicable(request.thresholds(key), head.trial)
                if base and head
                else request.thresholds(key)
            ),
        )
        for key, (base, head) in sides.items()
    ]
    if cases and not any(case.thresholds for case in cases):
        raise _no_metric(request.thresholds(cases[0].key))
    references = [_reference(server)] if request.reference else []
    limit = request.sweep.effort.limit_seconds
    result = session.live(
        cases,
        budget_seconds=request.budget_seconds - (time.monotonic() - request.start),
        effort=replace(session.EFFORT, limit_seconds=limit),
        seed=request.seed,
        report_progress=request.report_progress,
        **names,
    )
    if not request.reference:
        return result
    try:
        references.append(_reference(server))
    except KeyboardInterrupt as interrupt:
        raise Interrupted(result) from interrupt
    except (UsageError, OSError) as error:
        reason = str(error).rstrip(".")
        note = f"{reason}. So this guard has no ratio in a history."
        return replace(result, notes=[*result.notes, note])
    return replace(result, reference=geometric_mean(references))


def _no_metric(names: Mapping[str, float]) -> UsageError:
    """Return the error for metrics that no trial has, with what each metric needs."""
    needs = [f"{name} needs {METRICS[name].needs}" for name in names]
    return UsageError(
        f"No trial here has {', '.join(names)}. Name metrics that its pipeline has: "
        f"{'; '.join(needs)}."
    )


def _reference(server: Executor) -> float:
    """Measure the pinned reference workload, in seconds an example.

    Raises:
        UsageError: The workload failed, so the history gets no ratio.
    """
    trial = Trial(workload=str(REFERENCE), pipeline=Pipeline(batch_size=256))
    outcome = server.execute("measure", trial, REFERENCE_EFFORT, 0)
    failure = outcome.failure
    if not failure:
        measured = msgspec.json.decode(outcome.result, type=Measured)
        failure = measured.error
    if failure:
        message = failure.message.rstrip(".")
        raise UsageError(f"The reference workload failed: {message}.")
    return median(measured.samples) / trial.pipeline.batch_size


@contextlib.contextmanager
def _started_servers(
    base: Harness, head: Harness
) -> Iterator[tuple[Executor, Executor, Executor]]:
    """Start the servers of base, control and head: one for all if homes are the same.

    Otherwise the control has its own server, as head has: processes of one server warm
    each other's caches, which made head seem slower (results/method/README.md).
    """
    homes = [base] if base == head else [base, base, head]
    servers = [executor(home) for home in homes]
    try:
        with ThreadPoolExecutor() as pool:
            starting = pool.map(lambda server: server.start(), servers)
            # Import SciPy and pandas while the servers start.
            importlib.import_module("bench.guard.session")
            list(starting)
        for server, home in zip(servers, homes, strict=True):
            check_protocol(server.protocol, home.root)
        yield servers[0], servers[len(servers) // 2], servers[-1]
    finally:
        for server in servers:
            server.stop()
