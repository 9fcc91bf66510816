"""The level beside other scores, and the trimmed examples: against brute force and SciPy."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.errors import InputError
from runspread.methods.trimming import margins, optimal_trimming, trimmed_examples, trimming_scores
from runspread.methods.trimming.comparison import average_ranks, spearman


def made_runs(runs=24, examples=300, classes=2, seed=0):
    """Logits of runs of different quality and confidence, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=examples)
    signal = 2.0 * np.eye(classes)[labels]
    noise = np.linspace(0.5, 2, runs)[:, None, None] * rng.normal(size=(runs, examples, classes))
    return (signal + noise) * np.exp(rng.normal(size=(runs, 1, 1)) * 0.4), labels


@pytest.mark.parametrize("classes", [2, 4])
def test_churn_equals_brute_force(classes):
    logits, labels = made_runs(runs=9, classes=classes)
    found = trimming_scores(logits, labels, resamples=5)
    predicted = logits.argmax(-1)
    for run in range(9):
        others = [other for other in range(9) if other != run]
        ensemble = logits[others].sum(0).argmax(-1)
        assert found.of("churn with ensemble")[run] == (predicted[run] != ensemble).mean()
        pairs = [(predicted[run] != predicted[other]).mean() for other in others]
        assert found.of("pairwise churn")[run] == pytest.approx(np.mean(pairs), abs=1e-12)


def test_churn_beside_one_huge_run_keeps_its_digits():
    logits, labels = made_runs(runs=8, classes=4)
    logits = logits.astype(np.float32)
    expected = trimming_scores(logits, labels, resamples=5).of("churn with ensemble")[2]
    logits[2] *= np.float32(1e18)
    assert trimming_scores(logits, labels, resamples=5).of("churn with ensemble")[2] == expected


def test_scores_are_those_of_each_run_alone():
    logits, labels = made_runs(runs=5)
    found = trimming_scores(logits, labels, resamples=5, n_bins=10)
    for run in range(5):
        alone = rs.ensemble_scores(logits[run][None], labels, n_bins=10)
        assert found.values[:3, run] == pytest.approx([alone.accuracy, alone.nll, alone.ece], abs=1e-12)
    assert found.names == ("accuracy", "NLL", "ECE", "churn with ensemble", "pairwise churn")


def test_rank_correlations_equal_scipy():
    logits, labels = made_runs()
    found = trimming_scores(logits, labels, resamples=200)
    for row, correlation in zip(found.values, found.correlation, strict=True):
        assert correlation == pytest.approx(stats.spearmanr(found.level, row).statistic, abs=1e-12)
    assert (found.low <= found.correlation).all()
    assert (found.correlation <= found.high).all()
    assert (found.low < found.high).all()


def test_rank_correlation_copes_with_ties_and_constants():
    rng = np.random.default_rng(1)
    first, second = rng.integers(4, size=(2, 30)).astype(float)
    expected = stats.spearmanr(first, second).statistic
    assert spearman(first[None], second[None])[0] == pytest.approx(expected, abs=1e-12)
    assert math.isnan(spearman(np.ones((1, 5)), np.arange(5.0)[None])[0])


@pytest.mark.slow
def test_interval_of_the_rank_correlation_covers():
    """Percentile bootstrap of 95 % over 60 runs: coverage of a known rank correlation in 400 studies."""
    from runspread.methods.trimming.comparison import _rank_correlations

    rho = 0.5
    truth = 6 / math.pi * math.asin(rho / 2)  # Spearman's correlation of a normal pair
    rng, covered = np.random.default_rng(3), 0
    for _ in range(400):
        first = rng.normal(size=60)
        second = rho * first + math.sqrt(1 - rho**2) * rng.normal(size=60)
        _, low, high = _rank_correlations(first, second[None], 0.95, 500, rng)
        covered += bool(low[0] <= truth <= high[0])
    assert 0.90 <= covered / 400 <= 0.98


def test_bins_hold_the_spread_of_the_level():
    logits, labels = made_runs(runs=30)
    found = trimming_scores(logits, labels, n_accuracy_bins=3, resamples=5)
    table = found.bins()
    assert sum(table["runs"]) == 30
    assert len(table) == 3
    accuracy = found.of("accuracy")
    for number, (low, high, count) in enumerate(zip(table["accuracy from"], table["to"], table["runs"], strict=True)):
        inside = found.bin_of == number
        assert inside.sum() == count
        assert (accuracy[inside].min(), accuracy[inside].max()) == (low, high)
        assert table["median"][number] == pytest.approx(np.median(found.level[inside]))
    assert table["to"][:-1] < table["accuracy from"][1:]
    groups = [found.level[found.bin_of == number] for number in range(3)]
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / 27
    assert found.within_share == pytest.approx(within / found.level.var(ddof=1))


def test_given_levels_are_used_for_the_runs_they_cover():
    logits, labels = made_runs(runs=12)
    levels = rs.trimming(logits[:8], logits[8:], resample="split", replicates=5)
    found = trimming_scores(logits, labels, levels=levels, resamples=5)
    assert found.run_ids == levels.run_ids
    assert np.array_equal(found.level, levels.mean)
    assert found.of("accuracy").tolist() == (logits[:8].argmax(-1) == labels).mean(-1).tolist()


def test_comparison_shows_itself():
    logits, labels = made_runs()
    found = trimming_scores(logits, labels, resamples=50)
    assert found.sentence().startswith("Over 24 runs the trimming level has rank correlation ")
    assert len(found.table()) == 5
    assert len(found.runs()) == 24
    assert json.loads(found.to_json())["names"][0] == "accuracy"


def test_equal_levels_have_no_correlation():
    logits, labels = made_runs(runs=8)
    levels = rs.trimming(logits, threshold=0.9, replicates=2)
    found = trimming_scores(logits, labels, levels=levels, resamples=20)
    assert np.isnan(found.correlation).all()
    assert "100% of the levels are 0" in found.warnings[-1]


def test_excluded_runs_are_named_once():
    logits, labels = made_runs(runs=9)
    logits[3, 0, 0] = math.nan
    found = trimming_scores(logits, labels, resamples=5)
    assert [e.run for e in found.excluded] == ["run 3"]
    kept = np.delete(logits, 3, axis=0)
    assert (
        found.of("churn with ensemble").tolist()
        == trimming_scores(kept, labels, resamples=5).of("churn with ensemble").tolist()
    )


@pytest.mark.parametrize("arguments", [{"confidence_level": 1}, {"n_accuracy_bins": 0}, {"resamples": 0}])
def test_impossible_settings_are_errors(arguments):
    logits, labels = made_runs(runs=6)
    with pytest.raises(InputError):
        trimming_scores(logits, labels, **arguments)


def test_too_few_runs_are_an_error():
    logits, labels = made_runs(runs=3)
    with pytest.raises(InputError, match="at least 4"):
        trimming_scores(logits, labels)
    with pytest.raises(InputError, match="label"):
        trimming_scores(logits)


# --- trimmed examples ------------------------------------------------------------------------------------------------


def test_trimmed_examples_are_those_in_excess():
    """Candidates that are overconfident on known examples: these are what is trimmed."""
    rng = np.random.default_rng(0)
    gaps = rng.normal(size=(30, 500))
    planted = rng.choice(500, size=100, replace=False)
    gaps[:15, planted] = rng.normal(8, 0.5, size=(15, 100))
    found = trimmed_examples(gaps[:15], gaps[15:])
    assert found.n_trimmed == 15
    everywhere = np.delete(found.trimmed, planted)
    assert found.trimmed[planted].mean() > 5 * everywhere.mean()
    assert found.trimmed.mean() == pytest.approx(found.mean_level, abs=1e-9)
    assert set(found.order()[:50]) <= set(planted)
    assert found.share_in_top(0.2) > 0.5
    assert found.sentence().startswith("15 of 15 runs are trimmed")
    assert found.table()["example"] == found.order()[:20].tolist()


def test_every_run_is_trimmed_by_its_own_level():
    gaps = np.random.default_rng(2).normal(size=(8, 200)) * np.array([1, 1, 1, 3, 1, 1, 1, 4])[:, None]
    levels = rs.trimming(gaps, resample="split", replicates=10)
    found = trimmed_examples(gaps, levels=levels)
    trimmed = np.flatnonzero(levels.mean > 0)
    assert found.n_trimmed == len(trimmed) < 8
    parts = []
    for run in trimmed:
        reference = gaps[4:] if run < 4 else gaps[:4]
        best = optimal_trimming(reference.ravel(), gaps[run], levels.mean[run])
        parts.append(best.trimmed[np.searchsorted(best.values, gaps[run])])
    assert found.trimmed == pytest.approx(np.mean(parts, axis=0), abs=1e-15)


def test_the_worst_class_decides():
    logits, labels = made_runs(runs=10, classes=3)
    levels = rs.trimming(logits, resample="split", replicates=5)
    found = trimmed_examples(logits, levels=levels, labels=labels)
    assert found.settings.margin == "one-vs-rest"
    assert found.labels is not None
    worst = np.minimum(levels.class_levels, 0.5).mean(1).argmax(0)
    trimmed = np.flatnonzero(levels.mean > 0)
    outputs = np.stack([margins(logits[run])[:, worst[run]] for run in trimmed])
    assert found.mean_output == pytest.approx(outputs.mean(0))


def test_concentration_is_told_beside_that_of_chance():
    """Contamination at random places: the top tenth is chosen after looking, so it carries more than a tenth."""
    rng = np.random.default_rng(0)
    for runs in (1, 30):
        gaps = rng.normal(size=(runs + 30, 500))
        where = rng.random((runs, 500)) < 0.2
        gaps[:runs][where] = rng.normal(8, 0.5, size=int(where.sum()))
        found = trimmed_examples(gaps[:runs], gaps[runs:])
        assert found.share_in_top() == pytest.approx(found.share_by_chance, abs=0.02)
    assert f"({found.share_by_chance:.0%} if trimming fell on examples at random)" in found.sentence()


@pytest.mark.parametrize("kind", ["mixture", "ensemble"])
@pytest.mark.parametrize("against", [False, True])
def test_examples_are_trimmed_against_the_reference_of_their_run(kind, against):
    logits, _ = made_runs(runs=12, classes=3)
    own, other = (logits[:7], logits[7:]) if against else (logits, None)
    levels = rs.trimming(own, other, reference=kind, resample="split", replicates=5)
    found = trimmed_examples(own, other, levels=levels)
    means = np.minimum(levels.class_levels, 0.5).mean(1)
    parts = []
    for run in np.flatnonzero(levels.mean > 0):
        pool = other if against else (logits[6:] if run < 6 else logits[:6])
        pool = pool.mean(0, keepdims=True) if kind == "ensemble" else pool
        worst = means[:, run].argmax()
        reference, values = margins(pool)[..., worst].ravel(), margins(own[run])[:, worst]
        best = optimal_trimming(reference, values, means[worst, run])
        parts.append(best.trimmed[np.searchsorted(best.values, values)])
    assert found.trimmed == pytest.approx(np.mean(parts, axis=0), abs=1e-12)


def test_nothing_to_trim():
    gaps = np.random.default_rng(0).normal(size=(8, 200))
    found = trimmed_examples(gaps, levels=rs.trimming(gaps, threshold=0.9, replicates=2))
    assert found.n_trimmed == 0
    assert found.trimmed.tolist() == [0.0] * 200
    assert "nothing is trimmed" in found.sentence()
    assert math.isnan(found.share_in_top())


def test_labels_follow_the_pairwise_margin():
    logits, labels = made_runs(runs=8, classes=3)
    found = trimmed_examples(logits, margin="pairwise", classes=(0, 2), labels=labels)
    assert found.labels is not None
    assert found.labels.tolist() == [label for label in labels if label != 1]
    assert len(found.trimmed) == len(found.labels)


def test_levels_of_other_runs_are_an_error():
    gaps = np.random.default_rng(0).normal(size=(8, 50))
    with pytest.raises(InputError, match="other runs"):
        trimmed_examples(gaps, levels=rs.trimming(gaps[:5], replicates=2))


def test_levels_that_are_all_equal_have_a_sentence_of_their_own():
    logits, labels = made_runs(runs=8)
    found = trimming_scores(logits, labels, levels=rs.trimming(logits, threshold=0.9, replicates=2), resamples=20)
    assert "is 0 for every run" in found.sentence()
    assert "nan" not in found.sentence()
    assert "the other runs" not in found.warnings[-1]
    assert math.isnan(found.within_share)


def test_equal_accuracies_have_a_sentence_of_their_own():
    rng = np.random.default_rng(0)
    gaps = np.abs(rng.normal(size=(12, 200))) * np.linspace(0.2, 3, 12)[:, None]
    found = trimming_scores(np.stack([-gaps, gaps], -1), np.ones(200, int), resamples=50)
    assert np.ptp(found.level) > 0
    assert "which all runs share" in found.sentence()
    assert "nan" not in found.sentence()


def test_share_inside_the_bins_has_an_interval_and_stays_a_share():
    for seed in range(20):
        logits, labels = made_runs(runs=16, seed=seed)
        found = trimming_scores(logits, labels, n_accuracy_bins=2, resamples=300)
        assert found.within_low <= found.within_share <= found.within_high
        shares = [int(share) for share in re.findall(r"(\d+)%", found.sentence())]
        assert max(shares) <= 100
    widest = max(np.ptp(found.of("accuracy")[found.bin_of == number]) for number in (0, 1))
    assert f"up to {100 * widest:.2f} percentage points" in found.sentence()


@pytest.mark.slow
def test_interval_of_the_share_covers():
    """Percentile bootstrap of 95 % over 100 runs of skewed levels: coverage of the share in 300 studies."""
    from runspread.methods.trimming.comparison import _equal_bins, _within_limits, _within_share

    rng, covered = np.random.default_rng(3), 0

    def draw(runs):
        accuracy = rng.normal(size=runs)
        return accuracy, np.maximum(0, 0.7 * accuracy + math.sqrt(0.51) * rng.normal(size=runs)) ** 1.5

    accuracy, level = draw(200_000)
    truth = _within_share(level, _equal_bins(accuracy, 5))
    for _ in range(300):
        accuracy, level = draw(100)
        low, high = _within_limits(level, _equal_bins(accuracy, 5), 0.95, 500, rng)
        covered += bool(low <= truth <= high)
    assert 0.90 <= covered / 300 <= 0.99


def test_trimmed_examples_take_the_settings_of_the_levels():
    logits, labels = made_runs(runs=10, classes=3)
    levels = rs.trimming(logits, margin="top-two", clip=(0, 2), reference="ensemble", mode="published", replicates=4)
    found = trimmed_examples(logits, levels=levels)
    assert (found.settings.margin, found.settings.clip, found.settings.reference, found.settings.mode) == (
        "top-two",
        (0, 2),
        "ensemble",
        "published",
    )
    run = int(np.flatnonzero(levels.mean > 0)[0])
    gaps = np.clip(margins(logits, "top-two"), 0, 2)
    halves = (slice(5, None), slice(None, 5))
    parts = []
    for run in np.flatnonzero(levels.mean > 0):
        reference = np.clip(margins(logits[halves[int(run >= 5)]].mean(0), "top-two"), 0, 2)
        best = optimal_trimming(reference, gaps[run], levels.mean[run], mode="published")
        parts.append(best.trimmed[np.searchsorted(best.values, gaps[run])])
    assert found.trimmed == pytest.approx(np.mean(parts, axis=0), abs=1e-12)
    one_vs_rest = rs.trimming(logits, resample="split", replicates=4)
    for extra in ({"margin": "top-two"}, {"clip": (-1, 1)}, {"classes": (0, 1)}):
        with pytest.raises(InputError, match="the settings of the levels"):
            trimmed_examples(logits, labels=labels, levels=one_vs_rest, **extra)
    with pytest.raises(InputError, match="the references that"):
        trimmed_examples(logits, logits[:3], levels=one_vs_rest)
    with pytest.raises(InputError, match="the same outputs"):
        trimmed_examples(logits[:, :50], levels=one_vs_rest)


def test_the_deciding_class_is_trimmed_by_its_own_level():
    logits, _ = made_runs(runs=10, classes=3)
    levels = rs.trimming(logits, resample="split", replicates=5)
    found = trimmed_examples(logits, levels=levels)
    own = np.minimum(levels.class_levels, 0.5).mean(1).max(0)
    assert found.mean_level == pytest.approx(own[own > 0].mean())


def test_average_ranks_are_those_of_scipy():
    rows = np.random.default_rng(0).integers(6, size=(200, 9)).astype(float)
    rows[3, 4] = np.nan
    rows[4] = 2.0
    np.testing.assert_array_equal(average_ranks(rows), stats.rankdata(rows, axis=-1))
    np.testing.assert_array_equal(average_ranks(rows[:5, :1]), np.where(np.isnan(rows[:5, :1]), np.nan, 1.0))
