"""Trimmed distance and trimming level: by hand, against linear programs and bisection, properties, bad inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

import runspread as rs
from runspread.errors import InputError
from runspread.methods.trimming import optimal_trimming, trimmed_distance, trimming_level, trimming_level_grid
from runspread.methods.trimming.defaults import GRID
from runspread.methods.trimming.levels import Pair, masses, round_up_to_grid, shares, threshold_terms
from runspread.methods.trimming.nodes import distance, reference_nodes, smallest_level

ALPHAS = (*GRID, 0.6, 0.8)
tied = st.lists(st.integers(-4, 6), min_size=1, max_size=12).map(lambda values: np.array(values, dtype=float))
untied = st.lists(st.integers(-999, 999), min_size=1, max_size=12, unique=True).map(lambda v: np.array(v) / 200)
samples = st.one_of(tied, untied)
deltas = st.floats(0.01, 0.6)


def cumulative_constraints(reference, candidate):
    """Rows that add up the candidate's weights to each jump, and the reference's distribution there."""
    values, counts = np.unique(candidate, return_counts=True)
    jumps = np.union1d(reference, values)
    rows = (values[None] <= jumps[:, None]).astype(float)
    return rows, np.searchsorted(np.sort(reference), jumps, side="right") / reference.size, counts / counts.sum()


def distance_by_program(reference, candidate, alpha):
    """Minimise d over the weights of all trimmings."""
    rows, target, mass = cumulative_constraints(reference, candidate)
    ones = np.ones((len(rows), 1))
    solved = optimize.linprog(
        np.append(np.zeros(len(mass)), 1),
        A_ub=np.block([[rows, -ones], [-rows, -ones]]),
        b_ub=np.concatenate([target, -target]),
        A_eq=np.append(np.ones(len(mass)), 0)[None],
        b_eq=[1],
        bounds=[*((0, share / (1 - alpha)) for share in mass), (0, None)],
    )
    return solved.fun


def level_by_program(reference, candidate, delta):
    """Minimise c over the trimmings within delta."""
    rows, target, mass = cumulative_constraints(reference, candidate)
    zeros = np.zeros((len(rows), 1))
    capped = np.hstack([np.eye(len(mass)), -mass[:, None]])
    solved = optimize.linprog(
        np.append(np.zeros(len(mass)), 1),
        A_ub=np.block([[rows, zeros], [-rows, zeros], [capped]]),
        b_ub=np.concatenate([target + delta, delta - target, np.zeros(len(mass))]),
        A_eq=np.append(np.ones(len(mass)), 0)[None],
        b_eq=[1],
        bounds=[*((0, None) for _ in mass), (1, None)],
    )
    return 1 - 1 / solved.x[-1] if solved.status == 0 else math.inf


def level_by_bisection(reference, candidate, delta, mode="step", slope=0.0):
    """Halve the range of c that brackets the root of the distance."""

    def excess(c):
        return float(trimmed_distance(reference, candidate, 1 - 1 / c, mode=mode)[0]) - delta - c * slope

    if excess(1.0) <= 0:
        return 0.0
    low, high = 1.0, 1e9
    if excess(high) > 0:
        return math.inf
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) <= 0 else (middle, high)
    return 1 - 1 / high


def normal_pair(seed, n=80, m=60, shift=0.5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=m), rng.normal(shift, 1.3, size=n)


# --- by hand ---------------------------------------------------------------------------------------------------------

HAND = ([0, 1, 2, 3], [0, 1, 2, 10])


def test_hand_case_distances():
    distances = trimmed_distance(*HAND, [0, 0.1, 1 / 7, 0.2, 0.45, 0.8])
    assert distances == pytest.approx([0.25, 1 / 6, 0.125, 0.125, 0.125, 0.125], abs=1e-15)
    assert trimmed_distance(*HAND, GRID, mode="published") == pytest.approx([0.25] * 13, abs=1e-15)


@pytest.mark.parametrize(
    ("delta", "level"), [(0.2, 1 / 16), (0.125, 1 / 7), (0.25, 0), (0.1249, math.inf), (0.9, 0), (0, math.inf)]
)
def test_hand_case_levels(delta, level):
    assert trimming_level(*HAND, threshold=delta) == pytest.approx(level, abs=1e-15)


@pytest.mark.parametrize(
    ("n", "dkw", "published"), [(1000, 0.0727895, 0.0737895), (5000, 0.0325525, 0.0327525), (100, 0.2301807, 0.2401807)]
)
def test_thresholds_of_the_specification(n, dkw, published):
    assert threshold_terms("dkw", 0.01, n, n, "step")[0] == pytest.approx(dkw, abs=5e-8)
    assert threshold_terms("published", 0.01, n, n, "step")[0] == pytest.approx(published, abs=5e-8)
    assert threshold_terms(None, 0.01, n, n, "published") == threshold_terms("published", 0.01, n, n, "step")
    first, second = threshold_terms("rigorous", 0.01, n, 2 * n, "step")
    assert (first, second) == (math.sqrt(math.log(400) / (4 * n)), math.sqrt(math.log(400) / (2 * n)))


# --- against independent computations --------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(samples, samples, st.sampled_from(ALPHAS))
def test_distance_equals_a_linear_program(reference, candidate, alpha):
    found = trimmed_distance(reference, candidate, alpha)[0]
    assert found == pytest.approx(distance_by_program(reference, candidate, alpha), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(samples, samples, deltas)
def test_level_equals_a_linear_program(reference, candidate, delta):
    delta = round(delta, 3) + 1e-4  # off the lattice of distances, where rounding decides between a level and none
    found = trimming_level(reference, candidate, threshold=delta)
    assert found == pytest.approx(level_by_program(reference, candidate, delta), abs=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_larger_samples_equal_a_linear_program(seed):
    reference, candidate = normal_pair(seed, n=220, m=180)
    for alpha in (0.0, 0.1, 0.45):
        found = trimmed_distance(reference, candidate, alpha)[0]
        assert found == pytest.approx(distance_by_program(reference, candidate, alpha), abs=1e-9)
    found = trimming_level(reference, candidate, threshold=0.05)
    assert found == pytest.approx(level_by_program(reference, candidate, 0.05), abs=1e-7)


@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize(("n", "m"), [(50, 50), (80, 60), (31, 200)])
def test_distance_at_zero_is_the_kolmogorov_smirnov_statistic(n, m, decimals):
    for seed in range(10):
        reference, candidate = (np.round(sample, decimals) for sample in normal_pair(seed, n, m))
        expected = stats.ks_2samp(candidate, reference, method="asymp").statistic
        assert trimmed_distance(reference, candidate, 0.0)[0] == expected


@pytest.mark.parametrize("mode", ["step", "published"])
@settings(max_examples=60, deadline=None)
@given(reference=samples, candidate=samples, delta=deltas)
def test_level_equals_bisection(reference, candidate, delta, mode):
    delta = round(delta, 3) + 1e-4
    found = trimming_level(reference, candidate, threshold=delta, mode=mode)
    assert found == pytest.approx(level_by_bisection(reference, candidate, delta, mode), abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_rigorous_level_equals_bisection_and_is_finite(seed):
    reference, candidate = normal_pair(seed, shift=seed / 10)
    candidate = candidate if seed % 2 else candidate / 5  # narrow: no level satisfies a fixed threshold
    first, second = threshold_terms("rigorous", 0.3, candidate.size, reference.size, "step")
    found = trimming_level(reference, candidate, threshold="rigorous", epsilon=0.3)
    assert found == pytest.approx(level_by_bisection(reference, candidate, first, slope=second), abs=1e-12)
    assert math.isfinite(found)


@settings(max_examples=60, deadline=None)
@given(samples, samples, deltas)
def test_nodes_at_the_reference_give_the_same_answer(reference, candidate, delta):
    delta = round(delta, 3) + 1e-4
    reference, candidate = np.sort(reference), np.sort(candidate)
    left, right = masses(candidate, reference[None])
    nodes = reference_nodes(left, right, shares(reference.size)[None])
    for alpha in ALPHAS:
        (by_candidate,) = Pair(reference, candidate[None], "step").nodes()
        assert distance(nodes, 1 / (1 - alpha)) == pytest.approx(distance(by_candidate, 1 / (1 - alpha)), abs=1e-15)
    level = smallest_level(nodes, (delta, 0.0))
    assert level == pytest.approx(smallest_level(by_candidate, (delta, 0.0)), abs=1e-12)


def test_large_candidates_use_the_smaller_sample():
    reference, candidate = normal_pair(3, n=5000, m=40)
    (nodes,) = Pair(np.sort(reference), np.sort(candidate)[None], "step").nodes()
    assert nodes.upper_reference.shape[1] == 40
    many = np.tile(candidate, (3, 1)) + np.array([[0.0], [0.5], [4.0]])
    levels = trimming_level(reference, many)
    assert levels.tolist() == [trimming_level(reference, one) for one in many]


# --- properties ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(samples, samples, st.sampled_from(["step", "published"]))
def test_distance_falls_and_is_convex_in_c(reference, candidate, mode):
    c = np.linspace(1, 6, 41)
    distances = trimmed_distance(reference, candidate, 1 - 1 / c, mode=mode)
    assert (np.diff(distances) <= 1e-15).all()
    assert (np.diff(distances, 2) >= -1e-12).all()
    assert (np.abs(np.diff(distances)) <= np.diff(c) + 1e-12).all()  # slopes are masses: continuous


@settings(max_examples=60, deadline=None)
@given(samples, samples, deltas)
def test_grid_rule_rounds_the_exact_level_up(reference, candidate, delta):
    delta = round(delta, 3) + 1e-4
    exact = trimming_level(reference, candidate, threshold=delta, mode="published")
    on_grid = trimming_level_grid(reference, candidate, threshold=delta)
    assert on_grid == next((alpha for alpha in GRID if alpha >= exact - 1e-12), 0.5)
    assert on_grid == round_up_to_grid(np.array([exact]))[0]


def test_grid_and_cap_are_the_callers():
    assert trimming_level_grid([0.0, 1, 2], [5.0, 6, 7], grid=[0, 0.3], cap=0.7, threshold=0.1) == 0.7
    assert trimming_level_grid(*HAND, grid=[0, 0.3], threshold=0.2, mode="step") == 0.3
    assert trimming_level_grid(HAND[0], [HAND[1]] * 2, threshold=0.2, mode="step").tolist() == [0.075, 0.075]


@pytest.mark.parametrize("deleted", [1, 7, 30])
def test_deleting_points_is_undone_by_trimming(deleted):
    candidate = np.random.default_rng(deleted).normal(size=60)
    reference = candidate[deleted:]
    distances = trimmed_distance(reference, candidate, [deleted / 60, 0.6, 0.9])
    assert distances == pytest.approx([0, 0, 0], abs=1e-15)
    assert trimming_level(reference, candidate, threshold=0.0) == pytest.approx(deleted / 60, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(samples, samples, st.integers(0, 2**32 - 1))
def test_step_distance_is_invariant(reference, candidate, seed):
    rng = np.random.default_rng(seed)
    plain = trimmed_distance(reference, candidate, ALPHAS)
    assert np.array_equal(trimmed_distance(np.exp2(reference), np.exp2(candidate), ALPHAS), plain)
    assert np.array_equal(trimmed_distance(rng.permutation(reference), rng.permutation(candidate), ALPHAS), plain)
    assert trimmed_distance(-reference, -candidate, ALPHAS) == pytest.approx(plain, abs=1e-14)
    assert trimmed_distance(np.repeat(reference, 3), np.repeat(candidate, 3), ALPHAS) == pytest.approx(plain, abs=1e-14)


def test_published_distance_is_invariant_under_increasing_affine_maps_only():
    reference, candidate = normal_pair(1)
    plain = trimmed_distance(reference, candidate, ALPHAS, mode="published")
    mapped = trimmed_distance(3 * reference - 2, 3 * candidate - 2, ALPHAS, mode="published")
    assert mapped == pytest.approx(plain, abs=1e-12)
    bent = trimmed_distance(np.exp(reference), np.exp(candidate), ALPHAS, mode="published")
    assert np.abs(bent - plain).max() > 1e-4


def test_roles_matter_except_at_zero():
    reference, candidate = normal_pair(2, n=60, m=60)
    there = trimmed_distance(reference, candidate, [0, 0.3])
    back = trimmed_distance(candidate, reference, [0, 0.3])
    assert there[0] == pytest.approx(back[0], abs=1e-15)
    assert abs(there[1] - back[1]) > 0.01


@settings(max_examples=60, deadline=None)
@given(samples, samples)
def test_modes_differ_by_at_most_the_largest_tie(reference, candidate):
    step = trimmed_distance(reference, candidate, ALPHAS)
    published = trimmed_distance(reference, candidate, ALPHAS, mode="published")
    largest = np.unique(reference, return_counts=True)[1].max()
    assert np.abs(step - published).max() <= largest / reference.size + 1e-12


@settings(max_examples=60, deadline=None)
@given(untied, samples, deltas)
def test_step_level_bounds_the_published_one(reference, candidate, delta):
    slack = delta + 1 / reference.size
    step = trimming_level(reference, candidate, threshold=delta)
    assert step >= trimming_level(reference, candidate, threshold=slack, mode="published") - 1e-12


@settings(max_examples=60, deadline=None)
@given(samples, samples)
def test_level_falls_as_the_threshold_grows(reference, candidate):
    levels = [trimming_level(reference, candidate, threshold=delta) for delta in np.linspace(0.01, 0.9, 30)]
    assert levels == sorted(levels, reverse=True)
    by_epsilon = [trimming_level(reference, candidate, epsilon=epsilon) for epsilon in (0.001, 0.01, 0.1, 0.5)]
    assert by_epsilon == sorted(by_epsilon)


@pytest.mark.parametrize("mode", ["step", "published"])
def test_a_batch_equals_its_rows_whatever_the_chunks(mode, monkeypatch):
    rng = np.random.default_rng(0)
    reference = np.round(rng.normal(size=70), 1)
    batch = np.round(rng.normal(rng.normal(size=(50, 1)), 1, size=(50, 60)), 1)
    levels = trimming_level(reference, batch, mode=mode)
    distances = trimmed_distance(reference, batch, GRID, mode=mode)
    assert len(set(levels)) > 10
    assert levels.tolist() == [trimming_level(reference, row, mode=mode) for row in batch]
    assert np.array_equal(distances, [trimmed_distance(reference, row, GRID, mode=mode) for row in batch])
    monkeypatch.setattr("runspread.methods.trimming.nodes.CHUNK_VALUES", 200)
    assert np.array_equal(trimming_level(reference, batch[::-1], mode=mode)[::-1], levels)
    assert np.array_equal(trimmed_distance(reference, batch, GRID, mode=mode), distances)


@settings(max_examples=100, deadline=None)
@given(samples, samples, deltas)
def test_no_level_exactly_where_the_reference_has_mass_and_the_candidate_none(reference, candidate, delta):
    """Specification, 4.1: half-lines without candidates count in full, gaps between candidates by half."""
    delta = round(delta, 3) + 1e-4
    reference, candidate = np.sort(reference), np.sort(candidate)
    below, upto = (np.searchsorted(reference, candidate, side=side) / reference.size for side in ("left", "right"))
    gaps = np.append(below[1:] - upto[:-1], 0)
    hopeless = below[0] > delta or 1 - upto[-1] > delta or gaps.max() > 2 * delta
    level = trimming_level(reference, candidate, threshold=delta)
    assert (level == math.inf) == hopeless
    assert not math.isnan(level)


# --- optimal trimming ------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(samples, samples, st.sampled_from(ALPHAS), st.sampled_from(["step", "published"]))
def test_optimal_trimming_is_admissible(reference, candidate, alpha, mode):
    best = optimal_trimming(reference, candidate, alpha, mode=mode)
    values, counts = np.unique(candidate, return_counts=True)
    assert np.array_equal(best.values, values)
    assert best.weights.sum() == pytest.approx(1, abs=1e-12)
    assert (best.weights >= 0).all()
    assert (best.weights <= counts / candidate.size / (1 - alpha) + 1e-12).all()
    assert (best.trimmed >= 0).all()
    assert (best.trimmed <= 1).all()
    assert (best.trimmed * counts).sum() / candidate.size == pytest.approx(alpha, abs=1e-12)
    expected = trimmed_distance(reference, candidate, alpha, mode=mode)[0]
    assert best.distance == pytest.approx(expected, abs=1e-12)


def test_the_contamination_is_what_is_trimmed():
    rng = np.random.default_rng(5)
    candidate = np.append(rng.normal(size=400), rng.normal(9, 0.5, size=100))
    best = optimal_trimming(rng.normal(size=500), candidate, 0.2)
    assert best.trimmed[best.values > 6].mean() > 0.75
    assert best.trimmed[best.values < 4].mean() < 0.1


# --- degenerate inputs (section 9) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["step", "published"])
@pytest.mark.parametrize(
    ("reference", "candidate"),
    [([0, math.nan], [1.0]), ([0.0], [math.nan]), ([], [1.0]), ([1.0], []), ([[1.0]], [1.0]), (["a"], [1.0])],
)
def test_impossible_samples_are_errors(reference, candidate, mode):
    for function in (trimming_level, trimming_level_grid):
        with pytest.raises(InputError):
            function(reference, candidate, mode=mode)
    with pytest.raises(ValueError, match="Expected"):
        trimmed_distance(reference, candidate, [0.1], mode=mode)


def test_infinite_values_are_ordered_in_step_mode_and_an_error_in_published_mode():
    reference, candidate = [-math.inf, 0, 1, math.inf], [-math.inf, 0, math.inf, math.inf]
    finite = trimmed_distance([-9, 0, 1, 9], [-9, 0, 9, 9], ALPHAS)
    assert np.array_equal(trimmed_distance(reference, candidate, ALPHAS), finite)
    with pytest.raises(ValueError, match="infinite"):
        trimming_level(reference, candidate, mode="published")


@pytest.mark.parametrize("candidate", [[0.5], [0.5] * 8])
def test_an_atom_keeps_its_distance(candidate):
    reference = [0.0, 0.1, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert trimmed_distance(reference, candidate, ALPHAS) == pytest.approx([0.5] * len(ALPHAS), abs=1e-15)
    assert trimming_level(reference, candidate, threshold=0.49) == math.inf
    assert trimming_level(reference, candidate, threshold=0.5) == 0


def test_constant_and_equal():
    assert trimmed_distance([3.0] * 5, [3.0] * 9, ALPHAS).tolist() == [0.0] * len(ALPHAS)
    assert trimming_level([3.0] * 5, [3.0] * 9) == 0


def test_constant_reference():
    # What does not fit on the atom is shared by its two sides, as far as the candidate has mass there.
    distances = trimmed_distance([3.0] * 5, [1.0, 2.0, 3.0, 4.0], [0, 0.25, 0.5, 0.75, 0.9])
    assert distances == pytest.approx([1 / 2, 1 / 3, 1 / 4, 0, 0], abs=1e-15)
    assert trimming_level([3.0] * 5, [1.0, 2.0, 3.0, 4.0], threshold=0.0) == pytest.approx(0.75, abs=1e-12)


def test_identical_samples():
    sample = np.random.default_rng(1).normal(size=50)
    assert trimmed_distance(sample, sample[::-1], ALPHAS).tolist() == [0.0] * len(ALPHAS)
    assert trimming_level(sample, sample, threshold=0.0) == 0
    published = trimmed_distance(sample, sample, ALPHAS, mode="published")
    assert published == pytest.approx([1 / 50] * len(ALPHAS), abs=1e-12)


@pytest.mark.parametrize("shift", [-100, 100])
def test_disjoint_supports(shift):
    reference, candidate = normal_pair(0)
    assert trimmed_distance(reference, candidate + shift, ALPHAS) == pytest.approx([1.0] * len(ALPHAS), abs=1e-15)
    assert trimming_level(reference, candidate + shift) == math.inf


def test_negative_zero_is_zero():
    assert trimmed_distance([0.0, -0.0, 1.0], [-0.0, 0.0, 1.0], ALPHAS).tolist() == [0.0] * len(ALPHAS)
    assert optimal_trimming([0.0, 1.0], [-0.0, 0.0, 1.0], 0.0).values.size == 2


@pytest.mark.parametrize("alphas", [[0.2, 0.1], [0.1, 1.0], [-0.1], [math.nan], [], [[0.1]]])
def test_impossible_levels_are_errors(alphas):
    with pytest.raises(ValueError, match="ascending numbers from 0"):
        trimmed_distance([0.0], [1.0], alphas)
    with pytest.raises(ValueError, match="ascending numbers from 0"):
        trimming_level_grid([0.0], [1.0], grid=alphas)


@pytest.mark.parametrize("epsilon", [0, 1, -0.1, 2, math.nan])
def test_impossible_significance_is_an_error(epsilon):
    with pytest.raises(ValueError, match="between 0 and 1"):
        trimming_level([0.0], [1.0], epsilon=epsilon)


def test_unknown_choices_are_errors_that_suggest():
    with pytest.raises(InputError, match="Did you mean 'step'"):
        trimming_level([0.0], [1.0], mode="steps")
    with pytest.raises(InputError, match="Did you mean 'rigorous'"):
        trimming_level([0.0], [1.0], threshold="rigourous")
    with pytest.raises(InputError, match="a distance"):
        trimming_level([0.0], [1.0], threshold=-1.0)
    with pytest.raises(TypeError):
        trimming_level([0.0], [1.0], eps=0.01)


def test_single_precision_is_converted_first():
    reference, candidate = (sample.astype(np.float32) for sample in normal_pair(4))
    wide = trimming_level(reference.astype(np.float64), candidate.astype(np.float64), threshold=0.05)
    assert trimming_level(reference, candidate, threshold=0.05) == wide


def test_mode_can_be_given_by_position():
    reference, candidate = np.random.default_rng(0).normal(size=(2, 30))
    found = trimmed_distance(reference, candidate, [0, 0.1], "published")
    assert np.array_equal(found, trimmed_distance(reference, candidate, [0, 0.1], mode="published"))


def test_optimal_trimming_takes_one_level():
    with pytest.raises(InputError, match="one number from 0"):
        optimal_trimming([0.0, 1], [0.0, 1], [0.1, 0.2])


def test_a_threshold_that_no_distance_exceeds_shows_nothing():
    near, far = np.random.default_rng(0).normal(size=(2, 6, 6)) + np.array([0, 1000])[:, None, None]
    apart = np.where(np.arange(12)[:, None] < 11, near.repeat(2, 0), far[:1])
    found = rs.trimming(apart, replicates=4)  # "0 of 12 runs are distinguishable" before, at a threshold of 1.33
    assert "Nothing can be said of 12 runs at n = 3, m = 3" in found.sentence()
    assert "distinguishable" not in found.sentence()
    sizes = rs.representative_size(apart)
    assert "cannot be told" in sizes.sentence()
    assert not sizes.resolved
    with pytest.raises(InputError, match="cannot tell: 4 old and 4 new examples"):
        rs.same(near[:, :4], far[:, :4], threshold="dkw")
