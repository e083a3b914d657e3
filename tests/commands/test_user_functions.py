"""Which function `advise` calls, and what is bad use: decided by the source alone."""

from pathlib import Path

import pytest

from bench.catalog import ROOT
from bench.commands import user_functions
from bench.errors import UsageError

MODELS = """def build(units=8, *, rate=0.1):
    raise RuntimeError("nobody runs this")


def sized(units, *, rate):
    pass
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("models.py").write_text(MODELS)
    return "models.py"


def test_a_model_is_called_without_arguments(path: str) -> None:
    assert user_functions.model(f"{path}:build") == (path, "build()")


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("no.py:build", "No file at 'no.py'. Name it as path/to/file.py:function."),
        (
            "models.py",
            "Name the function that returns the compiled model, as models.py:function. "
            "models.py has: build, sized.",
        ),
        ("models.py:x", "models.py has no function 'x'. It has: build, sized."),
        (
            "models.py:sized",
            "--model models.py:sized: sized(units, *, rate) needs arguments. Give them "
            "defaults, or name a function without arguments that calls it.",
        ),
    ],
)
def test_a_model_that_cannot_be_called_is_bad_use(
    path: str, target: str, error: str
) -> None:
    with pytest.raises(UsageError) as raised:
        user_functions.model(target)
    assert str(raised.value) == error


def test_a_workload_gets_the_commands_that_answer_for_it() -> None:
    """They name the workload's file, and one more command trains its model."""
    path = str(ROOT / "bench" / "workloads" / "prose.py")
    with pytest.raises(UsageError) as raised:
        user_functions.pipeline(path, "")
    sentence, *lines = str(raised.value).split("\n")
    assert sentence == (
        f"{path} is a workload: the suite builds its pipelines, so there is no source "
        "of a pipeline to change. These commands answer for it:"
    )
    questions, commands = lines[::2], [line.split() for line in lines[1::2]]
    assert all(line.startswith("# ") for line in questions)
    run, again, compared, binds = (words[2:] for words in commands)
    assert run[:4] == again[:4] == ["run", "quick", "--workload", path]
    assert compared == ["compare", run[-1], again[-1]]
    assert binds == ["run", "bottleneck", "--workload", path]


def test_a_layer_has_no_model_to_train() -> None:
    with pytest.raises(UsageError) as raised:
        user_functions.pipeline(str(ROOT / "layers" / "random_flip.py"), "")
    assert "bottleneck" not in str(raised.value)
