"""Search for advice: read, propose, compare examples, test one change after another.

A round begins with the source that holds all that was kept. Every proposal of the shelf
passes its rule and the gate; a first look then orders the proposals. The most promising
is tested by trios in turn. The first that is `faster` is kept and begins a new round.
At the end fresh trios compare the whole tuned source with the original.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from bench import failures
from bench.advise import chain as chains
from bench.advise import proposals, turns_test
from bench.advise.chain import Chain, Proposal
from bench.errors import UsageError
from bench.guard.record import Row
from bench.pipeline import Pipeline
from bench.report import advice_limits
from bench.report.advice_record import Advice, Attempt
from bench.run.protocol import GRACE_SECONDS, CannotStart, Executor, Outcome
from bench.run.user_pipeline import (
    ModelError,
    PipelineComparison,
    PipelineReading,
    PipelineTask,
    write_task,
)
from bench.trial import Effort, Trial

SMALL_GAIN_SHARE = 0.4  # of the time that is left, for one test of a small gain
LARGE_GAIN = 0.5  # a first look below this ratio
SMALL_GAIN = 0.9  # a first look above this ratio may well be chance
# By outcome of the gate, the consent that it needs; there is none for the others.
NEEDS = {"same": "", "order": "order", "remainder": "drop_remainder"}
MOST_ROUNDS = 8
READ_SECONDS = 5.0  # of pulling, for an epoch
WAITS_SHARE = 0.15  # of the budget, for the waits of the stages; as much for lifts
MOST_WAITS_SECONDS = 12.0
COMPARE_SECONDS = 2.0  # of pulling from each side, before the clock
FINAL_SHARE = 0.2  # of the budget, for the whole tuned file
LEAST_FINAL_SECONDS = 20.0
LEAST_TEST_SECONDS = 15.0
DIFFERS_EACH_TIME = (
    "The pipeline gives other examples each time it is made, and no random operation "
    "of its stages explains that. So nobody can judge whether a change keeps the "
    "examples, and nothing is proposed."
)


@dataclass(kw_only=True)
class Search:
    """A search for advice about one pipeline.

    Attributes:
        path: The user's file.
        call: The expression that makes the dataset.
        server: The started executor of the measuring processes.
        scratch: A folder for task files.
        budget_seconds: How long the search may take.
        allow: What may change: `order`, `drop_remainder`, `determinism`.
        limit_seconds: How long one process may take.
        model_path: The file of the user's model; empty to drain the pipeline.
        model_call: The expression that makes the compiled model, which is then trained
            wherever the pipeline is timed.
        report_progress: Receives a line now and then.
        clock: The monotonic clock, in seconds.
        compare: Compares two trials by turns; tests replace it.
    """

    path: str
    call: str
    server: Executor
    scratch: Path
    budget_seconds: float
    allow: tuple[str, ...] = ()
    limit_seconds: float = 120.0
    model_path: str = ""
    model_call: str = ""
    report_progress: Callable[[str], None] = lambda line: None
    clock: Callable[[], float] = time.monotonic
    compare: Callable[..., Row] = turns_test.compare
    _tasks: int = 0
    _kept: int = 0
    _kept_seconds: float = 0.0  # of the last test that kept its proposal
    _tests: int = 0
    _fills: dict[str, bool] = field(default_factory=dict)

    def run(self) -> Advice:
        """Search until nothing is faster or the time is up.

        Raises:
            UsageError: The pipeline cannot be read.
        """
        self._start = self.clock()
        self._deadline = self._start + self.budget_seconds
        with Path(self.path).open(encoding="utf-8", newline="") as file:
            text = file.read()
        advice = Advice(
            path=self.path,
            call=self.call,
            reading=PipelineReading(),
            original=text,
            tuned=text,
            model=f"{self.model_path}:{self.model_call}" if self.model_call else "",
        )
        try:
            self.report_progress(f"Reading {self.path} ...")
            self._reading = advice.reading = self._read(text)
            stages = self._reading.stages
            self._fills[text] = any(one.method == "cache" for one in stages)
            self._rounds(advice)
            self._measure_whole(advice)
        except (CannotStart, OSError) as error:  # such as too little disk or memory
            advice.notes.append(f"The search ended early: {error}")
        except KeyboardInterrupt:
            advice.interrupted = True
            advice.notes.append("Interrupted: what was known by then is shown.")
        advice.seconds = self.clock() - self._start
        return advice

    def _rounds(self, advice: Advice) -> None:
        advice.notes += list(
            _warnings(chains.chain(self._reading, self.path, advice.tuned))
        )
        if not self._reading.repeats and not _explained(self._reading):
            advice.notes.append(DIFFERS_EACH_TIME)
            return
        if self._nothing_to_gain(advice):
            return
        decided: set[tuple[str, str]] = set()
        reading = self._reading
        for number in range(1, MOST_ROUNDS + 1):
            chain = chains.chain(reading, self.path, advice.tuned)
            # This round proposes anew what the last one did not come to.
            advice.attempts = [a for a in advice.attempts if a.state != "not_tried"]
            kept = self._round(advice, chain, number, decided)
            if kept is None:
                return
            advice.tuned = kept.source
            decided.add((kept.name, kept.stage))
            if self._nothing_to_gain(advice):
                return
            try:
                reading = self._read_again(advice.tuned)
            except UsageError as error:  # it could be read when it was tested
                advice.notes.append(str(error))
                return

    def _nothing_to_gain(self, advice: Advice) -> bool:
        """Whether the pipeline with its kept changes is at its ceiling; adds a note."""
        kept = (one.ratio for one in advice.attempts if one.state == "kept")
        note = advice_limits.reached(self._reading, math.prod(kept))
        advice.notes += filter(None, [note])
        return bool(note)

    def _round(
        self, advice: Advice, chain: Chain, number: int, decided: set[tuple[str, str]]
    ) -> Proposal | None:
        """Decide proposals until one is kept; returns that one."""
        promising: list[tuple[float, Proposal, Attempt]] = []
        waiting = [p for p in _proposals(chain) if _key(p) not in decided]
        for place, proposal in enumerate(waiting):
            attempt = self._ruled_out(proposal, number)
            if attempt is None and self._left() < LEAST_TEST_SECONDS:
                self._leave(advice, waiting[place:], number)
                break
            if attempt is None:
                attempt = self._looked_at(advice.tuned, proposal, number)
            if attempt.state == "not_tried":
                promising.append((attempt.first_look or 1.0, proposal, attempt))
                continue
            advice.attempts.append(attempt)
            decided.add(_key(proposal))
        # A cache hides every other cost from the second epoch on, and the first epoch
        # gains from the others: so large gains come before the cache, small ones after.
        # What would bar a cache competes with it.
        promising.sort(key=lambda one: (_late(one[1], one[0]), one[0]))
        for place, (_, proposal, attempt) in enumerate(promising):
            if self._left() < LEAST_TEST_SECONDS:
                advice.attempts += [
                    replace(late, reason="the time ended before its turn")
                    for _, _, late in promising[place:]
                ]
                return None
            done = self._tested(advice.tuned, proposal, attempt)
            advice.attempts.append(done)
            decided.add(_key(proposal))
            if done.state == "kept":
                advice.attempts += [
                    replace(late, reason="another change was kept before its turn")
                    for _, _, late in promising[place + 1 :]
                ]
                return proposal
        return None

    def _leave(self, advice: Advice, rest: list[Proposal], number: int) -> None:
        for one in rest:
            attempt = self._ruled_out(one, number)
            late = _attempt(one, number, "not_tried", reason="the time ended before it")
            advice.attempts.append(attempt or late)

    def _ruled_out(self, proposal: Proposal, number: int) -> Attempt | None:
        """Return the attempt of a proposal that is decided without a process."""
        if proposal.refusal:
            return _attempt(proposal, number, "refused", reason=proposal.refusal)
        if proposal.done_already:
            reason = proposal.done_already
            return _attempt(proposal, number, "done_already", reason=reason)
        missing = [name for name in proposal.consent if name not in self.allow]
        if missing:
            reason = (
                f"it may change {' and '.join(missing)}: --allow {','.join(missing)}"
            )
            return _attempt(proposal, number, "not_allowed", reason=reason)
        if proposal.by_hand:
            return _attempt(proposal, number, "by_hand", reason=proposal.by_hand)
        return None

    def _looked_at(self, base: str, proposal: Proposal, number: int) -> Attempt:
        """Compare the examples and look at the rate; `not_tried` means promising."""
        self.report_progress(f"Comparing examples: {proposal.change}")
        self._fills[proposal.source] = proposal.fills or self._fills.get(base, False)
        comparison = self._compare_examples(base, proposal.source)
        if comparison.error is not None:
            reason = failures.sentence(comparison.error)
            return _attempt(proposal, number, "failed", reason=reason)
        needed = NEEDS.get(comparison.outcome)
        shared = {"reason": comparison.reason, "compared": comparison.examples}
        if needed is None:
            return _attempt(proposal, number, "refused", **shared)
        if not self._allowed(comparison.outcome):
            reason = f"{comparison.reason}: --allow {needed}"
            return _attempt(
                proposal, number, "not_allowed", **shared | {"reason": reason}
            )
        gain = comparison.ratio < 1 / (1 + turns_test.MARGIN)
        state = "not_tried" if gain else "no_gain_seen"
        return _attempt(proposal, number, state, first_look=comparison.ratio, **shared)

    def _tested(self, base: str, proposal: Proposal, attempt: Attempt) -> Attempt:
        """Test one proposal by trios in turn."""
        self._tests += 1
        self.report_progress(f"Testing: {proposal.change}")
        small = (attempt.first_look or 1.0) > SMALL_GAIN
        share = SMALL_GAIN_SHARE if small else 1.0  # without hope a test stops early
        left = self._left()
        if not self._kept:  # the whole file is measured at the end, for about as long
            left = min(left, (self._deadline - self.clock()) / 2)
        seconds = max(LEAST_TEST_SECONDS, share * left)
        start = self.clock()
        alpha = turns_test.share(self._tests)
        most = 0.0 if small else self._left()
        row = self._compare(base, proposal.source, alpha, seconds, most)
        states = {"faster": "kept", "failed": "failed", "unknown": "undecided"}
        state = states.get(row.verdict, "not_faster")
        if state == "kept":
            self._kept += 1
            self._kept_seconds = self.clock() - start
        if state == "undecided" and turns_test.hopeless(row):
            state = "not_faster"
        cause = row.cause if state in ("failed", "undecided") else ""
        return replace(
            attempt,
            state=state,
            ratio=row.ratio,
            low=row.low,
            high=row.high,
            reason="; ".join(filter(None, (cause, attempt.reason))),
        )

    def _measure_whole(self, advice: Advice) -> None:
        """Compare the whole tuned source with the original by fresh processes."""
        if advice.tuned == advice.original:
            return
        if self._kept > 1:  # a single change was compared with the original before
            comparison = self._compare_examples(advice.original, advice.tuned)
            if comparison.error is not None or not self._allowed(comparison.outcome):
                self._withdraw(advice, "does not give the examples of the original")
                return
        self.report_progress("Measuring the whole tuned file by fresh processes.")
        left = max(LEAST_FINAL_SECONDS, self._deadline - self.clock())
        alpha = turns_test.FALSE_ADVICE
        row = self._compare(advice.original, advice.tuned, alpha, left)
        advice.verdict, advice.ratio = row.verdict, row.ratio
        advice.low, advice.high = row.low, row.high
        if row.verdict != "faster":
            cause = f"{row.verdict}: {row.cause}" if row.cause else row.verdict
            self._withdraw(
                advice, f"was not shown to be faster by fresh processes ({cause})"
            )
        elif any(a.state == "kept" and a.proposal == "cache" for a in advice.attempts):
            advice.notes.append(
                "The rates are of later epochs: the first epoch fills the cache."
            )

    def _withdraw(self, advice: Advice, why: str) -> None:
        advice.notes.append(
            f"The whole tuned file {why}, so it is not advised. More time may settle "
            "it: --budget."
        )
        advice.tuned = advice.original

    def _allowed(self, outcome: str) -> bool:
        """Whether an outcome of the gate is legal with what the user allows."""
        return NEEDS.get(outcome, "nothing") in ("", *self.allow)

    def _left(self) -> float:
        """Seconds that are left for tests; the final measurement has its own share."""
        share = FINAL_SHARE * self.budget_seconds
        final = max(LEAST_FINAL_SECONDS, share, self._kept_seconds)
        return self._deadline - final - self.clock()

    def _compare(
        self, base: str, head: str, alpha: float, seconds: float, most: float = 0.0
    ) -> Row:
        return self.compare(
            self._trial(base),
            self._trial(head),
            self.server,
            alpha=alpha,
            seconds=seconds,
            most_seconds=most,
            limit_seconds=self._limit(),
            seed=self._tests,
            clock=self.clock,
            report_progress=self.report_progress,
        )

    def _trial(self, source: str, **task: object) -> Trial:
        """Write a task file for a source, and return the trial that names it."""
        self._tasks += 1
        epoch = self._reading.epoch_batches if hasattr(self, "_reading") else 0
        fills = self._fills.get(source, False)
        content = PipelineTask(
            path=self.path,
            call=self.call,
            source=source,
            epoch=epoch,
            model_path=self.model_path,
            model_call=self.model_call,
            fill=epoch + 1 if epoch and fills else 0,
            **task,
        )
        trial = write_task(content, self.scratch / f"task-{self._tasks}.json")
        size = self._reading.batch_size if hasattr(self, "_reading") else 1
        return replace(trial, pipeline=Pipeline(batch_size=max(1, size)))

    def _read(self, source: str) -> PipelineReading:
        waits = min(MOST_WAITS_SECONDS, WAITS_SHARE * self.budget_seconds)
        return self._answer(source, seconds=READ_SECONDS, waits_seconds=waits)

    def _answer(self, source: str, **task: object) -> PipelineReading:
        outcome = self._execute("read_pipeline", self._trial(source, **task))
        failure = outcome.failure
        if failure is None:
            reading = msgspec.json.decode(outcome.result, type=PipelineReading)
            failure = reading.error
        if failure is not None and failure.type == ModelError.__name__:
            raise ModelError(failure.message)
        if failure is not None:
            raise UsageError(
                f"{self.path} cannot be read as a pipeline: "
                f"{failures.sentence(failure)}"
            )
        return reading

    def _read_again(self, source: str) -> PipelineReading:
        """Read the stages of a tuned source; times and epochs are the original's."""
        reading = self._answer(source, look=False)
        return msgspec.structs.replace(self._reading, stages=reading.stages)

    def _compare_examples(self, base: str, head: str) -> PipelineComparison:
        trial = self._trial(
            head,
            against=base,
            seconds=COMPARE_SECONDS,
            repeats=self._reading.repeats,
            batched=self._reading.batched,
        )
        outcome = self._execute("compare_pipelines", trial)
        if outcome.failure is not None:
            return PipelineComparison(error=outcome.failure)
        return msgspec.json.decode(outcome.result, type=PipelineComparison)

    def _limit(self) -> float:
        """How long one process may take: no longer than the budget, with its grace."""
        left = self._deadline + GRACE_SECONDS - self.clock()
        return max(GRACE_SECONDS, min(self.limit_seconds, left))

    def _execute(self, verb: str, trial: Trial) -> Outcome:
        effort = Effort(limit_seconds=self._limit(), facts=False)
        return self.server.execute(verb, trial, effort, 0)


def _proposals(chain: Chain) -> Iterator[Proposal]:
    """Return the proposals of every file on the shelf, the costliest stages first."""
    every: list[Proposal] = []
    for module in pkgutil.iter_modules(proposals.__path__):
        name = f"{proposals.__name__}.{module.name}"
        every += importlib.import_module(name).propose(chain)
    seconds = {chains.label(one): one.seconds or 0.0 for one in chain.stages}
    return iter(sorted(every, key=lambda one: -seconds.get(one.stage, 0.0)))


def _late(proposal: Proposal, ratio: float) -> bool:
    """Whether a promising proposal is tested after the large gains, with the cache."""
    return proposal.fills or proposal.bars_cache or ratio > LARGE_GAIN


def _key(proposal: Proposal) -> tuple[str, str]:
    """What a proposal is, wherever its lines have gone meanwhile."""
    return proposal.name, proposal.stage


def _attempt(proposal: Proposal, number: int, state: str, **shared: object) -> Attempt:
    return Attempt(
        proposal=proposal.name,
        stage=proposal.stage,
        change=proposal.change,
        state=state,
        round=number,
        **shared,
    )


def _explained(reading: PipelineReading) -> bool:
    """Whether a random or stateful operation explains examples that do not repeat.

    Of Python in a graph nobody can say what it does, so it explains nothing.
    """
    traits = {trait for stage in reading.stages for trait in stage.traits}
    return bool(traits & {"random", "stateful"}) and "python" not in traits


def _warnings(chain: Chain) -> Iterator[str]:
    """What the user should know of the pipeline, though no proposal mends it."""
    for place, stage in enumerate(chain.stages):
        before = chain.stages[:place]
        if stage.method == "cache":
            random = [one for one in before if "random" in one.traits]
            if random:
                yield (
                    f"The cache of line {stage.line} freezes "
                    f"{chains.label(random[-1])} of line {random[-1].line}: every "
                    "epoch has the same draws."
                )
            if any(one.method == "repeat" for one in before):
                yield (
                    f"The cache of line {stage.line} is behind a repeat, so it is "
                    "never read to its end and never serves."
                )
        if stage.method == "shuffle" and any(one.method == "repeat" for one in before):
            yield (
                f"The shuffle of line {stage.line} is behind a repeat, so epochs mix. "
                "No proposal changes that: it would change what an epoch has."
            )
        if "python" in stage.traits:
            yield (
                f"{chains.label(stage)} of line {stage.line} runs Python, one call at "
                "a time: parallel calls do not help there."
            )
