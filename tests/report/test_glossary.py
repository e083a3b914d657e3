"""A report explains the words that this report uses, and no others."""

import factory

from bench import flags
from bench.analysis import stats, table
from bench.pipeline import STRATEGIES
from bench.report import formats, glossary
from bench.report import labels as naming

NAIVE, FAST = factory.trial(), factory.trial("vectorized")


def terms(runs):
    return dict(glossary.entries(stats.trials(table.from_runs(runs))))


def test_every_strategy_and_flag_that_weakens_has_a_meaning():
    assert set(glossary.MEANINGS) == set(STRATEGIES)
    assert set(glossary.MARKED) == set(glossary.MARKS) >= set(flags.NOT_RANKED)


def test_only_what_is_used_is_explained():
    meanings = terms(factory.runs({NAIVE: 0.01, FAST: 0.002}))
    assert list(meanings) == ["drain", "naive", "vectorized"]
    assert meanings["vectorized"] == (
        "examples are batched first, then each batch is mapped in one call "
        "(order=batch_map)."
    )
    assert terms([]) == {}


def test_the_warm_up_is_explained_once_and_marks_no_row():
    runs = factory.runs({NAIVE: 0.01}, flags=["ramp_cut"])
    runs += factory.runs({FAST: 0.01}, flags=["frozen_random", "ramp_cut"])
    assert terms(runs)["warm-up"].startswith("in 2 of 2 trials the warm-up ended")
    assert "augmentation frozen" in terms(runs)
    (scene,) = formats.summed(runs).content["scenes"]
    assert [row["marks"] for row in scene["rows"]] == [[], ["augmentation frozen"]]


def test_energy_is_explained_where_the_report_shows_it():
    plain = factory.runs({NAIVE: 0.01})
    joules = factory.runs({FAST: 0.01}, facts={"package_joules_per_example": 0.002})
    terms = [dict(formats.summed(r).content["glossary"]) for r in (plain, joules)]
    assert ["joules" in known for known in terms] == [False, True]


def test_the_title_has_the_sweep_and_the_days():
    samples = table.from_runs(factory.runs({NAIVE: 0.01}))
    assert glossary.about(samples) == "quick, 2025-01-01"
    later = samples.assign(started="2025-01-02T00:00:00", sweep="order")
    both = table.pd.concat([samples, later])
    assert glossary.about(both) == "quick, order, 2025-01-01 to 2025-01-02"


def test_the_forms_of_the_report_explain_their_words(tmp_path):
    report = formats.summed(factory.runs({NAIVE: 0.01, FAST: 0.002}))
    report.content["source"] = "made up"
    formats.write(report, tmp_path, ("html", "md"))
    page = (tmp_path / "report.html").read_text()
    assert "<dt>drain</dt>" in page and "<title>Feedrate report: quick, 2025" in page
    text = (tmp_path / "report.md").read_text()
    assert "- **drain**: batches are pulled" in text
    assert text.startswith("# Feedrate report: quick, 2025-01-01\n")


def test_names_of_a_sweep_differ():
    shared = "interleave_cycle_length=4,interleave_parallel_calls=4,shuffle_buffer=256"
    labels = [
        f"cached_raw,{shared},prefetch={buffer},batch_size={size}"
        for buffer in (1, 2)
        for size in (32, 64)
    ]
    short = naming.names(labels)
    assert short[labels[0]] == "cached_raw,prefetch=1,batch_size=32"
    assert len(set(short.values())) == 4
    longer = [*labels, "naive", f"offline,{shared}"]
    named = naming.names(longer).values()
    assert len(set(named)) == 6 and max(map(len, named)) <= 90
