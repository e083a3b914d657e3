"""Bad uses of the verb `guard`, each with its message and exit code 2."""

import errno
import json

import factory
import pytest

import run_bench
from bench import shell
from bench.commands import guard
from bench.commands import list as listing
from bench.errors import UsageError
from bench.guard import history, live, output, stored
from bench.guard import settings as guard_settings
from bench.guard.metrics import PHASES
from bench.guard.record import GuardResult, Row
from bench.trial import Failure

ONE_OF = (
    "error: guard takes one of --against-ref REF, --against-python PATH, --baseline "
    "FILE, --save-baseline FILE, or two result folders A B; got "
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], f"{ONE_OF}none.\n"),
        (
            ["--against-ref", "x", "--baseline", "y"],
            f"{ONE_OF}--against-ref and --baseline.\n",
        ),
        (["a"], "error: guard compares two result folders, A and B; got 1.\n"),
        (
            ["a", "b", "--threshold", "much"],
            "error: A threshold is spelled 3% or 0.03, got 'much'.\n",
        ),
        (
            ["a", "b", "--threshold", "0.1%"],
            "error: A threshold must be from 1 % to 100 %, got 0.1 %. Below 1 % two "
            "equal processes differ by their memory layout alone.\n",
        ),
        (
            ["a", "b", "--metric", "seconds_per_examples"],
            "error: No metric named 'seconds_per_examples'. Did you mean "
            "'seconds_per_example'?\n",
        ),
        (
            ["a", "b", "--junit", "/nowhere/junit.xml"],
            "error: Cannot write '/nowhere/junit.xml': No such file or directory.\n",
        ),
        (
            ["a", "b", "--config", "/nowhere/guard.toml"],
            "error: Cannot read '/nowhere/guard.toml': No such file or directory.\n",
        ),
        (
            ["--baseline", "/nowhere/base.json"],
            "error: No baseline at '/nowhere/base.json': No such file or directory. "
            "Make one on this machine with guard --save-baseline /nowhere/base.json.\n",
        ),
        (
            ["--baseline", "F", "--axis", "prefetch=1", "--data", "x"],
            "error: Leave out --axis and --data with --baseline FILE, which fixes "
            "the trials and has no figures for a history.\n",
        ),
        (
            ["a", "b", "--workload", "x", "--consumer", "train"],
            "error: Leave out --workload and --consumer with two result folders A B, "
            "which are measured already.\n",
        ),
        (
            ["--save-baseline", "F", "--json", "--history", "x"],
            "error: Leave out --json and --history with --save-baseline FILE, which "
            "has no verdicts.\n",
        ),
        (
            ["--save-baseline", "F", "--threshold", "5%", "--unknown-passes"],
            "error: Leave out --threshold and --unknown-passes with --save-baseline "
            "FILE, which has no verdicts.\n",
        ),
        (
            ["a", "b", "--history", "x"],
            "error: Leave out --history with two result folders A B, which are "
            "measured already.\n",
        ),
        (
            ["a", "b", "--threshold", ""],
            "error: A threshold is spelled 3% or 0.03, got ''.\n",
        ),
        (
            ["--save-baseline", "/nowhere/base.json"],
            "error: Cannot write '/nowhere/base.json': No such file or directory.\n",
        ),
        (
            ["--against-ref", "HEAD", "--workload", "nosuch.py"],
            "error: No workload file at 'nosuch.py'.\n",
        ),
        (
            ["--against-ref", "HEAD", "--workload", "prose", "--consumer", "serve"],
            "error: consumer=serve cannot be guarded live: only windows of drain, "
            "train and model take turns. Compare stored figures: guard "
            "--save-baseline FILE and later --baseline FILE, or two result folders "
            "A B.\n",
        ),
        (
            ["--against-ref", "HEAD", "--workload", "hash"],
            "error: No workload named 'hash'. Did you mean 'hashing'?\n",
        ),
    ],
)
def test_bad_use(arguments, message, capsys) -> None:
    assert run_bench.main(["guard", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == message


@pytest.mark.parametrize(
    ("options", "limit"), [([], 120.0), (["--limit", "10m"], 600.0)]
)
def test_the_limit_of_a_run_can_be_set(
    options: list[str], limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model may take long to build; two folders are measured already."""
    limits = []

    def against(python: str, wanted: live.GuardRequest) -> GuardResult:
        limits.append(wanted.sweep.effort.limit_seconds)
        raise UsageError("enough")

    monkeypatch.setattr(live, "against_python", against)
    assert run_bench.main(["guard", "--against-python", "x", *options]) == 2
    assert limits == [limit]
    assert run_bench.main(["guard", "a", "b", "--limit", "10m"]) == 2


def test_a_workload_outside_the_repository(tmp_path, capsys) -> None:
    path = tmp_path / "mine.py"
    path.write_text("")
    arguments = ["guard", "--against-ref", "HEAD", "--workload", str(path)]
    assert run_bench.main(arguments) == 2
    assert "so it has no other revision. Name its repository with --repo DIR." in (
        capsys.readouterr().err
    )


def test_thresholds_come_from_the_file_and_the_options(tmp_path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(
        "[tool.feedrate.guard]\n"
        'threshold = "4%"\n'
        'metrics = ["seconds_per_example", "latency_p95"]\n'
        "[tool.feedrate.guard.thresholds]\n"
        'prose = "8%"\n'
        "prices = { latency_p95 = 0.2 }\n"
    )
    loaded = guard_settings.load(path)
    assert loaded.thresholds("x") == {"seconds_per_example": 0.04, "latency_p95": 0.04}
    assert loaded.thresholds("prose") == {
        "seconds_per_example": 0.08,
        "latency_p95": 0.08,
    }
    assert loaded.thresholds("prices") == {
        "seconds_per_example": 0.04,
        "latency_p95": 0.2,
    }
    stricter = guard_settings.load(
        path, threshold=0.02, metrics=["peak_resident_bytes"]
    )
    assert stricter.thresholds("x") == {"peak_resident_bytes": 0.02}
    time, phases = {"seconds_per_example": 0.03}, dict.fromkeys(PHASES, 0.2)
    assert guard_settings.load(None, live=False).thresholds("x") == time
    assert guard_settings.load(None).thresholds("x") == time | phases
    assert guard_settings.load(None, metrics=["phases"]).thresholds("x") == phases
    general = guard_settings.load(None, threshold=0.05).thresholds("x")
    assert general == {"seconds_per_example": 0.05} | phases
    path.write_text('[tool.feedrate.guard.thresholds]\nx = { phases = "50%" }\n')
    own = guard_settings.load(path, metrics=["seconds_per_example"]).thresholds("x")
    assert own == time | dict.fromkeys(PHASES, 0.5)
    both = guard_settings.load(None, metrics=["cpu_seconds_per_example", "latency_p95"])
    assert both.thresholds("x") == {"cpu_seconds_per_example": 0.03, "latency_p95": 0.2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thresold = 1", "No key named 'thresold'. Did you mean 'threshold'?"),
        ('metrics = ["time"]', "No metric named 'time'."),
        ('threshold = "5 per cent"', "A threshold is spelled 3% or 0.03"),
        (
            "threshold = true",
            "'{path}': 'threshold' must be a number or text, got True.",
        ),
        ("[thresholds]\nx = { time = 1 }", "No metric named 'time'."),
        ("[thresholds", "is not valid TOML"),
        (
            'thresholds = "5%"',
            "'{path}': 'thresholds' must be a table, got '5%'.",
        ),
        ("metrics = 5", "'metrics' must be a list, got 5."),
        ("metrics = [5]", "'metrics[0]' must be text, got 5."),
        (
            'metrics = "latency_p95"',
            "'{path}': 'metrics' must be a list, got 'latency_p95'.",
        ),
    ],
)
def test_a_file_without_meaning_is_refused(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "guard.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        guard_settings.load(path)
    assert message.replace("{path}", str(path)) in str(error.value)


def test_a_project_whose_table_is_none(tmp_path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool]\nfeedrate = 5\n")
    with pytest.raises(UsageError) as error:
        guard_settings.load(path)
    assert str(error.value) == (
        f"'{path}', [tool.feedrate.guard]: 'feedrate' must be a table, got 5."
    )


def test_a_threshold_of_a_trial_overrides_that_of_its_workload(
    tmp_path,
) -> None:
    path = tmp_path / "guard.toml"
    path.write_text(
        "[thresholds]\n"
        '"mine.py" = 0.08\n"mine.py[prefetch=2]" = 0.05\nnone = 0.1\n"gone.py" = 0.1\n'
    )
    settings = guard_settings.load(path)
    keys = ("mine.py", "mine.py[prefetch=1]", "mine.py[prefetch=2]", "mine.py:a")
    limits = [settings.thresholds(key)["seconds_per_example"] for key in keys]
    assert limits == [0.08, 0.08, 0.05, 0.03]
    rows = [
        Row(key=key, metric="seconds_per_example", verdict="unchanged")
        for key in keys[1:3]
    ]
    result = GuardResult(base="a", head="b", how="stored", rows=rows, notes=["before"])
    assert settings.note_unused_overrides(result).notes == [
        "before",
        "No trial here for [tool.feedrate.guard.thresholds]: none, gone.py.",
    ]
    assert guard_settings.Settings().note_unused_overrides(result) is result


@pytest.fixture
def of_folders(monkeypatch):
    """Return a guard of two folders with a known verdict, and its command line."""

    def ended(verdict: str, *arguments: str) -> int:
        row = Row(key="x", metric="seconds_per_example", verdict=verdict)
        result = GuardResult(base="a", head="b", how="stored", rows=[row])
        monkeypatch.setattr(stored, "folders", lambda *_: result)
        return run_bench.main(["guard", "a", "b", *arguments])

    return ended


@pytest.mark.parametrize(("verdict", "code"), [("unchanged", 2), ("slower", 1)])
def test_a_late_write_error_hides_no_verdict(
    verdict: str, code: int, monkeypatch, tmp_path, capsys
) -> None:
    """The verdict is printed first; a pass becomes exit code 2."""

    def full(*_: object) -> None:
        assert "Guard: " in capsys.readouterr().out
        raise UsageError("no space for the history")

    monkeypatch.setattr(history, "append", full)
    history_file = str(tmp_path / "h.jsonl")
    row = Row(key="x", metric="seconds_per_example", verdict=verdict)
    result = GuardResult(base="a", head="b", how="lockstep", rows=[row])
    monkeypatch.setattr(live, "against_ref", lambda *_: result)
    words = ["guard", "--against-ref", "main", "--history", history_file]
    assert run_bench.main(words) == code
    assert capsys.readouterr().err == "error: no space for the history\n"


def test_a_late_write_error_is_printed(
    of_folders, monkeypatch, tmp_path, capsys
) -> None:
    monkeypatch.setattr(guard, "check_writable", lambda path: None)
    path = tmp_path / "gone" / "junit.xml"
    assert of_folders("slower", "--junit", str(path)) == 1
    printed = capsys.readouterr()
    assert "regressed (exit 1)" in printed.out
    assert printed.err == f"error: Cannot write '{path}': No such file or directory.\n"


def test_a_verdict_that_cannot_be_printed_is_in_the_exit_code(
    of_folders, monkeypatch, tmp_path, capsys
) -> None:
    """A terminal may be closed; the files have the verdict too."""

    def closed(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(output, "terminal", closed)
    monkeypatch.setattr(shell, "discard_output", lambda stream: None)
    path = tmp_path / "junit.xml"
    assert of_folders("slower", "--junit", str(path)) == 1
    assert path.exists()
    assert capsys.readouterr().err == (
        "error: Cannot write to standard output: Input/output error.\n"
    )


def test_on_github_json_is_all_of_standard_output(
    of_folders, monkeypatch, capsys
) -> None:
    """The annotations go to standard error."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert of_folders("slower", "--json") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["exit_code"] == 1
    assert printed.err.startswith("::error title=Feedrate guard::Guard: regressed")


def test_an_error_in_the_program_is_no_verdict(monkeypatch, capsys) -> None:
    """Python's own exit code 1 would mean that a trial is slower."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(stored, "folders", broken)
    assert run_bench.main(["guard", "a", "b"]) == 5
    assert "ZeroDivisionError: a fault" in capsys.readouterr().err
    monkeypatch.setattr(listing, "main", broken)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert run_bench.main(["list"]) == 70
    assert capsys.readouterr().err.splitlines()[-1] == (
        "::error title=Feedrate::ZeroDivisionError: a fault"
    )


def test_a_failed_trial_makes_no_baseline(monkeypatch, tmp_path, capsys) -> None:
    """The exit code is 5, and not that of bad use."""
    failed = factory.run(
        factory.trial(), error=Failure(type="ValueError", message="no")
    )
    monkeypatch.setattr(stored, "_measured", lambda *_: [failed])
    path = tmp_path / "base.json"
    assert run_bench.main(["guard", "--save-baseline", str(path)]) == 5
    assert capsys.readouterr().err == (
        "error: 'prose' failed, so no baseline is saved: ValueError: no\n"
    )
    assert not path.exists()
