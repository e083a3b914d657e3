"""Tests of the guard's history file, and of change points in synthetic series."""

import dataclasses
import json
import resource

import factory
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from bench import catalog, store
from bench.analysis import table as tables
from bench.commands.history import show as print_history
from bench.errors import UsageError
from bench.guard import history
from bench.guard.record import GuardResult, Row

STEP = np.log(1.05)
NOISE = 0.01
START = pd.Timestamp("2025-01-01T00:00:00+00:00")


def guarded(number=0, seconds=0.01, reference=0.002, key="prose", **fields):
    started = (START + pd.Timedelta(days=number)).isoformat()
    fields = {"machine": factory.MACHINE, "started": started} | fields
    return GuardResult(
        base="ref main",
        head=f"commit {number}",
        how="lockstep",
        rows=[Row(key=key, metric="seconds_per_example", verdict="unchanged")],
        reference=reference,
        seconds_per_example={key: seconds},
        **fields,
    )


def guards(logs, reference=0.002, **fields):
    return [
        guarded(n, float(np.exp(log)) * reference, reference, **fields)
        for n, log in enumerate(logs)
    ]


def noise(seed, count):
    return np.random.default_rng(seed).normal(0, NOISE, count)


def stepped(seed, before, after):
    return noise(seed, before + after) + np.repeat([0, STEP], [before, after])


def test_appended_guards_are_read_back(tmp_path):
    path = tmp_path / "history.jsonl"
    guards = [guarded(n, notes=["a\nb"], conditions={"steal": 0.1}) for n in range(3)]
    for one in guards:
        history.append(path, one)
    assert history.read(path) == (guards, [])
    assert len(path.read_bytes().splitlines()) == 3


def test_an_incomplete_line_is_skipped_with_a_note(tmp_path):
    path = tmp_path / "history.jsonl"
    history.append(path, guarded(0))
    with path.open("ab") as file:
        file.write(path.read_bytes()[:100])
    note = f"{path}, line 2: cut off (an interrupted write); left out."
    assert history.read(path) == ([guarded(0)], [note])
    history.append(path, guarded(1))
    assert history.read(path) == ([guarded(0), guarded(1)], [note])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"schema": 1}', "not a guard: Object missing required field `guarded`."),
        (b"[]", "not a guard: Expected `object`, got `array`."),
        (b'{"schema": 9}', "schema 9, and this version reads 1."),
    ],
)
def test_a_whole_line_that_is_not_a_guard_is_an_error(line, message, tmp_path):
    path = tmp_path / "history.jsonl"
    history.append(path, guarded())
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(UsageError) as error:
        history.read(path)
    assert str(error.value) == f"{path}, line 2: {message}"


def test_a_missing_file_and_one_that_cannot_be_written_are_errors(tmp_path):
    with pytest.raises(UsageError) as error:
        history.read(tmp_path / "none")
    assert str(error.value) == (
        f"No history at '{tmp_path}/none': No such file or directory. "
        "`run_bench.py guard --history FILE` writes one."
    )
    with pytest.raises(UsageError) as error:
        history.append(tmp_path, guarded())
    assert str(error.value) == (
        f"Cannot write to the history '{tmp_path}': Is a directory. Name another file "
        "with --history."
    )


def test_a_line_that_fits_only_in_part_is_an_error(tmp_path):
    path = tmp_path / "history.jsonl"
    history.append(path, guarded(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        with pytest.raises(UsageError, match="No space left on device"):
            history.append(path, guarded(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_histories_in_result_folders_are_read_together(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        history.append(tmp_path / name / history.FILE, guarded(ord(name)))
    read, notes = history.read_folders(
        [tmp_path / "a", tmp_path / "none", tmp_path / "b"]
    )
    assert [one.head for one in read] == ["commit 97", "commit 98"]
    assert notes == []


def test_the_table_has_a_row_a_guard_and_trial_oldest_first():
    other = factory.MACHINE | {"cpu": "Other CPU"}
    guards_made = [
        guarded(2, 0.03, 0.01),
        guarded(1, 0.02, 0.01),
        guarded(0, 0.5, 0.1, machine=other),
        guarded(3, 0.02, None),
    ]
    frame = history.to_frame(guards_made)
    assert tuple(frame.columns) == history.COLUMNS
    assert list(frame["head"]) == ["commit 1", "commit 2", "commit 3", "commit 0"]
    assert list(frame["ratio"].round(9).fillna(-1)) == [2.0, 3.0, -1.0, 5.0]
    assert frame["machine"].nunique() == 2
    assert frame["started"].iloc[0] == START + pd.Timedelta(days=1)


def test_no_guards_give_an_empty_table_and_no_changes():
    empty = history.to_frame([])
    assert tuple(empty.columns) == history.COLUMNS
    assert tuple(history.changes(empty).columns) == history.CHANGES
    assert history.changes(empty).empty
    without = history.to_frame([guarded(n, reference=None) for n in range(20)])
    assert history.changes(without).empty


@pytest.mark.parametrize("before", [10, 20, 60])
def test_a_step_of_5_percent_is_detected_within_three_runs(before):
    detected = 0
    for seed in range(200):
        logs = stepped(seed, before, 3)
        detected += any(abs(c - before) <= 1 for c in history.change_points(logs))
    assert detected >= 194


@pytest.mark.parametrize(
    ("runs", "most"), [(8, 0.07), (20, 0.04), (50, 0.015), (200, 0.01)]
)
def test_pure_noise_rarely_has_a_change(runs, most):
    false = [bool(history.change_points(noise(seed, runs))) for seed in range(1000)]
    assert np.mean(false) <= most


@pytest.mark.parametrize("runs", [20, 100])
def test_heavy_tails_do_not_look_like_changes(runs):
    rng = np.random.default_rng(1)
    series = rng.standard_t(3, (500, runs)) * NOISE
    assert np.mean([bool(history.change_points(one)) for one in series]) <= 0.05


def test_one_outlier_is_no_change():
    for seed in range(100):
        logs = noise(seed, 30)
        logs[17] += 0.3
        assert history.change_points(logs) == []


def test_steps_up_and_down_are_both_detected():
    logs = noise(3, 60) + np.repeat([0, STEP, -STEP], 20)
    frame = history.changes(history.to_frame(guards(logs)))
    assert list(frame["head"]) == ["commit 20", "commit 40"]
    assert list(frame["change"]) == pytest.approx([0.05, -0.093], abs=0.008)
    assert list(frame["after"] / frame["before"] - 1) == pytest.approx(frame["change"])
    assert list(frame["runs"]) == [20, 20]
    assert list(frame["place"]) == [20, 40]


def test_levels_that_repeat_exactly_and_tiny_steps_are_no_changes():
    assert history.change_points(np.zeros(30)) == []
    assert history.change_points(np.repeat([0, 0.008], 15)) == []
    assert history.change_points(np.repeat([0, 0.012], 15)) == [15]
    assert history.change_points(np.repeat([0, 1.0], [3, 4])) == []


def test_machines_and_trials_are_separate_series():
    other = factory.MACHINE | {"cpu": "Other CPU"}
    made = guards(noise(1, 15)) + guards(noise(2, 15) + 1, machine=other)
    assert history.changes(history.to_frame(made)).empty
    made = guards(noise(1, 15)) + guards(stepped(4, 10, 5), key="other")
    assert list(history.changes(history.to_frame(made))["key"]) == ["other"]


def test_raw_times_hide_what_the_ratio_shows():
    """A shared machine drifts by 1 % a run and varies by 5 % from day to day.

    Ten runs after a 5 % step the ratio shows it in every series, and hardly any other
    change. Raw seconds show it in a fifth, besides more changes of the machine.
    """
    detected = {"ratio": 0, "raw": 0}
    false = {"ratio": 0, "raw": 0}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        machine = np.cumsum(rng.normal(0, 0.01, 40)) + rng.normal(0, 0.05, 40)
        raw = stepped(seed + 1000, 30, 10) + machine
        reference = rng.normal(0, NOISE, 40) + machine
        for name, logs in (("ratio", raw - reference), ("raw", raw)):
            at = [abs(c - 30) <= 1 for c in history.change_points(logs)]
            detected[name] += any(at)
            false[name] += at.count(False)
    assert detected["ratio"] >= 99
    assert detected["raw"] <= 30
    assert false["ratio"] <= 3
    assert false["raw"] >= 20


def text_of(drawn):
    return " ".join(t.get_text() for t in drawn.findobj(mpl.text.Text)).replace(
        "\n", " "
    )


def measured(count, slower_from=99):
    """Return the runs of result folders, latest first, and the folder of each run."""
    naive, fast = factory.trial(), factory.trial("vectorized")
    runs, folders = [], []
    for n in reversed(range(count)):
        seconds = {naive: 0.01, fast: 0.0021 if n >= slower_from else 0.002}
        machine = factory.MACHINE | {"keras": f"3.{n}"}
        for run in factory.runs(seconds, seed=n, run_noise=0.003, machine=machine):
            started = f"2025-01-{n + 1:02}T00:00:00+00:00"
            runs.append(dataclasses.replace(run, started=started))
            folders.append(f"results/quick-{n}")
    return runs, folders


def draw(runs, folders=None, guards=()):
    samples = tables.from_runs(runs, folders)
    samples.attrs["history"] = list(guards)
    return catalog.load(catalog.entries("plots")["history"]).draw(samples)


def test_folders_are_drawn_in_the_order_of_time_over_their_own_baseline():
    drawn = draw(*measured(4, slower_from=3))
    panel = drawn.axes[0]
    (line,) = panel.get_lines()
    assert line.get_ydata() == pytest.approx([1, 1, 1, 2.0 / 2.1], abs=0.01)
    labels = [tick.get_text() for tick in panel.get_xticklabels()]
    assert labels == [f"2025-01-0{n + 1}\nquick-{n}" for n in range(4)]
    assert "vectorized: \u00d74.99, now \u00d74.77" in text_of(drawn)
    assert "baseline naive" in text_of(drawn)


def test_one_folder_is_no_history():
    runs, _ = measured(3)
    assert draw(runs) is None
    assert draw(runs, ["only"] * len(runs)) is None


def test_guard_runs_are_drawn_with_their_changes():
    made = guards(stepped(1, 25, 12)) + guards(noise(5, 37), key="calm.py")
    drawn = draw([factory.run(factory.trial())], None, made)
    changed, _, calm, _ = drawn.axes
    assert changed.get_title(loc="left") == "prose"
    assert calm.get_title(loc="left") == "calm.py"
    assert "+5.1 %: commit 25" in text_of(changed)
    assert len(changed.get_lines()) == 2
    assert len(calm.get_lines()) == 1
    drawn.canvas.draw()


@pytest.mark.parametrize("text", ["$\\frac{x$", "\u202e\x1b[31m", "x" * 5000])
def test_hostile_names_are_drawn_as_text(text):
    made = [
        dataclasses.replace(one, head=text)
        for one in guards(stepped(1, 25, 12), key=text)
    ]
    drawn = draw(*measured(2), made)
    drawn.canvas.draw()
    assert "\x1b" not in text_of(drawn)


def test_a_history_is_printed_and_drawn(tmp_path, capsys):
    path = tmp_path / "history.jsonl"
    for one in guards(stepped(1, 25, 12)):
        history.append(path, one)
    assert history.holds_guards(path)
    assert print_history(path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "37 guard runs; 37 figures of 1 trials over a reference; 1 changes of level.",
        "prose: +5.1 % from 2025-01-26 on, commit 25 first; 12 runs at that level.",
        f"Figure: {tmp_path}/history.png",
    ]
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    assert print_history(path, as_json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["history"]) == 37
    assert printed["changes"][0]["head"] == "commit 25"
    with pytest.raises(UsageError) as error:
        print_history(path, out=path)
    assert str(error.value) == (
        f"Cannot write '{path}/history.png': File exists. Name another folder with "
        "--out."
    )


def test_a_history_without_a_reference_is_noted(tmp_path, capsys):
    path = tmp_path / "history.jsonl"
    history.append(path, guarded(reference=None))
    assert print_history(path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 guard runs; 0 figures of 0 trials over a reference; 0 changes of level.",
        "No reference workload was measured, so nothing can be followed.",
    ]


def test_a_file_of_runs_is_no_history(tmp_path):
    store.append(tmp_path, factory.run(factory.trial()))
    assert not history.holds_guards(tmp_path)
    assert not history.holds_guards(tmp_path / store.FILE)
    assert not history.holds_guards(tmp_path / "none")
