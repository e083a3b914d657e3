"""This pytest plugin fails a test if a workload became slower than at another ref.

In the `conftest.py` beside your `pytest.ini` or `pyproject.toml`, with this suite on
the Python path (`pythonpath = ["path/to/feedrate"]`):

    pytest_plugins = ["bench.pytest_plugin"]

and in a test:

    def test_no_slower_than_main(guard_workload):
        guard_workload("path/to/mine.py", against_ref="main", threshold=0.05)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.guard.live import GuardRequest
    from bench.guard.record import GuardResult
    from bench.guard.settings import Settings

NOT_PARALLEL = (
    "guard_workload measures, and pytest-xdist runs other tests beside it, which makes "
    "all figures worthless. Run the guard's tests in a pytest of their own, without -n."
)
NOT_DISABLED = (
    "guard_workload measures, and --benchmark-disable forbids that: it does not pass "
    "without measuring. Leave the option out, or deselect this test."
)


@pytest.fixture
def guard_workload(request: pytest.FixtureRequest) -> Callable[..., GuardResult]:
    """Return a function that tests if a workload is slower than at another git ref.

    The arguments of that function:
        workload: A path or a name, or several, relative to pytest's root directory,
            which is in the repository.
        against_ref: A ref of that repository.
        threshold: The relative change from which a slow-down counts, such as 0.05; by
            default that of the root's [tool.feedrate.guard], or the guard's own.
        budget_seconds: The most seconds to take.
        unknown_passes: Whether a test is skipped, and does not fail, if the verdict is
            `unknown`.

    The function returns a `bench.guard.record.GuardResult`. A test fails unless no
    trial is slower and all have a verdict.
    """
    reason = _reason_not_to_measure(request.config)
    if reason:
        pytest.fail(reason, pytrace=False)

    def compare(
        workload: str | Sequence[str],
        *,
        against_ref: str,
        threshold: float | None = None,
        budget_seconds: float | None = None,
        unknown_passes: bool = False,
    ) -> GuardResult:
        from bench import shell
        from bench.errors import Exit, UsageError
        from bench.guard import live
        from bench.guard.record import exit_code

        root = request.config.rootpath
        try:
            settings = _settings(root, threshold)
            guard_request = _guard_request(root, workload, settings, budget_seconds)
            with shell.interrupted_once():
                result = live.against_ref(root, against_ref, guard_request)
            result = settings.note_unused_overrides(result)
        except UsageError as error:
            pytest.fail(str(error), pytrace=False)
        _add_to_report(request.node, result)
        code = exit_code(result)
        text = _text(result, code)
        if code == Exit.UNKNOWN and unknown_passes:
            pytest.skip(text)
        if code != Exit.OK:
            pytest.fail(text, pytrace=False)
        print(text)
        return result

    return compare


def _reason_not_to_measure(config: pytest.Config) -> str:
    """Return why tests cannot measure in this run of pytest; empty if they can."""
    if hasattr(config, "workerinput"):  # only in a worker of pytest-xdist
        return NOT_PARALLEL
    enabled = config.getoption("benchmark_enable", False)  # overrides the other option
    if config.getoption("benchmark_disable", False) and not enabled:
        return NOT_DISABLED
    return ""


def _settings(root: Path, threshold: float | None) -> Settings:
    """Load the thresholds from the root's [tool.feedrate.guard], if it has one."""
    from bench.guard import settings

    project = root / "pyproject.toml"
    return settings.load(project if project.is_file() else None, threshold=threshold)


def _guard_request(
    root: Path,
    workload: str | Sequence[str],
    settings: Settings,
    budget_seconds: float | None,
) -> GuardRequest:
    """Return the request that describes what the guard measures.

    Relative paths of workloads start at pytest's root directory.
    """
    from bench.guard import live

    names = [workload] if isinstance(workload, str) else workload
    names = [str(root / name) if ".py" in name else name for name in names]
    budget = {} if budget_seconds is None else {"budget_seconds": budget_seconds}
    return live.guard_request(names, thresholds=settings.thresholds, **budget)


def _add_to_report(node: pytest.Item, result: GuardResult) -> None:
    """Add each ratio to pytest's own JUnit report."""
    from bench.analysis.verdicts import OUTCOMES

    for row in result.rows:
        verdict = OUTCOMES[row.verdict].text
        text = f"{row.ratio} ({row.low} to {row.high}), {verdict}"
        node.user_properties.append((f"{row.key} {row.metric}", text))


def _text(result: GuardResult, code: int) -> str:
    from bench import shell
    from bench.guard import output

    console = shell.console(file=io.StringIO(), width=80, highlight=False)
    output.terminal(result, code, console)
    return console.file.getvalue()
