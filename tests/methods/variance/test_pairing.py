"""Comparison of runs in pairs of equal seeds: against scipy, the components of the differences, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import run_statistics, score_variance
from tests.methods.variance.probit import draw_pair_of_seeds


def correlated(seed=0, runs=14, examples=300, beta=0.5, gap=0.0):
    a, b = draw_pair_of_seeds(np.random.default_rng(seed), runs, examples, beta, 0.3, shared=1.0)
    return a, b & (np.random.default_rng(seed + 1).random(b.shape) >= gap)


def shuffled(runs, seed=0):
    order = np.random.default_rng(seed).permutation(runs)
    return order, np.arange(runs)[order]


def test_all_runs_paired_is_the_t_test_of_the_differences():
    a, b = correlated(1, gap=0.02)
    order, seeds = shuffled(len(b))
    result = rs.compare(correct=(a, b[order]), seeds=(np.arange(len(a)), seeds))
    reference = stats.ttest_rel(b.mean(axis=1), a.mean(axis=1))
    assert result.form == "paired"
    assert result.paired.n_pairs == 14
    found = (-result.to_dict()["t_paired"], result.paired.p)
    assert found == pytest.approx((reference.statistic, reference.pvalue), rel=1e-9)
    assert result.paired.df == reference.df
    assert result.ci_fixed == pytest.approx(tuple(reference.confidence_interval()), rel=1e-9)
    correlation = stats.pearsonr(a.mean(axis=1), b.mean(axis=1), alternative="greater")
    found = (result.paired.seed_correlation, result.paired.p_seed_correlation)
    assert found == pytest.approx((correlation.statistic, correlation.pvalue), rel=1e-9)


def test_on_the_distribution_it_is_the_components_of_the_differences():
    a, b = correlated(1)
    result = rs.compare(correct=(a, b), seeds=(np.arange(14), np.arange(14)))
    difference = a.astype(float) - b
    runs, examples = difference.shape
    components = score_variance(difference)
    expected = difference.mean(axis=0).var(ddof=1) / examples + components.var_dist / runs
    assert components.var_dist > 0
    assert result.paired.se_dist**2 == pytest.approx(expected, rel=1e-9)
    assert result.paired.p_dist == pytest.approx(2 * stats.norm.sf(abs(result.diff / result.paired.se_dist)), rel=1e-9)
    rest = difference - difference.mean(axis=0) - difference.mean(axis=1, keepdims=True) + difference.mean()
    interaction = np.square(rest).sum() / ((runs - 1) * (examples - 1))
    assert result.distribution.tau2 == pytest.approx(result.distribution.s2_diff - interaction / runs, rel=1e-9)


def test_pairs_decide_what_the_seeds_would_hide():
    a, b = correlated(2, examples=2000, gap=0.02)
    names = ("old", "new")
    plain = rs.compare(correct=(b, a), names=names)
    result = rs.compare(correct=(b, a), names=names, seeds=(np.arange(14), np.arange(14)))
    assert plain.verdict() == "undecided"
    assert result.verdict() == "better"
    assert result.fixed.p == plain.fixed.p  # both forms stay in the result
    assert "14 runs each compared in pairs, " in result.sentence()
    assert "Runs were compared in pairs: over 14 pairs of runs with the same seeds" in " ".join(result.warnings)
    assert "pairs" not in plain.sentence()
    assert plain.paired.n_pairs is None
    low, high = result.ci_dist
    assert high - low < plain.ci_dist[1] - plain.ci_dist[0]
    assert result.table()["p"][1] == pytest.approx(result.paired.p)
    needed = [
        rs.compare(correct=(b, a), on="test-set", equivalent=0.005, seeds=seeds).runs_needed
        for seeds in ((np.arange(14), np.arange(14)), None)
    ]
    assert needed[0] < needed[1]


def test_without_a_correlation_runs_stay_unpaired():
    a, b = draw_pair_of_seeds(np.random.default_rng(3), 14, 300, 0.5, 0.3, shared=0.0)
    seeds = (np.arange(14), np.arange(14))
    result, plain = rs.compare(correct=(a, b), seeds=seeds), rs.compare(correct=(a, b))
    assert result.form != "paired"
    assert result.paired.p_seed_correlation > 0.01
    assert (result.ci_fixed, result.ci_dist, result.distribution.tau2) == (
        plain.ci_fixed,
        plain.ci_dist,
        plain.distribution.tau2,
    )
    assert "14 runs each compared unpaired, " in result.sentence()
    assert "unpaired: over 14 pairs of runs with the same seeds no positive correlation" in " ".join(result.warnings)
    opposite = rs.compare(correct=(a, ~a), seeds=seeds)
    assert (opposite.paired.seed_correlation, opposite.form == "paired") == (pytest.approx(-1), False)


def test_runs_without_a_partner_count_unpaired():
    a, b = correlated(4, runs=16)
    seeds = (np.arange(16), np.arange(4, 16))
    result = rs.compare(correct=(a, b[4:]), seeds=seeds)
    assert result.paired.n_pairs == 12
    assert result.paired.df == 11
    assert result.diff == pytest.approx(b[4:].mean() - a.mean(), rel=1e-9)
    x, y = a.mean(axis=1), b[4:].mean(axis=1)
    covariance = np.corrcoef(x[4:], y)[0, 1] * x.std(ddof=1) * y.std(ddof=1)
    expected = x.var(ddof=1) / 16 + y.var(ddof=1) / 12 - 2 * 12 * covariance / (16 * 12)
    assert result.paired.se**2 == pytest.approx(expected, rel=1e-9)
    few = rs.compare(correct=(a, b[4:]), seeds=(np.arange(16), np.arange(14, 26)))
    assert (few.paired.n_pairs, few.form == "paired") == (2, False)
    assert "2 pairs of runs with the same seeds cannot show" in " ".join(few.warnings)


def test_runs_of_equal_accuracy_show_no_correlation():
    same, other = (np.stack([np.roll(np.arange(40) < 30, k) for k in shifts]) for shifts in (range(5), range(5, 10)))
    result = rs.compare(correct=(same, other), seeds=(np.arange(5), np.arange(5)))
    assert math.isnan(result.paired.seed_correlation)
    assert result.form != "paired"
    noisy, _ = correlated(5)
    copy = rs.compare(correct=(noisy, np.roll(noisy, 1, axis=1)), seeds=(np.arange(14), np.arange(14)))
    assert copy.form == "paired"
    assert (copy.paired.se, copy.verdict()) == (0.0, "undecided")


def test_statistics_with_bits_give_what_arrays_give():
    a, b = correlated(6)
    labels, seeds = np.ones(300, int), (np.arange(14), np.arange(14))
    kept = [run_statistics(x * 1, labels, keep_bits=True) for x in (a, b)]
    assert rs.compare(*kept, seeds=seeds).to_json() == rs.compare(a * 1, b * 1, labels, seeds=seeds).to_json()
    bare = [run_statistics(x * 1, labels) for x in (a, b)]
    with pytest.raises(InputError, match="keep_bits=True"):
        rs.compare(*bare, seeds=seeds)


def test_seeds_that_cannot_pair_are_refused():
    a, b = correlated(7)
    with pytest.raises(InputError, match=r"1 seeds with several runs in old, the first \(0,\)"):
        rs.compare(correct=(a, b), seeds=([0, 0, *range(2, 14)], np.arange(14)), names=("old", "new"))
    with pytest.raises(InputError, match="seeds of B of shape"):
        rs.compare(correct=(a, b), seeds=(np.arange(14), np.arange(13)))
    with pytest.raises(InputError, match="seeds of 14 configurations"):
        rs.compare(correct=(a, b), seeds=np.arange(14))
    with pytest.raises(InputError, match="runs of A without seeds"):
        rs.compare(correct=(a, b), paired=True)


def record(path, correct, seeds):
    study = rs.create_study(path, splits={"test": np.zeros(correct.shape[1], int)})
    for row, seed in zip(correct, seeds, strict=True):
        with study.record(seeds=int(seed)) as run:
            run.predictions("test", np.stack([row, 1.0 - row], axis=1))
    return study


def test_studies_are_paired_by_recorded_seeds(tmp_path):
    a, b = correlated(8)
    order, seeds = shuffled(14)
    old, new = record(tmp_path / "old", a, np.arange(14)), record(tmp_path / "new", b[order], seeds)
    found = rs.compare(old, new, paired=True)
    expected = rs.compare(correct=(a, b), seeds=(np.arange(14), np.arange(14)))
    for name in ("n_pairs", "p_paired", "p_dist_paired", "seed_correlation", "paired"):
        assert found.to_dict()[name] == pytest.approx(expected.to_dict()[name], rel=1e-9)
    assert rs.compare(old, new).paired.n_pairs is None


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_size_of_both_steps_together(shared):
    """No difference between configurations: a fast, seeded look; the slow test has more sets."""
    rng = np.random.default_rng([9, int(shared)])
    seeds = (np.arange(8), np.arange(8))
    pairs = (draw_pair_of_seeds(rng, 8, 60, 0.5, 0.0, shared=shared) for _ in range(150))
    found = [rs.compare(correct=pair, seeds=seeds) for pair in pairs]
    assert np.mean([result.verdict("test set") != "undecided" for result in found]) <= 0.05 + 4 * math.sqrt(0.05 / 150)
    used = np.mean([result.form == "paired" for result in found])
    assert used >= 0.5 if shared else used <= 0.05
