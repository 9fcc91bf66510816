"""What goes beyond the accuracy of runs: real-valued scores, quantiles, bounds by example, top shares of runs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import best_seed_model, poisson_binomial_pmf, score_variance
from runspread.plots import plot_quantiles


def test_scores_of_zero_and_one_are_accuracies():
    correct = np.random.default_rng(0).random((12, 40)) < 0.8
    found, same = score_variance(correct), rs.variance(correct=correct)
    for name in ("var_test", "var_ind", "var_dist", "ci_fixed_lo", "ci_fixed_hi", "kr20", "f_ratio"):
        assert found.to_dict()[name] == pytest.approx(same.to_dict()[name], rel=1e-9)


def test_scores_by_pairs_of_examples():
    """The distribution-wise variance is the mean covariance of two distinct examples."""
    scores = np.random.default_rng(1).normal(size=(9, 14)) + np.random.default_rng(2).normal(size=(9, 1))
    covariance = np.cov(scores, rowvar=False)
    pairs = [covariance[i, j] for i, j in itertools.permutations(range(14), 2)]
    found = score_variance(scores)
    assert found.var_dist == pytest.approx(np.mean(pairs), rel=1e-9)
    assert "9 runs" in found.sentence()
    assert len(found.table()) == 3
    np.testing.assert_allclose(found.run_mean, scores.mean(axis=1))


def test_the_interval_of_scores_covers():
    """Runs that share a normal effect: the true variance is within the interval in 95 of 100 sets."""
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(400):
        found = score_variance(0.5 * rng.normal(size=(10, 1)) + rng.normal(size=(10, 50)))
        hits.append(found.ci_fixed_lo <= 0.25 <= found.ci_fixed_hi)
    assert np.mean(hits) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 400))


@pytest.mark.parametrize("scores", [np.ones(3), np.ones((1, 4)), np.ones((4, 1)), [[1.0, math.nan], [1.0, 2.0]]])
def test_bad_scores(scores):
    with pytest.raises(InputError):
        score_variance(scores)


def test_quantiles_against_the_law():
    correct = np.random.default_rng(4).random((50, 30)) < np.linspace(0.2, 1, 30)
    result = rs.variance(correct=correct)
    law, runs = result.quantiles.T
    np.testing.assert_allclose(runs, np.sort(correct.mean(axis=1)))
    cumulative = np.cumsum(poisson_binomial_pmf(correct.mean(axis=0)))
    for j, quantile in enumerate(law):
        count = round(30 * quantile)
        assert cumulative[count] >= (j + 0.5) / 50
        assert count == 0 or cumulative[count - 1] < (j + 0.5) / 50


def test_quantile_plot():
    from matplotlib.figure import Figure

    result = rs.variance(correct=np.random.default_rng(5).random((20, 30)) < 0.8)
    ax = plot_quantiles(result, Figure(layout="constrained").subplots())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 100 * np.sort(result.accuracy))


def test_bounds_by_example_hold_for_calibrated_votes():
    """Labels are drawn by the very shares by which runs vote: the measured variance lies between the bounds."""
    rng = np.random.default_rng(6)
    q = rng.dirichlet(np.full(5, 0.3), 3000)
    edges = q.cumsum(axis=1)[:, :-1]
    predictions = (rng.random((400, 3000, 1)) > edges).sum(axis=2)
    result = rs.calibration(predictions, (rng.random((3000, 1)) > edges).sum(axis=1))
    assert result.predicted.example_low < result.measured.var_ind < result.predicted.example_high
    exact = (np.square(q).sum(axis=1) - (q**3).sum(axis=1)).mean() / 3000
    assert result.predicted.example_low < exact < result.predicted.example_high


def test_top_share_of_many_runs():
    model = best_seed_model(1.0, 0.3)
    assert model.top_apparent_gain == pytest.approx(1.2711, abs=1e-4)  # the figure of the specification
    assert model.top_fresh_gain == pytest.approx(0.3 * 1.2711, abs=1e-4)
    drawn = np.sort(np.random.default_rng(7).normal(size=400_000))
    top = best_seed_model(1.0, 0.3, fraction=0.1).top_apparent_gain
    assert top == pytest.approx(drawn[-40_000:].mean(), abs=0.01)
    with pytest.raises(InputError, match="fraction"):
        best_seed_model(1.0, 0.3, fraction=1.0)
