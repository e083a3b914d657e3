"""The report has the right sentences, shows any text as text, and needs no network."""

import argparse
import base64
import hashlib
import html.parser
import io
import json
import math
import re
import shlex

import factory
import markdown_it
import pandas as pd
import pytest
from rich.console import Console

import run_bench
from bench import store
from bench import text as texts
from bench.analysis import stats, table
from bench.commands import report as command
from bench.errors import UsageError
from bench.plan import sweeps
from bench.report import exports, page, sections, sentences, summary
from bench.report import formats as report
from bench.trial import Failure, Trial

NAIVE = factory.trial()
FAST = factory.trial("vectorized")
OTHER = factory.trial("parallel")
FAILURE = Failure(type="ValueError", message="no such file", phase="inputs")
HOSTILE = [
    "<script>alert(1)</script>",
    "a | b ` c `` d",
    "**bold** _it_ [x](http://e.g) #1 $x$",
    "\"quotes' & entities &lt;",
    "abc\u202egnp.exe\u2066 \x1b[31mred\x07\nnext\r\tline",
    "日本 \U0001f600 \ue000",
    "x" * 10_000,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a result folder with two workloads, an error and a torn last line."""
    train = factory.trial("in_model", workload="photographs", consumer="train")
    runs = factory.runs({NAIVE: 0.01, FAST: 0.002, OTHER: 0.004})
    runs += factory.runs({train: 0.05})
    runs.append(factory.run(factory.trial("cached_raw"), error=FAILURE))
    results = tmp_path_factory.mktemp("results")
    for run in runs:
        store.append(results, run)
    with (results / store.FILE).open("ab") as file:
        file.write(b'{"schema": 1, "key"')
    report.write(results, results)
    return results


class Page(html.parser.HTMLParser):
    """The text and the elements of a page."""

    def __init__(self, text: str) -> None:
        """Parse a page."""
        super().__init__()
        self.tags, self.attributes, self.data = [], [], []
        self.scripts, self.kind = [], ""
        self.feed(text)
        self.text = "".join(self.data)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.attributes += attributes
        self.kind = tag
        if tag == "script" and ("type", "module") in attributes:
            self.scripts.append("")
            self.kind = "module"

    def handle_endtag(self, tag: str) -> None:
        """Note that an element has ended."""
        self.kind = ""

    def handle_data(self, data: str) -> None:
        """Note a text or a part of a script."""
        if self.kind == "module":
            self.scripts[-1] += data
        elif self.kind not in ("script", "style"):
            self.data.append(data)


def printed(runs, notes=()):
    out = io.StringIO()
    results = report.summed(runs, notes)
    report.terminal(results, Console(file=out, width=80, color_system=None))
    return out.getvalue()


def rows_of(runs):
    return stats.trials(table.from_runs(runs)).to_dict("records")


def sentence(runs):
    return sentences.sentence(rows_of(runs))


def test_all_forms_are_written(folder):
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert names >= {"report.html", "report.md", "table.csv", "plots/throughput.png"}


def test_the_page_answers_first_and_names_the_torn_line(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "vectorized won: 5.0" in page.text
    assert "the last line is cut off" in page.text
    assert page.text.index("vectorized won") < page.text.index("Every trial")
    assert "no such file" in page.text
    command = (
        "run_bench.py run quick --workload prose --strategy naive "
        "--strategy vectorized --consumer drain"
    )
    assert command in page.text


def test_the_page_needs_nothing_from_elsewhere(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert not {"link", "iframe", "object"} & set(page.tags)
    assert page.scripts
    for name, value in page.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("#", "data:")), value
    (policy,) = (v for n, v in page.attributes if n == "content" and "-src" in v)
    allowed = re.search(r"script-src ([^;]*)", policy)[1].split()
    assert policy.startswith("default-src 'none'; ")
    assert set(allowed) == {"'unsafe-eval'", *(digest(s) for s in page.scripts)}


def digest(script):
    value = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(value).decode()}'"


def test_figures_have_alternatives_and_ids_are_unique(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert len(labels) == page.tags.count("svg") + 1 >= 5  # the chart has one too
    assert all(len(label) > 40 for label in labels)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    links = [v[1:] for n, v in page.attributes if n == "xlink:href" and v[0] == "#"]
    assert set(links) <= set(ids)


def test_the_csv_has_every_sample(folder):
    read = pd.read_csv(folder / "table.csv")
    assert len(read) == 4 * 5 * 12 + 1
    assert read["seconds_per_batch"].notna().sum() == 4 * 5 * 12
    expected = io.StringIO(table.load(folder).to_csv(index=False))
    pd.testing.assert_frame_equal(read, pd.read_csv(expected), check_exact=True)


def test_the_markdown_has_the_sentence_and_the_table(folder):
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "- **prose, drain**: vectorized won: 5.0" in text
    assert "| **vectorized** | 5.0" in text
    assert "`ValueError in inputs: no such file`" in text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_shows_as_text(text, tmp_path):
    machine = {**factory.MACHINE, "cpu": text, "host": text}
    trial = Trial(workload=text)
    runs = [factory.run(trial, machine=machine, round=n, sweep=text) for n in (0, 1)]
    failure = Failure(type=text, message=text, phase=text)
    runs.append(factory.run(Trial(workload=text, data=text), error=failure))
    for run in runs:
        store.append(tmp_path, run)
    report.write(tmp_path, tmp_path / "out", ["html", "md", "csv"])
    shown = texts.visible(text, 60)
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert shown in page.text
    assert len(page.scripts) == 3 and page.tags.count("html") == 1
    assert page.tags.count("script") == 4  # and the chart's data
    assert not set("\u202e\u2066\x1b\x07") & set(page.text)
    source = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert len(source) < 30_000
    parsed = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).parse(source)
    inline = [token for token in parsed if token.type == "inline"]
    children = [child for token in inline for child in token.children]
    plain = "".join(child.content for child in children)
    assert shown in plain
    assert not {"link_open", "em_open", "image"} & {child.type for child in children}
    rows = "".join(
        {"tr_open": "|", "th_open": "h", "td_open": "d"}.get(t.type, "") for t in parsed
    )
    for header, *widths in (
        block.split("|") for block in re.findall(r"\|(h+(?:\|d+)*)", rows)
    ):
        assert {len(width) for width in widths} == {len(header)}
    assert "\x1b" not in printed(runs)
    whole = pd.read_csv(tmp_path / "out" / "table.csv", keep_default_na=False)
    assert text in set(whole["workload"])


def test_the_terminal_fits_80_columns():
    runs = factory.runs({NAIVE: 0.01, FAST: 0.002, factory.trial(**LONG): 0.003})
    runs.append(factory.run(OTHER, error=FAILURE))
    shown = printed(runs, ["the last line is cut off"])
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "vectorized won: " in shown
    assert "the last line is cut off" in shown
    assert "ValueError in inputs: no such file" in " ".join(shown.split())


LONG = {
    "interleave_cycle_length": 16,
    "interleave_parallel_calls": "autotune",
    "shuffle_buffer": 4096,
    "threadpool_size": 4,
}


def test_every_form_reports_that_there_are_no_runs(tmp_path):
    assert "No runs were recorded." in printed([])
    (tmp_path / store.FILE).write_bytes(b"")
    with pytest.raises(UsageError) as raised:
        report.write(tmp_path, tmp_path)
    assert str(raised.value) == (
        f"No runs in '{tmp_path}'. Measure first: python run_bench.py run quick."
    )


def test_an_unknown_format_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError) as raised:
        report.write(tmp_path / "nowhere", tmp_path, ["htm"])
    assert str(raised.value) == "No report format named 'htm'. Did you mean 'html'?"


@pytest.mark.parametrize("kind", ["errors", "one sample", "one trial"])
def test_little_still_gives_a_report(kind, tmp_path):
    runs = {
        "errors": [factory.run(NAIVE, error=FAILURE)],
        "one sample": [factory.run(NAIVE, [0.01]), factory.run(FAST, [0.002])],
        "one trial": factory.runs({NAIVE: 0.01}),
    }[kind]
    for run in runs:
        store.append(tmp_path, run)
    report.write([tmp_path], tmp_path, ["html", "md"])
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    sentence = {
        "errors": "Nothing could be measured: 1 of 1 runs failed.",
        "one sample": "one run: no interval",
        "one trial": "Only naive was measured",
    }[kind]
    assert sentence in text
    assert sentence in " ".join(printed(runs).split())


def test_two_folders_of_two_machines_stand_side_by_side(tmp_path):
    for name, tensorflow in (("a", "2.21.0"), ("b", "2.22.0")):
        (tmp_path / name).mkdir()
        machine = {**factory.MACHINE, "tensorflow": tensorflow}
        for run in factory.runs({NAIVE: 0.01, FAST: 0.005}, machine=machine):
            store.append(tmp_path / name, run)
    report.write([tmp_path / "a", tmp_path / "b"], tmp_path / "both", ["html"])
    text = Page((tmp_path / "both" / "report.html").read_text(encoding="utf-8")).text
    assert text.count("vectorized won: ") == 2
    assert "no figure is averaged between them" in text


def test_the_winner_and_a_clear_lead():
    text = sentence(factory.runs({NAIVE: 0.01, FAST: 0.002, OTHER: 0.004}))
    assert text.startswith("vectorized won: 5.0")
    assert "times as fast as naive (95 % interval 4.9" in text
    assert "The runner-up is parallel, which takes" in text


def test_a_rival_without_a_difference_is_named():
    text = sentence(factory.runs({NAIVE: 0.01, FAST: 0.0020, OTHER: 0.0020}, rounds=3))
    assert re.search(r"Against \w+ the verdict is (unknown|unchanged) ", text)


def test_equals_within_the_margin_are_unchanged():
    runs = factory.runs(
        {NAIVE: 0.01, FAST: 0.002, OTHER: 0.002}, rounds=8, run_noise=0.002
    )
    assert "the verdict is unchanged within 3 % (" in sentence(runs)


def test_one_run_is_a_hint_and_not_a_result():
    text = sentence([factory.run(NAIVE, [0.02]), factory.run(FAST, [0.01])])
    assert text == (
        "vectorized was fastest, 2.0 times as fast as naive (one round: no interval, a "
        "hint, not a result)."
    )


def test_a_first_trial_that_is_not_faster_by_holm_is_explained():
    many = [factory.trial("vectorized", batch_size=size) for size in range(64, 74)]
    runs = [factory.run(NAIVE, [0.01], round=number) for number in range(3)]
    for number, seconds in enumerate((0.001, 0.001 * 1.65, 0.001 / 1.65)):
        runs.append(factory.run(FAST, [seconds], round=number))
    runs += factory.runs(dict.fromkeys(many, 0.011), rounds=3, run_noise=0.4, seed=9)
    rows = rows_of(runs)
    text = sentences.sentence(rows)
    assert text.startswith("vectorized came first: 10 times as fast as naive (95 % ")
    assert (
        "by itself, 3 rounds). With all 11 comparisons counted the verdict is unknown. "
        "More rounds settle it: --rounds 9."
    ) in text
    line = (
        "Verdicts count all 11 comparisons together (Holm), at a margin of 3 %; each "
        "interval is for one alone."
    )
    assert sentences.jointly(rows) == line
    assert line in " ".join(printed(runs).split())


def test_a_table_whose_verdicts_agree_with_their_intervals_needs_no_explanation():
    assert sentences.jointly(rows_of(factory.runs({NAIVE: 0.01, FAST: 0.002}))) == ""


def test_two_rounds_are_a_hint_and_give_no_verdict():
    runs = factory.runs({NAIVE: 0.01, FAST: 0.0075}, rounds=2, run_noise=0.001)
    rows = rows_of(runs)
    assert {row["verdict"] for row in rows} == {"baseline", "unknown"}
    text = sentences.sentence(rows)
    assert text.startswith("vectorized was fastest, 1.33")
    assert text.endswith(" from two rounds: a hint, not a result).")
    assert "unknown (two runs)" in printed(runs) and " faster " not in printed(runs)
    assert sentence(factory.runs({NAIVE: 0.01, FAST: 0.02}, rounds=2)).startswith(
        "naive was fastest (two rounds or one: a hint, not a result). The runner-up "
        "was vectorized, which took 2.0"
    )


def test_a_trial_that_may_not_be_ranked_comes_last():
    frozen = {"flags": ["frozen_random"]}
    runs = factory.runs({NAIVE: 0.01, OTHER: 0.02})
    runs += factory.runs({FAST: 0.001}, **frozen)
    results = report.summed(runs)
    (scene,) = results.content["scenes"]
    verdicts = [(row["label"], row["verdict"]) for row in scene["rows"]]
    assert verdicts == [
        ("naive", "baseline"),
        ("parallel", "slower"),
        ("vectorized", "not ranked"),
    ]
    assert scene["sentence"].startswith(
        "naive won: nothing that may be ranked was shown to be faster."
    )
    assert "not ranked" in printed(runs)


def test_two_trials_do_not_need_a_runner_up():
    text = sentence(factory.runs({NAIVE: 0.01, FAST: 0.002}))
    assert text.startswith("vectorized won: ") and text.endswith("5 rounds).")
    three = factory.runs({NAIVE: 0.01, FAST: 0.002, OTHER: 0.02})
    assert sentence(three).endswith("The runner-up is the baseline itself.")


def test_names_in_the_terminal_break_after_commas():
    shown = printed(factory.runs({NAIVE: 0.01, factory.trial(**LONG): 0.003}))
    assert "interleave_parallel_calls=autotune,\n" in re.sub(" +\n", "\n", shown)
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_an_option_stays_with_its_value_on_the_page(tmp_path):
    results = report.summed(factory.runs({NAIVE: 0.01, FAST: 0.002}, rounds=2))
    results.content["source"] = "made up"
    report.write(results, tmp_path, ["html"])
    page = (tmp_path / "report.html").read_text()
    assert '<code class="option">--rounds 5</code>' in page
    assert "code.option { white-space: nowrap; }" in page


@pytest.mark.parametrize(
    ("formats", "whole"),
    [
        (["md"], "in the report.json that `report --format json` writes"),
        (["md", "csv", "json"], "in report.json"),
        (["md", "html"], "in report.html"),
    ],
)
def test_a_cut_says_how_much_it_leaves_out_and_where_that_is(
    formats, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(report, "MOST_SCENES", 1)
    monkeypatch.setattr(page, "MOST_FIGURES", 0)
    monkeypatch.setattr(page, "MOST_ROWS", {"html": 10, "md": 10})
    monkeypatch.setattr(summary.Report, "figures", lambda report: ())
    trials = [factory.trial(workload=f"made_up_{number}") for number in range(22)]
    runs = [factory.run(trial) for trial in trials]
    failures = [Failure(type="ValueError", message=str(n)) for n in range(13)]
    runs += [factory.run(trials[0], error=failure) for failure in failures]
    results = report.summed(runs)
    results.content["source"] = "made up"
    report.write(results, tmp_path, formats)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f"\n2 more comparisons are {whole}.\n" in text
    assert f"\n2 more tables are {whole}.\n" in text
    assert f"\n3 more rows are {whole}.\n" in text
    out = io.StringIO()
    report.terminal(results, Console(file=out, width=99, color_system=None), formats)
    assert f"\n... and 21 more comparisons, {whole}\n" in out.getvalue()
    assert f"\n... and 8 more errors, {whole}\n" in out.getvalue()
    if "html" in formats:
        shown = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
        assert "3 more rows are in the report.json that " in shown


def test_every_section_is_in_the_page_in_the_markdown_and_in_the_json(tmp_path):
    tuned = factory.trial("autotuned", workload="random_flip")
    plain = factory.trial("vectorized", workload="random_flip")
    sure = factory.trial("vectorized", workload="random_flip", op_determinism=True)
    runs = factory.runs({tuned: 0.01, plain: 0.02, sure: 0.03}, rounds=8)
    runs += factory.runs({factory.trial(workload="prices"): 0.02}, rounds=8)
    runs += factory.runs({factory.trial("vectorized", "prices"): 0.01}, rounds=8)
    other = factory.MACHINE | {"cpu": "Other CPU"}
    both = {
        factory.trial(workload="prices"): 4,
        factory.trial("vectorized", "prices"): 1,
    }
    runs += factory.runs(both, rounds=8, machine=other)
    runs.append(factory.run(OTHER, error=FAILURE))
    results = report.summed(runs)
    results.content["source"] = "made up"
    report.write(results, tmp_path, ["html", "md", "json"])
    shown = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    for section in sections.sections(results):
        assert section.rows, section.name
        assert f"<h2>{section.heading}</h2>" in shown
        assert f"\n## {section.heading}\n" in text
        for table_ in section.tables:
            for column in table_.filled.values():
                assert f">{column.heading}</th>" in shown
                assert f" {column.heading} |" in text
        assert section.name in document


def test_the_help_of_the_command_names_every_format():
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    unbroken = re.sub(r"-\n\s+", "-", parser.format_help())
    words = re.split(r"[\s,:;]+", unbroken)
    assert set(report.FORMATS) <= set(words)
    assert parser.parse_args(["x"]).format.split(",") == list(report.USUAL)


def test_the_work_done_before_is_mentioned():
    offline = factory.trial("offline")
    runs = factory.runs({NAIVE: 0.01})
    runs += factory.runs({offline: 0.001}, phases={"offline": 12.5})
    assert "The 12 s of its preparation beforehand are not counted." in sentence(runs)


def test_cautions_name_the_trial_and_the_remedy():
    busy = {"foreign_cpu_share": 0.4}
    runs = factory.runs({NAIVE: 0.01}, run_noise=0.3, conditions=busy)
    runs += factory.runs({FAST: 0.001}, flags=["frozen_random", "xla_off"], rounds=2)
    runs.append(factory.run(OTHER, error=FAILURE))
    cautions = sentences.cautions(rows_of(runs))
    text = {caution.what: caution.remedy for caution in cautions}
    assert text["parallel: 1 run failed."].startswith("The errors are listed below")
    assert any(what.startswith("vectorized: a random layer's") for what in text)
    assert any(what.startswith("vectorized: one layer cannot be") for what in text)
    assert text["vectorized: two runs: an interval, but too few for a verdict."] == (
        "Measure more rounds: --rounds 5."
    )
    unstable = next(remedy for what, remedy in text.items() if "unstable" in what)
    assert unstable == (
        "Other processes took 40 % of the CPU: stop them and measure again."
    )


@pytest.mark.parametrize(
    ("estimate", "low", "high", "shown"),
    [
        (6.2e-7, math.nan, math.nan, "6e-07"),
        (12345, 12105, 12585, "12,300"),
        (5.213, 4.9, 5.5, "5.2"),
        (5.213, 5.20, 5.226, "5.213"),
        (1234.5, math.nan, math.nan, "1,200"),
        (0.012345, math.nan, math.nan, "0.012"),
        (2.0, 0.5, 9.0, "2"),
        (math.nan, math.nan, math.nan, "-"),
    ],
)
def test_digits_end_where_the_interval_begins(estimate, low, high, shown):
    assert texts.figure(estimate, low, high) == shown


def test_bounds_share_their_digits_unless_far_apart():
    assert texts.bounds(5.2, 4.96, 5.51) == "5.0 to 5.5"
    assert texts.bounds(30, 0.0261, 36_123) == "0.026 to 36,000"
    assert texts.bounds(30, math.nan, math.nan) == ""
    assert texts.bounds(9.4e-8, 8.2e-8, 1.06e-7) == "8.2e-08 to 1.06e-07"
    assert texts.bounds(0.0012003, 0.0012, 0.0012006) == "1.2000e-03 to 1.2006e-03"


def test_the_command_gives_the_trial_again_and_survives_a_shell():
    trial = factory.trial(
        "autotuned",
        workload="my dir/it's; rm.py",
        consumer="train",
        data="a b",
        deterministic=False,
    )
    parts = shlex.split(texts.repeat_command(trial))
    assert parts[:3] == ["run_bench.py", "run", "quick"]
    assert parts[parts.index("--workload") + 1] == trial.workload
    axes = [parts[n + 1] for n, part in enumerate(parts) if part == "--axis"]
    assert axes == [
        "order=batch_map",
        "map_parallel_calls=autotune",
        "prefetch=autotune",
        "deterministic=false",
    ]
    assert parts[parts.index("--consumer") + 1] == "train"
    assert parts[parts.index("--data") + 1] == "a b"


@pytest.mark.parametrize(
    "trial",
    [
        factory.trial("cached_mapped", workload="prices", batch_size=64),
        factory.trial("in_model", workload="prices", consumer="train", jit="auto"),
        factory.trial(workload="prices", map_parallel_calls=2, deterministic=False),
        factory.trial("cached_raw", workload="prices", unit="epoch"),
    ],
    ids=lambda trial: trial.key,
)
def test_the_command_plans_exactly_this_trial(trial):
    assert planned(texts.repeat_command(trial)) == [trial]


@pytest.mark.parametrize(
    ("trial", "baseline", "others"),
    [
        (factory.trial("autotuned"), NAIVE, 0),
        (factory.trial("parallel", batch_size=64), factory.trial(batch_size=64), 0),
        (factory.trial(batch_size=64), NAIVE, 0),
        (factory.trial("vectorized", batch_size=64), NAIVE, 2),
        (NAIVE, NAIVE, -1),
        (NAIVE, factory.trial("autotuned"), None),
    ],
)
def test_the_command_measures_the_baseline_too(trial, baseline, others):
    trials = planned(texts.repeat_command(trial, baseline))
    assert trial in trials
    if others is None:  # they differ in too many settings for one small sweep
        assert trials == [trial]
    else:
        assert baseline in trials and len(trials) == 2 + others


def planned(line):
    options = run_bench.parsed(shlex.split(line)[1:])
    sweep = sweeps.narrow(
        sweeps.find(options.sweep),
        workloads=options.workload,
        strategies=options.strategy,
        axes=dict(sweeps.parse_axis(text) for text in options.axis),
        consumer=options.consumer,
        unit=options.unit or "",
    )
    trials, left_out = sweeps.trials(sweep)
    assert left_out == {}
    return trials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("measure again: --rounds 9.", "measure again:\n--rounds 9."),
        ("cached_raw,prefetch=2,jit=on", "cached_raw,\nprefetch=2,jit=on"),
        ("1,100 to 1,300 of 30,000 in", "1,100 to 1,300 of\n30,000 in"),
        (25 * "x", 20 * "x" + "\nxxxxx"),
    ],
)
def test_lines_break_at_blanks_and_after_commas(text, shown):
    assert texts.wrapped(text, 20) == shown


def test_json_has_full_digits_and_the_sentence():
    runs = factory.runs({NAIVE: 0.01, FAST: 0.002})
    runs.append(factory.run(OTHER, error=FAILURE))
    (scene,) = json.loads(exports.report_json(report.summed(runs)))["scenes"]
    assert scene["sentence"].startswith("vectorized won: ")
    fast, naive, failed = scene["trials"]
    assert fast["label"] == "vectorized" and fast["best"] is True
    assert fast["factor_low"] < 5 < fast["factor_high"]
    assert fast["pairs"] == naive["lead_pairs"] == 5
    assert naive["factor"] == 1
    assert failed["factor"] is None and failed["failed"] == 1
    assert json.loads(exports.report_json(report.summed([])))["scenes"] == []
