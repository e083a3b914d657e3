"""A pytest plugin: a test that fails where a workload became slower than at a ref.

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
    from bench.guard.live import Wanted
    from bench.guard.record import GuardResult
    from bench.guard.settings import Settings

NOT_PARALLEL = (
    "guard_workload measures, and pytest-xdist runs other tests beside it: nothing "
    "measured here would mean anything. Run the guard's tests in a pytest of their "
    "own, without -n."
)
NOT_DISABLED = (
    "guard_workload measures, and --benchmark-disable was given: it does not pass "
    "without measuring. Leave the option out, or deselect this test."
)


@pytest.fixture
def guard_workload(request: pytest.FixtureRequest) -> Callable[..., GuardResult]:
    """Compare a workload of the checked-out code with the same at another ref, live.

    Call it with `(workload, *, against_ref, threshold=None, budget_seconds=None,
    unknown_passes=False)`: one path or name or several, relative to pytest's root
    directory, which is in the repository; a ref of that repository; the relative change
    from which a slow-down counts, such as 0.05 (if not given, that of the root's
    [tool.feedrate.guard], or the guard's own); the most seconds to take; whether a test
    may be skipped, rather than fail, where it could not tell.

    The result is a `bench.guard.record.GuardResult`. Anything but `held` is a failure;
    an unknown with `unknown_passes` is a skip, so that it is seen.
    """
    refused = _refused(request.config)
    if refused:
        pytest.fail(refused, pytrace=False)

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
            wanted = _wanted(root, workload, settings, budget_seconds)
            with shell.interrupted_once():
                found = settings.noted(live.against_ref(root, against_ref, wanted))
        except UsageError as error:
            pytest.fail(str(error), pytrace=False)
        _record(request.node, found)
        code = exit_code(found)
        text = _text(found, code)
        if code == Exit.COULD_NOT_TELL and unknown_passes:
            pytest.skip(text)
        if code != Exit.OK:
            pytest.fail(text, pytrace=False)
        print(text)
        return found

    return compare


def _refused(config: pytest.Config) -> str:
    """Why nothing can be measured in this pytest, or empty."""
    if hasattr(config, "workerinput"):  # only in a worker of pytest-xdist
        return NOT_PARALLEL
    enabled = config.getoption("benchmark_enable", False)  # outdoes the other
    if config.getoption("benchmark_disable", False) and not enabled:
        return NOT_DISABLED
    return ""


def _settings(root: Path, threshold: float | None) -> Settings:
    """How strict to be, by the root's own [tool.feedrate.guard] if it has one."""
    from bench.guard import settings

    project = root / "pyproject.toml"
    return settings.load(project if project.is_file() else None, threshold=threshold)


def _wanted(
    root: Path,
    workload: str | Sequence[str],
    settings: Settings,
    budget_seconds: float | None,
) -> Wanted:
    """What is to be guarded."""
    from bench.guard import live

    names = [workload] if isinstance(workload, str) else workload
    names = [str(root / name) if ".py" in name else name for name in names]
    given = {} if budget_seconds is None else {"budget_seconds": budget_seconds}
    return live.wanted(names, thresholds=settings.thresholds, **given)


def _record(node: pytest.Item, found: GuardResult) -> None:
    """Each ratio into pytest's own JUnit report."""
    for row in found.rows:
        told = f"{row.ratio} ({row.low} to {row.high}), {row.verdict}"
        node.user_properties.append((f"{row.key} {row.metric}", told))


def _text(found: GuardResult, code: int) -> str:
    from bench import shell
    from bench.guard import output

    console = shell.console(file=io.StringIO(), width=80, highlight=False)
    output.terminal(found, code, console)
    return console.file.getvalue()
