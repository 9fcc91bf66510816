"""Rules of the climb, looks of the certificate and what they rest on, each trap of hill climbing with its test."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, permutation_test, rankdata

from runspread.errors import InputError
from runspread.methods.gate import (
    Sides,
    certificate_looks,
    claim_of,
    confirmation_levels,
    decide,
    expected_best,
    judge_sides,
    noise,
    noise_of_chance,
    noise_warnings,
    permutation_p,
    sign_flip_p,
    stand_in,
    tolerance_factor,
    welch_min_p,
)

rng = np.random.default_rng(0)


def mean_difference(end, start, axis):
    return end.mean(axis) - start.mean(axis)


@pytest.mark.parametrize(("n", "m"), [(2, 3), (3, 2), (4, 4), (5, 5), (2, 6)])
@pytest.mark.parametrize("digits", [0, 8])
def test_permutations_are_those_of_scipy(n, m, digits):
    for _ in range(5):
        start, end = np.round(rng.normal(size=n), digits), np.round(rng.normal(size=m), digits)
        expected = permutation_test((end, start), mean_difference, alternative="less", n_resamples=np.inf, axis=0)
        assert permutation_p(start, end) == pytest.approx(expected.pvalue, rel=1e-12)


def test_permutations_do_not_hang_on_the_size_of_the_numbers():
    start, end = rng.normal(size=5), rng.normal(size=5) - 1
    assert permutation_p(start, end) == permutation_p(1e6 + start, 1e6 + end) == permutation_p(1e-9 * start, 1e-9 * end)


def test_sixteen_and_sixteen_runs_are_counted_exactly():
    assert permutation_p(np.arange(16) + 100, np.arange(16)) == pytest.approx(1 / math.comb(32, 16), rel=1e-9)


def test_many_runs_are_drawn_and_never_give_zero():
    assert permutation_p(np.full(25, 9.0), np.zeros(25)) == 1 / 100_000
    shuffled = rng.normal(size=50)
    few, many = permutation_p(shuffled[:20], shuffled[20:40]), permutation_p(shuffled[:25], shuffled[25:])
    assert 0 < few <= 1
    assert 0 < many <= 1


def test_pairs_flip_their_signs():
    start, end = rng.normal(size=8), rng.normal(size=8) - 0.5
    expected = permutation_test(
        (end, start),
        lambda a, b, axis: (a - b).mean(axis),
        permutation_type="samples",
        alternative="less",
        n_resamples=np.inf,
        axis=0,
    )
    assert sign_flip_p(start, end) == pytest.approx(expected.pvalue, rel=1e-12)
    assert sign_flip_p(np.ones(5), np.zeros(5)) == 1 / 32


def test_welch_with_the_smaller_freedom_is_larger_than_welch():
    from scipy.stats import ttest_ind

    start, end = rng.normal(size=6), rng.normal(size=6) - 1
    assert welch_min_p(start, end) > ttest_ind(end, start, equal_var=False, alternative="less").pvalue


@pytest.mark.parametrize("bad", [[], [math.nan, 1.0], [[1.0, 2.0]]])
def test_tests_refuse_what_is_no_list_of_finite_numbers(bad):
    with pytest.raises(InputError, match="one axis"):
        permutation_p([1.0, 2.0], bad)


def test_looks_of_the_default_certificate():
    looks = certificate_looks(0.05)
    assert [look.runs for look in looks] == [5, 10, 16]
    assert [look.level for look in looks] == pytest.approx([0.01, 0.015, 0.025])
    assert [look.hopeless for look in looks] == [0.5, 0.3, 1.0]


@pytest.mark.parametrize(("spent", "first"), [(0.02, 5), (0.0198, 8), (0.01, 8)])
def test_the_first_look_has_more_runs_where_five_cannot_reach_its_level(spent, first):
    assert certificate_looks(spent)[0].runs == first


def test_pairs_need_more_runs():
    assert [look.runs for look in certificate_looks(0.05, pair=True)] == [8, 12, 16]
    assert [look.runs for look in certificate_looks(0.01, pair=True)] == [12, 16]


def test_a_design_that_cannot_certify_is_refused():
    with pytest.raises(InputError, match=r"3 fresh runs per side give p-values down to 0\.05"):
        certificate_looks(0.04, fixed=3)


@pytest.mark.parametrize(
    ("outcomes", "rule", "expected"),
    [
        ([1.0], "two", "drop"),
        ([0.9], "two", "run again"),
        ([0.9, 1.05], "two", "keep"),
        ([0.9, 1.1], "two", "drop"),
        ([0.9, math.inf], "two", "drop"),
        ([0.9], "one", "keep"),
        ([0.9, 1.05], "three", "run again"),
        ([0.9, 1.05, 1.0], "three", "keep"),
        ([0.5, 0.6], "strict", "confirm"),
        ([1.0], "two-more", "drop"),
        ([0.9, 1.1], "two-more", "drop"),
        ([0.9, 1.05], "two-more", "run again"),
        ([0.9, 1.05, 9.0, math.inf], "two-more", "keep"),
    ],
)
def test_rules_of_the_climb(outcomes, rule, expected):
    assert decide(outcomes, 1.0, rule) == expected


def test_slack_is_asked_of_the_mean_of_all_runs_alone():
    assert decide([0.99], 1.0, "two", slack=0.1) == "run again"
    assert decide([0.99, 0.99], 1.0, "two", slack=0.1) == "drop"


def test_levels_of_what_is_certified_are_not_lost():
    assert confirmation_levels([True, True, False, False], 0.05) == pytest.approx([0.01, 0.01, 0.01, 0.008])


def test_trap_4_a_failed_run_counts_as_worse_than_every_other():
    """And the gain is over the runs that finished, which is said."""
    start, end = np.array([1.0, 1.1, 0.9, 1.0, 1.05]), np.array([0.0, 0.1, -0.1, 0.0, math.inf])
    sides, looks = Sides(start, end), certificate_looks(0.05)
    failed_as = stand_in(np.concatenate([start, end]), 0.1)
    assert failed_as == pytest.approx(1.1 + 10 * 0.1)
    found = judge_sides(sides, looks[0], failed_as, last=False)
    assert found.verdict == "go on"
    claim = claim_of(sides, looks, looks[0], found.verdict, found.p, metric="loss")
    assert claim.bounds.gain == pytest.approx(1.01)
    assert any("1 of the end" in note for note in claim.warnings)


def test_where_a_run_failed_it_does_not_matter_by_how_much_it_is_worse():
    """One end in ten failed: with means no gain below some 15 spreads could be certified."""
    start, end = np.linspace(0.9, 1.1, 10), np.append(np.linspace(0.4, 0.6, 9), math.inf)
    look = certificate_looks(0.05)[1]
    found = [judge_sides(Sides(start, end), look, failed_as, last=False) for failed_as in (1.2, 3.0, 1e6)]
    assert {one.verdict for one in found} == {"certified"}
    assert len({one.p for one in found}) == 1
    assert permutation_p(start, np.append(end[:-1], 3.0)) > look.level


@pytest.mark.parametrize("failed", [0, 2])
def test_ranks_are_tested_as_mann_and_whitney_do(failed):
    start, end = rng.normal(size=8), rng.normal(size=8) - 0.5
    end[:failed] = math.inf
    sides, look = Sides(start, end, median=True), certificate_looks(0.05, fixed=8)[0]
    found = judge_sides(sides, look, 99.0, last=True)
    if not failed:
        assert found.p == pytest.approx(mannwhitneyu(end, start, alternative="less", method="exact").pvalue)
    ranks = rankdata(np.append(start, end))  # failed runs share one
    sums = np.array([ranks[list(chosen)].sum() for chosen in itertools.combinations(range(16), 8)])
    assert found.p == pytest.approx((sums <= ranks[8:].sum()).mean())


def test_the_median_gain_and_its_bound_are_of_the_differences():
    start, end = np.array([5.0, 6.0, 7.0, 8.0, 9.0]), np.array([0.0, 1.0, 2.0, 3.0, math.inf])
    gain = Sides(start, end, median=True).gain(1 / 252)
    differences = np.sort([a - b for a in start for b in end if math.isfinite(b)] + [-math.inf] * 5)
    assert gain.gain == differences[12]
    assert gain.low == -math.inf
    assert gain.high == differences[-1] == 9
    assert Sides(-start, -end, higher=True, median=True).gain(1 / 252) == pytest.approx(gain, nan_ok=True)


def test_failed_pairs_go_by_signed_ranks():
    start, end = np.arange(8.0) + 10, np.append(np.arange(7.0), math.inf)
    sides, look = Sides(start, end, pair=True), certificate_looks(0.05, pair=True)[0]
    found = [judge_sides(sides, look, failed_as, last=False).p for failed_as in (20.0, 1e9)]
    # The failed pair has rank 8 and the others 4 each: as seen, or it turned and up to two of the others too.
    assert found[0] == found[1] == (1 + 1 + 7 + 21) / 2**8


def test_higher_is_better_turns_everything_round():
    low, high = rng.normal(size=5), rng.normal(size=5) + 10
    looks = certificate_looks(0.05)
    sides = Sides(low, high, higher=True)
    assert judge_sides(sides, looks[0], 0.0, last=False).verdict == "certified"
    assert sides.gain(0.01).gain == pytest.approx(high.mean() - low.mean())
    assert sides.gain(0.01).low < sides.gain(0.01).gain < sides.gain(0.01).high


def test_guards_must_hold_at_the_level_of_the_look():
    sides, look = Sides(np.arange(5.0) + 10, np.arange(5.0)), certificate_looks(0.05)[0]
    assert judge_sides(sides, look, 0.0, last=False, guards=(0.001,)).verdict == "certified"
    assert judge_sides(sides, look, 0.0, last=False, guards=(0.2,)).verdict == "go on"


def test_a_hopeless_certificate_stops():
    sides = Sides(np.arange(5.0), np.arange(5.0) + 3)
    assert judge_sides(sides, certificate_looks(0.05)[0], 0.0, last=False).verdict == "not certified"


def test_a_small_gain_is_said_to_be_too_high_on_average():
    looks = certificate_looks(0.05)
    values = np.array([0.1, -0.2, 0.3, 0.0, -0.1])
    small, large = Sides(values + 0.45, values), Sides(values + 3, values)
    for sides, warned in ((small, True), (large, False)):
        claim = claim_of(sides, looks, looks[0], "certified", 0.004, metric="loss")
        assert any("too high" in note for note in claim.warnings) == warned


def test_sentences_have_at_most_45_words():
    looks = certificate_looks(0.05)
    sides = Sides(np.arange(5.0) + 9, np.arange(5.0))
    for verdict in ("certified", "not certified", "go on", "constant", "none"):
        claim = claim_of(
            sides, looks, looks[0], verdict, 0.01, metric="loss", tries=41, keeps=6, climb_runs=49, bar=3.2
        )
        assert len(claim.sentence().split()) <= 45


def test_noise_leaves_single_runs_out_and_warns():
    found = noise({"a": [1.0], "b": [1.0, 3.0]})
    assert found.noise_sd == pytest.approx(math.sqrt(2))
    assert found.noise_df == 1
    assert any("run the start 4 times" in note for note in noise_warnings({"b": [1.0, 3.0]}, found))
    assert math.isnan(noise({"a": [1.0]}).noise_sd)


def test_noise_warns_of_spreads_that_differ_and_of_a_run_far_away():
    quiet, loud = rng.normal(size=12), 30 * rng.normal(size=12)
    groups = {"quiet": quiet.tolist(), "loud": loud.tolist()}
    assert any("spread differs by state" in note for note in noise_warnings(groups, noise(groups)))
    failing = {"a": [*rng.normal(size=9).tolist(), 60.0]}
    assert any("means mislead" in note for note in noise_warnings(failing, noise(failing)))


def test_noise_that_explains_a_history():
    assert expected_best(100) == pytest.approx(2.5076, abs=1e-4)
    assert noise_of_chance(2.5076, 100) == pytest.approx(1.0, abs=1e-4)
    assert noise_of_chance(1.0, 1) == math.inf


@pytest.mark.parametrize("wrong", [(1, 1, 0.01), (10, 0, 0.01), (10, 3, 0.0), (10, 3, 1.0)])
def test_tolerance_factors_refuse_what_they_cannot_answer(wrong):
    with pytest.raises(InputError):
        tolerance_factor(*wrong)


def test_a_tolerance_factor_keeps_the_rate_in_95_percent_of_baselines():
    k, kept = tolerance_factor(10, 3, 0.01), 0
    from scipy.stats import norm

    for _ in range(2000):
        base = rng.normal(size=10)
        kept += norm.sf((base.mean() + k * base.std(ddof=1)) * math.sqrt(3)) <= 0.01
    assert 0.93 < kept / 2000 < 0.97


@pytest.mark.parametrize("failing", [0.0, 0.1])
def test_the_bound_of_a_median_gain_holds_as_often_as_it_says(failing):
    """Of skewed runs too, one in ten of which may fail on either side: the shift of the others is what is bounded."""
    draw, below, sets, level = np.random.default_rng(3), 0, 2000, 0.05
    for _ in range(sets):
        start, end = draw.exponential(size=8) + 1.0, draw.exponential(size=8)
        for side in (start, end):
            side[draw.random(8) < failing] = math.inf
        below += Sides(start, end, median=True).gain(level).low <= 1.0
    assert below / sets >= 1 - level - 4 * math.sqrt(level / sets)


@pytest.mark.slow
def test_certificates_by_ranks_err_no_more_than_they_say():
    """Where one run in five fails on either side, at all three looks together."""
    draw, looks, wrong, sets = np.random.default_rng(4), certificate_looks(0.05), 0, 600
    for _ in range(sets):
        sides = [draw.normal(size=16) for _ in range(2)]
        for side in sides:
            side[draw.random(16) < 0.2] = math.inf
        for at, look in enumerate(looks):
            verdict = judge_sides(Sides(*sides), look, 99.0, last=at == 2).verdict
            if verdict != "go on":
                wrong += verdict == "certified"
                break
    assert wrong / sets <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / sets)
