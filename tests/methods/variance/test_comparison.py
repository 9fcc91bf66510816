"""What a verdict of `compare` may say: one model, no spread, clusters, copies, margins; tests fail on old verdicts."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import plan_runs, run_statistics
from tests.conftest import SHARED
from tests.methods.variance.configurations import Configurations

NAMES = ("old", "new")


def arms(rng, runs, examples, accuracies):
    """Return correctness of independent errors: runs, accuracies of the old and the new configuration."""
    return tuple(rng.random((count, examples)) < p for count, p in zip(runs, accuracies, strict=True))


# ------------------------------------------------------------------ A9: one model, or one against ten


def test_two_single_models_are_answered_with_their_interval():
    old, new = arms(np.random.default_rng(0), (1, 1), 2000, (0.7, 0.9))
    result = rs.compare(correct=(old, new), names=NAMES)
    assert result.verdict("models") == "better"
    assert result.verdict() == result.verdict("test-set") == "undecided"
    assert result.shown is None
    low, high = result.ci_models
    assert low < new.mean() - old.mean() < high
    assert high - low < 0.06
    sentence = result.sentence()
    assert "for these two models new is better than old" in sentence
    assert sentence.startswith("Undecided for the configurations, which one run of each cannot tell")
    asked = rs.compare(correct=(old, new), names=NAMES, on="models")
    assert (asked.shown, asked.verdict()) == (True, "better")
    assert asked.sentence().startswith("Yes, for these two models new is better than old on the distribution")


def test_two_single_models_go_by_the_exact_test():
    """The verdict is never ahead of McNemar's exact one, and the interval says the same."""
    for only_new, only_old in ((4, 0), (5, 0), (6, 0), (7, 1), (9, 2), (10, 2), (20, 9), (21, 9), (40, 22)):
        old, new = np.zeros((2, 1, 300), bool)
        new[0, :only_new] = True
        old[0, only_new : only_new + only_old] = True
        result = rs.compare(correct=(old, new), on="models")
        exact = stats.binomtest(only_new, only_new + only_old).pvalue
        assert result.models.p == pytest.approx(exact)
        assert result.answers["models"].p >= exact * (1 - 1e-9)
        assert (result.verdict() == "better") <= (exact <= 0.05)
        assert (result.ci_models[0] > 0) == (result.verdict() == "better")
    assert rs.compare(correct=(old, new), on="models").verdict() == "better"  # 40 against 22: p = 0.03


@pytest.mark.skipif(not (SHARED / "real").is_dir(), reason="the real predictions beside the checkouts are not here")
@pytest.mark.parametrize("many", [1, 10])
def test_published_models_are_told_apart_on_two_thousand_images(many):
    """Models of CIFAR-10.1: one pair had McNemar's p = 3e-60 beside the verdict 'undecided'."""
    held = np.load(SHARED / "real" / "cifar101_predictions.npz")
    labels, predicted = held["labels_v6"], held["v6"]
    order = (predicted == labels).mean(axis=1).argsort()
    worst, best = predicted[order[:many]], predicted[order[-1:]]
    result = rs.compare(worst, best, labels, names=NAMES, on="models")
    assert (result.verdict(), result.shown) == ("better", True)
    assert result.answers["models"].p < 1e-50
    assert rs.compare(best, worst, labels, names=NAMES, on="models").shown is False
    asked = rs.compare(worst, best, labels, names=NAMES)
    assert asked.shown is None
    assert re.search(r"one run of (each|new) cannot tell", asked.sentence())


def test_one_run_against_ten_says_what_a_spread_like_the_others_would_give():
    """A single run shows no spread: were it to spread five times as much, half of such verdicts would be wrong."""
    old, new = arms(np.random.default_rng(1), (10, 1), 500, (0.7, 0.9))
    result = rs.compare(correct=(old, new), names=NAMES)
    assert (result.form, result.verdict(), result.verdict("models")) == ("alike", "undecided", "better")
    x, y = old.mean(axis=1), float(new.mean())
    answer = result.answers["if alike"]
    assert answer.diff == pytest.approx(y - x.mean())
    wide = max(x.std(ddof=1), math.sqrt(rs.variance(correct=old, pairs="none").var_ind)) * math.sqrt(1 + 1 / 10)
    low, high = answer.interval(0.95)
    assert high - low >= 2 * stats.t.ppf(0.975, 9) * wide * (1 - 1e-9)
    assert any("If new spread as the other does" in note for note in result.warnings)
    assert result.to_dict()["ci_if_alike"] == [low, high]


# ------------------------------------------------------------------ A11: certainty out of nothing


@pytest.mark.parametrize("runs", [2, 5, 20])
@pytest.mark.parametrize("examples", [50, 100, 1000])
def test_all_right_on_both_sides_leaves_room_for_what_was_not_seen(runs, examples):
    """100 of 100 against 100 of 100 was +0.00 to +0.00; Wilson's limit leaves 3.7 %."""
    right = np.ones((runs, examples), bool)
    result = rs.compare(correct=(right, right))
    low, high = result.ci_dist
    limit = 1.96**2 / (examples + 1.96**2)  # Wilson's, of none in n
    assert high == -low >= limit
    assert high < 4 * limit if runs > 2 else high < 0.2
    assert result.ci_fixed[1] > 0
    assert result.verdict() == result.verdict("test-set") == "undecided"
    assert rs.compare(correct=(right, right), equivalent=limit / 2).verdict() == "undecided"
    assert "+0.00 to +0.00" not in result.sentence()


@pytest.mark.parametrize(("runs", "examples"), [(2, 100), (5, 100), (3, 20), (1, 100)])
def test_none_right_against_all_right_is_decided(runs, examples):
    right = np.ones((runs, examples), bool)
    result = rs.compare(correct=(~right, right), on="models" if runs == 1 else "distribution")
    assert result.verdict() == "better"
    low, high = result.answers[result.on].interval(0.95)
    assert (high, low < 1) == (1.0, True)
    assert low > 0.2
    assert rs.compare(correct=(right, ~right), on=result.on).verdict() == "worse"
    assert rs.compare(correct=(~right[:, :4], right[:, :4]), on=result.on).verdict() == "undecided"  # four examples


@pytest.mark.parametrize("spread", ["both", "one"])
def test_no_spread_over_two_runs_is_no_certainty(spread):
    """Two runs with as many errors each, but on other examples: Welch's test gave p = 0."""
    old, new = np.ones((2, 2, 40), bool)
    old[0, :4] = old[1, 4:8] = False
    new[0, 8:11] = False
    new[1, 11:14] = False
    if spread == "one":
        new[1, 14:16] = False
    result = rs.compare(correct=(old, new))
    assert result.fixed.var_a == 0
    assert result.verdict("test-set") == result.verdict() == "undecided"
    low, high = result.ci_fixed
    assert low < 0 < high
    independent = math.sqrt(sum(rs.variance(correct=x, pairs="none").var_ind / 2 for x in (old, new)))
    assert result.answers["test-set"].error >= independent * (1 - 1e-9)


@pytest.mark.parametrize("runs", [(2, 20), (3, 10), (4, 20), (20, 2)])
def test_few_runs_against_many_have_the_degrees_of_freedom_of_the_fewer(runs):
    """Two runs against twenty erred in 9.1 % with Welch's degrees of freedom."""
    rng = np.random.default_rng(3)
    old, new = Configurations(beta=(0.5, 0.1)).draw(rng, runs, 400)[:2]
    result = rs.compare(correct=(old, new))
    assert result.form == "guarded"
    assert result.answers["test-set"].degrees == min(runs) - 1
    assert result.fixed.df > min(runs) - 1
    assert any("hardly measure its spread" in note for note in result.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("runs", [(2, 2), (3, 3), (2, 20), (3, 10)])
def test_size_where_the_fewer_runs_spread_more(runs):
    rng = np.random.default_rng(list(runs))
    laws = Configurations(beta=(0.3, 0.1), tau=0.3)
    found = [rs.compare(correct=laws.draw(rng, runs, 200)[:2]) for _ in range(600)]
    wrong = np.mean([result.verdict() != "undecided" for result in found])
    assert wrong <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 600)


# ------------------------------------------------------------------ A3: clusters


def clustered(seed, runs=(5, 5), groups=50, examples=1000, gap=0.0):
    laws = Configurations(groups=groups)
    return (laws.with_gap(gap) if gap else laws).draw(np.random.default_rng(seed), runs, examples)


def test_clusters_enter_interval_verdict_and_sentence():
    found = []
    for seed in range(40):
        old, new, codes = clustered(seed)
        plain, result = rs.compare(correct=(old, new)), rs.compare(correct=(old, new), clusters=codes)
        found.append((plain, result))
        assert result.n_clusters == 50
        assert "in 50 clusters" in result.sentence()
        assert result.diff == plain.diff
        assert result.ci_fixed == plain.ci_fixed  # on these very examples nothing hangs on clusters
    width = np.mean([[high - low for low, high in (x.ci_dist for x in pair)] for pair in found], axis=0)
    assert width[1] > 1.2 * width[0]
    wrong = np.sum([[x.verdict() != "undecided" for x in pair] for pair in found], axis=0)
    assert wrong[0] > wrong[1]
    assert wrong[1] <= 6


def test_an_example_a_cluster_is_no_cluster():
    old, new, _ = clustered(0)
    plain = rs.compare(correct=(old, new)).to_dict()
    single = rs.compare(correct=(old, new), clusters=np.arange(1000)).to_dict()
    assert single.pop("n_clusters") == 1000
    del plain["n_clusters"]
    for key, value in single.items():
        numbers = isinstance(value, (float, list)) and key not in ("names", "warnings", "excluded")
        assert value == (pytest.approx(plain[key], rel=1e-9, nan_ok=True) if numbers else plain[key]), key


def test_clusters_of_copied_examples_count_once():
    """Each example twenty times is as much as each example once."""
    rng = np.random.default_rng(4)
    old, new = arms(rng, (6, 6), 60, (0.8, 0.7))
    once = rs.compare(correct=(old, new))
    many = rs.compare(
        correct=(np.repeat(old, 20, axis=1), np.repeat(new, 20, axis=1)), clusters=np.repeat(range(60), 20)
    )
    assert many.distribution.se == pytest.approx(once.distribution.se, rel=1e-9)
    assert many.ci_models == pytest.approx(once.ci_models, rel=1e-9)
    assert many.distribution.p == pytest.approx(once.distribution.p, rel=1e-9)


def test_the_plan_of_a_clustered_comparison_knows_the_clusters():
    old, new, codes = clustered(6)
    plain, result = rs.compare(correct=(old, new)), rs.compare(correct=(old, new), clusters=codes)
    assert result.distribution.tau2 > 2 * plain.distribution.tau2
    assert plan_runs(0.05, result).min_delta_dist > 1.4 * plan_runs(0.05, plain).min_delta_dist


def test_clusters_beside_pairs_and_statistics():
    old, new, codes = clustered(7, runs=(8, 8))
    seeds = (np.arange(8), np.arange(8))
    result = rs.compare(correct=(old, new), clusters=codes, seeds=seeds)
    difference = (new.astype(int) - old).astype(float)
    sums = np.stack([difference[:, codes == code].sum(axis=1) for code in range(50)], axis=1)
    apart = 1000**2 - np.square(np.bincount(codes)).sum()
    covariance = np.cov(sums, rowvar=False)
    dist = (covariance.sum() - np.trace(covariance)) / apart / 8
    deviations = np.array([(difference.mean(axis=0) - difference.mean())[codes == code].sum() for code in range(50)])
    expected = np.square(deviations).sum() / apart + max(0.0, dist)
    assert result.paired.se_dist**2 == pytest.approx(expected, rel=1e-9)
    kept = [run_statistics(x * 1, np.ones(1000, int), keep_bits=True) for x in (old, new)]
    assert rs.compare(*kept, clusters=codes).ci_dist == rs.compare(correct=(old, new), clusters=codes).ci_dist
    bare = [run_statistics(x * 1, np.ones(1000, int)) for x in (old, new)]
    with pytest.raises(InputError, match="keep_bits=True"):
        rs.compare(*bare, clusters=codes)
    with pytest.raises(InputError, match="clusters of shape"):
        rs.compare(correct=(old, new), clusters=codes[1:])


@pytest.mark.slow
@pytest.mark.parametrize("groups", [50, 100])
@pytest.mark.parametrize("runs", [(5, 5), (20, 20)])
@pytest.mark.parametrize("unequal", [False, True])
def test_size_and_coverage_with_clusters(groups, runs, unequal):
    """Equal configurations in 50 groups were told apart in 44 to 57 % instead of 5 %."""
    rng = np.random.default_rng([groups, *runs, unequal])
    laws = Configurations(groups=groups, unequal=unequal)
    wrong, covered = [], []
    for _ in range(300):
        old, new, codes = laws.draw(rng, runs, 1000)
        wrong.append(rs.compare(correct=(old, new), clusters=codes).verdict() != "undecided")
        better = laws.with_gap(0.03)
        old, new, codes = better.draw(rng, runs, 1000)
        low, high = rs.compare(correct=(old, new), clusters=codes).ci_dist
        covered.append(low <= better.gap <= high)
    error = 4 * math.sqrt(0.05 * 0.95 / 300)
    assert 0.05 - error - 0.02 < np.mean(wrong) < 0.07 + error
    assert 0.92 - error < np.mean(covered) < 0.98 + error


# ------------------------------------------------------------------ A6: copies


def logits(rng, runs, labels, shift):
    found = rng.normal(size=(runs, len(labels), 3)) * 0.5
    found[:, np.arange(len(labels)), labels] += shift
    return found


@pytest.mark.parametrize("noise", [0.0, 1e-5])
@pytest.mark.parametrize("side", ["old", "new"])
def test_five_copies_are_one_run_and_no_verdict(noise, side):
    rng = np.random.default_rng(5)
    labels = rng.integers(3, size=500)
    base = rng.normal(size=(500, 3))
    base[np.arange(500), labels] += 1.5
    copies = np.repeat(base[None], 5, axis=0) + noise * rng.normal(size=(5, 500, 3))
    honest = base + logits(rng, 5, labels, 1.2)
    pair = (copies, honest) if side == "old" else (honest, copies)
    result = rs.compare(*pair, labels, names=NAMES)
    assert result.verdict() == result.verdict("test-set") == "undecided"
    assert sorted((result.n_runs_a, result.n_runs_b)) == [1, 5]
    assert "Yes" not in result.sentence()
    assert f"one run of {side} cannot tell" in result.sentence()
    assert len(result.excluded) == 4
    assert all(item.run.startswith(side) and "a copy of run 0" in item.reason for item in result.excluded)


def test_copies_among_other_runs_count_once():
    rng = np.random.default_rng(6)
    old, new = arms(rng, (6, 5), 400, (0.8, 0.7))
    doubled = np.concatenate([old, old[:3]])
    result, once = rs.compare(correct=(doubled, new)), rs.compare(correct=(old, new))
    assert (result.n_runs_a, len(result.excluded)) == (6, 3)
    assert result.ci_dist == once.ci_dist
    kept = run_statistics(doubled * 1, np.ones(400, int), keep_bits=True)
    other = run_statistics(new * 1, np.ones(400, int), keep_bits=True)
    assert rs.compare(kept, other).ci_dist == once.ci_dist
    assert rs.compare(kept, other, seeds=(np.arange(9), np.arange(5))).paired.n_pairs == 5
    bare = run_statistics(doubled * 1, np.ones(400, int)), run_statistics(new * 1, np.ones(400, int))
    unknown = rs.compare(*bare)
    assert (unknown.form, unknown.verdict()) == ("none", "undecided")
    assert any("keep_bits=True" in note for note in unknown.warnings)


# ------------------------------------------------------------------ A8: no power after the fact


@pytest.mark.parametrize("seed", range(6))
def test_an_undecided_comparison_says_nothing_of_power(seed):
    """Two runs each: 'The power was there' followed from the very gap that was not shown."""
    rng = np.random.default_rng(seed)
    old, new = Configurations(beta=(0.3, 0.3)).draw(rng, (2, 2), 200)[:2]
    result = rs.compare(correct=(old, new))
    if result.verdict() == "undecided":
        assert "power" not in result.sentence()
        assert not re.search(r"\d more runs?", result.sentence())
    assert result.runs_needed is None
    assert result.to_dict()["runs_needed"] is None
    assert not {"runs_fixed", "runs_dist"} & set(result.to_dict())


def test_runs_needed_are_those_of_the_margin_not_of_the_gap():
    old, new = Configurations().draw(np.random.default_rng(2), (5, 5), 2000)[:2]
    needed = [rs.compare(correct=(old, new), on="test-set", not_worse=margin).runs_needed for margin in (0.01, 0.02)]
    assert needed[0] is not None
    assert needed[1] is not None
    assert needed[0] > needed[1] >= 2
    twice = rs.compare(correct=(old, new), on="test-set", equivalent=0.01)
    assert twice.runs_needed is not None
    assert twice.runs_needed > needed[0]
    few = rs.compare(correct=(old[:, :50], new[:, :50]), equivalent=0.001)
    assert few.runs_needed is None
    assert "no number of runs is likely to show it" in few.sentence()
    assert rs.compare(correct=(old, new), on="models", equivalent=0.01).runs_needed is None


# ------------------------------------------------------------------ D3: about the new one, margins


def test_the_difference_is_new_minus_old_everywhere():
    old, new = arms(np.random.default_rng(7), (8, 8), 1000, (0.9, 0.8))
    result = rs.compare(correct=(old, new), names=NAMES)
    gap = new.mean() - old.mean()
    facts = result.to_dict()
    assert result.diff == facts["diff"] == pytest.approx(gap)
    assert facts["delta"] == pytest.approx(-gap)
    assert facts["t_welch"] > 0 > facts["diff"]
    assert result.ci_dist[1] < 0
    assert facts["lo"] <= facts["diff"] <= facts["hi"]
    assert result.table()["difference"][0] == pytest.approx(100 * gap)
    assert result.table()["question"][0].startswith("configurations")
    sentence = result.sentence()
    assert sentence.startswith("No, new is worse than old")
    assert f"new minus old is {100 * gap:+.2f} percentage points" in sentence
    assert result.verdict() == facts["verdict"] == "worse"
    assert (result.shown, facts["shown"]) == (False, False)
    json.loads(result.to_json())


@pytest.mark.parametrize(
    ("gap", "asked", "verdict", "shown", "lead"),
    [
        (0.1, {}, "better", True, "Yes, new is better than old"),
        (-0.1, {}, "worse", False, "No, new is worse than old"),
        (0.0, {}, "undecided", None, "Undecided whether new is better than old"),
        (0.1, {"not_worse": 0.05}, "better", True, "Yes, new is better than old"),
        (0.0, {"not_worse": 0.05}, "not worse", True, "Yes, new is not worse than old by more than 5 points"),
        (-0.03, {"not_worse": 0.06}, "not worse", True, "Yes, new is not worse than old by more than 6 points"),
        (-0.1, {"not_worse": 0.05}, "worse", False, "No, new is worse than old by more than 5 points"),
        (-0.05, {"not_worse": 0.05}, "worse", None, "Undecided whether by more than 5 points, but new is worse"),
        (0.0, {"not_worse": 0.001}, "undecided", None, "Undecided whether new is not worse than old by more than 0.1"),
        (0.0, {"equivalent": 0.05}, "equivalent", True, "Yes, new and old are equivalent within 5 points"),
        (0.03, {"equivalent": 0.06}, "equivalent", True, "Yes, new and old are equivalent within 6 points"),
        (0.1, {"equivalent": 0.05}, "better", False, "No, new is better than old by more than 5 points"),
        (-0.1, {"equivalent": 0.01}, "worse", False, "No, new is worse than old by more than 1 point "),
        (0.05, {"equivalent": 0.05}, "better", None, "Undecided whether by more than 5 points, but new is better"),
        (0.0, {"equivalent": 0.001}, "undecided", None, "Undecided whether new and old are equivalent within 0.1"),
    ],
)
def test_verdicts_and_their_words(gap, asked, verdict, shown, lead):
    """Numbers of errors are set, so that the difference is the gap; both runs and examples vary little."""
    rng = np.random.default_rng(8)
    examples = 4000
    old, new = np.ones((2, 10, examples), bool)
    for row in (*old, *new):
        row[rng.permutation(examples)[: examples // 5]] = False
    change = rng.permutation(examples)[: round(abs(gap) * examples)]
    new[:, change], old[:, change] = gap > 0, gap <= 0
    result = rs.compare(correct=(old, new), names=NAMES, **asked)
    assert result.diff == pytest.approx(gap, abs=0.011)
    assert (result.verdict(), result.shown) == (verdict, shown)
    sentence = result.sentence()
    assert sentence.startswith(lead)
    assert ("90% CI" if asked else "95% CI") in sentence
    words = [word for word in sentence.split() if word != "="]
    assert len(words) <= (47 if "though" in words else 45)
    assert "certain" not in sentence  # it was said at p = 0.04
    if verdict in ("not worse", "equivalent") and abs(gap) == 0.03:
        assert f"shown to be {'better' if gap > 0 else 'worse'} (p = {result.p_distribution:.2g})" in sentence
    if verdict == "not worse" and gap == 0:
        assert "Equality is not shown" in sentence
    if shown and asked:
        assert "ailure rates up to 26% may go unseen." in sentence  # 0.05^(1/10): ten runs of each


def test_one_sided_tests_are_those_of_the_interval():
    old, new = arms(np.random.default_rng(9), (6, 9), 300, (0.85, 0.84))
    result = rs.compare(correct=(old, new), not_worse=0.02)
    for answer in result.answers.values():
        low, high = answer.interval(0.9)
        assert answer.p_above(low) == pytest.approx(0.05)
        assert answer.p_below(high) == pytest.approx(0.05)
        assert answer.p == pytest.approx(min(1.0, 2 * min(answer.p_above(0), answer.p_below(0))))
    facts = result.to_dict()
    assert facts["p_not_worse"] == result.answers["distribution"].p_above(-0.02)
    assert facts["p_equivalent"] == max(facts["p_not_worse"], result.answers["distribution"].p_below(0.02))
    assert (facts["lo_tost"], facts["hi_tost"]) == pytest.approx(result.answers["distribution"].interval(0.9))


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"not_worse": 0}, "above 0"),
        ({"equivalent": -0.1}, "above 0"),
        ({"not_worse": 1.5}, "as a fraction"),
        ({"not_worse": 0.1, "equivalent": 0.1}, "both"),
        ({"not_worse": math.nan}, "above 0"),
        ({"on": "planet"}, "unknown on"),
        ({"confidence_level": 0.4}, "confidence_level"),
    ],
)
def test_what_cannot_be_asked(asked, what):
    one = np.ones((2, 5), bool)
    with pytest.raises(InputError, match=what):
        rs.compare(correct=(one, one), **asked)


@pytest.mark.slow
def test_a_new_configuration_at_the_margin_is_called_not_worse_in_one_of_twenty():
    rng = np.random.default_rng(10)
    laws = Configurations(tau=0.5).with_gap(-0.05)
    for runs in ((3, 3), (5, 5), (3, 10)):
        found = [rs.compare(correct=laws.draw(rng, runs, 200)[:2], not_worse=0.05) for _ in range(300)]
        assert np.mean([bool(result.shown) for result in found]) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 300)


# ------------------------------------------------------------------ D5 and A16: words and numbers of what is excluded


def test_singular_and_plural_and_no_nan_in_words():
    one = np.ones((1, 1), bool)
    for old, new in ((one, one), (np.ones((2, 1), bool), one), (np.ones((2, 1), bool), np.ones((3, 1), bool))):
        result = rs.compare(correct=(old, new), names=NAMES)
        text = f"{result.sentence()} {result.table()}"
        assert "nan" not in text
        assert "(s)" not in text
        assert "1 examples" not in text
        assert "1 runs each" not in text
    assert "1 run each, 1 example)" in rs.compare(correct=(one, one)).sentence()
    few = rs.compare(correct=arms(np.random.default_rng(0), (400, 400), 40_000, (0.9, 0.9))[:2])
    low, high = re.findall(r"CI ([-+.\d]+) to ([-+.\d]+)", few.sentence())[0]
    assert float(low) < float(high)


def test_examples_that_some_run_lacks_are_counted_with_their_clusters():
    rng = np.random.default_rng(11)
    old, new = (x.astype(float) for x in arms(rng, (5, 5), 120, (0.8, 0.7)))
    old[1, 3] = new[2, 50] = np.nan
    codes = np.arange(120) // 4
    result = rs.compare(correct=(old, new), missing="intersect", clusters=codes)
    keep = np.setdiff1d(np.arange(120), (3, 50))
    expected = rs.compare(correct=(old[:, keep], new[:, keep]), clusters=codes[keep])
    assert result.n_examples == 118
    assert result.ci_dist == expected.ci_dist
    (note,) = (note for note in result.warnings if "excluded" in note)
    assert note.startswith("2 of 120 examples were excluded because a run lacks them (examples 3, 50): the mean ")
    for array, name in ((old, "A"), (new, "B")):
        every = f"{np.nanmean(array, axis=0).mean():.2%} on all that were evaluated"
        assert f"the mean accuracy of {name} is {array[:, keep].mean():.2%} on those kept, {every}" in note
