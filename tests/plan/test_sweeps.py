"""Every mistake in a sweep file is reported before anything starts."""

from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.pipeline import AXES, Pipeline
from bench.plan import refusals, sweeps
from bench.trial import Effort, Trial

BLOCK = '[[block]]\nworkloads = ["prices"]\n'


def sweep_file(folder: Path, text: str) -> str:
    """Write a sweep file and return its path."""
    file = folder / "mine.toml"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("name", sweeps.names())
def test_every_named_sweep_has_a_description_and_something_to_run(name: str) -> None:
    sweep = sweeps.find(name)
    assert sweep.description.endswith(".")
    accepted, refused = sweeps.trials(sweep)
    assert len({trial.key for trial in accepted}) == len(accepted) > 0
    assert not {trial.key for trial in accepted} & set(refused)


def test_the_quick_sweep_is_the_three_workloads_under_named_strategies() -> None:
    accepted, refused = sweeps.trials(sweeps.find("quick"))
    assert {trial.workload for trial in accepted} == {"photographs", "prose", "prices"}
    assert all(trial.strategy for trial in accepted)
    assert refused == {}


def test_a_block_is_a_product_and_axes_override_strategies(tmp_path: Path) -> None:
    text = (
        '[effort]\nrounds = 2\nsteady_seconds = 3\n[[block]]\nworkloads = ["prices"]\n'
        'strategies = ["prefetched", "vectorized"]\nconsumer = "train"\n'
        'unit = "epoch"\naxes = {prefetch = [1, "autotune"], deterministic = true}\n'
    )
    sweep = sweeps.find(sweep_file(tmp_path, text))
    assert (sweep.name, sweep.effort) == ("mine", Effort(rounds=2, steady_seconds=3.0))
    accepted, _ = sweeps.trials(sweep)
    common = {"workload": "prices", "consumer": "train", "unit": "epoch"}
    assert accepted == [
        Trial(pipeline=Pipeline(**axes), **common)
        for axes in (
            {"prefetch": 1},
            {"prefetch": "autotune"},
            {"order": "batch_map", "prefetch": 1},
            {"order": "batch_map", "prefetch": "autotune"},
        )
    ]


def test_include_takes_in_another_sweep(tmp_path: Path) -> None:
    """The blocks of the included sweep come first."""
    path = sweep_file(tmp_path, 'include = ["quick"]\n' + BLOCK)
    assert sweeps.find(path).blocks == (
        *sweeps.find("quick").blocks,
        sweeps.Block(workloads=("prices",)),
    )


def test_a_shelf_can_be_named_whole(tmp_path: Path) -> None:
    """A shelf contains its variants; a kind can be selected too."""
    text = '[[block]]\nworkloads = ["layers:*", "workloads:text"]\n'
    accepted, _ = sweeps.trials(sweeps.find(sweep_file(tmp_path, text)))
    names = {trial.workload for trial in accepted}
    assert {"rescaling", "normalization:given", "prose"} <= names
    assert "photographs" not in names


@pytest.mark.parametrize(
    ("part", "present", "absent"),
    [
        ("layers:image:plain", "random_invert", "random_invert:lambda"),
        ("layers:image:deterministic", "rescaling", "random_flip"),
        ("layers:*:deterministic", "normalization:given", "random_flip"),
    ],
)
def test_a_part_of_a_kind_can_be_named(
    tmp_path: Path, part: str, present: str, absent: str
) -> None:
    text = f'[[block]]\nworkloads = ["{part}"]\n'
    accepted, _ = sweeps.trials(sweeps.find(sweep_file(tmp_path, text)))
    names = {trial.workload for trial in accepted}
    assert present in names and absent not in names


def test_a_sweep_may_state_its_own_budget(tmp_path: Path) -> None:
    assert sweeps.find(sweep_file(tmp_path, BLOCK)).budget_seconds == 0
    own = sweep_file(tmp_path, "budget_seconds = 90\n" + BLOCK)
    assert sweeps.find(own).budget_seconds == 90


def test_the_command_line_narrows_every_block() -> None:
    """Its values replace those of the sweep; its axes are added."""
    narrowed = sweeps.narrow(
        sweeps.find("quick"),
        workloads=["rescaling"],
        strategies=["naive"],
        axes={"batch_size": (64, 128)},
        consumer="train",
    )
    assert narrowed.blocks == (
        sweeps.Block(
            workloads=("rescaling",),
            strategies=("naive",),
            axes={"batch_size": (64, 128)},
            consumer="train",
        ),
    )


def test_refused_combinations_are_left_out_with_their_reason() -> None:
    block = sweeps.Block(
        workloads=("prices",), axes={"cache_storage": ("memory", "disk")}
    )
    accepted, refused = sweeps.trials(sweeps.Sweep(name="mine", blocks=(block,)))
    assert [trial.key for trial in accepted] == ["prices"]
    assert refused == {
        "prices[cache_storage=disk]": (
            "cache_storage needs a cache: add cache=raw, decoded or mapped"
        )
    }


def test_where_everything_is_refused_the_reasons_are_listed() -> None:
    block = sweeps.Block(workloads=("prices",), axes={"image_size": (96,)})
    with pytest.raises(UsageError) as caught:
        sweeps.trials(sweeps.Sweep(name="mine", blocks=(block,)))
    assert str(caught.value) == (
        "Every combination is refused, so nothing is left to run. Change the axes, "
        "the workloads or the consumer. The reasons:\n"
        "  prices[image_size=96]: image_size: the examples of 'prices' come in one size"
    )


def test_more_processors_than_there_are_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refusals, "PROCESSORS", [0, 1])
    block = sweeps.Block(workloads=("prices",), axes={"cpus": (2, 3)})
    accepted, refused = sweeps.trials(sweeps.Sweep(name="mine", blocks=(block,)))
    assert [trial.key for trial in accepted] == ["prices[cpus=2]"]
    assert refused == {
        "prices[cpus=3]": "cpus=3 is more than the 2 processors that can be used here"
    }


@pytest.mark.parametrize("text", ["batch_size", "batch_size=", "batch_size 3"])
def test_an_axis_needs_values(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        sweeps.parse_axis(text)
    assert str(caught.value) == f"--axis takes name=value,value, got '{text}'."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "'{path}' has nothing to run. Add a [[block]], include = [...], or "
            "claims = true.",
        ),
        (
            "blocks = []",
            "'{path}': No key named 'blocks'. Did you mean 'block'?",
        ),
        (
            BLOCK + 'strategy = "naive"',
            "'{path}', entry 1 of [[block]]: No key named 'strategy'. Did you mean "
            "'strategies'?",
        ),
        (
            "[effort]\nround = 3\n" + BLOCK,
            "'{path}', [effort]: No key named 'round'. Did you mean 'rounds'?",
        ),
        (
            '[effort]\nrounds = "three"\n' + BLOCK,
            "'{path}': 'effort.rounds' must be a whole number, got 'three'.",
        ),
        (
            "[effort]\nrounds = 2.5\n" + BLOCK,
            "'{path}': 'effort.rounds' must be a whole number, got 2.5.",
        ),
        (
            "[effort]\nrounds = 0\n" + BLOCK,
            "'{path}', [effort]: rounds must be above 0, got 0.",
        ),
        (
            '[[block]]\nworkloads = "prices"',
            "'{path}': 'block[0].workloads' must be a list, got 'prices'.",
        ),
        (
            "[block]\nx = 1",
            "'{path}': 'block' must be a list, got {'x': 1}.",
        ),
        (
            '[[block]]\nstrategies = ["naive"]',
            "'{path}', entry 1 of [[block]] needs workloads.",
        ),
        (
            BLOCK + 'strategies = ["naiv"]',
            "No strategy named 'naiv'. Did you mean 'naive'?",
        ),
        (
            BLOCK + 'consumer = ["drain", "train"]',
            "'{path}': 'block[0].consumer' must be text, got ['drain', 'train'].",
        ),
        (
            BLOCK + "unit = 1",
            "'{path}': 'block[0].unit' must be text, got 1.",
        ),
        (
            'claims = "no"',
            "'{path}': 'claims' must be true or false, got 'no'.",
        ),
        (
            BLOCK + 'consumer = "trian"',
            "No consumer named 'trian'. Did you mean 'train'?",
        ),
        (BLOCK + 'unit = "epochs"', "No unit named 'epochs'. Did you mean 'epoch'?"),
        (
            BLOCK + "axes = {batch_sise = 3}",
            "No axis named 'batch_sise'. Did you mean 'batch_size'?",
        ),
        (
            BLOCK + "axes = {batch_size = [32, 0]}",
            "batch_size must be a whole number from 1, got '0'.",
        ),
        (
            '[[block]]\nworkloads = ["price"]',
            "No workload named 'price'. Did you mean 'prices'?",
        ),
        (
            '[[block]]\nworkloads = ["layers:imag"]',
            "No kind on the shelf 'layers' named 'imag'. Did you mean 'image'?",
        ),
        (
            '[[block]]\nworkloads = ["layers:image:plan"]',
            "No part of 'layers:image' named 'plan'. Did you mean 'plain'?",
        ),
        ('include = ["quik"]', "No sweep named 'quik'. Did you mean 'quick'?"),
    ],
)
def test_every_mistake_in_a_sweep_file_has_its_whole_message(
    tmp_path: Path, text: str, message: str
) -> None:
    path = sweep_file(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        sweeps.trials(sweeps.find(path))
    assert str(caught.value) == message.replace("{path}", path)


def test_invalid_toml_is_reported_with_its_place(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, "[[block]]\nworkloads = [\n=")
    with pytest.raises(UsageError) as caught:
        sweeps.find(path)
    assert str(caught.value) == (
        f"'{path}' is not valid TOML: Invalid value (at line 3, column 1)."
    )


def test_a_missing_file_and_an_unknown_name_are_errors() -> None:
    with pytest.raises(UsageError) as caught:
        sweeps.find("none/mine.toml")
    assert str(caught.value) == "No sweep file at 'none/mine.toml'."
    with pytest.raises(UsageError) as caught:
        sweeps.find("quik")
    assert str(caught.value) == "No sweep named 'quik'. Did you mean 'quick'?"


def test_every_axis_can_be_swept_from_the_command_line() -> None:
    for name, axis in AXES.items():
        assert sweeps.parse_axis(f"{name}={axis.default}") == (name, (axis.default,))


def test_a_sweep_that_includes_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'include = ["{path}"]\n', encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        sweeps.find(str(path))
    assert str(caught.value) == "Sweep file 'mine.toml' includes itself."
