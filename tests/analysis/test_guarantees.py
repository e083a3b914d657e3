"""The cost of a guarantee comes from pairs that differ in nothing else."""

import factory

from bench.analysis import guarantees, table
from bench.report import formats

PLAIN = factory.trial()
SURE = factory.trial(op_determinism=True)
ALSO = factory.trial(op_determinism=True, prefetch=2)
FIELDS = ("title", "label", "setting", "takes", "verdict", "lost")


def in_model(jit: str, workload: str = "cifar_augmentation"):
    return factory.trial(
        workload=workload, consumer="train", placement="model", jit=jit
    )


def rows(runs) -> list[tuple]:
    costs = guarantees.costs(table.from_runs(runs))
    return [tuple(row[name] for name in FIELDS) for row in costs]


def test_determinism_is_compared_with_the_same_pipeline_without_it() -> None:
    runs = factory.runs({PLAIN: 0.01, SURE: 0.015, ALSO: 0.001}, rounds=8)
    ((title, label, setting, takes, verdict, lost),) = rows(runs)
    assert (title, label, setting) == ("prose, drain", "naive", "op_determinism=true")
    assert 1.4 < float(takes) < 1.6 and (verdict, lost) == ("slower", False)
    assert rows(factory.runs({PLAIN: 0.01, ALSO: 0.015})) == []
    assert guarantees.costs(table.from_runs([])) == []


def test_lost_xla_gains_nothing_and_the_variant_shows_the_possible_gain() -> None:
    variant = "cifar_augmentation:flip_only"
    lost = factory.runs({in_model("auto"): 0.02}, rounds=8, flags=["xla_off"])
    others = {
        in_model("off"): 0.02,
        in_model("off", variant): 0.01,
        in_model("auto", variant): 0.01,
        in_model("on", variant): 0.005,
    }
    costs = rows([*factory.runs(others, rounds=8), *lost])
    assert [(row[0], row[2], row[4], row[5]) for row in costs] == [
        (f"{variant}, train", "jit=on", "faster", False),
        ("cifar_augmentation, train", "jit=auto", "unchanged", True),
    ]


def test_two_rounds_have_no_verdict() -> None:
    ((*_, verdict, _),) = rows(factory.runs({PLAIN: 0.01, SURE: 0.02}, rounds=2))
    assert verdict == "unknown"


def test_one_round_has_a_ratio_and_no_verdict() -> None:
    ((*_, takes, verdict, _),) = rows(factory.runs({PLAIN: 0.01, SURE: 0.02}, rounds=1))
    assert takes.startswith(("1.9", "2")) and verdict == "unknown"


def test_a_trial_that_may_not_be_ranked_has_no_cost() -> None:
    runs = factory.runs({PLAIN: 0.01, SURE: 0.015}, rounds=8)
    assert len(rows(runs)) == 1
    assert rows([*runs, factory.run(SURE, [0.015], round=8, flags=["retraced"])]) == []


def test_the_forms_of_the_report_show_it(tmp_path) -> None:
    runs = factory.runs({PLAIN: 0.01, SURE: 0.015}, rounds=8)
    report = formats.summed(runs)
    report.content["source"] = "synthetic runs"
    formats.write(report, tmp_path, ("html", "md"))
    page = (tmp_path / "report.html").read_text()
    assert "<h2>What guarantees cost</h2>" in page
    assert "<td>op_determinism=true</td>" in page
    text = (tmp_path / "report.md").read_text()
    assert "| prose, drain | naive | op\\_determinism=true | 1." in text
