"""No certainty out of nothing (audit A11), normality (A15), dropped examples (A16), one run (A8), samples (A10)."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
from scipy.stats import beta, t

import runspread as rs
from runspread.errors import InputError
from runspread.methods._statistics import deviations, sample_variance
from runspread.methods.variance import run_accuracies, score_variance
from runspread.methods.variance.run_distribution import log_jackknife, outlying_runs, two_groups, unseen_share
from tests.conftest import SHARED

RIGHT = np.ones((5, 100), bool)


# ------------------------------------------------------------------ A11


@pytest.mark.parametrize(("correct", "what", "low", "high"), [(RIGHT, "right", 0.962, 1), (~RIGHT, "wrong", 0, 0.038)])
def test_all_right_leaves_the_distribution_open(correct, what, low, high):
    result = rs.variance(correct=correct)
    assert (result.intervals.mean_low, result.intervals.mean_high) == pytest.approx((low, high), abs=1e-3)
    assert f"all {what} on all of 100 examples" in result.sentence()
    assert f"95% CI {result.intervals.mean_low:.2%} to {result.intervals.mean_high:.2%}" in result.sentence()
    assert "at most" not in result.sentence()
    said = run_accuracies(correct=correct).sentence()
    assert "within 0.00" not in said
    assert f"{result.intervals.mean_low:.2%} to {result.intervals.mean_high:.2%}" in said


def test_all_right_in_clusters_leaves_more_open():
    result = rs.variance(correct=RIGHT, clusters=np.arange(100) // 5)
    assert result.intervals.mean_low == pytest.approx(1 / (1 + t.ppf(0.975, 19) ** 2 / 20), rel=1e-9)


@pytest.mark.parametrize("runs", [2, 3, 10])
@pytest.mark.parametrize("clusters", [None, np.arange(60) // 3])
def test_equal_accuracies_are_no_certainty(runs, clusters):
    correct = np.stack([np.roll(np.arange(60) % 4 > 0, k) for k in range(runs)])
    result = rs.variance(correct=correct, clusters=clusters)
    assert result.var_test == 0
    assert result.sd_interval[0] == 0 < result.sd_interval[1]
    assert result.intervals.sd_fixed[1] == pytest.approx(
        rs.variance(correct=correct, clusters=clusters).intervals.sd_fixed[1]
    )
    assert "none is shown to be real, up to" in result.sentence()
    assert max(value for value in result.table()["high"] if not math.isnan(value)) > 0


def test_a_spread_below_that_of_independent_errors_is_taken_for_it():
    rng = np.random.default_rng(1)
    while True:
        result = rs.variance(correct=rng.random((6, 80)) < 0.8)
        if result.var_dist < 0:
            break
    assert result.intervals.sd_fixed[1] ** 2 > max(0, result.intervals.var_fixed_high)
    higher = rs.variance(correct=rng.random((6, 80)) < np.linspace(0.6, 0.9, 6)[:, None])
    assert higher.intervals.sd_fixed[1] ** 2 == pytest.approx(higher.intervals.var_fixed_high)


@pytest.mark.parametrize("method", [lambda x: rs.variance(correct=x), lambda x: score_variance(x.astype(float))])
def test_runs_that_agree_on_everything_say_nothing(method):
    same = np.repeat(np.random.default_rng(2).random((1, 90)) < 0.7, 4, axis=0)
    said = method(same).sentence()
    assert "as copies of one run would: they say nothing about the spread between trainings" in said
    assert "at most" not in said


def test_the_interval_of_the_mean_against_wilson_and_t():
    """One run: Wilson's interval with a t quantile, of n independent examples (the divisor n-1 aside)."""
    result = rs.variance(correct=(np.arange(50) < 40)[None])
    effective, q = 49, t.ppf(0.975, 49)
    z = q * q / effective
    centre, half = (0.8 + z / 2) / (1 + z), math.sqrt(0.16 * z + z * z / 4) / (1 + z)
    assert (result.intervals.mean_low, result.intervals.mean_high) == pytest.approx(
        (centre - half, centre + half), rel=1e-9
    )


@pytest.mark.parametrize("value", [0.1, 0.8, 0.9, 0.05, 1 / 3])
def test_equal_values_have_no_spread_whatever_their_rounding(value):
    """The variance of three times 0.8 is 2e-32 by NumPy: a spread, by which anything is certain."""
    for count in (3, 5, 7, 40):
        equal = np.full(count, value)
        assert sample_variance(equal) == 0
        assert not deviations(equal).any()
        assert log_jackknife(np.append(equal, value / 2)) == log_jackknife(np.append(value / 2, equal)) == math.inf
        said = score_variance(np.outer(equal, [1.0, 0.7, 0.3])).sentence()
        assert "say nothing about the spread between trainings" in said
    numbers = np.random.default_rng(0).normal(size=(4, 9))
    assert sample_variance(numbers) == pytest.approx(numbers.var(axis=1, ddof=1))
    assert np.isnan(sample_variance(np.array([0.1, np.nan])))


# ------------------------------------------------------------------ A15


def failing(runs: int, failed: int, seed: int = 0) -> np.ndarray:
    """Return correctness of runs of which the last ones get fewer examples right."""
    rng = np.random.default_rng(seed)
    p = np.where(np.arange(runs) < runs - failed, 0.9, 0.6)
    return rng.random((runs, 500)) < p[:, None]


def test_normality_is_said():
    assert "assuming normality" in rs.variance(correct=failing(10, 0)).sentence()
    scores = np.random.default_rng(3).normal(size=(6, 20))
    assert "assuming normality" in score_variance(scores).sentence()


@pytest.mark.parametrize("level", [0.6, 0.95])
@pytest.mark.parametrize("runs", [2, 3, 10, 100])
@pytest.mark.parametrize("failed", [0, 1])
def test_the_sentence_fits_on_two_lines(runs, failed, level):
    plain = rs.variance(correct=failing(runs, failed), confidence_level=level, pairs="none").sentence()
    grouped = rs.variance(correct=failing(runs, failed), clusters=np.arange(500) // 5, pairs="none").sentence()
    assert len(plain.split()) <= 45
    assert len(grouped.split()) <= 48


def test_an_outlying_run_is_named():
    correct = failing(10, 1)
    (note,) = (note for note in rs.variance(correct=correct).warnings if "outlying" in note)
    assert note.startswith(f"run 9 ({correct[9].mean():.2%}) is an outlying run: ")
    assert "may be far too short" in note
    assert not [note for note in rs.variance(correct=failing(10, 0)).warnings if "outlying" in note]


def test_two_groups_of_runs_are_named_instead_of_outliers():
    (note,) = (note for note in rs.variance(correct=failing(12, 4)).warnings if "two groups" in note)
    accuracy = np.sort(failing(12, 4).mean(axis=1))
    assert f"4 near {accuracy[:4].mean():.2%} and 8 near {accuracy[4:].mean():.2%}" in note
    assert not [note for note in rs.variance(correct=failing(12, 4)).warnings if "outlying" in note]


def test_outliers_are_beyond_rosners_bound():
    values = np.array([float(x) for x in np.linspace(-2, 2, 20)])
    assert outlying_runs(values) == ()
    assert outlying_runs(np.append(values, [9.0, -12.0])) == (21, 20)
    assert outlying_runs(np.append(values[:4], 99.0)) == ()  # five values are too few to tell
    assert outlying_runs(np.full(8, 0.5)) == ()


def test_two_groups_by_the_formula():
    values = np.array([0.1, 0.11, 0.12, 0.5, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56])
    assert two_groups(values, 0.0) == 3
    assert two_groups(values[::-1] * 7 - 3, 0.0) == 3
    assert two_groups(np.linspace(0, 1, 30), 0.0) is None
    assert two_groups(values[:7], 0.0) is None  # seven runs are too few
    assert two_groups(np.repeat([0.1, 0.2], 5), 0.1) is None  # neighbours on the grid of a small test set


@pytest.mark.skipif(not SHARED.is_dir(), reason="the vectors beside the checkout are not here")
def test_critical_gaps_are_those_of_the_vectors():
    from runspread.methods.variance.run_distribution import _GAPS

    vectors = np.load(SHARED / "vectors" / "scores.npz")
    column = int(np.argmin(np.abs(vectors["modes__levels"] - 0.025)))
    table = dict(zip(vectors["modes__n"].tolist(), vectors["modes__exp__gap"][:, column], strict=True))
    for runs, value in table.items():  # rows of the next smaller number are at least as large, but for noise
        assert _GAPS[max(n for n in _GAPS if n <= runs)] > value - 0.08


def test_any_distribution_by_the_jackknife_of_the_logarithm():
    values = np.random.default_rng(4).normal(size=40)
    left = np.log([np.delete(values, i).var(ddof=1) for i in range(40)])
    assert log_jackknife(values) == pytest.approx(39 / 40 * np.square(left - left.mean()).sum(), rel=1e-9)
    result = rs.variance(correct=failing(40, 6), distribution="any")
    accuracy = result.accuracy
    reach = t.ppf(0.975, 39) * math.sqrt(log_jackknife(accuracy))
    ends = result.n_examples / (result.n_examples - 1) * (result.var_test * np.exp([-reach, reach]) - result.var_ind)
    assert result.intervals.sd_fixed == pytest.approx(np.sqrt(np.maximum(0, ends)), rel=1e-9)
    assert result.intervals.sd_pop[1] >= result.intervals.sd_fixed[1]
    assert "any distribution" not in result.sentence()
    assert "not assuming normality" in result.sentence()
    assert not [note for note in result.warnings if "normal" in note]


@pytest.mark.parametrize("runs", [30, 40, 300])
def test_any_distribution_is_none_that_holds_where_failures_are_unseen(runs):
    """Where 2 to 3 % of trainings fail, 30 to 40 runs cover in 49 to 65 %: "holds for any distribution" was false."""
    found = rs.variance(correct=failing(runs, 0), distribution="any", pairs="none")
    share = f"{100 * (1 - 0.05 ** (1 / runs)):.2g}%"
    assert f"With {runs} runs, up to {share} of trainings may do worse than the worst one here" in found.warnings[-1]
    assert "any distribution" not in found.sentence()
    assert [
        note.replace("% bound, for any distribution)", "") for note in found.warnings if "any distribution" in note
    ] == [f"With {runs} runs, up to {share} of trainings may do worse than the worst one here (95."]
    assert not rs.variance(correct=failing(300, 0), pairs="none").warnings


def test_any_distribution_takes_thirty_runs():
    with pytest.raises(InputError, match=r"distribution='any' with 29 runs\. Expected 30 runs or more") as error:
        rs.variance(correct=failing(29, 2), distribution="any")
    assert "distribution='normal'" in error.value.hint
    rs.variance(correct=failing(29, 2), distribution="normal")
    with pytest.raises(InputError, match="unknown distribution"):
        rs.variance(correct=failing(29, 2), distribution="gauss")


def test_the_share_of_worse_trainings_is_bounded_for_any_distribution():
    """The share below the lowest of n has the distribution Beta(1, n)."""
    result = rs.variance(correct=failing(10, 0))
    assert result.unseen_share == unseen_share(10, 0.95) == pytest.approx(beta.ppf(0.95, 1, 10))
    assert "With 10 runs, up to 26% of trainings may do worse than the worst one here" in " ".join(result.warnings)


# ------------------------------------------------------------------ A16


def test_dropped_examples_are_counted_and_named():
    correct = (np.random.default_rng(5).random((4, 30)) < 0.8).astype(float)
    correct[1, [3, 8]] = correct[2, [8, 20, 21]] = np.nan
    result = rs.variance(correct=correct, missing="intersect")
    kept = np.delete(correct, [3, 8, 20, 21], axis=1)
    assert result.n_examples == 26
    assert result.warnings[0] == (
        "4 of 30 examples were excluded because a run lacks them (examples 3, 8, 20 and 1 more): the mean accuracy is "
        f"{kept.mean():.2%} on those kept, {np.nanmean(correct, axis=0).mean():.2%} on all that were evaluated."
    )
    one = correct.copy()
    one[:, [3, 20, 21]] = 1
    note = rs.variance(correct=one, missing="intersect").warnings[0]
    assert "1 of 30 examples was excluded because a run lacks it (example 8)" in note
    whole = rs.variance(correct=np.nan_to_num(correct), missing="intersect")
    assert not [note for note in whole.warnings if "excluded" in note]
    masked = rs.variance(correct=np.ma.masked_invalid(correct), missing="intersect")
    assert masked.warnings[0] == result.warnings[0]


@pytest.mark.parametrize("name", ["clusters", "weights", "strata", "first_half"])
def test_what_belongs_to_examples_is_dropped_with_them(name):
    correct = (np.random.default_rng(6).random((6, 40)) < 0.7).astype(float)
    correct[0, [1, 17]] = np.nan
    keep = np.delete(np.arange(40), [1, 17])
    every = {"clusters": np.arange(40) // 3, "weights": np.arange(40) + 1.0, "strata": np.arange(40) % 2}
    values = every.get(name, np.arange(40) < 20)
    whole = rs.variance(correct=correct, missing="intersect", **{name: values}).to_dict()
    kept = rs.variance(correct=correct[:, keep], **{name: values[keep]}).to_dict()
    for key in {*whole, *kept} - {"warnings"}:
        np.testing.assert_equal(whole[key], kept[key], err_msg=key)
    with pytest.raises(InputError, match="dropped ones included"):
        rs.variance(correct=correct, missing="intersect", **{name: values[:39]})


# ------------------------------------------------------------------ A8


@pytest.mark.parametrize("error", [0.05, 0.24])
def test_one_run_gives_no_upper_bound(error):
    said = rs.variance(correct=(np.arange(2000) >= 2000 * error)[None]).sentence()
    assert "at most" not in said
    about = 100 * math.sqrt(error / 4000)
    assert (
        f"about {about:.2f} percentage points if errors are independent; fine-tunings were seen at 1 to 5 times that"
        in said
    )


@pytest.mark.skipif(not SHARED.is_dir(), reason="the data beside the checkout are not here")
def test_real_fine_tunings_exceed_independent_errors():
    """The number of test examples follows from the accuracies, which are whole multiples of one over it."""
    sets: dict[tuple[str, str], list[float]] = {}
    with (SHARED / "real" / "model_recycling_20_seeds.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["accuracy"]:
                sets.setdefault((row["base"], row["dataset name"]), []).append(float(row["accuracy"]))
    ratios = []
    for accuracy in map(np.array, sets.values()):
        sizes = np.arange(20, 10_001)
        counts = accuracy[:, None] * sizes
        fits = np.abs(counts - np.round(counts)).max(axis=0) < 1e-3
        if fits.any() and len(accuracy) == 20:
            ratios.append(accuracy.std(ddof=1) / math.sqrt((1 - accuracy.mean()) / (2 * sizes[fits.argmax()])))
    assert len(ratios) > 80
    assert 0.4 < np.mean(np.array(ratios) > 1) < 0.6
    assert np.sort(ratios)[-3] > 4


# ------------------------------------------------------------------ A10


def test_samples_do_not_depend_on_their_order():
    rng = np.random.default_rng(8)
    correct = rng.random((10, 60)) < rng.random(60)
    shuffled = rng.permuted(correct, axis=0)
    first, second = (rs.variance(correct=x, samples_are="samples") for x in (correct, shuffled))
    np.testing.assert_equal(first.to_dict(), second.to_dict())
    assert first.sentence() == second.sentence()
    assert rs.variance(correct=correct).test.p_value != rs.variance(correct=shuffled).test.p_value
    assert "nothing about the spread between trainings" in first.sentence()
    assert math.isnan(first.var_dist)
    assert math.isnan(first.sd_test)
    json.loads(first.to_json())


def test_samples_by_their_formulas():
    rng = np.random.default_rng(9)
    correct = rng.random((8, 50)) < rng.random(50)
    found = rs.variance(correct=correct, samples_are="samples", clusters=np.arange(50) // 5)
    p, groups = correct.mean(axis=0), correct.mean(axis=0).reshape(10, 5).mean(axis=1)
    assert found.intervals.se_mean_fixed**2 == pytest.approx(correct.var(axis=0, ddof=1).sum() / 8 / 50**2)
    assert found.intervals.se_mean_dist**2 == pytest.approx(groups.var(ddof=1) / 10)
    assert found.mean_acc == pytest.approx(p.mean())
    assert "in 10 clusters" in found.sentence()
    assert "for new clusters, of this model" in found.sentence()


def test_samples_are_no_runs():
    correct = np.random.default_rng(10).random((8, 50)) < 0.6
    found = rs.variance(correct=correct, samples_are="samples")
    for use in (lambda: found.sums, lambda: found.accuracy, found.plot, lambda: run_accuracies(found)):
        with pytest.raises(InputError, match=r"samples of one model\. Expected runs"):
            use()
    with pytest.raises(InputError, match="unknown samples_are"):
        rs.variance(correct=correct, samples_are="epochs")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the data beside the checkout are not here")
def test_samples_of_real_models():
    passed = np.load(SHARED / "real" / "humaneval_murdza_10x164.npz")
    name = next(key for key in passed.files if passed[key].shape == (10, 164))
    marks = passed[name]
    found = rs.variance(correct=marks, samples_are="samples", missing="intersect")
    assert found.n_runs == 10
    assert found.intervals.mean_low < found.mean_acc < found.intervals.mean_high


# ------------------------------------------------------------------ D5


def test_plain_numbers():
    one = run_accuracies(correct=[[1, 0, 1, 1]]).sentence()
    assert "nan" not in one
    assert "The one run, run 0, has 75.00% on 4 examples" in one
    tied = run_accuracies(correct=[[1, 0, 1, 1], [1, 1, 0, 1], [0, 0, 1, 1]]).sentence()
    assert "run 0 (and 1 more run as high), has 75.00%" in tied
    assert "1 run on 4 examples" in rs.variance(correct=[[1, 0, 1, 1]]).sentence()


def test_a_ratio_without_digits_that_nobody_needs():
    from runspread.methods.variance.tasks import times

    assert times(38.14) == "38.1 times"
    assert times(1325000.0) == "more than 100 times"
