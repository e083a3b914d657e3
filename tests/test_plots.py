"""Every figure of the shelf is drawn where its trials exist, and safe with any text."""

import functools
import xml.etree.ElementTree as ElementTree

import factory
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from bench import catalog
from bench.analysis import table
from bench.report import figure, png
from bench.trial import Failure

PLOTS = catalog.entries("plots")


def draw(name, runs):
    # History compares folders, all others look at one.
    folders = [f"{run.round % 2}" if name == "history" else "" for run in runs]
    return catalog.load(PLOTS[name]).draw(table.from_runs(runs, folders))


def text_of(fig):
    return " ".join(
        element.get_text() for element in fig.findobj(mpl.text.Text)
    ).replace("\n", " ")


SERVED = {f"latency_p{p}_seconds": p / 1e4 for p in (50, 95, 99)}
COUNTED = {
    "positive_share": 0.507,
    "positive_share_error": 0.02,
    "unique_positives": 490.0,
    "records_read_per_example": 280.0,
}
SPANS = [
    ("wait", 0.0, 0.03),
    ("read", 0.0, 0.01),
    ("map", 0.01, 0.03),
    ("train", 0.03, 0.1),
]
GRAPH = [
    {"name": "TensorSlice", "inputs": [], "elements": 64, "processing_seconds": 0.001},
    {"name": "Map", "inputs": [0], "elements": 64, "processing_seconds": 0.012},
    {"name": "BatchV2", "inputs": [1], "elements": 2, "processing_seconds": 0.001},
    {"name": "Root", "inputs": [2], "elements": 2, "processing_seconds": 0.5},
]


def made_for(name, workload="prose"):
    """Make runs that this figure can show."""
    trial = functools.partial(factory.trial, workload=workload)
    fields = {"graph": GRAPH}
    if name == "grid":
        trials = [
            trial(s, map_parallel_calls=calls)
            for s in ("naive", "vectorized")
            for calls in (0, "autotune")
        ]
    elif name == "cache":
        names = ("naive", "cached_raw", "cached_mapped")
        trials = [trial(strategy, unit="epoch") for strategy in names]
    elif name == "resampling":
        trials = [trial(resample=how) for how in ("none", "split")]
        fields = {"facts": COUNTED}
    elif name == "latency":
        trials = [trial(p, consumer="serve") for p in ("naive",)]
        trials += [trial(placement="model", consumer="serve")]
        fields = {"facts": SERVED}
    elif name == "timeline":
        trials = [trial(consumer="train", prefetch=number) for number in (0, 2)]
        fields = {"spans": SPANS}
    elif name == "growth":
        trials = [trial(batch_size=size) for size in (32, 256)]
    else:
        names = ("naive", "vectorized", "in_model", "offline")
        trials = [trial(strategy) for strategy in names]
    return factory.runs(dict.fromkeys(trials, 0.01), **fields)


@pytest.fixture
def runs(request):
    """Make the runs for the figure named by the test's `name`."""
    return made_for(request.node.callspec.params["name"])


@pytest.mark.parametrize("name", PLOTS)
def test_a_figure_where_there_are_trials(name, runs):
    fig = draw(name, runs)
    assert isinstance(fig, Figure)
    fig.canvas.draw()


@pytest.mark.parametrize("name", PLOTS)
def test_no_figure_where_there_are_none(name):
    failure = Failure(type="Timeout", message="120 s")
    assert draw(name, []) is None
    assert draw(name, [factory.run(factory.trial(), error=failure)]) is None


@pytest.mark.parametrize("name", PLOTS)
def test_one_sample_is_enough_or_nothing_is_drawn(name):
    fig = draw(name, [factory.run(factory.trial(), [0.01])])
    if name in ("phases", "spread", "throughput"):
        assert isinstance(fig, Figure)
    elif fig is not None:
        fig.canvas.draw()


LONG = "a/folder/of/mine/with_a_workload_of_a_name_that_needs_a_second_line.py"


@pytest.mark.parametrize("workload", ["prose", LONG])
@pytest.mark.parametrize("name", PLOTS)
def test_one_trial_has_room_for_its_names(name, workload):
    """A layout without room is a warning, and so an error in tests."""
    runs = made_for(name, workload)
    fig = draw(name, [run for run in runs if run.key == runs[0].key][:1])
    if name in ("stages", "latency", "phases", "spread", "throughput", "timeline"):
        assert isinstance(fig, Figure)
    for panel in fig.axes if fig else []:
        fig.draw_without_rendering()
        inches = panel.get_window_extent().height / fig.dpi
        assert inches > 0.3, panel.get_title()


@pytest.mark.parametrize("name", PLOTS)
def test_the_caption_has_the_length_of_a_line(name):
    assert 40 < len(PLOTS[name].summary) <= 88


@pytest.mark.parametrize("name", PLOTS)
def test_hostile_names_are_drawn_as_text(name, tmp_path):
    hostile = "$\\frac{</svg><script>}$ \u202e日本\x1b & \"'" + "x" * 10_000
    runs = made_for(name, hostile)
    fig = draw(name, runs)
    text = figure.svg(fig, "a", hostile)
    root = ElementTree.fromstring(text)
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    assert len(text) < 200_000
    png.write(figure.vector(fig), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_that_cannot_be_written_is_an_error_with_its_cause(tmp_path):
    svg = figure.vector(draw("throughput", made_for("throughput")))
    with pytest.raises(RuntimeError) as lost, png.beside() as rasterise:
        rasterise(svg, tmp_path / "nowhere" / "a.png")
        rasterise(svg, tmp_path / "b.png")
    path = tmp_path / "nowhere" / "a.png"
    assert str(lost.value) == (
        "Figures could not be written as PNG: "
        f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'"
    )


@pytest.mark.parametrize("name", PLOTS)
def test_drawing_leaves_the_users_style_alone(name, runs):
    before = dict(mpl.rcParams)
    draw(name, runs)
    assert dict(mpl.rcParams) == before


def test_throughput_shows_every_run_and_the_factor():
    fast = factory.trial("vectorized")
    fig = draw("throughput", factory.runs({factory.trial(): 0.01, fast: 0.002}))
    (axes,) = fig.axes
    dots = max(len(c.get_offsets()) for c in axes.collections)
    assert dots == 10
    assert "\u00d74.9" in text_of(fig)
    assert "baseline" in text_of(fig)
    assert axes.get_xlabel() == "examples a second"


def test_placement_is_relative_to_the_dataset_and_hatches_jit():
    trials = {
        factory.trial(consumer="train"): 0.01,
        factory.trial("in_model", consumer="train"): 0.02,
        factory.trial("in_model", consumer="train", jit="on"): 0.005,
    }
    (axes,) = draw("placement", factory.runs(trials)).axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([1, 0.5, 2], rel=0.05)
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [False, False, True]


def test_phases_are_stacked_in_order():
    (axes,) = draw("phases", factory.runs({factory.trial(): 0.01})).axes
    edges = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert np.array(edges) == pytest.approx(
        np.array([(0, 0.2), (0.2, 0.5), (0.7, 0.05), (0.75, 0.02), (0.77, 0.4)])
    )
    assert axes.get_xlabel() == "seconds"


def test_spread_shows_every_sample_in_order():
    samples = [0.01, 0.02, 0.01, 0.01]
    runs = [factory.run(factory.trial(), samples, round=n) for n in range(2)]
    (axes,) = (a for a in draw("spread", runs).axes if a.get_visible())
    dots = axes.collections[0].get_offsets()
    assert dots[:, 1].tolist() == pytest.approx([1, 2, 1, 1] * 2)


@pytest.mark.parametrize("name", PLOTS)
def test_axes_are_named(name, runs):
    fig = draw(name, runs)
    panels = [axes for axes in fig.axes if axes.axison]
    assert fig.get_supxlabel() or all(axes.get_xlabel() for axes in panels)


def test_ink_follows_the_page():
    text = figure.svg(draw("phases", made_for("phases")), "a", "phases")
    assert "currentColor" in text and figure.INK not in text


def test_a_grid_is_relative_to_its_plain_cell():
    trials = {
        factory.trial(map_parallel_calls=0): 0.02,
        factory.trial(map_parallel_calls=2): 0.01,
        factory.trial("vectorized"): 0.005,
        factory.trial("vectorized", map_parallel_calls=2): 0.002,
    }
    fig = draw("grid", factory.runs(trials, run_noise=0.001))
    (axes,) = fig.axes
    shown = [text.get_text() for text in axes.texts if text.get_text()]
    assert shown[0] == "1"
    figures = [float(text[1:]) for text in shown if text.startswith("\u00d7")]
    assert sorted(figures) == pytest.approx([2, 4, 10], rel=0.01)
    assert "map_parallel_calls" in axes.get_xlabel()


def test_a_grid_needs_its_plain_cell():
    trials = {
        factory.trial(map_parallel_calls=2): 0.01,
        factory.trial("vectorized"): 0.005,
        factory.trial("vectorized", map_parallel_calls=2): 0.002,
    }
    assert draw("grid", factory.runs(trials)) is None


def test_a_cell_that_may_not_be_ranked_is_left_out_of_a_grid():
    trials = {
        factory.trial(): 0.02,
        factory.trial(map_parallel_calls=2): 0.01,
        factory.trial("vectorized"): 0.005,
    }
    last = factory.trial("vectorized", map_parallel_calls=2)
    runs = factory.runs(trials, run_noise=0.001)
    runs += factory.runs({last: 0.002}, run_noise=0.001, flags=["retraced"])
    (axes,) = draw("grid", runs).axes
    shown = [text.get_text() for text in axes.texts if text.get_text()]
    figures = [float(text[1:]) for text in shown if text.startswith("\u00d7")]
    assert sorted(figures) == pytest.approx([2, 4], rel=0.01)


def epochs(strategy, seconds, measured=None, **settings):
    """Make a run whose epochs of 20 batches take these seconds."""
    trial = factory.trial(strategy, unit="epoch", **settings)
    return factory.run(trial, [s / 20 for s in seconds], **(measured or {}))


def labels(runs):
    """Return the label of each cache below the panel."""
    return [t.get_text() for t in draw("cache", runs).axes[1].get_legend().texts]


def test_a_cache_pays_where_its_total_is_below_that_of_none():
    prepared = {**factory.PHASES, "offline": 5.0}
    runs = [
        epochs("naive", [1, 1, 1, 1]),
        # Costs 1 s more in its first epoch, then gains 0.4 an epoch: 4 epochs in all.
        epochs("cached_mapped", [2, 0.6, 0.6], {"facts": {"cache_bytes": 16e6}}),
        epochs("cached_raw", [1.1, 1.05, 1.05]),
        # Prepared for 5 s before, then gains 0.9 an epoch: from the sixth on.
        epochs("naive", [0.1, 0.1], {"phases": prepared}, placement="offline"),
    ]
    shown = labels(runs)
    assert "no cache" in shown
    assert "mapped in memory; 16 MB; pays from epoch 4" in shown
    assert "raw in memory; never pays" in shown
    assert "offline; pays from epoch 6" in shown


def test_a_cache_is_compared_with_none_in_its_own_placement():
    runs = [
        epochs("naive", [1, 1, 1]),
        epochs("naive", [9, 9, 9], placement="model"),
        epochs("cached_raw", [1.15, 0.9, 0.9]),
        epochs("cached_raw", [9.5, 8, 8], placement="model"),
    ]
    assert set(labels(runs)) == {
        "no cache",
        "in the model",
        "raw in memory; pays from epoch 3",
        "in the model, raw in memory; pays from epoch 2",
    }


def test_a_gain_within_the_margin_never_pays_and_one_epoch_gives_no_gain():
    runs = [
        epochs("naive", [1, 1, 1]),
        epochs("cached_raw", [1.3, 0.9999, 0.9999]),
        epochs("cached_mapped", [1.2]),
    ]
    assert set(labels(runs)) == {
        "no cache",
        "raw in memory; never pays",
        "mapped in memory",
    }
    runs = [epochs("naive", [1]), epochs("cached_raw", [1.3, 0.5, 0.5])]
    assert set(labels(runs)) == {"no cache", "raw in memory"}


def test_resampling_shows_the_target_and_the_facts():
    fig = draw("resampling", made_for("resampling"))
    share = fig.axes[0]
    assert [line.get_xdata()[0] for line in share.lines] == [0.5]
    named = {axes.get_xlabel() for axes in fig.axes}
    assert "unique positives seen" in named and "records read for each" in named
    assert "0.507" in text_of(fig) and "280" in text_of(fig)


def test_memory_marks_those_without_a_rival():
    runs = []
    for number in range(3):  # rounds
        for strategy, seconds, megabytes in (
            ("naive", 0.02, 300),
            ("vectorized", 0.01, 400),
            ("parallel", 0.011, 500),
            ("prefetched", 0.005, 600),
        ):
            runs.append(
                factory.run(
                    factory.trial(strategy),
                    [seconds],
                    round=number,
                    peak_resident_bytes=megabytes * 10**6,
                )
            )
    fig = draw("memory", runs)
    listed = fig.axes[1].texts[0].get_text().splitlines()
    assert [line.split(":")[0].split()[1] for line in listed] == [
        "naive",
        "vectorized",
        "prefetched",
    ]
    assert "0.60 GB, \u00d74" in listed[-1]
    assert fig.axes[0].get_xlabel() == (
        "peak resident memory, GB (2 % apart counts as equal)"
    )


def test_memory_that_differs_by_noise_makes_no_front():
    memory = {"naive": 332, "vectorized": 335, "parallel": 337.4}
    runs = [
        factory.run(
            factory.trial(strategy),
            [0.02 / (number + 1)],
            round=round_number,
            peak_resident_bytes=int(megabytes * 1e6),
        )
        for round_number in range(3)
        for number, (strategy, megabytes) in enumerate(memory.items())
    ]
    fig = draw("memory", runs)
    assert fig.axes[1].texts[0].get_text() == "1  parallel: 0.34 GB, \u00d73.0"
    low, high = fig.axes[0].get_xlim()
    assert high - low > 0.03
    distinct = catalog.load(PLOTS["memory"])._distinct
    assert distinct([0.33, 0.338, 0.351]) == ["0.33", "0.34", "0.35"]
    assert distinct([0.331, 0.333]) == ["0.331", "0.333"]


def test_placement_compares_trials_with_the_same_cache():
    trials = {
        factory.trial("cached_mapped"): 0.001,
        factory.trial("vectorized"): 0.01,
        factory.trial("offline"): 0.005,
    }
    (axes,) = draw("placement", factory.runs(trials, run_noise=0.001)).axes
    names = [text.get_text().replace("\n", " ") for text in axes.get_yticklabels()]
    assert names == ["dataset (vectorized)", "offline"]
    assert "without cache" in axes.get_xlabel()
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([1, 2], rel=0.01)
    larger = {factory.trial(): 0.01, factory.trial("offline", batch_size=64): 0.01}
    (axes,) = draw("placement", factory.runs(larger, run_noise=0.001)).axes
    assert axes.patches[1].get_width() == pytest.approx(2, rel=0.01)  # by the example
    retraced = factory.runs({factory.trial("offline"): 0.005}, flags=["retraced"])
    plain = factory.runs({factory.trial(): 0.01})
    assert "offline, not ranked" in text_of(draw("placement", [*plain, *retraced]))


def test_a_sweeps_rows_are_named_by_what_differs():
    shared = {"cache": "raw", "shuffle_buffer": 256, "interleave_cycle_length": 4}
    shared |= {"interleave_parallel_calls": 4, "deterministic": False}
    trials = [factory.trial(prefetch=n, **shared) for n in (1, 4, 8)]
    (axes,) = draw("throughput", factory.runs(dict.fromkeys(trials, 0.01))).axes
    names = {text.get_text().replace("\n", " ") for text in axes.get_yticklabels()}
    assert len(names) == 3
    assert all("prefetch=" in name and "shuffle" not in name for name in names), names


def test_latency_shows_three_percentiles_in_milliseconds():
    (axes,) = draw("latency", made_for("latency")).axes
    marked = [c.get_offsets()[:, 0].tolist() for c in axes.collections[-3:]]
    assert marked == [
        pytest.approx([5, 5]),
        pytest.approx([9.5] * 2),
        pytest.approx([9.9] * 2),
    ]
    assert "milliseconds" in axes.get_xlabel()


def test_growth_is_cost_an_example_over_the_size():
    trials = {factory.trial(batch_size=32): 0.032, factory.trial(batch_size=256): 0.064}
    axes = draw("growth", factory.runs(trials, run_noise=0.001)).axes[0]
    (line,) = axes.lines
    assert line.get_xdata().tolist() == [32, 256]
    assert line.get_ydata() == pytest.approx([1000, 250], rel=0.01)
    assert axes.get_xlabel() == "examples a batch"


def test_growth_with_images_shows_how_pixels_grow():
    trials = {
        factory.trial(image_size=16): 0.01,
        factory.trial(image_size=64): 0.04,
        factory.trial(): 0.02,
    }
    fig = draw("growth", factory.runs(trials))
    lines = fig.axes[0].lines
    assert lines[0].get_xdata().tolist() == [16, 64]
    assert lines[1].get_ydata()[1] / lines[1].get_ydata()[0] == pytest.approx(16)
    assert "image_size" not in fig.axes[0].get_title(loc="left")


def test_stages_are_busy_milliseconds_a_batch():
    trial = factory.trial()
    (axes,) = draw("stages", [factory.run(trial, [0.01], graph=GRAPH)]).axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([0.5, 6, 0.5, 0, 0])
    assert axes.collections[0].get_offsets()[0][0] == pytest.approx(10)


def test_the_timeline_has_the_spans_of_the_run():
    runs = made_for("timeline")
    fig = draw("timeline", runs)
    assert len(fig.axes) == 2  # the first run of each trial
    for axes in fig.axes:
        bars = [
            path.get_extents().intervalx.tolist()
            for lane in axes.collections
            for path in lane.get_paths()
        ]
        expected = [[0, 10], [10, 30], [0, 30], [30, 100]]
        assert np.array(bars) == pytest.approx(np.array(expected))
        assert "1 steps, waiting 30 % of the time" in axes.get_xlabel()
        names = [tick.get_text() for tick in axes.get_yticklabels()]
        assert names == ["read", "map", "wait", "train"]


def test_spans_stay_with_a_part_of_the_table():
    samples = table.from_runs(made_for("timeline"))
    part = samples[samples["prefetch"] == "2"]
    assert len(catalog.load(PLOTS["timeline"]).draw(part).axes) == 1
    assert catalog.load(PLOTS["timeline"]).draw(samples.head(0)) is None
