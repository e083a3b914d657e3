"""Tests of the scope of a guard of two revisions: its trials and their files."""

from pathlib import Path

import pytest

from bench import catalog
from bench.data import source
from bench.errors import UsageError
from bench.guard import scope
from bench.guard.scope import Trees
from bench.plan import sweeps
from bench.run.protocol import Harness, environment


def trials(base: Path, **axes: tuple) -> list[str]:
    """Return the keys of trials of `prose`, in this suite's own repository."""
    sweep = sweeps.narrow(sweeps.find("guard"), workloads=["prose"], axes=axes)
    head, only_in_base, refused, _ = scope.trials(
        Trees(catalog.ROOT, base, ours=True), sweep, named=True, seed=0, data=""
    )
    assert only_in_base == []
    return [*(trial.key for trial in head), *refused]


def test_an_axis_that_the_harness_of_base_lacks_is_refused(tmp_path: Path) -> None:
    """Base would ignore the axis, and measure its default instead."""
    assert trials(catalog.ROOT, cpus=(1,)) == ["prose[cpus=1]"]
    assert trials(catalog.ROOT, cpus=(1, 4096)) == [
        *("prose[cpus=1]", "prose[cpus=4096]")  # the latter is left out, with a note
    ]
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "pipeline.py").write_text("class P:\n    batch_size: int = 1")
    assert trials(tmp_path, batch_size=(8,)) == ["prose[batch_size=8]"]
    with pytest.raises(UsageError) as caught:
        trials(tmp_path, cpus=(1,))
    assert str(caught.value) == (
        "'prose[cpus=1]': base has no axis 'cpus' yet, and would measure something "
        "else. Leave it out, or compare with a later base."
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", ""),
        ("cifar10", "cifar10"),
        ("photos", "{here}/photos"),
        ("rows.csv:price", "{here}/rows.csv:price"),
        ("nowhere.csv:price", "nowhere.csv:price"),
        ("skip-damaged:photos", "skip-damaged:{here}/photos"),
    ],
)
def test_data_have_an_absolute_path_for_the_trees_of_both_sides(
    data: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "rows.csv").touch()
    assert source.absolute(data) == expected.format(here=tmp_path)
    monkeypatch.setenv("FEEDRATE_CACHE", "cache")
    assert environment(Harness())["FEEDRATE_CACHE"] == f"{tmp_path}/cache"
