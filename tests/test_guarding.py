"""The verb's bad uses, each with its own message and exit code 2."""

import pytest

import run_bench
from bench import guard_settings
from bench.errors import UsageError

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
            f"{ONE_OF}against-ref and baseline.\n",
        ),
        (["a"], "error: guard compares two result folders, A and B; got 1.\n"),
        (
            ["a", "b", "--scale-by", "prose"],
            "error: --scale-by goes with --baseline FILE alone.\n",
        ),
        (
            ["a", "b", "--threshold", "much"],
            "error: A threshold is spelled 3% or 0.03, got 'much'.\n",
        ),
        (
            ["a", "b", "--threshold", "0.1%"],
            "error: A threshold is from 1 % to 100 %, got 0.1 %: below 1 % it is "
            "chance where memory lies that decides.\n",
        ),
        (
            ["a", "b", "--metric", "seconds"],
            "error: No metric named 'seconds'. Did you mean 'seconds_per_example'?\n",
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
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == message


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
    found = guard_settings.load(path)
    assert found.thresholds("x") == {"seconds_per_example": 0.04, "latency_p95": 0.04}
    assert found.thresholds("prose") == {
        "seconds_per_example": 0.08,
        "latency_p95": 0.08,
    }
    assert found.thresholds("prices") == {
        "seconds_per_example": 0.04,
        "latency_p95": 0.2,
    }
    stricter = guard_settings.load(
        path, threshold=0.02, metrics=["peak_resident_bytes"]
    )
    assert stricter.thresholds("x") == {"peak_resident_bytes": 0.02}
    assert guard_settings.load(None).thresholds("x") == {"seconds_per_example": 0.03}
    both = guard_settings.load(None, metrics=["cpu_seconds_per_example", "latency_p95"])
    assert both.thresholds("x") == {"cpu_seconds_per_example": 0.03, "latency_p95": 0.2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thresold = 1", "No key named 'thresold'. Did you mean 'threshold'?"),
        ('metrics = ["time"]', "No metric named 'time'."),
        ('threshold = "5 per cent"', "A threshold is spelled 3% or 0.03"),
        ("threshold = true", "A threshold is spelled 3% or 0.03, got 'True'."),
        ("[thresholds]\nx = { time = 1 }", "No metric named 'time'."),
        ("[thresholds", "is not valid TOML"),
    ],
)
def test_a_file_that_means_nothing(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "guard.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        guard_settings.load(path)
    assert message in str(error.value)
