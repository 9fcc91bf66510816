"""The power-law fit against brute force, closed forms, planted truths, and its own bootstrap."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import stats

from runspread.errors import InputError
from runspread.methods.spectra import compare_tails, fit_power_law, fit_truncated_power_law, layer_metrics
from runspread.methods.spectra.tail_alternatives import log_upper_gamma
from runspread.methods.spectra.tails import bounded_slopes


def brute_force(values, min_tail=2, xmax=None, two_sided=False):
    """Every tail by the definition, one at a time; returns (index of xmin among sorted values, alpha, D)."""
    ordered = np.sort(values)
    best = (np.inf, -1, np.nan)
    for start in np.unique(ordered)[:-1]:
        tail = ordered[ordered >= start]
        if len(tail) < min_tail:
            continue
        alpha = 1 + len(tail) / np.sum(np.log(tail / start))
        distinct, copies = np.unique(tail, return_counts=True)
        up_to = np.cumsum(copies) / len(tail)
        model = 1 - (distinct / start) ** (1 - alpha)
        if xmax is not None:
            model = model / (1 - (xmax / start) ** (1 - alpha))
        gaps = [abs(model - (up_to - copies / len(tail)))]
        if two_sided:
            gaps.append(abs(model - up_to))
        distance = np.max(gaps)
        if distance < best[0] - 1e-13:
            best = (distance, len(ordered) - len(tail), alpha)
    return best[1], best[2], best[0]


def random_spectrum(rng):
    n = int(rng.integers(5, 400))
    family = rng.integers(5)
    if family == 0:
        values = rng.pareto(rng.uniform(0.5, 6), n) + 1
    elif family == 1:
        values = np.linalg.svd(rng.normal(size=(n, 2 * n)) / np.sqrt(n), compute_uv=False) ** 2 if n < 60 else None
        values = rng.chisquare(3, n) if values is None else values
    elif family == 2:
        values = np.exp(rng.normal(0, rng.uniform(0.1, 3), n))
    elif family == 3:
        values = np.concatenate([rng.uniform(0.1, 1, n), rng.pareto(1.5, 5) + 2])
    else:
        values = rng.exponential(1, n) + 1e-6
    return np.maximum(np.round(values, 1), 0.1) if rng.random() < 0.3 else values


def test_exact_minimum_on_1000_random_spectra():
    rng = np.random.default_rng(20210601)
    for trial in range(1000):
        values = random_spectrum(rng)
        options = {"min_tail": int(rng.choice([2, 8]))}
        if rng.random() < 0.3:
            options["xmax"] = "max"
        if rng.random() < 0.2:
            options["ks"] = "two_sided"
        fit = fit_power_law(values, **options)
        if fit.status != "ok":
            assert len(values) < options["min_tail"] or len(np.unique(values)) < 2
            continue
        top = values.max() if "xmax" in options else None
        index, alpha, distance = brute_force(values, options["min_tail"], top, "ks" in options)
        assert fit.xmin_index == index, f"trial {trial}: {options}"
        assert fit.alpha == pytest.approx(alpha, rel=1e-10)
        assert pytest.approx(distance, rel=1e-10) == fit.D


def test_profile_holds_the_minimum():
    fit = fit_power_law(np.random.default_rng(0).pareto(2, 300) + 1, min_tail=2)
    xmin, alpha, distance = fit.profile()
    assert np.argmin(distance) == fit.xmin_index
    assert (xmin[fit.xmin_index], alpha[fit.xmin_index], distance.min()) == (fit.xmin, fit.alpha, fit.D)


def test_alpha_is_unbiased_enough_on_pareto_samples():
    rng = np.random.default_rng(1)
    for truth in (1.5, 2.5, 4.0):
        samples = (1 - rng.random((200, 2000))) ** (1 / (1 - truth))
        alphas = np.array([fit_power_law(sample, xmin=1.0).alpha for sample in samples])
        assert abs(alphas.mean() - truth) < 3 * alphas.std(ddof=1) / np.sqrt(200) + (truth - 1) / 2000
        sigma = fit_power_law(samples[0], xmin=1.0).sigma
        assert sigma == pytest.approx(alphas.std(ddof=1), rel=0.2)


def test_fixed_xmin_needs_not_be_a_value():
    values = np.array([1.5, 2.0, 3.0, 7.0])
    fit = fit_power_law(values, xmin=1.0)
    assert fit.alpha == pytest.approx(1 + 4 / np.log(values).sum(), rel=1e-14)
    assert pytest.approx(stats.kstest(values, "pareto", args=(fit.alpha - 1,), alternative="less").statistic) == fit.D
    assert fit_power_law(values, xmin=2.0).n_tail == 3


def test_two_sided_distance_is_the_textbook_statistic():
    values = np.random.default_rng(2).pareto(2, 100) + 1
    fit = fit_power_law(values, xmin=1.0, ks="two_sided")
    assert pytest.approx(stats.kstest(values, "pareto", args=(fit.alpha - 1,)).statistic, rel=1e-12) == fit.D


def test_truncated_likelihood_removes_the_bias():
    rng = np.random.default_rng(3)
    b, top = 0.8, 20.0
    samples = (1 - rng.random((100, 500)) * (1 - top**-b)) ** (-1 / b)
    plain = np.array([fit_power_law(x, xmin=1.0).alpha for x in samples])
    bounded = np.array([fit_power_law(x, xmin=1.0, xmax=top, truncated_mle=True).alpha for x in samples])
    error = bounded.std(ddof=1) / 10
    assert abs(bounded.mean() - 1 - b) < 3 * error
    assert abs(plain.mean() - 1 - b) > 10 * error


@pytest.mark.parametrize("share", [1e-6, 0.01, 0.2, 0.4999, 0.5, 0.500001, 0.8, 0.999])
def test_bounded_slope_solves_its_equation(share):
    (u,) = bounded_slopes(np.array([share]), np.array([1.0]))
    left = mpmath.mpf("0.5") if u == 0 else 1 / mpmath.mpf(u) - 1 / mpmath.expm1(u)
    assert float(left) == pytest.approx(share, rel=1e-7)


def test_scaling_moves_only_xmin():
    values = np.random.default_rng(4).pareto(2, 200) + 1
    fit, scaled = fit_power_law(values), fit_power_law(values * 1e-9)
    assert scaled.alpha == pytest.approx(fit.alpha, rel=1e-9)
    assert pytest.approx(fit.D, rel=1e-9) == scaled.D
    assert scaled.xmin == pytest.approx(fit.xmin * 1e-9, rel=1e-12)


def test_xmin_range_restricts_the_candidates():
    values = np.random.default_rng(5).pareto(2, 200) + 1
    assert 1.5 <= fit_power_law(values, xmin_range=(1.5, 1.7)).xmin <= 1.7
    assert fit_power_law(values, xmin_range=(1e5, 1e6)).status == "too_few_values"


def test_bootstrap_tells_a_power_law_from_another():
    rng = np.random.default_rng(6)
    law = fit_power_law(rng.pareto(1.5, 400) + 1, bootstrap=200, seed=0)
    other = fit_power_law(np.exp(rng.normal(0, 0.3, 400)), xmin=0.5, bootstrap=200, seed=0)
    assert law.p_value is not None
    assert other.p_value is not None
    assert law.p_value > 0.1 > other.p_value
    assert law.alpha_interval is not None
    assert law.alpha_interval[0] < 2.5 < law.alpha_interval[1]
    assert "not rejected" in law.sentence()
    assert "is rejected" in other.sentence()


def test_bootstrap_repeats_with_its_seed():
    values = np.random.default_rng(7).pareto(2, 100) + 1
    first, second = (fit_power_law(values, bootstrap=50, seed=3) for _ in range(2))
    assert (first.p_value, first.alpha_interval) == (second.p_value, second.alpha_interval)


def p_values_of_true_power_laws(n_samples, **options):
    rng = np.random.default_rng(8)
    return np.array([
        fit_power_law((1 - rng.random(200)) ** (-1 / 1.5), bootstrap=100, seed=rng, **options).p_value
        for _ in range(n_samples)
    ])  # fmt: skip


@pytest.mark.slow
def test_bootstrap_p_values_are_uniform_on_true_power_laws():
    assert stats.kstest(p_values_of_true_power_laws(400, xmin=1.0), "uniform").pvalue > 0.01


@pytest.mark.slow
def test_bootstrap_rejects_no_more_than_it_says_when_it_chooses_xmin():
    """The choice of xmin makes the test a little conservative: small p-values are rarer than their level."""
    p_values = p_values_of_true_power_laws(300)
    for level in (0.05, 0.1, 0.2):
        assert stats.binomtest(int(np.sum(p_values < level)), 300, level, alternative="greater").pvalue > 0.01
    assert np.mean(p_values < 0.5) > 0.25


@pytest.mark.slow
def test_bootstrap_interval_covers():
    rng = np.random.default_rng(9)
    covered = []
    for _ in range(200):
        low, high = fit_power_law((1 - rng.random(300)) ** (-1 / 1.5), bootstrap=200, seed=rng).alpha_interval
        covered.append(low <= 2.5 <= high)
    assert 0.88 < np.mean(covered) <= 1.0


@pytest.mark.parametrize(
    ("values", "status"),
    [(np.full(50, 2.0), "degenerate"), (np.arange(1.0, 6.0), "too_few_values"), ([3.0], "too_few_values")],
)
def test_no_fit_says_why(values, status):
    fit = fit_power_law(values)
    assert fit.status == status
    assert np.isnan(fit.alpha)
    assert fit.xmin_index == -1
    assert "No power law" in fit.sentence()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": []}, "no values"),
        ({"values": [1.0, -1.0]}, "not positive"),
        ({"values": [1.0, np.nan]}, "not positive"),
        ({"values": [1.0, 2.0], "ks": "twosided"}, "Did you mean 'two_sided'"),
        ({"values": [1.0, 2.0], "truncated_mle": True}, "without xmax"),
        ({"values": [1.0, 2.0], "xmax": 0.5}, "below every value"),
        ({"values": [1.0, 2.0], "xmin": -1.0}, "xmin"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        fit_power_law(**arguments)


@pytest.mark.parametrize("s", [-0.61, -2.3, -5.99, 0.4, 1.0])
@pytest.mark.parametrize("z", [1e-8, 1e-3, 0.5, 0.99, 1.01, 5.0, 200.0])
def test_log_upper_gamma(s, z):
    assert log_upper_gamma(s, z) == pytest.approx(float(mpmath.log(mpmath.gammainc(s, z))), abs=1e-10)


def test_truncated_power_law_finds_a_planted_cutoff():
    rng = np.random.default_rng(10)
    grid = np.geomspace(1, 400, 200_001)
    density = grid**-1.5 * np.exp(-0.05 * grid) * grid  # in ln x
    values = np.interp(rng.random(3000), np.cumsum(density) / density.sum(), grid)
    fit = fit_truncated_power_law(values, xmin=1.0)
    assert fit.alpha == pytest.approx(1.5, abs=0.06)
    assert fit.Lambda == pytest.approx(0.05, rel=0.15)
    assert fit.R > 20
    assert fit.p_value < 1e-6
    own = fit_truncated_power_law(values[:60], select="truncated")
    assert own.D <= fit_truncated_power_law(values[:60]).D


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("exponential", lambda rng: rng.exponential(1, 2000) + 1),
        ("lognormal", lambda rng: np.exp(rng.normal(2, 0.5, 2000))),
        ("stretched_exponential", lambda rng: rng.weibull(1.5, 2000) + 0.05),
    ],
)
def test_the_right_alternative_is_favoured(name, draw):
    values = draw(np.random.default_rng(11))
    comparison = compare_tails(fit_power_law(values, xmin=float(np.min(values))))
    row = comparison.alternative.index(name)
    assert comparison.R[row] < 0
    assert comparison.p_value[row] < 1e-6
    assert "alternative" in comparison.sentence()


def test_comparison_needs_an_unbounded_fit():
    with pytest.raises(InputError, match="upper end"):
        compare_tails(fit_power_law(np.random.default_rng(0).pareto(2, 100) + 1, xmax="max"))
    with pytest.raises(InputError, match="too few values"):
        compare_tails(fit_power_law([1.0, 2.0]))


def test_values_that_are_equal_but_for_rounding_are_one_candidate():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        exact = np.repeat(np.sort(rng.pareto(2, 60) + 0.1), 8)
        rounded = np.sort(exact * (1 + 1e-15 * rng.normal(size=exact.size)))
        first, second = fit_power_law(exact), fit_power_law(rounded)
        assert second.alpha == pytest.approx(first.alpha, rel=1e-9)  # 2.075 and 2.053 before, with seed 1
        assert second.n_tail == first.n_tail
        assert pytest.approx(first.D, abs=1e-9) == second.D


def test_a_stack_of_one_matrix_turned_has_the_exponent_of_the_matrix():
    weight = np.random.default_rng(1).standard_t(3, size=(64, 64))
    stack = np.stack([weight, weight.T, weight[::-1], weight[:, ::-1]])
    found, once = layer_metrics(stack, layout="stack"), layer_metrics(weight)
    assert found["alpha"] == pytest.approx(once["alpha"], rel=1e-9)
    assert found.fit.n_tail == 4 * once.fit.n_tail
