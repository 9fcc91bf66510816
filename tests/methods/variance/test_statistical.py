"""The statistical acceptance tests of the specification, section 14 (four standard errors of the simulation)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.methods.variance import best_seed_model, independence_test
from tests.methods.variance.probit import draw, draw_pair, draw_pair_of_seeds, fixed_variance, population_variance

pytestmark = pytest.mark.slow
EXAMPLES = 200


def variances(beta, runs, count, seed, examples=EXAMPLES):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        matrix, alpha = draw(rng, runs, examples, beta)
        yield rs.variance(correct=matrix, pairs="none"), alpha


@pytest.mark.parametrize(("beta", "truth"), [(0.1, 2.592e-4), (0.3, 2.390e-3)])
def test_truth_of_the_model(beta, truth):
    assert population_variance(beta) == pytest.approx(truth, rel=1e-3)


@pytest.mark.parametrize("beta", [0.1, 0.3])
@pytest.mark.parametrize("runs", [2, 10, 50])
def test_unbiased_at_any_number_of_runs(beta, runs):
    found = np.array([result.var_dist for result, _ in variances(beta, runs, 1500, seed=runs)])
    assert abs(found.mean() - population_variance(beta)) < 4 * found.std(ddof=1) / math.sqrt(len(found))


def test_null():
    results = [result for result, _ in variances(0.0, 10, 3000, seed=1)]
    found = np.array([result.var_dist for result in results])
    se_null = math.sqrt(np.mean([result.test.se**2 for result in results]))
    assert abs(found.mean()) < 4 * found.std() / math.sqrt(len(found))
    assert found.std() == pytest.approx(se_null, rel=0.05)
    assert np.mean(found < 0) == pytest.approx(0.54, abs=0.05)


@pytest.mark.parametrize("runs", [10, 50, 200])
def test_size_of_the_chi_square_test(runs):
    p = [result.test.p_value for result, _ in variances(0.0, runs, 1500, seed=runs + 1)]
    assert 0.03 <= np.mean(np.array(p) < 0.05) <= 0.07 + 4 * math.sqrt(0.05 * 0.95 / 1500) * (runs == 10)


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("runs", [10, 50])
def test_coverage(beta, runs):
    truth = population_variance(beta)
    fixed, population = [], []
    for result, alpha in variances(beta, runs, 1000, seed=2 * runs):
        fixed.append(result.intervals.var_fixed_low <= fixed_variance(alpha, beta) <= result.intervals.var_fixed_high)
        population.append(result.intervals.var_pop_low <= truth <= result.intervals.var_pop_high)
    assert np.mean(fixed) >= 0.90
    assert np.mean(population) >= 0.92


def test_ten_class_dirichlet():
    """Labels and runs drawn from the same q: every prediction of V_ind agrees with V_ind, and with the closed forms."""
    rng = np.random.default_rng(3)
    keys = ("err", "three_distinct", "var_ind", "var_cal_labels", "var_cal_free")
    rows = []
    for _ in range(400):
        q = rng.dirichlet(np.full(10, 0.03), 150)
        cumulative = np.minimum(q.cumsum(axis=1), 1)[:, :-1]
        predictions = (rng.random((24, 150, 1)) > cumulative).sum(axis=2)
        labels = (rng.random((150, 1)) > cumulative).sum(axis=1)
        result = rs.calibration(predictions, labels, n_classes=10)
        rows.append([result.to_dict()[key] * (150 if key.startswith("var") else 1) for key in keys])
    means, errors = np.mean(rows, axis=0), np.std(rows, axis=0) / math.sqrt(len(rows))
    for mean, error, truth in zip(means, errors, (0.2077, 0.0217, 0.09301, 0.09301, 0.09301), strict=True):
        assert abs(mean - truth) < 4 * error + 5e-5  # the truths are rounded


@pytest.mark.parametrize("lam", [0.02533, 0.5])
@pytest.mark.parametrize("count", [5, 20])
def test_selection_probabilities(lam, count):
    rng = np.random.default_rng(4)
    true = math.sqrt(lam) * rng.normal(size=(150_000, count))
    seen = true + math.sqrt(1 - lam) * rng.normal(size=true.shape)
    picked = np.take_along_axis(true, seen.argmax(axis=1)[:, None], axis=1)[:, 0]
    model = best_seed_model(1.0, lam, [count])
    assert model.p_above_mean[0] == pytest.approx((picked > 0).mean(), abs=0.005)
    fresh = math.sqrt(lam) * rng.normal(size=len(picked))
    assert model.p_beats_random[0] == pytest.approx((picked > fresh).mean(), abs=0.005)
    assert model.p_truly_best[0] == pytest.approx((picked == true.max(axis=1)).mean(), abs=0.005)


@pytest.mark.parametrize("runs", [(10, 10), (30, 10)])
def test_size_of_the_comparison_on_the_distribution(runs):
    rng = np.random.default_rng(5)
    p = [rs.compare(correct=draw_pair(rng, runs, EXAMPLES, 0.1, 0.5)).distribution.p for _ in range(1000)]
    assert 0.025 <= np.mean(np.array(p) < 0.05) <= 0.095


def test_kolmogorov_smirnov_bootstrap_is_uniform_under_the_null():
    rng = np.random.default_rng(6)
    p = [independence_test(correct=draw(rng, 30, 60, 0.0)[0], resamples=99, seed=rng).p_ks for _ in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("runs", [5, 20])
def test_size_of_the_comparison_in_pairs(runs, shared):
    """The look at the correlation does not spoil the size, whatever seeds share; tau is the noise of examples."""
    rng = np.random.default_rng([8, runs, int(2 * shared)])
    seeds = (np.arange(runs), np.arange(runs))
    bound = 0.05 + 4 * math.sqrt(0.05 * 0.95 / 400)
    for tau, question in ((0.0, "test set"), (0.5, "distribution")):
        pairs = (draw_pair_of_seeds(rng, runs, EXAMPLES, 0.5, tau, shared=shared) for _ in range(400))
        found = [rs.compare(correct=pair, seeds=seeds) for pair in pairs]
        assert np.mean([result.verdict(question) != "undecided" for result in found]) <= bound
        used = np.mean([result.form == "paired" for result in found])
        if shared == 0:
            assert used <= 0.01 + 4 * math.sqrt(0.01 * 0.99 / 400)
        elif runs == 20:
            assert used >= 0.4
