"""The table counts the outcomes of each method; a missing tool is an error."""

import sys

import pytest

from bench.errors import UsageError
from bench.selftest import guard_error_rates, injection, other_tools


def line(method: str, code: int, **more) -> dict:
    """A comparison of prose that was 5 % slower, without a neighbour, in 19.6 s."""
    case = {"workload": "prose", "change": 0.05, "neighbour": False, "seconds": 19.6}
    return {"method": method, "exit": code, **case, **more}


def test_the_guard_comes_first_among_the_methods_of_a_cell() -> None:
    lines = [line("asv 5%", 0)]
    lines += [line("guard", code, log_ratios=[0.04, 0.06]) for code in (1, 1, 3)]
    rows = guard_error_rates.table(lines).splitlines()[2:]
    assert rows[:2] == [
        "| no | 5 % | all | guard | 3 | 2 | 1 | 0 | 9 to 99 % | 20 |  |",
        "| no | 5 % | all | asv 5% | 1 | 0 | 0 | 1 | 0 to 98 % | 20 |  |",
    ]
    assert [row.replace("| prose |", "| all |") for row in rows[2:]] == [
        rows[0].replace("|  |", "| +5.1 % |"),
        rows[1],
    ]


def test_other_tools_time_the_next_batch_of_a_file(tmp_path) -> None:
    """The file stands alone, as in the repository that asv measures."""
    path = injection.write("prices", 0.0, tmp_path)
    settings = {"order": "batch_map", "batch_size": 8}
    batch = other_tools.drain(str(path), settings, str(tmp_path))
    assert [len(batch()[0]) for _ in range(3)] == [8] * 3


def test_a_missing_tool_is_an_error_before_anything_slow() -> None:
    tool = other_tools.Tool(
        title="x", package="no-such-tool", compare=lambda sides: (False, "")
    )
    with pytest.raises(UsageError) as missing:
        tool.check_installed()
    assert str(missing.value) == (
        "no-such-tool is not installed, as it is no dependency of Feedrate. To compare "
        f"with it: {sys.executable} -m pip install no-such-tool"
    )
