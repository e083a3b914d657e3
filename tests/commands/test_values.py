"""Values of options that several verbs share."""

from argparse import Namespace
from pathlib import Path

import pytest

import run_bench
from bench.commands import values
from bench.errors import UsageError


def test_damaged_files_are_skipped_by_a_prefix_of_the_data() -> None:
    """So that trials of both kinds have different keys, and commands repeat it."""
    options = Namespace(data="photos", skip_damaged=False)
    assert values.data(options) == "photos"
    options.skip_damaged = True
    assert values.data(options) == "skip-damaged:photos"


def test_skipping_needs_data() -> None:
    with pytest.raises(UsageError) as caught:
        values.data(Namespace(data="", skip_damaged=True))
    assert str(caught.value) == (
        "--skip-damaged leaves out files of --data, which is missing."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "--resume", "somewhere"],
            "--resume DIR continues a stored plan and takes only --precision, "
            "--budget, --limit and --json besides; got --skip-damaged.",
        ),
        (
            ["guard", "--baseline", "F"],
            "Leave out --skip-damaged with --baseline FILE, which fixes the trials and "
            "has no figures for a history.",
        ),
    ],
)
def test_a_stored_plan_has_its_own_data(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_bench.main([*arguments, "--skip-damaged"]) == 2
    assert " ".join(capsys.readouterr().err.split()) == f"error: {message}"
