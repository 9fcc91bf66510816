"""Greedy selection: exactness, edge cases, and the defects of published scripts that must not come back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runspread as rs
from runspread.errors import InputError
from runspread.methods.ensembles import ensemble_sizes, read_candidates, select_ensemble

OBJECTIVES = ("nll", "brier", "error")


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def pool(seed=0, runs=12, examples=80, classes=4):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, examples)
    logits = rng.normal(0, 1.2, (runs, examples, classes))
    logits[:, np.arange(examples), labels] += rng.uniform(-0.5, 2, (runs, 1))
    return softmax(logits), labels


def score(probabilities, labels, objective):
    truth = probabilities[np.arange(len(labels)), labels]
    if objective == "nll":
        return -np.log(truth).mean()
    if objective == "brier":
        return ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(-1).mean()
    return (probabilities.argmax(-1) != labels).mean()


def naive(probabilities, labels, size, objective="nll", replacement=True, early_stop=True, max_steps=50):
    """The pseudocode of the specification, recomputing everything."""
    path, path_scores = [], []
    while len(set(path)) < size and len(path) < max_steps:
        admissible = [j for j in range(len(probabilities)) if replacement or j not in path]
        tried = [score(probabilities[[*path, j]].mean(0), labels, objective) for j in admissible]
        best = int(np.argmin(tried))
        if early_stop and path and not tried[best] < path_scores[-1] - 1e-12:
            break
        path.append(admissible[best])
        path_scores.append(tried[best])
    return path, path_scores


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(OBJECTIVES), st.booleans(), st.booleans())
def test_equals_the_naive_loop(seed, objective, replacement, early_stop):
    probabilities, labels = pool(seed, runs=7, examples=50)
    expected, expected_scores = naive(probabilities, labels, 4, objective, replacement, early_stop)
    found = select_ensemble(
        probabilities, labels, 4, objective=objective, replacement=replacement, early_stop=early_stop, folds=0
    )
    np.testing.assert_allclose(found.path_scores, expected_scores, atol=1e-11)
    np.testing.assert_array_equal(found.path, expected)


def test_error_objective_minimises_the_error_not_the_accuracy():
    probabilities, labels = pool()
    found = select_ensemble(probabilities, labels, 1, objective="error")
    assert found.path[0] == np.argmax((probabilities.argmax(-1) == labels).mean(-1))


def test_a_path_with_repeats_addresses_the_right_members():
    labels = np.arange(300) % 3
    rng = np.random.default_rng(1)
    weak = softmax(rng.normal(0, 2, (3, 300, 3)) + np.eye(3)[labels] * 1.3)
    strong = softmax(rng.normal(0, 2, (300, 3)) + np.eye(3)[labels] * 2.2)
    candidates = np.stack([weak[0], weak[1], strong, weak[2]])
    found = select_ensemble(candidates, labels, 3)
    assert len(found.path) > found.size > 1
    assert found.table()["count"] == [found.path.tolist().count(i) for i in found.members]
    assert found.table()["NLL alone"] == found.single_scores[found.members].tolist()
    scored = rs.ensemble_scores(candidates, labels, weights=found.weights)
    assert scored.nll == pytest.approx(found.score, abs=1e-12)


def test_every_example_counts_also_those_of_a_last_partial_batch():
    probabilities, labels = pool(examples=131)
    found = select_ensemble(probabilities, labels, 3)
    chosen = probabilities[found.path].mean(0)
    assert found.n_examples == 131
    assert found.score == pytest.approx(score(chosen, labels, "nll"), abs=1e-12)


def test_logits_are_not_taken_for_probabilities():
    probabilities, labels = pool()
    logits = np.log(probabilities) + 3.0
    from_logits, from_probabilities = (select_ensemble(x, labels, 3) for x in (logits, probabilities))
    np.testing.assert_array_equal(from_logits.path, from_probabilities.path)
    assert from_logits.best_single_score == pytest.approx(from_probabilities.best_single_score)


def test_the_best_prefix_is_returned_not_the_last():
    ended_early = 0
    for seed in range(5):
        found = select_ensemble(*pool(seed), 6)
        forced = select_ensemble(*pool(seed), 6, early_stop=False)
        steps = len(found.path)
        np.testing.assert_array_equal(forced.path[:steps], found.path)
        if found.stop_reason == "no improvement":
            ended_early += 1
            assert forced.path_scores[steps] >= found.score - 1e-12  # the step that was not taken
    assert ended_early


def test_json_says_what_the_sentence_says():
    labels = np.arange(80) % 4
    right, wrong = np.eye(4)[labels], np.eye(4)[(labels + 1) % 4]
    good = [share * right + (1 - share) / 4 for share in (0.5, 0.6, 0.7)]
    probabilities = np.stack([good[0], wrong, 0.1 + 0.6 * wrong, *good[1:]])  # sure of a wrong answer, merely wrong
    found = select_ensemble(probabilities, labels, 2)
    facts = found.to_dict()
    assert (facts["n_infinite"], facts["n_worse_than_prior"]) == (1, 2)
    assert facts["size"] == found.size
    assert facts["score"] == found.score
    assert facts["best_single_score"] == found.best_single_score
    assert facts["member_ids"] == list(found.member_ids)
    assert facts["optimism"] == found.cross_validation.optimism
    assert any(text.startswith("2 of 5 candidates") and "label frequencies" in text for text in found.warnings)
    assert any(text.startswith("1 of 5 candidates") and "infinite" in text for text in found.warnings)
    assert not any("of little use" in text for text in select_ensemble(np.stack(good), labels, 2).warnings)


def test_where_runs_are_chosen_again_a_warning_says_how_to_fill_the_ensemble():
    labels = np.arange(200) % 2
    good = np.where(np.eye(2)[labels] == 1, 0.9, 0.1)
    found = select_ensemble(np.stack([1 - good, good]), labels, 2, early_stop=False)
    assert (found.size, len(found.path)) == (1, 50)
    assert any("choosing without replacement fills the ensemble" in text for text in found.warnings)
    filled = select_ensemble(np.stack([1 - good, good]), labels, 2, early_stop=False, replacement=False)
    assert filled.size == 2


def test_ties_go_to_the_lowest_position_every_time():
    probabilities, labels = pool()
    copied = np.concatenate([probabilities, probabilities])
    for objective in OBJECTIVES:
        paths = [select_ensemble(copied, labels, 4, objective=objective, seed=seed).path for seed in range(3)]
        assert all((path == paths[0]).all() for path in paths)
        assert paths[0].max() < len(probabilities)
    without = select_ensemble(copied[[0, 1, 12]], labels, 3, replacement=False, early_stop=False)
    assert sorted(without.path) == [0, 1, 2]


def test_a_second_copy_of_the_only_good_candidate_is_no_improvement():
    labels = np.arange(200) % 2
    good = np.where(np.eye(2)[labels] == 1, 0.9, 0.1) + np.linspace(-0.05, 0.05, 200)[:, None] * [1, -1]
    bad = 1 - good
    for objective in ("nll", "brier"):
        found = select_ensemble(np.stack([bad, good]), labels, 2, objective=objective)
        assert found.path.tolist() == [1]
        assert found.stop_reason == "no improvement"
        assert ": undecided (gain" in found.sentence()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_invariances(seed):
    probabilities, labels = pool(seed)
    base = select_ensemble(probabilities, labels, 3, folds=0)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(labels))
    np.testing.assert_array_equal(select_ensemble(probabilities[:, rows], labels[rows], 3, folds=0).path, base.path)
    order = rng.permutation(len(probabilities))
    np.testing.assert_array_equal(order[select_ensemble(probabilities[order], labels, 3, folds=0).path], base.path)
    shifted = np.log(probabilities) + rng.normal(0, 5, (1, len(labels), 1))
    np.testing.assert_array_equal(select_ensemble(shifted, labels, 3, folds=0, kind="logits").path, base.path)
    more = np.concatenate([probabilities, pool(seed + 1, runs=1)[0]])
    assert select_ensemble(more, labels, 3, folds=0).path_scores[0] <= base.path_scores[0]
    assert select_ensemble(probabilities, labels, 1).path[0] == np.argmin(base.single_scores)


def test_weights():
    found = select_ensemble(*pool(), 5)
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert (found.weights >= 0).all()
    assert set(np.flatnonzero(found.weights)) == set(found.members)


@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_size_must_be_positive(size):
    with pytest.raises(InputError):
        select_ensemble(*pool(), size)


def test_more_members_than_candidates():
    probabilities, labels = pool(runs=3)
    found = select_ensemble(probabilities, labels, 10, replacement=False, early_stop=False)
    assert (found.size, found.stop_reason, found.requested_size) == (3, "size", 10)
    np.testing.assert_allclose(found.weights, 1 / 3)
    assert any("only 3 candidates" in text for text in found.warnings)
    assert select_ensemble(probabilities, labels, 1).weights.max() == 1


def test_the_number_of_steps_is_limited():
    probabilities, labels = pool(runs=2)
    found = select_ensemble(probabilities[:1].repeat(2, 0), labels, 2, early_stop=False, max_steps=6)
    assert found.path.tolist() == [0] * 6
    assert found.stop_reason == "max steps"
    assert len(select_ensemble(probabilities[:1].repeat(2, 0), labels, 2, early_stop=False).path) == 50


def test_infinite_and_invalid_candidates():
    probabilities, labels = pool(runs=5)
    probabilities[0, 3] = np.nan
    probabilities[1, 7] = np.eye(4)[(labels[7] + 1) % 4]
    found = select_ensemble(probabilities, labels, 4, replacement=False, early_stop=False)
    assert [item.run for item in found.excluded] == ["run 0"]
    assert found.n_infinite == 1
    assert set(found.path) == {1, 2, 3, 4}
    assert np.isnan(found.single_scores[0])
    hopeless = np.broadcast_to(np.eye(4)[(labels + 1) % 4], (3, 80, 4)).copy()
    with pytest.raises(InputError, match="3 with an infinite score"):
        select_ensemble(hopeless, labels, 2)


def test_far_below_the_best_on_one_example_is_ranked_by_its_true_score():
    labels = np.zeros(10, int)
    logits = np.zeros((2, 10, 2))
    logits[0, :, 0] = 20.0
    logits[0, 0] = [-2000.0, 0.0]
    logits[1, :, 0] = 800.0
    found = select_ensemble(logits, labels, 1)
    assert found.single_scores[0] == pytest.approx(200.0, rel=1e-6)
    assert found.path.tolist() == [1]


def test_worse_than_the_prior():
    probabilities, labels = pool(runs=3)
    probabilities[1] = 0.25
    frequencies = np.bincount(labels) / len(labels)
    found = select_ensemble(probabilities, labels, 1)
    assert found.prior_score == pytest.approx(-(frequencies * np.log(frequencies)).sum())
    assert found.n_worse_than_prior >= 1


def test_one_class_and_one_label():
    found = select_ensemble(np.zeros((3, 4, 1)), np.zeros(4, int), 2, kind="logits")
    assert found.path.tolist() == [0]
    assert any("all labels are class 0" in text for text in found.warnings)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_controls(objective):
    probabilities, labels = pool()
    found = select_ensemble(probabilities, labels, 3, objective=objective)
    alone = [score(p, labels, objective) for p in probabilities]
    top = np.argsort(alone, kind="stable")[:3]
    np.testing.assert_array_equal(found.top_k, top)
    assert found.top_k_score == pytest.approx(score(probabilities[top].mean(0), labels, objective), abs=1e-12)
    assert found.best_single_score == pytest.approx(min(alone), abs=1e-12)
    assert len(found.random_scores) == 100
    assert np.median(found.random_scores) > found.score


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_cross_validated_selection_by_hand(objective):
    probabilities, labels = pool(examples=41)
    found = select_ensemble(probabilities, labels, 3, objective=objective, folds=4, n_random=0, seed=5)
    held, inside, single = 0.0, [], 0.0
    for part in np.array_split(np.random.default_rng(5).permutation(41), 4):
        kept = np.setdiff1d(np.arange(41), part)
        path, path_scores = naive(probabilities[:, kept], labels[kept], 3, objective)
        inside.append(path_scores[-1])
        held += score(probabilities[path][:, part].mean(0), labels[part], objective) * len(part) / 41
        single += score(probabilities[path[0], part], labels[part], objective) * len(part) / 41
    checked = found.cross_validation
    assert checked is not None
    assert checked.held_out == pytest.approx(held, abs=1e-12)
    assert checked.in_sample == pytest.approx(np.mean(inside), abs=1e-12)
    assert checked.optimism == pytest.approx(held - np.mean(inside), abs=1e-12)
    assert checked.gain_over_single == pytest.approx(single - held, abs=1e-12)


def test_selection_flatters_and_cross_validation_says_so():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    noise = softmax(rng.normal(0, 1, (200, 60, 3)))  # nothing to learn: every difference is luck
    checked = select_ensemble(noise, labels, 5).cross_validation
    assert checked is not None
    assert checked.optimism > 0.1


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_streaming_gives_the_same(objective, monkeypatch, tmp_path):
    probabilities, labels = pool()
    expected = select_ensemble(probabilities, labels, 3, objective=objective)
    np.save(tmp_path / "p.npy", probabilities)
    monkeypatch.setattr("runspread.methods.ensembles.candidates.CACHE_BYTES", 0)
    found = select_ensemble(np.load(tmp_path / "p.npy", mmap_mode="r"), labels, 3, objective=objective)
    np.testing.assert_array_equal(found.path, expected.path)
    np.testing.assert_array_equal(found.random_scores, expected.random_scores)


def test_candidates_are_read_once():
    probabilities, labels = pool()
    read = read_candidates(probabilities, labels)
    for size in (1, 3, 5):
        fresh = select_ensemble(probabilities, labels, size)
        np.testing.assert_array_equal(select_ensemble(read, size=size).path, fresh.path)


def test_few_examples_and_candidates_are_said():
    found = select_ensemble(*pool(), 3)
    assert any("80 examples" in text for text in found.warnings)
    assert any("12 candidates" in text for text in found.warnings)
    assert "optimistic" in found.sentence()
    assert "cross-validated" not in select_ensemble(*pool(), 3, folds=0).sentence()


def test_the_best_size_is_the_first_of_those_that_are_equal_but_for_rounding():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    classes = np.where(rng.random((9, 90)) < 0.7, labels, rng.integers(0, 3, (9, 90)))
    found = ensemble_sizes(classes, labels, report=classes, report_labels=labels, objective="error", sizes=(3, 5, 7))
    tied = found.curves["greedy"].copy()
    tied[:] = 0.1, 0.1 - 1e-17, 0.3 - 0.2
    curves = {**found.curves, "greedy": tied}
    assert "has 3 members" in replace(found, curves=curves).sentence()


def test_an_unknown_setting_names_the_nearest():
    logits, labels = np.zeros((4, 20, 3)), np.zeros(20, int)
    for call, near in (
        (lambda: select_ensemble(logits, labels, objectives="nll"), "objective"),
        (lambda: select_ensemble(logits, labels, ignore_indices=0), "ignore_index"),
        (lambda: ensemble_sizes(logits, labels, report=logits, size=[2]), "sizes"),
        (lambda: rs.ensemble_scores(logits, labels, weight=None), "weights"),
    ):
        with pytest.raises(InputError, match=f"Did you mean '{near}'"):
            call()
