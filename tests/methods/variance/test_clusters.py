"""Examples in clusters: the shared mechanism (`clusters.py`), against loops, enumeration and the plain form."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from runspread._reading.correctness import as_outcomes
from runspread.errors import InputError
from runspread.methods.variance import RunSums
from runspread.methods.variance.clusters import Grouping, cluster_totals, clusters_of, mean_variance


def totals_of(matrix: np.ndarray, clusters) -> object:
    return cluster_totals([matrix[:2], matrix[2:]], Grouping.of(clusters, matrix.shape[1]), matrix.sum(axis=0))


def matrix_and_clusters(runs: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.random((runs, 30)) < 0.7, rng.permutation(np.repeat(np.arange(8), (1, 1, 2, 3, 4, 5, 6, 8)))


def test_an_example_a_cluster_is_the_plain_form():
    matrix, _ = matrix_and_clusters()
    t, c = matrix.sum(axis=1), matrix.sum(axis=0)
    plain = RunSums(7, 30, int(t.sum()), int(t @ t), int(c @ c))
    sums = totals_of(matrix, np.arange(30)).sums
    for name in ("lift", "var_test", "var_ind", "var_dist", "var_example", "var_inter"):
        assert getattr(sums, name) == getattr(plain, name), name


def test_variance_of_pairs_in_different_clusters():
    matrix, clusters = matrix_and_clusters()
    covariance = np.cov(matrix.astype(float), rowvar=False)
    apart = clusters[:, None] != clusters
    sums = totals_of(matrix, clusters).sums
    assert float(sums.var_dist) == pytest.approx(covariance[apart].mean(), rel=1e-12)
    assert float(sums.var_ind) == pytest.approx(covariance[~apart].sum() / 30**2, rel=1e-12)
    assert float(sums.lift) == pytest.approx(1 / apart.mean(), rel=1e-12)
    p, q = matrix / np.sqrt(7 * 6), matrix.sum(axis=0) / np.sqrt(7 * 6)
    both = np.outer(q, q) - p.T @ p  # products over pairs of different runs
    assert float(sums.var_example) == pytest.approx(np.diag(both).mean() - both[apart].mean(), rel=1e-12)


def test_unbiased_whatever_happens_inside_a_cluster():
    """Two clusters of two copies each: enumeration over qualities, types and outcomes gives the true 1/100."""
    success = [[Fraction(1, 5), Fraction(9, 10)], [Fraction(7, 10), Fraction(4, 5)]]
    total = Fraction(0)
    for z, e in itertools.product(itertools.product((0, 1), repeat=2), itertools.product((0, 1), repeat=2)):
        p = [success[a][b] for a in z for b in e]
        for outcome in itertools.product((0, 1), repeat=4):
            weight = math.prod(q if hit else 1 - q for q, hit in zip(p, outcome, strict=True))
            matrix = np.repeat(np.array(outcome, bool).reshape(2, 2), 2, axis=1)
            total += weight * totals_of(matrix, [0, 0, 1, 1]).sums.var_dist
    assert total / 16 == Fraction(1, 100)


def test_totals_by_run_and_by_cluster():
    matrix, clusters = matrix_and_clusters()
    found = totals_of(matrix, clusters)
    t = np.stack([matrix[:, clusters == g].sum(axis=1) for g in range(8)], axis=1)
    np.testing.assert_array_equal(found.correct, t.sum(axis=1))
    np.testing.assert_array_equal(found.correct_by_half, np.stack([t[:, ::2].sum(axis=1), t[:, 1::2].sum(axis=1)], 1))
    assert found.sums.within == np.square(t).sum()
    np.testing.assert_array_equal(found.right, t.sum(axis=0))
    np.testing.assert_array_equal(found.squares, np.square(t).sum(axis=0))
    np.testing.assert_array_equal(found.joint, t.sum(axis=1) @ t)


def test_mean_variance_by_its_formula():
    values, clusters = np.random.default_rng(4).integers(-3, 9, 30), matrix_and_clusters()[1]
    grouping = Grouping.of(clusters, 30)
    p = np.bincount(clusters) / 30
    u = np.bincount(clusters, values - values.mean()) / 30
    rest = 1 - np.square(p).sum()
    degrees = rest**2 / (np.square(p).sum() - 2 * (p**3).sum() + np.square(p).sum() ** 2)
    for given in (values, values.astype(float)):
        found = mean_variance(given, grouping)
        assert found.variance == pytest.approx(np.square(u).sum() / rest, rel=1e-12)
        assert found.degrees == pytest.approx(degrees, rel=1e-12)
    single = mean_variance(values, Grouping.of(np.arange(30), 30))
    assert single == pytest.approx((values.var(ddof=1) / 30, 29), rel=1e-12)
    assert mean_variance(np.full(30, 7), grouping).variance == 0


def test_equal_clusters_have_a_degree_of_freedom_less_than_clusters():
    assert Grouping.of(np.repeat(np.arange(6), 4), 24).degrees == pytest.approx(5)
    assert Grouping.of([0, 0, 0], 3).degrees == 0


@pytest.mark.parametrize(
    "ids", [list("abca"), [True, False, False, True], [1.0, 2.0, 2.0, 1.0], np.array([5, 7, 7, 5])]
)
def test_ids_of_any_kind(ids):
    assert sorted(Grouping.of(ids, 4).sizes.tolist()) in ([1, 1, 2], [2, 2])


@pytest.mark.parametrize(
    ("ids", "what"),
    [
        ([0, 1, 2], "of shape"),
        ([[0], [1], [1], [0]], "of shape"),
        ([0, math.nan, 1, math.nan], "2 of 4 clusters are missing, the first at example 1"),
        (["a", None, "b", "b"], "1 of 4 clusters is missing, the first at example 1"),
        (np.ma.masked_array([1, 2, 3, 4], [0, 0, 1, 0]), "1 of 4 clusters is missing, the first at example 2"),
        (np.array(["a", 1, 2, "b"], object), "of types int, str"),
    ],
)
def test_ids_that_are_refused(ids, what):
    with pytest.raises(InputError, match=what):
        Grouping.of(ids, 4)


def test_clusters_of_the_examples_that_were_kept():
    matrix = matrix_and_clusters()[0].astype(float)
    matrix[2, 5] = matrix[3, 7] = math.nan
    outcomes = as_outcomes(correct=matrix, missing="intersect")
    clusters = np.arange(30) // 3
    kept = np.delete(clusters, [5, 7])
    for given in (clusters, kept):
        np.testing.assert_array_equal(clusters_of(given, outcomes, 28).codes, kept)
    with pytest.raises(InputError, match=r"of shape \(29,\)"):
        clusters_of(clusters[:29], outcomes, 28)
    with pytest.raises(InputError, match="all the same"):
        clusters_of(np.zeros(30), outcomes, 28)


def test_the_hint_on_missing_ids_helps():
    ids = np.array(["a", "", "a", "b", ""])
    with pytest.raises(InputError, match="2 of 5 clusters are missing, the first at example 1") as error:
        Grouping.of(ids, 5)
    assert error.value.hint == "Give an example that belongs to no group a value of its own."
    own = np.where(ids == "", [f"alone {index}" for index in range(5)], ids)
    assert sorted(Grouping.of(own, 5).sizes.tolist()) == [1, 1, 1, 2]
