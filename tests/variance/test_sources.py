"""Variance by source: crossed and one at a time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

import runspread as rs


def crossed(seed=0, levels=(4, 3, 5), examples=80):
    rng = np.random.default_rng(seed)
    latent = rng.normal(1, 1, examples)
    latent = latent + 0.3 * rng.normal(size=(levels[0], 1, 1, examples)) + 0.6 * rng.normal(size=(*levels, examples))
    return latent > 0


def test_crossed_components_on_the_distribution_by_pairs_of_examples():
    """The lifting rule is the mean over pairs of distinct examples of the same quadratic form."""
    matrix = crossed(examples=6)
    result = rs.variance_by_source(correct=matrix)
    values = matrix.astype(float)

    def bilinear(x, y):
        total, both = 0.0, 0.0
        for v, sign in ((x + y, 0.25), (x - y, -0.25)):
            both += sign * mean_square_abc(v)
        return total + both

    def mean_square_abc(v):
        rest = v.copy()
        for size in range(3):
            for kept in itertools.combinations(range(3), size):
                averaged = tuple(axis for axis in range(3) if axis not in kept)
                rest = rest + (-1) ** (3 - size) * v.mean(axis=averaged, keepdims=True)
        return np.square(rest).sum() / np.prod([size - 1 for size in v.shape])

    pairs = [bilinear(values[..., i], values[..., j]) for i, j in itertools.permutations(range(6), 2)]
    assert result.ms_dist[6] == pytest.approx(np.mean(pairs), rel=1e-9)


def test_crossed_total_effect_is_the_mean_conditional_variance():
    """Varying one source alone, averaged over the values of the others, is its total effect."""
    matrix = crossed()
    accuracies = matrix.mean(axis=-1)
    result = rs.variance_by_source(correct=matrix)
    for axis in range(3):
        assert result.total_effect_test[axis] == pytest.approx(accuracies.var(axis=axis, ddof=1).mean(), rel=1e-9)
    assert "init alone" in result.sentence()
    assert len(result.table()) == 7


def test_crossed_needs_two_levels():
    with pytest.raises(rs.InputError, match="two seeds or more"):
        rs.variance_by_source(correct=crossed(levels=(1, 3, 3)))


def one_at_a_time(seed=1, examples=300):
    rng = np.random.default_rng(seed)
    seeds = [(i, 100 + i, 200 + i) for i in range(1, 13)]
    for axis in range(3):
        for value in range(8):
            row = [0, 0, 0]
            row[axis] = 1000 + value
            seeds.append(tuple(row))
    labels = rng.integers(0, 3, examples)
    predictions = np.where(rng.random((len(seeds), examples)) < 0.8, labels, rng.integers(0, 3, (len(seeds), examples)))
    order = rng.permutation(len(seeds))
    return predictions[order], labels, np.array(seeds)[order]


def test_groups_found_from_seeds():
    predictions, labels, seeds = one_at_a_time()
    result = rs.variance_by_source(predictions, labels, seeds=seeds)
    assert result.names == ("all", "init", "order", "augment")
    assert result.n_runs.tolist() == [12, 8, 8, 8]
    varied = predictions[seeds[:, 0] > 0][np.all(seeds[seeds[:, 0] > 0] > 0, axis=1)]
    assert result.var_test[0] == pytest.approx(rs.variance(varied, labels).var_test)
    assert result.disagreement[0] == pytest.approx(rs.calibration(varied, labels).disagreement)
    for row in (1, 2, 3):
        f = result.var_test[row] / result.var_test[0]
        p = 2 * min(stats.f.cdf(f, 7, 11), stats.f.sf(f, 7, 11))
        assert result.p_value[row] == pytest.approx(min(1, p), rel=1e-9)
    assert math.isnan(result.p_value[0])
    assert "init alone" in result.sentence()


def test_groups_given_by_name():
    predictions, labels, _ = one_at_a_time()
    result = rs.variance_by_source(
        {"everything": predictions[:10], "init": predictions[10:15]}, labels, reference="everything"
    )
    assert result.f_ratio[0] == 1
    only = rs.variance_by_source(correct={"all": predictions[:10] == labels, "order": predictions[10:] == labels})
    assert np.isnan(only.disagreement).all()
    assert only.var_test[0] == pytest.approx(result.var_test[0])


def test_sources_refuse():
    predictions, labels, seeds = one_at_a_time()
    with pytest.raises(rs.InputError, match="runs without seeds"):
        rs.variance_by_source(predictions, labels)
    with pytest.raises(rs.InputError, match="seeds of shape"):
        rs.variance_by_source(predictions, labels, seeds=seeds[:3])
    with pytest.raises(rs.InputError, match="groups for no role"):
        rs.variance_by_source(predictions[:12], labels, seeds=np.arange(36).reshape(12, 3))
    with pytest.raises(rs.InputError, match="reference"):
        rs.variance_by_source({"a": predictions, "b": predictions}, labels)
    with pytest.raises(rs.InputError, match="two runs or more"):
        rs.variance_by_source({"all": predictions, "b": predictions[:1]}, labels)
