"""Every figure on the shelf: drawn where its trials exist, safe with any text."""

import xml.etree.ElementTree as ElementTree

import factory
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from bench import catalog, figure, table
from bench.trial import Failure, Trial

PLOTS = catalog.entries("plots")


def draw(name, runs):
    return catalog.load(PLOTS[name]).draw(table.from_runs(runs))


def text_of(drawn):
    return " ".join(
        element.get_text() for element in drawn.findobj(mpl.text.Text)
    ).replace("\n", " ")


@pytest.fixture(scope="module")
def runs():
    """Trials of every placement."""
    names = ("naive", "vectorized", "in_model", "offline")
    return factory.runs({factory.trial(name): 0.01 for name in names})


@pytest.mark.parametrize("name", PLOTS)
def test_a_figure_where_there_are_trials(name, runs):
    drawn = draw(name, runs)
    assert isinstance(drawn, Figure)
    drawn.canvas.draw()


@pytest.mark.parametrize("name", PLOTS)
def test_no_figure_where_there_are_none(name):
    failure = Failure(type="Timeout", message="120 s")
    assert draw(name, []) is None
    assert draw(name, [factory.run(factory.trial(), error=failure)]) is None


@pytest.mark.parametrize("name", PLOTS)
def test_one_sample_is_enough_or_nothing_is_drawn(name):
    drawn = draw(name, [factory.run(factory.trial(), [0.01])])
    assert (drawn is None) == (name == "placement")


@pytest.mark.parametrize("name", PLOTS)
def test_the_caption_says_how_to_read_it(name):
    assert 40 < len(PLOTS[name].summary) <= 88


@pytest.mark.parametrize("name", PLOTS)
def test_hostile_names_are_drawn_as_text(name, tmp_path):
    hostile = "$\\frac{</svg><script>}$ \u202e日本\x1b & \"'" + "x" * 10_000
    made = factory.runs(
        {
            Trial(workload=hostile): 0.01,
            factory.trial("in_model", workload=hostile): 0.02,
        }
    )
    drawn = draw(name, made)
    text = figure.svg(drawn, "a", hostile)
    root = ElementTree.fromstring(text)
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    assert len(text) < 200_000
    figure.png(drawn, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", PLOTS)
def test_drawing_leaves_the_users_style_alone(name, runs):
    before = dict(mpl.rcParams)
    draw(name, runs)
    assert dict(mpl.rcParams) == before


def test_throughput_shows_every_run_and_the_factor():
    fast = factory.trial("vectorized")
    drawn = draw("throughput", factory.runs({factory.trial(): 0.01, fast: 0.002}))
    (axes,) = drawn.axes
    dots = max(len(c.get_offsets()) for c in axes.collections)
    assert dots == 10
    assert "\u00d74.9" in text_of(drawn)
    assert "baseline" in text_of(drawn)
    assert axes.get_xlabel() == "examples a second"


def test_placement_is_relative_to_the_dataset_and_hatches_jit():
    made = {
        factory.trial(consumer="train"): 0.01,
        factory.trial("in_model", consumer="train"): 0.02,
        factory.trial("in_model", consumer="train", jit="on"): 0.005,
    }
    (axes,) = draw("placement", factory.runs(made)).axes
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
    made = [factory.run(factory.trial(), samples, round=n) for n in range(2)]
    (axes,) = (a for a in draw("spread", made).axes if a.get_visible())
    dots = axes.collections[0].get_offsets()
    assert dots[:, 1].tolist() == pytest.approx([1, 2, 1, 1] * 2)


def test_ink_follows_the_page(runs):
    text = figure.svg(draw("phases", runs), "a", "phases")
    assert "currentColor" in text and figure.INK not in text
