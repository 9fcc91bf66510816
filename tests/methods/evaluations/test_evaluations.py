"""`evaluations`: what bars cover, verdicts, sentences, and that nothing hangs on the order of rows."""

from __future__ import annotations

import importlib.util
import json
import math
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.errors import InputError
from tests.conftest import SHARED


def answers(seed: int = 0, *, seeds: int = 3, items: int = 60, samples: int = 4, gap: float = 0.0) -> np.ndarray:
    """0/1 answers [runs, items, samples] of a model whose items differ in difficulty."""
    rng = np.random.default_rng(seed)
    level = np.random.default_rng(99).normal(size=items)
    chance = 1 / (
        1 + np.exp(-(level + gap + 0.2 * rng.normal(size=(seeds, 1)) + 0.3 * rng.normal(size=(seeds, items))))
    )
    return (rng.random((seeds, items, samples)) < chance[..., None]).astype(float)


def rows_of(models: dict[str, np.ndarray]) -> list[dict[str, object]]:
    return [
        {"model": name, "seed": f"{name} {s}", "item": f"q{i}", "sample": k, "score": float(y), "passage": f"p{i % 12}"}
        for name, array in models.items()
        for (s, i, k), y in np.ndenumerate(array)
    ]


BOTH = {"A": answers(1), "B": answers(2, gap=0.8)}


def test_the_widest_scope_is_the_default_and_is_named():
    assert rs.evaluations(BOTH).question.on == "distribution"
    single = {name: array[:1] for name, array in BOTH.items()}
    found = rs.evaluations(single)
    assert found.question.on == "models"
    assert "does not cover a new training" in found.sentence()
    with pytest.raises(InputError, match=r"one training run.*new questions, not a new training"):
        rs.evaluations(single, on="distribution")


def test_bars_grow_with_what_they_cover():
    widths = {}
    for on in ("samples", "models", "distribution"):
        gap = rs.evaluations(BOTH, on=on).differences[0]
        widths[on] = gap.hi - gap.lo
    assert widths["samples"] < widths["models"] < widths["distribution"]


def test_samples_without_repeats_are_refused_and_not_zero():
    once = {name: array[:, :, :1] for name, array in BOTH.items()}
    with pytest.raises(InputError, match="answered once"):
        rs.evaluations(once, on="samples")


def test_rows_in_any_order_and_items_of_any_name_give_the_same_numbers():
    rows = rows_of(BOTH)
    first = rs.evaluations(rows, clusters="passage")
    shuffled = [rows[at] for at in np.random.default_rng(0).permutation(len(rows))]
    renamed = [{**row, "item": f"zz{str(row['item'])[::-1]}x"} for row in rows]
    for other in (shuffled, renamed):
        second = rs.evaluations(other, clusters="passage", baseline="A")
        ours, theirs = first.differences[0], second.differences[0]
        for name in ("diff", "lo", "hi", "p"):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-9)
        for mine, their in zip(first.sources.models, sorted(second.sources.models), strict=True):
            assert mine.variance("item.cluster") == pytest.approx(their.variance("item.cluster"), nan_ok=True)


def test_arrays_and_rows_are_the_same_answers():
    a, b = rs.evaluations(BOTH), rs.evaluations(rows_of(BOTH), clusters="item")
    assert a.differences[0].p == pytest.approx(b.differences[0].p, rel=1e-12)
    assert a.consistency.flip_within[0].value == pytest.approx(b.consistency.flip_within[0].value, rel=1e-12)


def test_classifiers_give_the_numbers_that_variance_gives():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 300)
    logits = 1.2 * np.eye(4)[labels] + rng.normal(size=(300, 4)) + 0.7 * rng.normal(size=(8, 300, 4))
    correct = logits.argmax(axis=2) == labels
    old = rs.variance(logits, labels)
    for source, more in (({"model": logits}, (labels,)), ({"model": correct}, ())):
        found = rs.evaluations(source, *more)
        score = found.models[0]
        assert score.mean == pytest.approx(old.mean_acc, rel=1e-12)
        v = score.variances
        assert 8 * (v.var_seeds - v.var_inter) == pytest.approx(old.var_dist, rel=1e-9)
        assert found.sources.models[0].variance("seed") == pytest.approx(old.var_dist, rel=1e-9)


def test_differences_of_classifiers_are_those_of_compare():
    rng = np.random.default_rng(4)
    a, b = rng.random((6, 400)) < 0.6, rng.random((6, 400)) < 0.7
    gap = rs.evaluations({"A": a, "B": b}).differences[0]
    old = rs.compare(correct=(a, b))
    assert gap.diff == pytest.approx(b.mean() - a.mean(), rel=1e-12)
    assert gap.diff == pytest.approx(-old.to_dict()["delta"], rel=1e-12)
    assert gap.verdict == old.verdict() == "better"


def test_verdicts_with_margins():
    same = {"A": answers(1, items=400), "B": answers(5, items=400)}
    assert rs.evaluations(same, on="models", equivalent=0.1).verdict == "equivalent"
    assert rs.evaluations(same, on="models", not_worse=0.1).verdict == "not worse"
    assert rs.evaluations(same, on="models", equivalent=0.001).verdict != "equivalent"
    with pytest.raises(InputError, match="one question"):
        rs.evaluations(same, equivalent=0.1, not_worse=0.1)
    with pytest.raises(InputError, match="above 0"):
        rs.evaluations(same, not_worse=0)


def test_no_difference_is_never_called_equality():
    text = rs.evaluations({"A": answers(1), "B": answers(6)}).sentence()
    assert text.startswith("Undecided: B - A = ")
    assert "would be missed one time in five" in text
    assert not {"equal", "same"} & set(text.split())


def test_equal_items_leave_a_bar_and_no_verdict():
    """All differences equal: no spread, and yet no certainty (few items decide nothing)."""
    found = rs.evaluations({"A": np.zeros((1, 8)), "B": np.ones((1, 8))})
    gap = found.differences[0]
    assert gap.verdict == "undecided"
    assert gap.diff == 1
    assert gap.lo < 1
    many = rs.evaluations({"A": np.zeros((1, 40)), "B": np.ones((1, 40))})
    assert many.verdict == "better"
    assert many.differences[0].discordant.n01 == 40
    constant = rs.evaluations(np.ones((1, 12))).models[0]
    assert (constant.lo, constant.hi) == (pytest.approx(0.7124056556205007), 1.0)


def test_few_discordant_items_take_the_exact_test_too():
    a, b = np.zeros(40), np.zeros(40)
    b[:6] = 1
    gap = rs.evaluations({"A": a, "B": b}).differences[0]
    assert gap.discordant.exact_p == pytest.approx(0.03125)
    assert gap.p == pytest.approx(0.03125)
    assert gap.lo > 0


def test_several_models_are_corrected_for_their_number():
    models = {name: answers(at, gap=0.25 * (name == "M0")) for at, name in enumerate(f"M{k}" for k in range(5))}
    found = rs.evaluations(models)
    assert len(found.differences) == 10
    assert all(gap.p_holm >= gap.p for gap in found.differences)
    assert all(gap.lo_all < gap.lo for gap in found.differences)
    assert "so too high on average" in found.sentence()
    based = rs.evaluations(models, baseline="M0")
    assert [gap.old for gap in based.differences] == ["M0"] * 4
    assert "Against M0" in based.sentence()


def test_the_leader_of_too_few_items_is_not_said_to_be_better():
    """Eight equal differences decide nothing, whether of two models or of the leader from all others."""
    few = {"A": np.zeros(8), "B": np.ones(8), "C": np.zeros(8)}
    found = rs.evaluations(few)
    assert {gap.verdict for gap in found.differences} == {"undecided"}
    assert found.may_be_best == ("A", "B", "C")
    many = rs.evaluations({name: np.repeat(one, 5) for name, one in few.items()})
    assert many.may_be_best == ("B",)
    assert "better than every other model (Holm over 2 comparisons with it)" in many.sentence()


def test_a_margin_is_corrected_for_the_number_of_models_too():
    """The margin lies between where one comparison shows it and where five do."""
    models = {f"M{k}": answers(10 + k, seeds=1) for k in range(6)}
    for new in list(models)[1:]:
        pair = rs.evaluations({"M0": models["M0"], new: models[new]}).differences[0]
        half = pair.hi - pair.diff
        margin = 0.9 * half - pair.diff
        if margin <= 0.01:
            continue
        one = rs.evaluations({"M0": models["M0"], new: models[new]}, not_worse=margin).differences[0]
        assert one.verdict == "not worse"
        several = rs.evaluations(
            {"M0": models["M0"], **{f"copy{k}": models[new] for k in range(5)}}, baseline="M0", not_worse=margin
        )
        assert {gap.verdict for gap in several.differences} == {"undecided"}
        assert several.differences[0].p_not_worse == pytest.approx(one.p_not_worse)
        return
    pytest.fail("no pair to try")


def test_what_is_not_better_or_worse_hangs_on_nothing():
    same = {"A": answers(1, items=400), "B": answers(5, items=400)}
    for margin in ({"equivalent": 0.1}, {"not_worse": 0.1}):
        found = rs.evaluations(same, on="models", **margin)
        assert found.verdict not in ("better", "worse")
        assert found.deciding_items.fewest is None
        assert "no verdict of better or worse on B against A to overturn" in found.deciding_items.sentence()
    better = rs.evaluations({"A": BOTH["A"], "B": BOTH["B"]}, on="models", equivalent=0.9)
    assert better.verdict == "equivalent"
    assert better.deciding_items.fewest is None


def test_a_verdict_hangs_on_at_least_one_item_and_leaves_one():
    for d in ([0.5, 0.5001], [0.5, 0.5001, 0.50005]):
        found = rs.evaluations({"A": np.zeros(len(d)), "B": np.array(d)})
        assert found.verdict == "better"
        assert found.deciding_items.fewest == len(d) - 1


def test_the_deciding_items_are_those_of_the_corrected_verdict():
    a, b = np.zeros(60), np.zeros(60)
    b[:7] = 1
    alone = rs.evaluations({"A": a, "B": b})
    assert (alone.verdict, alone.deciding_items.fewest is None) == ("better", False)
    models = {"A": a, "B": b, **{f"C{k}": np.roll(a, k) for k in range(6)}}
    several = rs.evaluations(models, baseline="A")
    assert several.differences[0].verdict == "undecided"
    assert several.deciding_items.fewest is None


def test_one_training_of_some_models_answers_for_checkpoints():
    found = rs.evaluations({"A": answers(1), "B": answers(2, seeds=1)})
    assert found.question.on == "models"
    assert any("these checkpoints, not new trainings" in note for note in found.warnings)


def test_items_of_one_model_alone_are_counted_and_left_out():
    rows = [row for row in rows_of(BOTH) if not (row["model"] == "B" and row["item"] in ("q0", "q1", "q2"))]
    found = rs.evaluations(rows)
    gap = found.differences[0]
    assert (gap.n_items, gap.lacks_new, gap.lacks_old) == (57, 3, 0)
    assert any("B lacks 3" in note for note in found.warnings)
    assert any("if all are wrong" in note for note in found.warnings)
    failed = rs.evaluations(rows, missing="zero")
    assert failed.differences[0].n_items == 60
    assert failed.models[1].mean == pytest.approx(found.models[1].worst)


def test_an_item_without_a_score_is_counted_once():
    rows = [{"model": "A", "item": i, "sample": k, "score": float(i % 2)} for i in range(40) for k in range(2)]
    for row in rows:
        if row["item"] < 3 or (row["item"] == 7 and row["sample"] == 1):
            row["score"] = math.nan
    found = rs.evaluations(rows)
    one = found.models[0]
    assert (one.counts.n_items, one.counts.n_left_out) == (37, 4)
    assert (one.worst, one.best) == (pytest.approx(18.5 / 40), pytest.approx(22 / 40))
    assert any("3 items and 1 attempt without a score excluded; its mean is 46.2% if all" in w for w in found.warnings)
    points = rs.evaluations([{**row, "score": 100 * row["score"]} for row in rows])
    assert math.isnan(points.models[0].worst)
    assert any(note == "A: 3 items and 1 attempt without a score excluded." for note in points.warnings)


def test_what_is_missing_counts_inside_its_benchmark():
    rows = [
        {"model": "A", "task": t, "item": i, "score": float(i % 2)}
        for t, n in (("s", 20), ("b", 980))
        for i in range(n)
    ]
    for row in rows[:10]:
        row["score"] = math.nan
    found = rs.evaluations(rows)
    one = found.models[0]
    assert (one.mean, one.worst, one.best) == (0.5, pytest.approx((0.25 + 0.5) / 2), pytest.approx((0.75 + 0.5) / 2))
    assert any("10 items without a score excluded" in note for note in found.warnings)


def test_samples_that_depend_on_the_item_are_told():
    """Retries: hard items have more answers, so that the mean of rows is not that of items."""
    rows = [
        {"model": "A", "item": i, "sample": k, "score": float(i >= 20)}
        for i in range(40)
        for k in range(9 if i < 20 else 1)
    ]
    found = rs.evaluations(rows)
    assert found.models[0].mean == 0.5
    assert found.models[0].mean_rows == pytest.approx(0.1)
    assert any("depends on the item" in note for note in found.warnings)


def test_benchmarks_weigh_the_same_unless_they_are_clusters():
    rows = [{"model": "A", "task": "big", "item": i, "score": 1.0 * (i % 4 > 0)} for i in range(80)]
    rows += [{"model": "A", "task": "small", "item": i, "score": 1.0 * (i % 4 == 0)} for i in range(20)]
    found = rs.evaluations(rows)
    assert found.models[0].mean == pytest.approx(0.5)
    parts = [0.75 * 0.25 / 79, 0.75 * 0.25 / 19]
    assert found.models[0].variances.var_items == pytest.approx(sum(parts) / 4)
    pooled = rs.evaluations(rows, clusters="task").models[0]
    assert pooled.mean == pytest.approx(0.65)
    assert pooled.counts.n_clusters == 2


def test_clusters_are_named_in_the_sentence():
    text = rs.evaluations(rows_of({"A": BOTH["A"]}), clusters="passage").sentence()
    assert "questions in 12 passages" in text
    assert "from new passages" in text
    few = rs.evaluations(rows_of({"A": BOTH["A"][:, :9]}), clusters="passage")
    assert any("9 passages: little can be said about new passages." in note for note in few.warnings)


def test_scores_beyond_one_take_t_intervals():
    rng = np.random.default_rng(0)
    score = rs.evaluations({"A": rng.normal(5, 2, (1, 50))})
    one = score.models[0]
    assert not score.in_unit
    assert (one.lo + one.hi) / 2 == pytest.approx(one.mean)
    assert math.isnan(one.n_eff)


def test_prompts_fixed_or_random():
    rng = np.random.default_rng(0)
    shift = {"p0": 0.0, "p1": 1.5, "p2": -1.5}
    rows = [
        {"model": "A", "item": i, "prompt": p, "sample": k, "score": float(rng.random() < 1 / (1 + np.exp(-s)))}
        for i in range(60)
        for p, s in shift.items()
        for k in range(2)
    ]
    fixed, drawn = (rs.evaluations(rows, prompts=how).models[0] for how in ("fixed", "random"))
    assert drawn.hi - drawn.lo > 1.5 * (fixed.hi - fixed.lo)
    assert fixed.counts.n_prompts == 3


def test_trainings_that_lack_items_take_the_components():
    array = answers(1, items=80)
    rows = [row for row in rows_of({"A": array}) if (7 * int(str(row["item"])[1:]) + 5 * int(str(row["seed"])[-1])) % 6]
    found = rs.evaluations(rows, clusters="item").models[0]
    assert found.df >= 1
    assert found.lo < found.mean < found.hi


def test_the_items_that_decide():
    a, b = answers(1, seeds=1, samples=10, items=100), answers(2, seeds=1, samples=10, items=100)
    b[:, :12], a[:, :12] = 1, 0
    found = rs.evaluations({"A": a, "B": b}).deciding_items
    assert {str(at) for at in range(12)} <= set(found.beyond_noise)
    assert 1 <= found.fewest <= 12
    assert "The verdict hangs on" in found.sentence()


def test_a_result_is_strict_json_and_latex():
    found = rs.evaluations(BOTH, not_worse=0.05)
    read = json.loads(found.to_json())
    assert read["on"] == "distribution"
    assert read["differences"][0]["verdict"] in ("better", "not worse", "undecided")
    text = found.to_latex(caption="A table", label="tab:x")
    assert r"\toprule" in text
    assert r"\caption{A table}" in text


def test_pictures():
    mpl.use("agg")
    found = rs.evaluations(BOTH)
    for one in (found, found.sources, found.consistency, found.deciding_items):
        ax = one.plot()
        assert ax.get_xlabel()
        plt.close(ax.figure)


@pytest.mark.skipif(not (SHARED / "real").is_dir(), reason="the folder of real data is not beside the checkout")
def test_real_samples_in_any_order_and_more_power_than_runs_have():
    """One checkpoint's samples are no runs: pairing by problem finds the gap that two samples as runs miss."""
    held = np.load(SHARED / "real" / "humaneval_murdza_10x164.npz")
    a, b = (held[name].astype(float) for name in ("codellama_34b_instruct", "gpt_3_5_turbo"))
    rng = np.random.default_rng(0)
    shuffled = np.stack([column[rng.permutation(10)] for column in a.T], axis=1)
    first, second = (rs.evaluations({"A": one, "B": b}, samples_are="samples").differences[0] for one in (a, shuffled))
    assert (first.p, first.lo) == (pytest.approx(second.p), pytest.approx(second.lo))
    a, b = (held[name].astype(float) for name in ("gpt_3_5_turbo", "gpt_4"))
    for samples in (1, 2):  # as runs: 0.19
        found = 0
        for _ in range(20):
            some = {n: x[rng.permutation(10)[:samples]] for n, x in (("A", a), ("B", b))}
            found += rs.evaluations(some, samples_are="samples").verdict == "better"
        assert found >= 10


@pytest.mark.slow  # scipy.stats takes seconds to import
def test_the_exact_tests_are_those_of_scipy():
    from scipy.stats import binomtest, fisher_exact

    from runspread.methods.evaluations.deciding import _fisher
    from runspread.methods.evaluations.differences import mcnemar

    for a, b, n, m in ((0, 5, 5, 5), (3, 9, 10, 10), (2, 2, 7, 5), (0, 0, 5, 5), (10, 0, 10, 6)):
        assert _fisher(a, b, n, m) == pytest.approx(fisher_exact([[a, n - a], [b, m - b]])[1])
    for one, other in ((0, 0), (3, 9), (5, 5), (0, 6)):
        found = mcnemar(np.repeat([0.0, 1.0], [one, other]), np.repeat([1.0, 0.0], [one, other]))
        assert found.exact_p == pytest.approx(binomtest(min(one, other), one + other).pvalue if one + other else 1)


STATSMODELS = {  # sizes of clusters to what statsmodels 0.15.0 prints for a constant, OLS with clustered errors
    (1,) * 60: 0.06476816543825595,
    (*range(1, 10), *range(1, 6)): 0.04997862791097061,
    (5,) * 12: 0.05000000000000003,
    (30, 10, 10, 5, 5): 0.05855612217731339,
}


@pytest.mark.parametrize(("sizes", "printed"), STATSMODELS.items())
def test_clustered_errors_are_those_of_statsmodels(sizes, printed):
    """Ours is unbiased, theirs what they print; beside each other where the package is installed."""
    array = answers(7, seeds=1, samples=1)[0, :, 0]
    passages = np.repeat(np.arange(len(sizes)), sizes)
    found = rs.evaluations({"A": array}, clusters=passages).models[0]
    assert found.variances.se_cr1 == pytest.approx(printed, rel=1e-12)
    assert found.se == pytest.approx(printed, rel=1e-9) if len(set(sizes)) == 1 else found.se > printed
    if importlib.util.find_spec("statsmodels"):
        import statsmodels.api as api

        fit = api.OLS(array, np.ones(len(array))).fit(cov_type="cluster", cov_kwds={"groups": passages})
        assert float(fit.bse[0]) == pytest.approx(printed, rel=1e-12)


ODD = re.compile(r"told (from|apart)|tells? \w* ?apart|\blaws?\b|\bnan\b|\binf\b|run\(s\)|\b1 (items|models|samples)\b")


def said() -> list[str]:
    """What results of many kinds say, sentence by sentence."""
    single = {name: array[:1] for name, array in BOTH.items()}
    many = {f"M{k}": answers(k, items=40) for k in range(4)}
    found = [
        rs.evaluations(BOTH),
        rs.evaluations(BOTH, on="samples"),
        rs.evaluations(BOTH, on="test-set", not_worse=0.05),
        rs.evaluations(rows_of(BOTH), clusters="passage", equivalent=0.4),
        rs.evaluations(single),
        rs.evaluations({"A": single["A"][:, :, :1]}),
        rs.evaluations({"A": np.random.default_rng(0).normal(size=(2, 30))}),
        rs.evaluations(many),
        rs.evaluations(many, baseline="M0"),
        rs.evaluations({"A": np.zeros((1, 8)), "B": np.ones((1, 8))}),
    ]
    texts = [one.sentence() for one in found]
    texts += [part.sentence() for one in found for part in (one.sources, one.consistency)]
    texts += [one.deciding_items.sentence() for one in found if one.deciding_items is not None]
    texts += [note for one in found for note in one.warnings]
    return [sentence for text in texts for sentence in re.split(r"(?<=[a-z)])\. ", text)]


def test_sentences_are_short_and_plain():
    for text in said():
        assert len(text.split()) <= 45, text
        assert not ODD.search(text), text


def test_studies_of_classifiers_are_models(tmp_path):
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 120)
    for name, gain in (("old", 1.0), ("new", 1.6)):
        study = rs.create_study(tmp_path / name, splits={"test": labels})
        for seed in range(4):
            with study.record(seeds={"init": seed, "order": seed}) as run:
                run.predictions("test", gain * np.eye(3)[labels] + rng.normal(size=(120, 3)))
    paths = [tmp_path / "old", tmp_path / "new"]
    found = rs.evaluations(paths)
    assert [one.model for one in found.models] == ["old", "new"]
    for path, one in zip(paths, found.models, strict=True):
        old = rs.variance(rs.open_study(path))
        assert one.mean == pytest.approx(old.mean_acc, rel=1e-12)
        assert 4 * (one.variances.var_seeds - one.variances.var_inter) == pytest.approx(old.var_dist, rel=1e-9)
    assert rs.evaluations(rs.open_study(paths[0])).models[0].mean == found.models[0].mean


def test_outputs_without_labels_are_warned_of():
    found = rs.evaluations({"A": np.random.default_rng(0).normal(size=(3, 20, 4))})
    assert any("outputs of classifiers need labels=" in note for note in found.warnings)


@pytest.mark.parametrize("on", ["distribution", "models", "test-set", "samples"])
def test_answers_without_any_spread_leave_a_bar_of_every_kind(on):
    old, new = np.zeros((3, 20, 2)), np.ones((3, 20, 2))
    found = rs.evaluations({"A": old, "B": new}, on=on)
    gap = found.differences[0]
    assert gap.verdict == "better"
    assert (gap.diff, gap.hi) == (1, 1)
    assert 0.5 < gap.lo < 0.9
    assert "nan" not in found.sentence()
    few = rs.evaluations({"A": old[:, :5], "B": new[:, :5]}, on=on)
    assert few.verdict == "undecided"
    same = rs.evaluations({"A": new, "B": new}, on=on, equivalent=0.05)
    assert same.verdict == "undecided"
    assert same.differences[0].lo < -0.05


def test_what_allows_no_statement_says_why():
    with pytest.raises(InputError, match="one item, answered once"):
        rs.evaluations({"A": [1.0]})
    with pytest.raises(InputError, match="clusters that are all the same"):
        rs.evaluations({"A": [0, 1, 0, 1]}, clusters=["x"] * 4)
    rows = [{"task": "t", "item": i, "score": i % 2} for i in range(10)] + [{"task": "u", "item": 0, "score": 1}]
    with pytest.raises(InputError, match=r"benchmark with one item, u.*clusters='task'"):
        rs.evaluations(rows)
    assert rs.evaluations(rows, clusters="task").models[0].counts.n_items == 11
    with pytest.raises(InputError, match="without a single score"):
        rs.evaluations({"A": [math.nan] * 4})
    with pytest.raises(InputError, match="infinite"):
        rs.evaluations({"A": [math.inf, 1, 0]})


# ---------------------------------------------------------------------- what is on request


def answered(models=("old", "new"), seeds=3, items=48, gain=0.0, shared=0.0, seed=0):
    """Return answers whose number hangs on the item, in clusters of six; trainings of one name may share a shift."""
    rng = np.random.default_rng(seed)
    shift = shared * rng.normal(size=seeds)
    return [
        {
            "item": i,
            "model": name,
            "seed": s,
            "sample": k,
            "cluster": i // 6,
            "score": int(rng.random() < 1 / (1 + math.exp(-1.5 * math.sin(i) - gain * at - shift[s]))),
        }
        for at, name in enumerate(models)
        for s in range(seeds)
        for i in range(items)
        for k in range(1 + i % 3)
    ]


def test_intervals_of_a_mean_by_name():
    rows = answered(("one",))
    found = {method: rs.evaluations(rows, clusters="cluster", method=method) for method in ("wilson", "t", "beta")}
    default, t, jeffreys = (one.models[0] for one in found.values())
    quantile = stats.t.ppf(0.975, t.df)
    assert (t.lo, t.hi) == pytest.approx((t.mean - quantile * t.se, t.mean + quantile * t.se))
    law = stats.beta(t.mean * t.n_eff + 0.5, (1 - t.mean) * t.n_eff + 0.5)
    assert (jeffreys.lo, jeffreys.hi) == pytest.approx(law.ppf([0.025, 0.975]))
    assert default.se == t.se == jeffreys.se
    assert not found["wilson"].warnings or "method=" not in found["wilson"].warnings[0]
    assert "method='beta', which counts few trainings" in found["beta"].warnings[0]
    assert "method='t', which is too short with few items" in found["t"].warnings[0]


def test_the_bootstrap_of_a_mean_has_the_spread_of_its_standard_error():
    rows = answered(("one",), items=600)
    for on in ("models", "distribution"):
        one = rs.evaluations(rows, clusters="cluster", method="bootstrap", on=on).models[0]
        assert one.lo < one.mean < one.hi
    assert (one.hi - one.lo) / 2 == pytest.approx(1.96 * one.se, rel=0.35)
    with pytest.raises(InputError, match="method='bootstrap' with on='samples'"):
        rs.evaluations(rows, method="bootstrap", on="samples")
    with pytest.raises(InputError, match=r"beyond 0\.\.1"):
        rs.evaluations([{**row, "score": 3 * row["score"]} for row in rows], method="beta")


def test_every_answer_may_weigh_the_same():
    rows = answered(gain=0.5)
    means = [np.mean([row["score"] for row in rows if row["model"] == name]) for name in ("old", "new")]
    by_rows, by_items = (rs.evaluations(rows, weights=weights, on="models") for weights in ("rows", "items"))
    assert [one.mean for one in by_rows.models] == pytest.approx(means)
    assert by_rows.differences[0].diff == pytest.approx(means[1] - means[0])
    assert by_items.models[0].mean != pytest.approx(means[0])
    assert any("depends on the item" in note for note in by_items.warnings)
    assert not any("depends on the item" in note for note in by_rows.warnings)
    equal = [row for row in rows if row["sample"] == 0]
    same = [rs.evaluations(equal, weights=weights).to_dict() for weights in ("rows", "items")]
    assert same[0]["differences"][0]["se"] == pytest.approx(same[1]["differences"][0]["se"], rel=1e-12)


def test_the_variance_of_a_mean_of_answers_is_that_of_a_ratio():
    rows, rng = answered(("one",), seeds=1, items=300), np.random.default_rng(1)
    rows = [{name: value for name, value in row.items() if name != "cluster"} for row in rows]
    score, item = (np.array([row[name] for row in rows], float) for name in ("score", "item"))
    totals, sizes = np.bincount(item.astype(int), score), np.bincount(item.astype(int))
    drawn = rng.integers(300, size=(4000, 300))
    spread = (totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)).std(ddof=1)
    assert rs.evaluations(rows, weights="rows", on="models").models[0].se == pytest.approx(spread, rel=0.05)


def test_where_every_answer_weighs_the_same_so_do_those_that_are_missing():
    """The mean lay outside of what it would be with all that is missing wrong, and right: those weighed items."""
    rows = answered(seeds=1)
    for row in rows:
        row["score"] = math.nan if row["item"] % 9 == 0 or (row["item"] % 5 == 0 and row["sample"]) else row["score"]
    found = rs.evaluations(rows, weights="rows", missing="drop")
    for one in found.models:
        score = np.array([row["score"] for row in rows if row["model"] == one.model], float)
        ends = [np.where(np.isnan(score), value, score).mean() for value in (0, 1)]
        assert (one.worst, one.best) == pytest.approx(ends)
        assert one.worst < one.mean < one.best
    rows = [row for row in rows if (row["model"], row["item"]) != ("new", 0)]
    zero = rs.evaluations(rows, weights="rows", missing="zero")
    score = [np.nan_to_num(row["score"]) for row in rows if row["model"] == "new"]
    assert zero.models[1].mean == pytest.approx(np.mean([*score, 0]))
    assert zero.models[1].best == pytest.approx(zero.models[1].mean)
    assert not math.isnan(zero.differences[0].p)


def test_items_that_tell_nothing_are_the_same_however_answers_are_weighed():
    """Moved means are neither 0 nor 1: none of them was counted."""
    rows = [{**row, "score": 1 if row["item"] < 10 else row["score"]} for row in answered(seeds=1)]
    found = [rs.evaluations(rows, weights=weights).deciding_items for weights in ("items", "rows")]
    assert found[0].all_right == found[1].all_right >= 10
    assert found[0].all_wrong == found[1].all_wrong


def test_trainings_of_equal_names_may_be_pairs():
    rows = answered(items=300, shared=1.5)
    apart, paired = (rs.evaluations(rows, pair_seeds=pairs).differences[0] for pairs in (False, True))
    assert paired.diff == apart.diff
    assert paired.se < 0.5 * apart.se
    with pytest.raises(InputError, match="the same names, to pair them"):
        rs.evaluations([{**row, "seed": f"{row['model']}{row['seed']}"} for row in rows], pair_seeds=True)
    with pytest.raises(InputError, match="on='models'"):
        rs.evaluations(rows, pair_seeds=True, on="models")


def test_the_posterior_of_a_difference():
    found = rs.evaluations(answered(gain=0.6), bayes=True)
    posterior = found.differences[0].posterior
    assert found.question.on == "models"
    sizes = [(one.mean, one.n_eff) for one in found.models]
    rng = np.random.default_rng(0)
    draws = np.subtract(*(rng.beta(m * n + 0.5, (1 - m) * n + 0.5, 400_000) for m, n in sizes[::-1]))
    assert posterior.p_better == pytest.approx((draws > 0).mean(), abs=0.004)
    assert (posterior.post_lo, posterior.post_hi) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.002)
    assert "new is better with a probability of more than 99.9 %" in found.sentence()
    unsure = rs.evaluations(answered(gain=0.1), bayes=True)
    assert f"a probability of {100 * unsure.differences[0].posterior.p_better:.1f} %" in unsure.sentence()
    assert math.isnan(rs.evaluations(answered()).differences[0].posterior.p_better)
    with pytest.raises(InputError, match="bayes=True with on='distribution'"):
        rs.evaluations(answered(), bayes=True, on="distribution")


def test_one_half_of_the_questions_chooses_and_the_other_reports():
    models = [f"m{k}" for k in range(6)]
    found = rs.evaluations(answered(models, seeds=1, items=120), split=True, clusters="cluster")
    assert found.question.chosen in models
    assert {gap.new for gap in found.differences} == {found.question.chosen}
    assert all(one.counts.n_items == 60 for one in found.models)
    assert f"{found.question.chosen} leads on one half of the questions" in found.sentence()
    with pytest.raises(InputError, match="2 items or clusters to split"):
        rs.evaluations(answered(models, seeds=1, items=12), split=True, clusters="cluster")
    with pytest.raises(InputError, match="split='test'"):
        rs.evaluations(answered(models), split="test")
    with pytest.raises(InputError, match="baseline='m0'"):
        rs.evaluations(answered(models, seeds=1), split=True, baseline="m0")


def test_a_model_of_a_few_items_that_leads_on_one_half_may_have_no_answer_to_the_other():
    """It ended in a StopIteration for the half of the items that chooses."""
    said = []
    for item in range(8):
        rows = [*answered(seeds=1, items=20), {"item": item, "model": "few", "seed": 0, "sample": 0, "score": 1}]
        try:
            said.append(rs.evaluations(rows, split=True).question.chosen)
        except InputError as error:
            said.append(str(error))
    assert any("few, which leads on one half of the items and has no answer to the other" in one for one in said)


@pytest.mark.slow
def test_the_model_that_one_half_chose_is_not_too_good_on_the_other():
    """Ten equal models: the leader on all questions is 2 points too good, the chosen one is not."""
    models, gaps = [f"m{k}" for k in range(10)], []
    for seed in range(150):
        rows = answered(models, seeds=1, items=90, seed=seed)
        whole, half = rs.evaluations(rows), rs.evaluations(rows, split=True)
        truth = np.mean([one.mean for one in whole.models])
        chosen = next(one.mean for one in half.models if one.model == half.question.chosen)
        others = np.mean([one.mean for one in half.models])
        gaps.append((max(one.mean for one in whole.models) - truth, chosen - others))
    best, chosen = np.mean(gaps, axis=0)
    assert best > 0.02
    assert abs(chosen) < 4 * np.std([gap for _, gap in gaps]) / math.sqrt(len(gaps))


def test_sources_of_answers_by_the_verb_of_outputs():
    rows = answered(seeds=2, items=30)
    assert str(rs.sources(rows).to_dict()["models"]) == str(rs.evaluations(rows).sources.to_dict()["models"])
    with pytest.raises(InputError, match="kind= has no effect on answers of evaluations"):
        rs.sources(rows, kind="logits")
    with pytest.raises(InputError, match="by= has no effect on outputs per example"):
        rs.sources({"all": np.zeros((3, 4)), "init": np.zeros((3, 4))}, by="model")
