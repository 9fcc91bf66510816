"""What the trimming level does on known laws: the specification's tables, rejection rates, population values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.methods.trimming import clip_gaps, trimmed_distance, trimming_level
from runspread.methods.trimming.levels import threshold_terms
from runspread.methods.trimming.nodes import candidate_nodes, smallest_level


def contaminated(rng, runs, n, share, centre=5.0, width=0.5):
    """Samples of ``(1 - share) N(0, 1) + share N(centre, width)``."""
    samples = rng.normal(size=(runs, n))
    inside = rng.random((runs, n)) < share
    samples[inside] = rng.normal(centre, width, size=int(inside.sum()))
    return samples


def levels_of(rng, candidates, **options):
    """Levels of each row against its own sample of N(0, 1)."""
    references = rng.normal(size=(len(candidates), candidates.shape[1]))
    pairs = zip(references, candidates, strict=True)
    return np.array([trimming_level(reference, candidate, **options) for reference, candidate in pairs])


def population_level(reference_law, candidate_law, delta):
    """The thresholded level of two continuous laws, by the closed form on a fine grid of their distributions."""
    grid = np.linspace(-12, 12, 200_001)
    mass = reference_law(grid)[None]
    cumulative = np.concatenate([[0.0], candidate_law(grid)])[None]
    upper = np.append(candidate_law(grid), 1.0)[None]
    nodes = candidate_nodes(mass, mass, cumulative)
    # Between two grid points both laws move: the right ends are read at the later point, the left ends at the earlier.
    nodes = type(nodes)(nodes.upper_reference, upper, nodes.lower_reference, cumulative)
    return float(smallest_level(nodes, (delta, 0.0))[0])


@pytest.mark.parametrize("n", [100, 500, 1000, 5000])
@pytest.mark.parametrize("mode", ["step", "published"])
def test_equal_laws_are_rarely_told_apart(n, mode):
    rng = np.random.default_rng(n)
    levels = levels_of(rng, rng.normal(size=(400, n)), mode=mode)
    assert (levels > 0).sum() <= 12


TABLE = [
    (1000, 0.1, 0.0434, 0.017),
    (1000, 0.2, 0.1497, 0.019),
    (1000, 0.4, 0.3643, 0.020),
    (5000, 0.05, 0.0240, 0.007),
    (5000, 0.1, 0.0754, 0.007),
    (5000, 0.2, 0.1784, 0.009),
    (5000, 0.3, 0.2816, 0.008),
    (5000, 0.4, 0.3850, 0.009),
    (20000, 0.1, 0.0876, 0.003),
    (20000, 0.2, 0.1896, 0.004),
    (20000, 0.4, 0.3921, 0.004),
]


@pytest.mark.parametrize(("n", "share", "mean", "deviation"), TABLE)
def test_contamination_table(n, share, mean, deviation):
    rng = np.random.default_rng(int(1000 * share) + n)
    levels = levels_of(rng, contaminated(rng, 20, n, share))
    assert abs(levels.mean() - mean) < max(0.01, 4 * deviation / math.sqrt(20))
    assert levels.std(ddof=1) == pytest.approx(deviation, rel=0.7)


@pytest.mark.parametrize(("n", "share"), [(1000, 0.2), (5000, 0.05), (5000, 0.3), (20000, 0.4)])
def test_population_level_of_contamination_has_a_closed_form(n, share):
    (delta, _) = threshold_terms("dkw", 0.01, n, n, "step")
    found = population_level(
        stats.norm.cdf, lambda x: (1 - share) * stats.norm.cdf(x) + share * stats.norm.cdf(x, 5, 0.5), delta
    )
    assert found == pytest.approx(max(0, (share - delta) / (1 - delta)), abs=5e-4)


ALTERNATIVES = {
    "shifted": (lambda x: stats.norm.cdf(x, 0.5), lambda rng, size: rng.normal(0.5, 1, size)),
    "wide": (lambda x: stats.norm.cdf(x, 0, 2), lambda rng, size: rng.normal(0, 2, size)),
    "two bumps": (
        lambda x: (stats.norm.cdf(x, -2) + stats.norm.cdf(x, 2)) / 2,
        lambda rng, size: rng.normal(np.where(rng.random(size) < 0.5, -2, 2), 1),
    ),
}


@pytest.mark.parametrize(
    ("name", "n", "population", "mean", "deviation"),
    [
        ("shifted", 1000, 0.3275, 0.373, 0.064),
        ("shifted", 5000, 0.4703, 0.490, 0.039),
        ("wide", 1000, 0.2872, 0.321, 0.036),
        ("wide", 5000, 0.3932, 0.408, 0.016),
        ("two bumps", 1000, 0.7513, 0.779, 0.028),
        ("two bumps", 5000, 0.8108, 0.822, 0.011),
    ],
)
def test_other_alternatives(name, n, population, mean, deviation):
    law, draw = ALTERNATIVES[name]
    (delta, _) = threshold_terms("dkw", 0.01, n, n, "step")
    assert population_level(stats.norm.cdf, law, delta) == pytest.approx(population, abs=2e-4)
    rng = np.random.default_rng(n)
    levels = levels_of(rng, draw(rng, (30, n)))
    assert abs(levels.mean() - mean) < 4 * deviation / math.sqrt(30)


def test_a_narrow_candidate_may_have_no_level():
    rng = np.random.default_rng(0)
    levels = levels_of(rng, rng.normal(0, 0.5, size=(40, 1000)))
    assert 0 < np.isinf(levels).sum() < 40


@pytest.mark.parametrize(("n", "population"), [(1000, 0.811), (5000, 0.972)])
def test_population_level_of_a_narrow_candidate(n, population):
    (delta, _) = threshold_terms("dkw", 0.01, n, n, "step")
    law = population_level(stats.norm.cdf, lambda x: stats.norm.cdf(x, 0, 0.5), delta)
    assert law == pytest.approx(population, abs=2e-3)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.45])
def test_rigorous_level_rarely_exceeds_the_truth(share):
    rng = np.random.default_rng(int(100 * share))
    levels = levels_of(rng, contaminated(rng, 300, 1000, share), threshold="rigorous")
    assert (levels > share).sum() <= 3  # epsilon of 300; simulated at 0.03 % or less


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "rate"), [(0.0, 0.010), (0.1, 0.007), (0.2, 0.015), (0.3, 0.027), (0.4, 0.040), (0.45, 0.067)]
)
def test_rejection_rate_of_a_true_level(share, rate):
    rng = np.random.default_rng(int(100 * share) + 7)
    candidates = contaminated(rng, 3000, 1000, share)
    plain = (levels_of(rng, candidates) > share).mean()
    assert abs(plain - rate) < 4 * math.sqrt(2 * rate / 3000)
    assert (levels_of(rng, candidates, threshold="rigorous") > share).mean() <= 0.01


def rejection_rate(share, runs, threshold=None, **contamination):
    """How often a contamination that is there is rejected at its true level, with 1,000 examples in both samples."""
    rng = np.random.default_rng(int(100 * share) + 11)
    references, candidates = rng.normal(size=(runs, 1000)), contaminated(rng, runs, 1000, share, **contamination)
    pairs = zip(references, candidates, strict=True)
    left = np.array([trimmed_distance(*pair, [share])[0] for pair in pairs])
    return (left > (threshold or threshold_terms("dkw", 0.01, 1000, 1000, "step")[0])).mean()


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.4, 0.45])
def test_contamination_inside_the_bulk_is_rarely_rejected_at_its_true_level(share):
    """Simulated at 0.2 to 0.3 %, where separated contamination of 45 % is rejected in 6.7 %."""
    assert rejection_rate(share, 2000, centre=0.0, width=0.5) <= 0.003 + 4 * math.sqrt(0.003 / 2000)


def in_between(share, n=1000, m=1000, epsilon=0.01):
    """A threshold between the plain and the rigorous one: the candidate's noise counted c times."""
    return math.sqrt((1 / m + 1 / (n * (1 - share) ** 2)) / 2 * math.log(2 / epsilon))


@pytest.mark.parametrize(("share", "rate"), [(0.0, 0.010), (0.2, 0.003), (0.3, 0.003), (0.4, 0.003), (0.45, 0.003)])
def test_threshold_in_between_keeps_its_size(share, rate):
    """Not offered, because nothing proves it; it is what tells the plain threshold's excess from the noise's share."""
    plain, rigorous = (
        delta[0] + delta[1] / (1 - share)
        for delta in (threshold_terms(name, 0.01, 1000, 1000, "step") for name in ("dkw", "rigorous"))
    )
    assert plain <= in_between(share) + 1e-12
    assert in_between(share) < rigorous
    assert abs(rejection_rate(share, 2000, in_between(share)) - rate) <= 4 * math.sqrt(2 * rate / 2000)


@pytest.mark.slow
@pytest.mark.parametrize(("correlation", "bootstrap"), [(0.0, 0.051), (0.5, 0.033), (0.9, 0.023), (1.0, 0.009)])
def test_bootstrap_halves_reject_more_often_than_disjoint_ones(correlation, bootstrap):
    rng = np.random.default_rng(int(10 * correlation))
    rates = {"bootstrap": [], "split": []}
    for _ in range(1500):
        common, own = rng.normal(size=2000), rng.normal(size=(2, 2000))
        one, other = math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own
        for resample, found in rates.items():
            seed = int(rng.integers(2**32))
            found.append(rs.trimming(one[None], other[None], resample=resample, replicates=1, seed=seed).levels[0, 0])
    measured = {resample: np.mean(np.array(found) > 0) for resample, found in rates.items()}
    assert abs(measured["bootstrap"] - bootstrap) < 4 * math.sqrt(2 * bootstrap / 1500)
    assert measured["split"] <= 0.018  # 0.75 % expected, 1500 runs


@pytest.mark.parametrize("width", [8, 10, 12, 15])
def test_clipping_to_zero_makes_equal_laws_differ_and_step_mode_cures_it(width):
    """The published path on equal laws: fine while few values are clipped, infinite when a fifth are."""
    rng = np.random.default_rng(width)
    published, step = [], []
    for _ in range(5):
        gaps = rng.normal(0, width, size=(2, 1000))
        zeroed = clip_gaps(gaps, kind="published")
        published.append(trimming_level(zeroed[0], zeroed[1], mode="published"))
        saturated = clip_gaps(gaps)
        step += [trimming_level(*gaps), trimming_level(*saturated), trimming_level(*zeroed)]
    assert max(step) == 0
    if width == 8:
        assert np.mean(published) < 0.05
    elif width == 10:
        assert 0.02 < np.mean(published) < 0.3
    else:
        assert np.isinf(np.mean(published))
