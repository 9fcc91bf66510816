"""Plans: the test that compare does, what a pilot leaves open, clusters, and words that claim no more."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import (
    RunStatistics,
    VarianceResult,
    plan_gap,
    plan_runs,
    plan_superiority,
    run_statistics,
)
from runspread.methods.variance.pilot import Arm, Spread
from runspread.methods.variance.power import Examples, distribution_power, runs_for_welch, welch_power
from tests.conftest import SHARED
from tests.methods.variance.probit import draw, draw_clustered, draw_pair


def pilot(runs: int, examples: int = 400, seed: int = 0, beta: float = 0.2) -> VarianceResult:
    return rs.variance(correct=draw(np.random.default_rng(seed), runs, examples, beta)[0], pairs="none")


def test_two_runs_are_not_planned_where_welch_has_half_the_power():
    """Audit A8: the pooled test said two runs for six standard deviations, where Welch's shows the gap in 51 %."""
    plan = plan_runs(0.06, variance=1e-4)
    assert (plan.runs_fixed_t, plan.runs_needed) == (2, 3)
    assert welch_power(6.0, 1.0, 1.0, 2, 2, 0.05) == pytest.approx(0.51, abs=0.01)
    assert plan_runs(0.1, variance=1e-4).runs_needed == runs_for_welch(10.0, 1.0, 1.0, 0.05, 0.8)


@pytest.mark.parametrize("runs", [3, 5, 10])
def test_power_after_a_pilot_is_what_was_asked_for(runs):
    """Audit A8: over pilots (quantiles of their sd), the power of Welch's test; at its word one gives 62 to 75 %."""
    powers, plugin, covered = [], [], []
    needed = runs_for_welch(1.3, 1.0, 1.0, 0.05, 0.8)
    for share in (np.arange(20) + 0.5) / 20:
        spread = Spread(Arm(float(stats.chi2.ppf(share, runs - 1)) / (runs - 1), runs - 1))
        exact = runs_for_welch(1.3, *spread.variances, 0.05, 0.8)
        planned = int(spread.runs(1.3, 0.05, 0.8, near=exact))
        powers.append(welch_power(1.3, 1.0, 1.0, planned, planned, 0.05))
        plugin.append(welch_power(1.3, 1.0, 1.0, exact, exact, 0.05))
        low, high = (runs_for_welch(1.3, *spread.quantile(end), 0.05, 0.8) for end in (0.05, 0.95))
        covered.append(low <= needed <= high)
    assert 0.78 < np.mean(powers) < 0.9
    assert np.mean(plugin) < 0.78
    assert np.mean(covered) >= 0.9


def test_the_plan_of_a_pilot_has_a_range():
    plan = plan_runs(0.02, pilot(5))
    assert plan.degrees == 4
    assert plan.runs_low < plan.runs_plugin < plan.runs_needed < plan.runs_high
    assert plan.runs_needed < plan.runs_upper < plan.runs_high
    assert f": {plan.runs_plugin} if that spread is exact, {plan.runs_low} to {plan.runs_high}" in plan.sentence()
    gap = plan_gap(plan.runs_needed, pilot(5))
    assert gap.gap_low < gap.gap_plugin < gap.gap_needed <= 0.02 < gap.gap_high
    assert gap.gap_noise > plan_gap(plan.runs_needed, variance=plan.var_a).gap_noise


def test_a_given_variance_is_taken_as_exact():
    plan = plan_runs(0.02, variance=4e-4)
    assert plan.runs_needed == plan.runs_plugin == plan.runs_low == plan.runs_high == plan.runs_upper
    assert "taken as exact" in plan.sentence()
    assert math.isinf(plan.degrees)


def test_a_pilot_of_two_runs_that_leaves_everything_open_is_refused():
    two = pilot(2)
    with pytest.raises(InputError, match="one more run of the pilot"):
        plan_runs(0.25 * two.sd_test, two)
    assert any("2 runs hardly measure a spread" in note for note in plan_runs(2 * two.sd_test, two).warnings)


def test_equal_accuracies_are_no_pilot():
    """Audit A11: no spread seen is not no spread."""
    with pytest.raises(InputError, match="without any spread"):
        plan_runs(0.01, rs.variance(correct=np.ones((4, 50), int)))
    errors = np.eye(4, 50, dtype=int)  # each run errs on one example of its own: equal accuracies, independent errors
    plan = plan_runs(0.02, rs.variance(correct=1 - errors))
    assert plan.var_a == 0
    assert plan.runs_needed > 2


def test_an_error_rate_bounds_nothing():
    """Audit A8: "at most" was exceeded by most sets of real fine-tunings."""
    plan = plan_runs(0.001, error=0.05, n_examples=10_000)
    for text in (plan.sentence(), plan_gap(5, error=0.05, n_examples=10_000).sentence()):
        assert "at most" not in text
        assert "about 0.16 points per run" in text
        assert "fine-tunings were seen at 1 to 5 times that spread" in text
    assert plan.runs_low == plan.runs_needed
    assert plan.runs_high == runs_for_welch(0.001, *[25 * 0.05 / 20_000] * 2, 0.05, 0.8)


def test_real_fine_tunings_spread_more_than_independent_errors():
    """Twenty fine-tunings each: the spread is within five times that of independent errors, and often above it."""
    path = SHARED / "real" / "model_recycling_20_seeds.csv"
    if not path.is_file():
        pytest.skip("the real data beside the developers' checkouts (../shared/real) are not here")
    sizes = {"mrpc": 408, "qnli": 5463, "qqp": 40430, "mnli": 9815, "boolq": 3270, "wic": 638}
    rows = np.genfromtxt(path, delimiter=",", dtype=None, names=True, encoding="utf-8")
    ratios = []
    for base, name in {(row[0], row[1]) for row in rows if row[1] in sizes}:
        accuracy = np.array([row[2] for row in rows if (row[0], row[1]) == (base, name)])
        plan = plan_runs(0.01, error=float(1 - accuracy.mean()), n_examples=sizes[name])
        ratios.append(accuracy.std(ddof=1) / math.sqrt(plan.var_a))
    assert np.mean(np.array(ratios) > 1) > 0.5
    assert max(ratios) < 5


def test_a_single_run_of_each_shows_no_gap():
    plan = plan_gap(1, variance=1e-4)
    assert math.isnan(plan.gap_needed)
    assert "One run of each configuration shows no gap" in plan.sentence()


def test_superiority_plans_the_test_that_compare_does():
    """Audit A8: Noether's numbers were for a one-sided rank test that nothing offers."""
    rng = np.random.default_rng(0)
    runs = plan_superiority(0.75)
    gap = math.sqrt(2) * 0.674489750196
    assert welch_power(gap, 1.0, 1.0, runs, runs, 0.05) >= 0.8 > welch_power(gap, 1.0, 1.0, runs - 1, runs - 1, 0.05)
    wins = (rng.normal(gap, 1, 100_000) > rng.normal(0, 1, 100_000)).mean()
    assert wins == pytest.approx(0.75, abs=0.006)
    with pytest.raises(InputError, match="below 1"):
        plan_superiority(1.0)
    with pytest.raises(InputError):
        plan_superiority(0.75, preset="noether")


def test_a_plan_for_the_distribution_is_that_of_both_tests():
    rng = np.random.default_rng(3)
    both = rs.compare(correct=draw_pair(rng, (6, 9), 400, 0.2, 0.3))
    plan = plan_runs(0.06, both)
    assert plan.degrees == 5
    assert plan.runs_needed_dist >= plan.runs_needed
    assert math.isinf(plan_runs(0.5 * plan.min_delta_dist, both).runs_needed_dist)


@pytest.mark.slow
def test_the_gap_on_the_distribution_inverts_the_runs():
    both = rs.compare(correct=draw_pair(np.random.default_rng(3), (6, 9), 400, 0.2, 0.3))
    gap = plan_gap(int(plan_runs(0.06, both).runs_needed_dist), both)
    assert gap.gap_needed <= gap.gap_needed_dist <= 0.06


def test_power_on_the_distribution_without_noise_of_examples_is_that_on_the_test_set():
    for runs in (2, 3, 7, 60):
        found = distribution_power(1.3, 1.0, 2.0, runs, 0.05, Examples(1e-14, 99))
        assert found == pytest.approx(welch_power(1.3, 1.0, 2.0, runs, runs, 0.05), abs=1e-6)


def test_pilot_vectors():
    path = SHARED / "vectors" / "scores.npz"
    if not path.is_file():
        pytest.skip("the vectors beside the developers' checkouts (../shared/vectors) are not here")
    scores = np.load(path)
    alpha, power = float(scores["pilot__alpha"]), float(scores["pilot__power"])
    rows = zip(*(scores[f"pilot__{name}"].tolist() for name in ("gap", "sd", "n_pilot")), strict=True)
    for at, (gap, sd, runs) in enumerate(rows):
        spread = Spread(Arm(sd**2, runs - 1))
        upper = spread.quantile(0.8)
        assert math.sqrt(upper[0]) == pytest.approx(scores["pilot__exp__sd_upper"][at], rel=1e-9)
        assert runs_for_welch(gap, *spread.variances, alpha, power) == scores["pilot__exp__runs_plugin"][at]
        assert spread.runs(gap, alpha, power) == scores["pilot__exp__runs_assurance"][at]
        assert runs_for_welch(gap, *upper, alpha, power) == scores["pilot__exp__runs_upper"][at]


def test_clusters_enter_the_plan():
    """Audit A3: on a larger test set it is the clusters, not the examples, that there are more of."""
    rng = np.random.default_rng(5)
    correct, _, clusters = draw_clustered(rng, 12, np.full(25, 10), 0.1, 0.6)
    plain, found = (rs.variance(correct=correct, pairs="none", clusters=ids) for ids in (None, clusters))
    wanted = 2500
    carried = plan_runs(0.01, found, n_examples=wanted)
    real = max(0.0, found.var_dist)
    assert carried.var_a == pytest.approx(real + (found.var_test - found.var_dist) / 10)
    assert carried.var_a < plan_runs(0.01, plain, n_examples=wanted).var_a
    assert "on 250 in 25 clusters, whose number grows alike" in carried.sentence()
    assert plan_runs(0.01, found).runs_needed == plan_runs(0.01, plain).runs_needed or found.sd_ind > plain.sd_ind
    outputs = np.where(correct, 1, 0)
    statistics = run_statistics(outputs, np.ones(250, int), keep_bits=True)
    assert plan_runs(0.01, statistics, n_examples=wanted, clusters=clusters).var_a == pytest.approx(carried.var_a)
    assert plan_gap(9, statistics, clusters=clusters).gap_needed == plan_gap(9, found).gap_needed
    with pytest.raises(InputError, match="beside a VarianceResult"):
        plan_runs(0.01, found, clusters=clusters)
    with pytest.raises(InputError, match="beside variance"):
        plan_gap(3, variance=1e-4, clusters=clusters)


def test_a_plan_from_a_clustered_comparison_takes_their_degrees():
    rng = np.random.default_rng(6)
    a, _, clusters = draw_clustered(rng, 8, np.full(12, 20), 0.2, 0.3)
    b = draw_clustered(rng, 8, np.full(12, 20), 0.2, 0.3)[0]
    few = plan_runs(0.3, rs.compare(correct=(a, b), clusters=clusters))
    assert few.tau2 > plan_runs(0.3, rs.compare(correct=(a, b))).tau2
    assert few.runs_needed_dist >= few.runs_needed


def test_an_outlying_run_of_the_pilot_is_named():
    """Audit A15: the plan takes accuracies as normal."""
    correct = draw(np.random.default_rng(2), 12, 300, 0.05)[0]
    correct[4, :200] = False
    notes = plan_runs(0.1, rs.variance(correct=correct)).warnings
    assert any("pilot: run 4 (" in note and "is an outlying run" in note for note in notes)


def test_copies_are_no_runs_of_a_pilot():
    """Seven runs of which four are copies of one were a pilot of seven, with a spread that copies shrink."""
    runs = draw(np.random.default_rng(3), 4, 300, 0.3)[0]
    copied, once = (rs.variance(correct=runs[list(which)], pairs="none") for which in ((0, 0, 0, 0, 1, 2, 3), range(4)))
    for found in (plan_runs(0.05, copied), plan_runs(0.05, correct=runs[[0, 0, 0, 0, 1, 2, 3]])):
        plan = plan_runs(0.05, once)
        assert (found.degrees, found.runs_needed) == (3, plan.runs_needed)
        assert found.var_a == pytest.approx(plan.var_a)
        assert "from 4 runs" in found.sentence()
        assert any("7 runs count as 4" in note for note in found.warnings)
        assert any("identical outcomes" in note for note in found.warnings)
        assert any("With 4 runs, up to 53%" in note for note in found.warnings)
    carried = plan_gap(5, copied, n_examples=600)
    assert carried.degrees <= 3
    assert carried.gap_needed == pytest.approx(plan_gap(5, once, n_examples=600).gap_needed, rel=0.3)
    with pytest.raises(InputError, match="without any spread"):
        plan_runs(0.05, rs.variance(correct=runs[[0, 0, 0]]))
    statistics = RunStatistics(n_examples=300, n_runs=3, votes=False)
    statistics.update_correct(runs[[0, 0, 1]])
    others = draw(np.random.default_rng(4), 4, 300, 0.3)[0].astype(int)
    untold = rs.compare(statistics, run_statistics(others, np.ones(300, int), votes=False))
    with pytest.raises(InputError, match="copies"):
        plan_runs(0.05, untold)


def test_a_plan_passes_on_what_its_pilot_warns_of():
    runs = draw(np.random.default_rng(3), 6, 300, 0.3)[0]
    outputs = np.eye(2)[runs.astype(int)] + np.random.default_rng(0).normal(size=(6, 300, 2)) / 100
    outputs[4, 0] = np.nan
    labels, unlike = np.ones(300, int), rs.variance(outputs, np.ones(300, int))
    both = rs.compare(outputs, np.random.default_rng(1).normal(size=(4, 300, 2)), labels)
    assert unlike.warnings
    assert both.warnings
    for source in (unlike, both):
        for plan in (plan_runs(0.05, source), plan_gap(4, source)):
            assert set(source.warnings) <= set(plan.warnings)
            assert {item.run for item in source.excluded} == {item.run for item in plan.excluded}
    assert "Excluded: 1 run" in plan_runs(0.05, outputs, labels).sentence()


def test_no_errors_seen_are_no_certainty():
    """An error rate of 0 gave a spread of 0: five runs then showed a gap of 0.00 points."""
    for plan in (lambda **k: plan_runs(0.01, **k), lambda **k: plan_gap(5, **k)):
        with pytest.raises(InputError, match="no spread follows from error=0"):
            plan(error=0, n_examples=1000)
    assert plan_gap(5, error=3 / 1000, n_examples=1000).gap_needed > 0
    for accuracy, said in ((1, "All are right"), (0, "All are wrong")):
        sentence = rs.variance(correct=np.full((1, 100), accuracy)).sentence()
        assert said in sentence
        assert "about 0.00 points" not in sentence
        assert "nothing follows about other runs" in sentence


def test_sentences_of_plans_are_short():
    runs = draw(np.random.default_rng(3), 6, 300, 0.3)[0]
    one, both = rs.variance(correct=runs), rs.compare(correct=(runs[:3], runs[3:]))
    bases = ((one, {}), (both, {}), (None, {"error": 0.05, "n_examples": 900}), (one, {"n_examples": 900}))
    for source, options in (*bases, (None, {"variance": 1e-4, "tau2": 0.1, "n_examples": 90})):
        for plan in (plan_runs(0.04, source, **options), *(plan_gap(k, source, **options) for k in (1, 5))):
            assert len(plan.sentence().split()) <= 47, plan.sentence()
            assert "nan" not in plan.sentence()
