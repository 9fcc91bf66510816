"""`variance` and `RunStatistics`: closed forms, invariances and the edge cases of the specification."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods import Excluded
from runspread.methods.variance import (
    RunStatistics,
    RunSums,
    pair_deviations,
    poisson_binomial_pmf,
    predicted_classes,
    run_statistics,
    score_variance,
)

SUCCESS = np.array([[0.2, 0.9], [0.7, 0.8]])  # success probability of quality z on type e; the true variance is 1/100


def enumerated_mean(runs: int, examples: int) -> Fraction:
    """Return the exact mean of var_dist over all qualities, types and outcomes."""
    total = Fraction(0)
    for z, e in itertools.product(itertools.product((0, 1), repeat=runs), itertools.product((0, 1), repeat=examples)):
        p = [Fraction(str(SUCCESS[a][b])) for a in z for b in e]
        for outcome in itertools.product((0, 1), repeat=runs * examples):
            weight = math.prod(q if hit else 1 - q for q, hit in zip(p, outcome, strict=True))
            matrix = np.array(outcome).reshape(runs, examples)
            t, c = matrix.sum(axis=1), matrix.sum(axis=0)
            sums = RunSums(runs, examples, int(t.sum()), int(t @ t), int(c @ c))
            assert sums.var_dist is not None
            total += weight * sums.var_dist
    return total / 2 ** (runs + examples)


@pytest.mark.parametrize(("runs", "examples"), [(2, 2), (3, 2), (2, 3)])
def test_unbiased_by_enumeration(runs, examples):
    assert enumerated_mean(runs, examples) == Fraction(1, 100)


def test_mean_covariance_of_pairs():
    matrix = np.random.default_rng(0).random((9, 14)) < 0.7
    covariance = np.cov(matrix.astype(float), rowvar=False)
    mean = covariance[~np.eye(14, dtype=bool)].mean()
    result = rs.variance(correct=matrix)
    assert result.var_dist == pytest.approx(mean, rel=1e-12)
    assert result.outcomes.item_total_cov.sum() == pytest.approx(14**2 * result.var_test, rel=1e-12)


def test_analysis_of_variance_identity():
    matrix = (np.random.default_rng(1).random((7, 12)) < 0.6).astype(float)
    rows, columns, grand = matrix.mean(axis=1), matrix.mean(axis=0), matrix.mean()
    ms_rows = 12 * np.square(rows - grand).sum() / 6
    rest = matrix - rows[:, None] - columns + grand
    ms_rest = np.square(rest).sum() / (6 * 11)
    result = rs.variance(correct=matrix)
    assert result.var_dist == pytest.approx((ms_rows - ms_rest) / 12, rel=1e-10)
    assert result.components.var_inter == pytest.approx(ms_rest, rel=1e-10)


@pytest.mark.parametrize("kind", ["runs", "examples"])
def test_jackknife_closed_forms(kind):
    matrix = np.random.default_rng(2).random((8, 11)) < 0.7
    axis = 0 if kind == "runs" else 1
    left = [rs.variance(correct=np.delete(matrix, i, axis)).var_dist for i in range(matrix.shape[axis])]
    count = len(left)
    direct = (count - 1) / count * np.square(left - np.mean(left)).sum()
    assert getattr(rs.variance(correct=matrix).jackknife, kind) == pytest.approx(direct, rel=1e-9)


def test_grouped_jackknife_with_as_many_groups_as_runs_leaves_one_out():
    result = rs.variance(correct=np.random.default_rng(3).random((6, 30)) < 0.8, groups=50)
    assert result.jackknife.grouped == pytest.approx(result.jackknife.runs, rel=1e-9)


def test_weights_clusters_and_strata_reduce_to_the_plain_form():
    matrix = np.random.default_rng(4).random((10, 24)) < 0.7
    plain = rs.variance(correct=matrix)
    forms = rs.variance(
        correct=matrix, weights=np.full(24, 3.0), clusters=np.arange(24), strata=np.zeros(24, int)
    ).to_dict()
    for key in ("var_dist_w", "var_dist_cluster", "var_dist_strat"):
        assert forms[key] == pytest.approx(plain.var_dist, rel=1e-10)
    assert forms["mean_w"] == pytest.approx(plain.mean_acc)


def test_stratified_form_against_pairs():
    """Within a stratum of n_c examples the mean over pairs of distinct examples replaces the mean over all pairs."""
    rng = np.random.default_rng(5)
    matrix, strata = rng.random((12, 20)) < 0.7, rng.permutation(np.repeat([0, 1, 2], [5, 7, 8]))
    covariance, priors = np.cov(matrix.astype(float), rowvar=False), np.array([0.5, 0.2, 0.3])
    total = 0.0
    for a, b in itertools.product(range(3), repeat=2):
        block = covariance[np.ix_(strata == a, strata == b)]
        mean = block[~np.eye(len(block), dtype=bool)].mean() if a == b else block.mean()
        total += priors[a] * priors[b] * mean
    found = rs.variance(correct=matrix, strata=strata, priors=priors).forms.asked["var_dist_strat"]
    assert found == pytest.approx(total, rel=1e-10)


def test_all_weight_on_one_example_is_undefined():
    weights = np.zeros(6)
    weights[2] = 1
    assert math.isnan(rs.variance(correct=np.eye(6, dtype=int)[:4], weights=weights).forms.asked["var_dist_w"])


@pytest.mark.parametrize("weights", [[1, -1, 1], [0, 0, 0], [1, np.nan, 1], [1, np.inf, 1], [1, 1]])
def test_bad_weights(weights):
    with pytest.raises(InputError, match="weights"):
        rs.variance(correct=[[1, 0, 1], [0, 0, 1]], weights=weights)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_nothing_is_an_error(shape):
    with pytest.raises(InputError, match="not empty"):
        rs.variance(correct=np.zeros(shape))


def test_one_run():
    result = rs.variance(correct=[[1, 0, 1, 1]])
    assert result.mean_acc == 0.75
    assert result.distribution.binomial_variance == pytest.approx(0.75 * 0.25 / 4)
    plain = result.to_dict()
    assert all(math.isnan(plain[name]) for name in ("var_test", "var_ind", "var_dist", "ci_fixed_lo"))
    assert "two runs" in result.sentence()


def test_two_runs_have_no_jackknife():
    result = rs.variance(correct=[[1, 0, 1, 1], [1, 1, 0, 1]])
    assert math.isnan(result.jackknife.runs)
    assert math.isnan(result.intervals.var_pop_low)
    assert not math.isnan(result.intervals.var_fixed_low)
    assert result.jackknife.used == "none"


def test_equal_accuracies():
    matrix = np.array([np.roll([1, 1, 0, 0, 0], shift) for shift in range(5)])
    result = rs.variance(correct=matrix)
    assert result.var_dist == pytest.approx(-5 / 4 * result.var_ind)
    assert result.test.f_ratio == 0
    assert result.test.p_value == 1
    assert math.isnan(result.components.kr20)
    assert result.negative
    assert result.sd_dist == 0


def test_duplicates_are_counted_and_named():
    rng = np.random.default_rng(6)
    rows = rng.integers(0, 4, (5, 60))
    result = rs.variance(rows[[0, 0, 1, 2, 2, 2, 3]], rng.integers(0, 4, 60))
    assert result.outcomes.duplicate_pairs == 4
    assert "4 pairs of runs" in result.warnings[0]


def test_duplicates_across_chunks_and_types():
    row = np.random.default_rng(7).integers(0, 4, (1, 50))
    statistics = RunStatistics(np.zeros(50, int), n_classes=4)
    for kind in (np.int64, np.uint8, np.int16):
        statistics.update(row.astype(kind))
    assert statistics.duplicate_pairs == 3


@pytest.mark.parametrize("value", [0.5, 2, -1, np.inf])
def test_correctness_is_zero_or_one(value):
    matrix = np.ones((3, 4))
    matrix[1, 2] = value
    with pytest.raises(InputError, match=r"1 value of .* is out of range, the first is .* at \(1, 2\)"):
        rs.variance(correct=matrix)


@pytest.mark.parametrize(
    ("predictions", "labels", "found"),
    [
        ([[0, 1, -2], [0, -3, 1]], [0, 1, 1], r"2 values of .* are out of range, the first is -2 at \(0, 2\)"),
        ([[0, 1], [0, 1]], [0, 1, 1], "3 labels for 2 examples"),
        ([[0, 1], [0, 1]], [0, -1], "labels"),
        ([[0.5, 1], [0, 1]], [0, 1], "dtype float64"),
    ],
)
def test_bad_predictions(predictions, labels, found):
    with pytest.raises(InputError, match=found):
        rs.variance(np.array(predictions), np.array(labels))


def test_labels_are_needed():
    with pytest.raises(InputError, match="no labels"):
        rs.variance(np.zeros((3, 4), int))
    with pytest.raises(InputError, match="nothing to analyse"):
        rs.variance()


@pytest.mark.parametrize(
    ("old", "new"), [("confidence", "confidence_level"), ("level", "confidence_level"), ("law", "distribution")]
)
def test_a_keyword_that_was_renamed_is_refused_with_its_name_of_now(old, new):
    with pytest.raises(InputError, match=rf"unknown variance keyword '{old}'.*Did you mean '{new}'\?"):
        rs.variance(correct=np.eye(3), **{old: 0.9})


def test_unknown_keyword():
    with pytest.raises(
        InputError, match=r"unknown variance keyword 'confidence_lvl'.*Did you mean 'confidence_level'\?"
    ):
        rs.variance(correct=np.eye(3), confidence_lvl=0.9)  # type: ignore[call-arg]


@pytest.fixture
def broken_logits():
    logits = np.random.default_rng(8).normal(size=(6, 9, 3)).astype(np.float16)
    logits[2, 4, 1] = np.nan
    return logits, np.arange(9) % 3


def test_nan_in_logits(broken_logits):
    logits, labels = broken_logits
    with pytest.raises(InputError, match=r"in 1 row, the first at \(2, 4\)"):
        rs.variance(logits, labels, nan="raise")
    abstained = rs.variance(logits, labels, nan="abstain")
    predictions = logits.argmax(axis=2)
    predictions[2, 4] = -1
    assert abstained.components.var_dist_exact == rs.variance(predictions, labels).components.var_dist_exact
    dropped = rs.variance(logits, labels)
    assert dropped.excluded == (Excluded("run 2", "NaN logits on 1 of 9 examples"),)
    assert dropped.components.var_dist_exact == rs.variance(np.delete(logits, 2, 0), labels).components.var_dist_exact
    assert dropped.jackknife.grouped == rs.variance(np.delete(logits, 2, 0), labels).jackknife.grouped
    with pytest.raises(InputError, match="abstain"):
        rs.variance(logits, labels, nan="abstian")


def test_rows_of_minus_infinity_are_class_zero():
    assert predicted_classes(np.full((2, 3), -np.inf)).tolist() == [0, 0]


@pytest.mark.parametrize("masked", [False, True])
def test_ragged_runs(masked):
    matrix = (np.random.default_rng(9).random((6, 10)) < 0.7).astype(float)
    matrix[1, 3] = np.nan
    given = np.ma.masked_invalid(matrix) if masked else matrix
    with pytest.raises(InputError, match="1 outcome is missing, the first for run 1 on example 3"):
        rs.variance(correct=given)
    intersect, dropped = (rs.variance(correct=given, missing=policy) for policy in ("intersect", "drop_run"))
    assert intersect.components.var_dist_exact == rs.variance(correct=np.delete(matrix, 3, 1)).components.var_dist_exact
    assert dropped.components.var_dist_exact == rs.variance(correct=np.delete(matrix, 1, 0)).components.var_dist_exact
    assert dropped.excluded == (Excluded("run 1", "not evaluated on every example"),)


def test_abstentions_are_never_correct():
    result = rs.variance(np.array([[-1, -1, 0], [-1, 1, 0]]), np.array([0, 1, 0]))
    assert result.outcomes.correct.tolist() == [1, 2]


def test_chunks_and_merges_give_identical_integers():
    rng = np.random.default_rng(10)
    predictions, labels = rng.integers(-1, 5, (37, 41)), rng.integers(0, 5, 41)
    whole = run_statistics(predictions, labels, groups=4)
    for _ in range(5):
        edges = np.unique([0, 37, *rng.integers(1, 37, 6)]).tolist()
        parts = []
        for start, stop in rng.permutation(list(itertools.pairwise(edges))):
            parts.append(RunStatistics(labels, n_runs=37, groups=4))
            parts[-1].update(predictions[start:stop], start=int(start))
        total = parts[0]
        for part in parts[1:]:
            total.merge(part)
        for name in ("correct_by_half", "right_by_group", "weighted", "votes"):
            np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))
        assert total.sums == whole.sums


def test_votes_against_counting():
    rng = np.random.default_rng(11)
    predictions, labels = rng.integers(-1, 4, (300, 7)), rng.integers(0, 4, 7)
    votes = run_statistics(predictions, labels).votes
    expected = [[(predictions[:150, i] == k).sum() for k in (0, 1, 2, 3, -1)] for i in range(7)]
    np.testing.assert_array_equal(votes[0], expected)
    assert votes.sum() == predictions.size


def test_statistics_of_an_unknown_number_of_runs():
    rng = np.random.default_rng(12)
    predictions, labels = rng.integers(0, 3, (11, 20)), rng.integers(0, 3, 20)
    statistics = RunStatistics(labels)
    for start in range(0, 11, 4):
        statistics.update(predictions[start : start + 4])
    assert statistics.half_runs == (6, 5)
    result = rs.variance(statistics)
    assert result.components.var_dist_exact == rs.variance(predictions, labels).components.var_dist_exact
    assert math.isnan(result.jackknife.grouped)
    assert not math.isnan(result.intervals.var_fixed_low)


def test_population_interval_from_statistics_rests_on_the_grouped_jackknife():
    matrix = np.random.default_rng(13).random((40, 50)) < 0.8
    statistics = RunStatistics(n_examples=50, n_runs=40)
    statistics.update_correct(matrix)
    result = rs.variance(statistics)
    assert result.jackknife.used == "grouped"
    assert result.intervals.var_pop_low < result.var_dist < result.intervals.var_pop_high


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (lambda s: s.update(np.zeros((5, 3), int)), "runs 0 to 4"),
        (lambda s: s.update(np.zeros((1, 4), int)), "shape"),
        (lambda s: (s.update(np.zeros((2, 3), int)), s.update(np.zeros((1, 3), int), start=1)), "twice"),
        (lambda s: (s.update(np.zeros((2, 3), int)), rs.variance(s)), "2 of 4 runs"),
        (lambda s: s.merge(RunStatistics(np.zeros(3, int))), "another plan"),
        (lambda s: s.correct, "no runs"),
        (lambda s: (s.update(np.zeros((2, 3), int)), s.update_correct(np.ones((1, 3), bool))), "correctness after"),
    ],
)
def test_misuse_of_statistics(act, found):
    with pytest.raises(InputError, match=found):
        act(RunStatistics(np.zeros(3, int), n_runs=4))


def test_counts_beyond_64_bits_are_exact():
    runs, examples, t, c = 3_000_000, 2_000_000, 1_900_000, 2_850_000
    sums = RunSums(runs, examples, runs * t, runs * t * t, examples * c * c)
    assert sums.var_test == 0
    v_ind = Fraction(c * (runs - c), runs * (runs - 1)) / examples
    assert sums.var_ind == v_ind
    assert sums.var_dist == -Fraction(examples, examples - 1) * v_ind


def test_json_and_sentence():
    result = rs.variance(correct=np.random.default_rng(14).random((20, 100)) < 0.9)
    assert '"var_dist_num"' in result.to_json()
    assert result.sentence().startswith("Of the ")
    assert len(result.table()) == 7


def test_memory_mapped_logits(tmp_path):
    rng = np.random.default_rng(15)
    logits, labels = rng.normal(size=(20, 30, 4)).astype(np.float16), rng.integers(0, 4, 30)
    np.save(tmp_path / "logits.npy", logits)
    mapped = np.load(tmp_path / "logits.npy", mmap_mode="r")
    assert (
        rs.variance(mapped, labels).components.var_dist_exact == rs.variance(logits, labels).components.var_dist_exact
    )


@pytest.mark.parametrize("p", [[], [[0.5]], [0.5, np.nan], [1.5], [-0.1]])
def test_poisson_binomial_refuses(p):
    with pytest.raises(InputError):
        poisson_binomial_pmf(p)


def test_poisson_binomial_tails_against_exact_rationals():
    p = [Fraction(k, 97) for k in range(1, 40)]
    law = [Fraction(1)]
    for q in p:
        low, high = [*law, Fraction(0)], [Fraction(0), *law]
        law = [a * (1 - q) + b * q for a, b in zip(low, high, strict=True)]
    np.testing.assert_allclose(poisson_binomial_pmf([float(q) for q in p]), [float(v) for v in law], rtol=1e-12)


def test_sampled_pairs_agree_with_all_pairs():
    matrix = np.random.default_rng(16).random((50, 12)) < 0.7
    everything = pair_deviations(correct=matrix, threshold=0.05)
    sample = pair_deviations(correct=matrix, threshold=0.05, sample=3000, seed=1)
    assert sample.pair_dev_arg == everything.pair_dev_arg
    assert sample.pair_dev_max == everything.pair_dev_max
    assert sample.n_pairs == 3000
    assert "sampled" in sample.sentence()


def test_identical_runs_are_blamed_on_copies_only_where_chance_would_not_make_them():
    rng = np.random.default_rng(0)
    easy = rng.random((40, 30)) < 0.98
    assert "would make about" in rs.variance(correct=easy).warnings[0]
    hard = rng.random((40, 300)) < 0.5
    assert not rs.variance(correct=hard).warnings
    hard[1] = hard[0]
    assert "1 pair of runs has identical outcomes: repeated seeds" in rs.variance(correct=hard).warnings[0]


@pytest.mark.parametrize("shape", [(1, 2000), (2, 4000)])
def test_few_runs_on_a_real_test_set(shape):
    """The default threshold of pairs is a bound by the normal law, which goes beyond 1 here."""
    result = rs.variance(correct=np.random.default_rng(0).random(shape) < 0.9)
    assert result.n_runs == shape[0]
    assert result.outcomes.pairs.pair_dev_count == 0
    correct = np.random.default_rng(0).random((shape[0], 10_000)) < 0.9
    assert pair_deviations(correct=correct, sample=100).threshold == 1.0
    with pytest.raises(InputError, match="threshold"):
        pair_deviations(correct=correct, threshold=1.1, sample=100)


def test_the_bound_in_the_sentence_is_the_interval_that_it_names():
    from tests.methods.variance.probit import draw

    rng = np.random.default_rng(1)
    sure = rs.variance(correct=draw(rng, 64, 2000, 0.03)[0])
    assert sure.sd_interval[1] < sure.sd_test
    assert f"{100 * sure.sd_interval[1]:.2f} are real" in sure.sentence()
    assert sure.sentence().endswith("Other configurations may differ.")
    unsure = rs.variance(correct=draw(rng, 5, 200, 0.3)[0])
    assert unsure.sd_interval[1] > unsure.sd_test
    assert "anything from none to all may be real" in unsure.sentence()
    level = rs.variance(correct=np.stack([np.roll(np.arange(200) % 3 > 0, k) for k in range(30)]))  # accuracies alike
    assert level.sd_interval[0] == 0
    assert 0 < level.sd_interval[1] < level.sd_ind  # 30 equal accuracies do not show that all runs have them
    assert "none is shown to be real, up to" in level.sentence()
    losses = np.stack([np.roll(np.linspace(0, 1, 200), k) for k in range(30)])
    assert "none is shown to be real, up to" in score_variance(losses).sentence()
    assert "at most" not in unsure.sentence()


def test_two_runs_bound_run_noise_only_and_never_beyond_half():
    correct = np.concatenate([np.ones((1, 200)), np.arange(200)[None] % 2])
    result = rs.variance(correct=correct)
    assert math.isnan(result.intervals.var_pop_high)
    assert result.intervals.var_fixed_high > 0.25  # not a variance that accuracies can have
    assert result.sd_interval[1] == 0.5
    assert "to 50.00, assuming normality)" in result.sentence()
    assert result.sentence().endswith("Other examples may differ.")  # runs alone are covered
    assert max(value for value in result.table()["high"] if not math.isnan(value)) == 50


@pytest.mark.parametrize("split", [3, 4])
def test_parts_of_any_size_merge_to_one_pass(split):
    """Without n_runs votes are kept by even and odd runs, which an odd number of runs before exchanges."""
    rng = np.random.default_rng(3)
    labels, predicted = rng.integers(0, 3, 20), rng.integers(-1, 3, (7, 20))
    whole, first, second = (RunStatistics(labels, n_classes=3) for _ in range(3))
    whole.update(predicted)
    first.update(predicted[:split])
    second.update(predicted[split:])
    first.merge(second)
    assert first.half_runs == whole.half_runs
    np.testing.assert_array_equal(first.votes, whole.votes)
    np.testing.assert_array_equal(first.first_run, whole.first_run)
    assert first.sums == whole.sums


def test_a_refused_merge_changes_nothing():
    rng = np.random.default_rng(4)
    labels, predicted = rng.integers(0, 3, 20), rng.integers(0, 3, (4, 20))
    one, two, moved = (RunStatistics(y, n_runs=8, n_classes=3) for y in (labels, labels, labels[::-1]))
    one.update(predicted, start=0)
    two.update(predicted, start=4)
    two.update(predicted[:0])
    moved.update(predicted, start=4)
    with pytest.raises(InputError, match="other labels"):
        one.merge(moved)
    late = RunStatistics(labels, n_runs=8, n_classes=3)
    late.update(predicted[:2], start=6)
    late.update(predicted[2:], start=2)  # the first of its parts is free in `one`, the second is not
    before = one.sums
    with pytest.raises(InputError, match="each run once"):
        one.merge(late)
    assert (one.n_runs, one.sums) == (4, before)
    one.merge(two)
    assert one.n_runs == 8
    alone = RunStatistics(labels, n_classes=3)
    alone.update(predicted)
    alone.merge(alone)
    assert alone.n_runs == 8


def test_the_exact_sums_and_the_number_of_classes_are_in_the_numbers():
    labels, predicted = np.array([0, 1, 1]), np.array([[0, 1, 2], [0, 0, 1], [1, 1, 1]])
    found = rs.variance(predicted, labels).to_dict()
    sums = run_statistics(predicted, labels).sums
    assert (found["T1"], found["T2"], found["S2"]) == (sums.t1, sums.t2, sums.s2)
    assert found["K"] is not None
    assert rs.variance(np.eye(3)[predicted], labels).n_classes == 3
    assert rs.variance(correct=predicted == labels).n_classes is None


def test_an_update_that_is_interrupted_changes_nothing(monkeypatch):
    """Counting is done in a copy: a crash in the middle of the votes leaves sums, positions and votes as they were."""
    rng = np.random.default_rng(5)
    labels, predicted = rng.integers(0, 3, 20), rng.integers(0, 3, (6, 20))
    statistics = RunStatistics(labels, n_classes=3)
    statistics.update(predicted[:3], run_ids=("a", "b", "c"))
    held = (statistics.sums, statistics.votes.copy(), statistics.half_runs, statistics.run_ids)

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("runspread.methods.variance.counting_numpy.add_votes", fail)
        with pytest.raises(KeyboardInterrupt):
            statistics.update(predicted[3:])
    assert (statistics.sums, statistics.half_runs, statistics.run_ids) == (held[0], *held[2:])
    np.testing.assert_array_equal(statistics.votes, held[1])
    statistics.update(predicted[3:], run_ids=("d", "e", "f"))
    assert statistics.sums == run_statistics(predicted, labels, n_classes=3).sums
    assert rs.variance(statistics).outcomes.run_ids == tuple("abcdef")


def test_statistics_from_another_process_merge_and_grow():
    """Arrays that come out of a cluster's object store are read-only, and may not be written to."""
    rng = np.random.default_rng(6)
    labels, predicted = rng.integers(0, 3, 20), rng.integers(0, 3, (6, 20))
    one, two = (RunStatistics(labels, n_runs=6, n_classes=3) for _ in range(2))
    one.update(predicted[:2], start=0, run_ids=("a", "b"))
    two.update(predicted[4:], start=4, run_ids=("e", "f"))
    for array in [value for part in (one, two) for value in vars(part).values() if isinstance(value, np.ndarray)]:
        array.flags.writeable = False
    one.merge(two)
    one.update(predicted[2:4], start=2, run_ids=("c", "d"))
    assert one.run_ids == tuple("abcdef")
    assert one.sums == run_statistics(predicted, labels).sums
