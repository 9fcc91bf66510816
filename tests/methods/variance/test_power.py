"""Power of the t tests behind the plans: against independent integration, SciPy where it holds, and vectors."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy
from scipy import integrate, stats

from runspread.methods.variance import plan_gap, plan_runs
from runspread.methods.variance.power import (
    runs_for_fixed_t,
    runs_for_welch,
    student_rejection,
    welch_power,
    welch_rejection,
)
from tests.conftest import SHARED


def beyond(shift: float, critical: float, degrees: int) -> float:
    """P(T > critical) of a noncentral t, adaptively: over a normal z, the chance that the scale is below its bound."""

    def density(z):
        return stats.norm.pdf(z) * stats.chi2.cdf(degrees * ((z + shift) / critical) ** 2, degrees)

    low = max(-12.0, -shift)
    around = (critical - shift) + np.array([-8, -3, 0, 3, 8]) * critical / math.sqrt(2 * degrees)
    ends = sorted({low, 12.0, *(float(x) for x in (*around, -6, -2, 0, 2, 6) if low < x < 12)}) if low < 12 else []
    return sum(integrate.quad(density, a, b, epsabs=1e-13, epsrel=1e-10)[0] for a, b in pairwise(ends))


@pytest.mark.parametrize("runs", [2, 3, 8, 300])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 1e-4])
def test_student_power_against_adaptive_integration(runs, alpha):
    gaps = [0.01, 1.0, 2.7, 9.361386958194831 * math.sqrt(runs / 2), 130.0]
    degrees, critical = 2 * (runs - 1), -stats.t.ppf(alpha / 2, 2 * (runs - 1))
    found = student_rejection(2.0, runs, alpha).power(np.array(gaps) * math.sqrt(2 / runs))
    expected = [beyond(gap, critical, degrees) + beyond(-gap, critical, degrees) for gap in gaps]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_noncentral_t_far_out_is_no_nan():
    """SciPy's noncentral t is NaN there, which made six runs out of two and fifteen out of two."""
    assert plan_runs(0.08282331430517203, variance=1e-4).runs_fixed_t == 2
    assert plan_runs(9.361386958194831, variance=1.0).runs_fixed_t == 2
    assert plan_gap(2, variance=1e-4, power=0.99).gap_fixed_t == pytest.approx(0.0969, abs=0.001)


SCIPY = 1e-12 if tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 17) else 2e-9  # of its noncentral t


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001, 1e-6])
def test_power_is_finite_and_grows_with_the_gap_and_the_runs(alpha):
    """A dense grid, where SciPy's noncentral t has holes."""
    gaps = np.concatenate([np.linspace(0, 60, 241), np.geomspace(61, 1e5, 30)])
    before = np.zeros((2, len(gaps)))
    for runs in (2, 3, 4, 6, 9, 14, 40, 1000, 10**6):
        now = np.array(
            [
                student_rejection(2.0, runs, alpha).power(gaps),
                welch_rejection(1.0, 1.0, runs, runs, alpha).power(gaps),
            ]
        )
        assert np.isfinite(now).all()
        assert (np.diff(now) >= -SCIPY).all()
        assert (now >= before - SCIPY).all()
        before = now


def test_runs_never_grow_with_the_gap():
    gaps = np.geomspace(0.3, 40, 60)
    for count in (runs_for_fixed_t, runs_for_welch):
        runs = [count(gap, 1.0, 1.0, 0.05, 0.8) for gap in gaps]
        assert runs == sorted(runs, reverse=True)
        assert runs[-1] == 2


@pytest.mark.parametrize(("sd_b", "n_a", "n_b"), [(1.0, 2, 2), (3.0, 3, 3), (1.0, 5, 12), (2.0, 2, 9)])
def test_welch_power_against_simulation(sd_b, n_a, n_b):
    """With the guard: the larger p-value of both tests where three runs or fewer meet another number."""
    rng = np.random.default_rng([n_a, n_b])
    trials, gap = 40_000, 2.5
    a, b = rng.normal(gap, 1, (trials, n_a)), rng.normal(0, sd_b, (trials, n_b))
    p = stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue
    if n_a != n_b and min(n_a, n_b) <= 3:
        p = np.maximum(p, stats.ttest_ind(a, b, axis=1).pvalue)
    power = welch_power(gap, 1.0, sd_b**2, n_a, n_b, 0.05)
    assert power == pytest.approx((p <= 0.05).mean(), abs=4 * math.sqrt(power * (1 - power) / trials))


@pytest.fixture(scope="module")
def scores():
    path = SHARED / "vectors" / "scores.npz"
    if not path.is_file():
        pytest.skip("the vectors beside the developers' checkouts (../shared/vectors) are not here")
    return np.load(path)


def test_power_vectors(scores):
    names = ("gap", "sd_a", "sd_b", "n_a", "n_b", "alpha", "exp__power", "exp__power_abs_tolerance")
    for gap, sd_a, sd_b, n_a, n_b, alpha, expected, tolerance in zip(
        *(scores[f"power__{n}"] for n in names), strict=True
    ):
        assert welch_power(gap, sd_a**2, sd_b**2, int(n_a), int(n_b), alpha) == pytest.approx(expected, abs=tolerance)


def test_runs_vectors(scores):
    variance, alpha, power = (float(scores[f"runs__{name}"]) for name in ("sd", "alpha", "power"))
    found = [runs_for_welch(gap, variance**2, variance**2, alpha, power) for gap in scores["runs__gap"]]
    assert found == scores["runs__exp__runs"].tolist()
