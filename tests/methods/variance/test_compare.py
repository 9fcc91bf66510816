"""Comparison, plans and seed selection: against scipy, closed forms, published figures, simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import (
    best_seed_model,
    best_seed_selection,
    holm_adjust,
    plan_gap,
    plan_runs,
    plan_superiority,
    plan_variance,
    run_accuracies,
    run_statistics,
)


def matrices(seed=0, runs=(12, 9), examples=200, gap=0.0):
    rng = np.random.default_rng(seed)
    p = rng.beta(4, 1, examples)
    return rng.random((runs[0], examples)) < p, rng.random((runs[1], examples)) < np.clip(p - gap, 0, 1)


def test_welch_and_mann_whitney_against_scipy():
    a, b = matrices(gap=0.03)
    result = rs.compare(correct=(a, b))
    reference = stats.ttest_ind(b.mean(axis=1), a.mean(axis=1), equal_var=False)
    assert result.to_dict()["t_welch"] == pytest.approx(-reference.statistic, rel=1e-9)
    assert result.fixed.p == pytest.approx(reference.pvalue, rel=1e-9)
    assert result.fixed.df == pytest.approx(reference.df, rel=1e-9)
    assert result.ci_fixed == pytest.approx(tuple(reference.confidence_interval()), rel=1e-9)
    u = stats.mannwhitneyu(b.sum(axis=1), a.sum(axis=1)).statistic
    assert result.fixed.p_superior == pytest.approx(u / (12 * 9))
    assert result.to_dict()["p_superiority"] == pytest.approx(1 - u / (12 * 9))


def test_mcnemar_against_scipy():
    a, b = matrices(1)
    result = rs.compare(correct=(a, b))
    only_a, only_b = int((a[0] & ~b[0]).sum()), int((b[0] & ~a[0]).sum())
    assert (result.models.only_a, result.models.only_b) == (only_a, only_b)
    assert result.models.p == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue, rel=1e-12)


def test_one_run_of_each_still_has_mcnemar():
    a, b = matrices(2, runs=(1, 1))
    result = rs.compare(correct=(a, b))
    assert math.isnan(result.fixed.p)
    assert math.isnan(result.distribution.se)
    assert 0 < result.models.p <= 1
    assert result.verdict("distribution") == "undecided"
    assert "which one run of each cannot tell" in result.sentence()


def test_clear_difference_is_found_and_named():
    a, b = matrices(3, runs=(30, 30), examples=2000, gap=0.1)
    result = rs.compare(correct=(b, a), names=("old", "new"))
    assert result.verdict() == "better"
    assert result.sentence().startswith("Yes, new is better than old on the distribution: new minus old is +")
    assert result.table()["verdict"][0] == "better"


def test_distribution_verdict_is_harder_than_the_test_set():
    """Many runs on few examples: the difference on these examples is known, on others it is not."""
    rng = np.random.default_rng(5)
    p_a, p_b = rng.uniform(0.3, 1, 40), rng.uniform(0.3, 1, 40)
    result = rs.compare(correct=(rng.random((400, 40)) < p_a, rng.random((400, 40)) < p_b))
    assert result.verdict("test set") != "undecided"
    assert result.verdict("distribution") == "undecided"
    assert result.runs_needed is None
    assert "Undecided on the distribution, though B is better than A on this test set" in result.sentence()


def test_unpaired_statistics_and_predictions_agree():
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 3, 50)
    a, b = rng.integers(0, 3, (8, 50)), rng.integers(0, 3, (6, 50))
    direct = rs.compare(a, b, labels)
    streamed = rs.compare(run_statistics(a, labels), run_statistics(b, labels))
    assert direct.to_json() == streamed.to_json()


def test_other_examples_are_refused():
    a, b = matrices(7)
    with pytest.raises(InputError, match="the same examples"):
        rs.compare(correct=(a, b[:, 1:]))
    with pytest.raises(InputError, match="different labels"):
        rs.compare(run_statistics(a * 1, np.ones(200, int)), run_statistics(b * 1, np.zeros(200, int)))
    with pytest.raises(InputError):
        rs.compare()
    with pytest.raises(InputError, match="confidence_level=95"):
        rs.compare(correct=(a, b), confidence_level=95)
    with pytest.raises(InputError, match="question"):
        rs.compare(correct=(a, b)).verdict("both")


def test_equal_and_constant_accuracies():
    """Welch's test has no answer without any spread; it used to be p = 0."""
    result = rs.compare(correct=(np.ones((3, 4), int), np.zeros((3, 4), int)))
    assert math.isnan(result.fixed.p)
    assert result.verdict("test set") == "worse"
    assert result.verdict() == "undecided"  # four examples
    same = rs.compare(correct=(np.ones((3, 4), int), np.ones((3, 4), int)))
    assert math.isnan(same.fixed.p)
    assert same.verdict("test set") == "undecided"


def test_holm_by_hand():
    np.testing.assert_allclose(holm_adjust([0.01, 0.04, 0.03, 0.5]), [0.04, 0.09, 0.09, 0.5])
    with pytest.raises(InputError):
        holm_adjust([0.1, 1.2])
    with pytest.raises(InputError):
        holm_adjust([])


# ------------------------------------------------------------------ plans


CIFAR = 0.00149**2


@pytest.mark.parametrize(
    ("gap", "normal", "exact"), [(0.005, 2, 3), (0.003, 4, 6), (0.002, 9, 10), (0.001, 35, 36), (0.0005, 140, 141)]
)
def test_published_plan_figures(gap, normal, exact):
    plan = plan_runs(gap, variance=CIFAR)
    assert (plan.runs_fixed_normal, plan.runs_fixed_t) == (normal, exact)


def test_single_runs_and_a_priori_figures():
    assert 100 * plan_gap(1, variance=CIFAR).gap_fixed_normal == pytest.approx(0.59, abs=0.005)
    for error, n, sd, gap in ((0.05, 10_000, 0.158, 0.44), (0.24, 50_000, 0.155, 0.43)):
        plan = plan_gap(1, error=error, n_examples=n)
        assert 100 * math.sqrt(plan.var_a) == pytest.approx(sd, abs=0.0005)
        assert 100 * plan.gap_noise == pytest.approx(gap, abs=0.005)


def test_plan_gap_inverts_plan_runs():
    for runs in (2, 5, 30):
        gap = plan_gap(runs, variance=CIFAR, tau2=0.001, n_examples=10_000)
        assert plan_runs(gap.gap_fixed_t * 1.000001, variance=CIFAR).runs_fixed_t == runs
        again = plan_runs(gap.gap_dist * 1.000001, variance=CIFAR, tau2=0.001, n_examples=10_000)
        assert again.runs_dist == runs


def test_t_plan_against_simulation():
    rng = np.random.default_rng(0)
    runs = plan_runs(1.2, variance=1.0).runs_fixed_t
    a, b = rng.normal(1.2, 1, (20_000, runs)), rng.normal(0, 1, (20_000, runs))
    power = (stats.ttest_ind(a, b, axis=1).pvalue < 0.05).mean()
    assert 0.8 - 4 * 0.003 < power < 0.86


def test_plans_from_results():
    a, b = matrices(8, runs=(20, 20))
    result = rs.compare(correct=(a, b))
    plan = plan_runs(0.05, result)
    assert (plan.var_a, plan.var_b) == (result.fixed.var_a, result.fixed.var_b)
    assert not math.isnan(plan.runs_dist)
    assert "On the distribution" in plan.sentence()
    from_variance = plan_runs(0.05, rs.variance(correct=a))
    assert math.isnan(from_variance.runs_dist)
    assert from_variance.var_a == result.fixed.var_a
    assert "20 runs" in from_variance.sentence()
    assert len(plan.table()) == 3
    assert len(plan_gap(5, result).table()) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        {"gap": 0},
        {"gap": -0.1},
        {"gap": math.nan},
        {"gap": 0.1, "variance": -1},
        {"gap": 0.1, "power": 0.01},
        {"gap": 0.1, "alpha": 0},
        {"gap": 0.1, "error": 0.1},
        {"gap": 0.1, "variance": None},
        {"gap": 0.1, "tau2": -1},
    ],
)
def test_plans_refuse(arguments):
    settings = {"variance": 1.0} | arguments
    with pytest.raises(InputError):
        plan_runs(settings.pop("gap"), **settings)


def test_one_run_cannot_plan():
    with pytest.raises(InputError, match="one run"):
        plan_runs(0.01, rs.variance(correct=[[1, 0, 1]]))


def test_no_variance_needs_two_runs():
    assert plan_runs(0.01, variance=0.0).runs_fixed_t == 2
    assert plan_gap(3, variance=0.0).gap_fixed_t == 0


@pytest.mark.parametrize(("ratio", "runs"), [(1.47**2, 10), (0.80**2, 50), (0.65**2, 100), (0.34**2, 1000)])
def test_published_variance_plans(ratio, runs):
    """The published ratios are rounded to two digits."""
    assert plan_variance(ratio) == pytest.approx(runs, rel=0.08)


def test_bouthillier():
    assert plan_superiority(0.75, power=0.95, preset="paper") == 29
    with pytest.raises(InputError):
        plan_superiority(0.5)
    with pytest.raises(InputError):
        plan_variance(0)


# ------------------------------------------------------------------ a lucky seed


def test_selection_model_against_simulation():
    lam, count = 0.3, 8
    rng = np.random.default_rng(1)
    true = math.sqrt(lam) * rng.normal(size=(200_000, count))
    seen = true + math.sqrt(1 - lam) * rng.normal(size=true.shape)
    picked = np.take_along_axis(true, seen.argmax(axis=1)[:, None], axis=1)[:, 0]
    model = best_seed_model(1.0, lam, [count])
    assert model.apparent_gain[0] == pytest.approx(seen.max(axis=1).mean(), abs=0.01)
    assert model.fresh_gain[0] == pytest.approx(picked.mean(), abs=0.01)
    assert model.p_above_mean[0] == pytest.approx((picked > 0).mean(), abs=0.005)
    fresh = math.sqrt(lam) * rng.normal(size=len(picked))
    assert model.p_beats_random[0] == pytest.approx((picked > fresh).mean(), abs=0.005)
    assert model.p_truly_best[0] == pytest.approx((picked == true.max(axis=1)).mean(), abs=0.005)


def test_selection_model_figures_of_the_specification():
    model = best_seed_model(0.00149, 0.02533, [20])
    assert model.p_above_mean[0] == pytest.approx(0.618, abs=0.001)
    assert model.p_beats_random[0] == pytest.approx(0.584, abs=0.001)
    assert model.p_truly_best[0] == pytest.approx(0.0853, abs=0.0005)
    cifar = best_seed_model(0.00149, (0.033 / 0.149) ** 2, [10, 100])
    np.testing.assert_allclose(100 * cifar.apparent_gain, [0.229, 0.374], atol=0.0006)
    np.testing.assert_allclose(100 * cifar.fresh_gain, [0.011, 0.018], atol=0.0006)


@pytest.mark.parametrize("lam", [0.0, 0.001, 0.5, 0.99, 1.0])
def test_selection_model_limits(lam):
    model = best_seed_model(1.0, lam, [1, 2, 7])
    assert model.e_max[0] == pytest.approx(0, abs=1e-12)
    assert model.e_max[1] == pytest.approx(1 / math.sqrt(math.pi), rel=1e-9)
    np.testing.assert_array_less(-1e-9, model.p_truly_best)
    assert model.p_truly_best[0] == pytest.approx(1, abs=1e-6)
    if lam == 0:
        np.testing.assert_allclose(model.p_truly_best, [1, 1 / 2, 1 / 7], atol=1e-6)
        np.testing.assert_allclose(model.p_above_mean, 0.5, atol=1e-9)
    if lam == 1:
        np.testing.assert_allclose(model.p_above_mean, [0.5, 0.75, 1 - 2**-7])
        np.testing.assert_allclose(model.p_beats_random, [1 / 2, 2 / 3, 7 / 8], atol=1e-9)


def test_empirical_selection_over_all_subsets():
    from itertools import combinations

    matrix = np.random.default_rng(2).random((7, 30)) < 0.6
    result = best_seed_selection(correct=matrix, counts=[3, 9])
    first, second = matrix[:, ::2].mean(axis=1), matrix[:, 1::2].mean(axis=1)
    gains = []
    for subset in combinations(range(7), 3):
        rows = list(subset)
        best = first[rows] == first[rows].max()
        gains.append((first[rows][best].mean(), second[rows][best].mean()))
    expected = np.mean(gains, axis=0) - (first.mean(), second.mean())
    assert (result.halves.best_of_gain1[0], result.halves.best_of_gain2[0]) == pytest.approx(tuple(expected), rel=1e-10)
    assert math.isnan(result.halves.best_of_gain1[1])
    assert "transfers" in result.sentence()


def test_selection_refuses():
    with pytest.raises(InputError):
        best_seed_selection(correct=[[1, 0, 1]])
    with pytest.raises(InputError):
        best_seed_model(1.0, 1.2)
    with pytest.raises(InputError):
        best_seed_model(1.0, 0.2, [0])


def test_run_accuracies_shrink_to_the_mean():
    matrix = matrices(9)[0]
    result = run_accuracies(correct=matrix)
    found = rs.variance(correct=matrix)
    share = min(1, max(0, found.components.kr20))
    np.testing.assert_allclose(result.accuracy, matrix.mean(axis=1))
    np.testing.assert_allclose(result.estimate, found.mean_acc + share * (result.accuracy - found.mean_acc))
    assert len(result.table()) == 12
    assert "run " in result.sentence()


def test_a_claim_on_the_distribution_needs_the_test_set_too():
    """The normal law flatters two runs of each: it alone would be wrong in one of six equal pairs."""
    from tests.methods.variance.probit import draw_pair

    rng = np.random.default_rng([7, 2, 2])
    found = [rs.compare(correct=draw_pair(rng, (2, 2), 200, 0.3, 0.0)) for _ in range(300)]
    assert np.mean([result.distribution.p < 0.05 for result in found]) > 0.1
    assert np.mean([result.verdict() != "undecided" for result in found]) <= 0.05
    for result in found:
        assert result.verdict() in ("undecided", result.verdict("test set"))
        low, high = result.ci_dist
        assert (low <= 0 <= high) == (result.verdict() == "undecided")
    misled = next(result for result in found if result.distribution.p < 0.05 < result.fixed.p)
    assert misled.sentence().startswith("Undecided whether B is better than A on the distribution: B minus A is")


def test_equal_means_are_not_few_runs():
    result = rs.compare(correct=(np.eye(4, 40) == 1, np.eye(4, 40, 4) == 1))
    assert result.diff == 0
    assert "one run of each" not in result.sentence()
    assert result.sentence().endswith("Equality is not shown either: that takes a margin (equivalent).")


def test_a_test_set_of_another_size_changes_the_noise_of_examples_only():
    found = rs.variance(correct=matrices(10, runs=(40, 2), gap=0.0)[0])
    plan = plan_runs(0.01, found, n_examples=100_000)
    assert plan.var_a == pytest.approx(max(0, found.var_dist) + found.components.var_inter / 100_000)
    assert plan.n_examples == 100_000
    assert "carried from 40 runs on 200" in plan.sentence()
    assert plan_runs(0.01, found, n_examples=200).var_a == found.var_test
    with pytest.raises(InputError, match="a comparison alone"):
        plan_runs(0.01, rs.compare(correct=matrices(10)), n_examples=1000)


def test_a_plan_for_the_distribution_is_never_below_that_for_the_test_set():
    plan = plan_runs(0.01, variance=1e-5, tau2=1e-9, n_examples=10_000)
    assert plan.runs_dist < plan.runs_needed == plan.runs_needed_dist
    assert f"On the distribution it takes {plan.runs_needed} of each" in plan.sentence()
    assert plan.table()["runs of each"][-1] == plan.runs_needed
    gap = plan_gap(2, variance=1e-5, tau2=1e-9, n_examples=10_000)
    assert gap.gap_dist < gap.gap_needed <= gap.gap_needed_dist
    assert gap.table()["gap in percentage points"][-1] == 100 * gap.gap_needed_dist
    assert f"of {100 * gap.gap_needed_dist:.2f} on the distribution" in gap.sentence()


def test_selection_honours_counts_and_refuses_what_a_result_has():
    matrix = matrices(11)[0]
    result = rs.variance(correct=matrix)
    picked = best_seed_selection(result, counts=(3, 4))
    assert picked.counts == (3, 4)
    np.testing.assert_allclose(
        picked.halves.best_of_gain1, best_seed_selection(correct=matrix, counts=(3, 4)).halves.best_of_gain1
    )
    assert best_seed_selection(result).counts == (2, 5, 10)
    half = np.arange(200) < 100
    for call in (
        lambda: best_seed_selection(result, first_half=half),
        lambda: run_accuracies(result, np.zeros(200, int)),
        lambda: rs.variance(run_statistics(matrix * 1, np.ones(200, int)), first_half=half),
        lambda: rs.variance(run_statistics(matrix * 1, np.ones(200, int)), groups=4),
        lambda: rs.variance(correct=matrix, best_of=(0, -1)),
        lambda: best_seed_selection(result, counts=()),
    ):
        with pytest.raises(InputError):
            call()


def test_what_a_machine_reads_is_what_the_sentence_says():
    """Three runs each: the test by the normal law alone rejects where the verdict does not."""
    rng = np.random.default_rng(5)
    shown = 0
    for _ in range(40):
        a, b = (rng.random((3, 400)) < np.clip(0.9 + rng.normal(0, 0.02, (3, 1)), 0, 1) for _ in range(2))
        result = rs.compare(correct=(a, b), names=("old", "new"))
        facts, table = result.to_dict(), result.table()
        assert table["p"][0] == facts["p"] == facts["p_distribution"] >= table["p"][1]
        assert (facts["verdicts"]["distribution"] == "undecided") == (facts["p_distribution"] > 0.05)
        assert tuple(facts["ci_dist"]) == result.ci_dist
        shown += result.distribution.p <= 0.05 < facts["p_distribution"]
    assert shown


def test_one_run_of_each_has_no_interval_and_left_out_runs_their_configuration():
    a, b = matrices(runs=(1, 1))
    result = rs.compare(correct=(a, b))
    assert all(math.isnan(end) for end in (*result.ci_dist, *result.ci_fixed))
    assert not math.isnan(result.ci_models[0])
    logits = np.random.default_rng(0).normal(size=(2, 4, 30, 2))
    logits[0, 1] = logits[1, 2] = np.nan
    labels = np.arange(30) % 2
    result = rs.compare(*logits, labels, names=("old", "new"))
    assert [item.run for item in result.excluded] == ["old: run 1", "new: run 2"]
