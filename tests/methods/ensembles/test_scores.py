"""Scores and diversity: identities, invariances, edge cases, bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

import runspread as rs
from runspread.errors import InputError
from runspread.methods.ensembles import diversity, ensemble_probabilities, ensemble_sizes, select_ensemble


def pool(seed=0, runs=4, examples=60, classes=3, scale=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, examples)
    logits = rng.normal(0, 1, (runs, examples, classes))
    logits[:, np.arange(examples), labels] += scale * rng.random((runs, 1))
    return logits, labels


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_against_scikit_learn():
    logits, labels = pool()
    scored = rs.ensemble_scores(logits, labels)
    mean = softmax(logits).mean(0)
    assert scored.nll == pytest.approx(metrics.log_loss(labels, mean), abs=1e-12)
    assert scored.accuracy == metrics.accuracy_score(labels, mean.argmax(1))
    onehot = np.eye(3)[labels]
    assert scored.brier == pytest.approx(metrics.mean_squared_error(onehot, mean) * 3, abs=1e-12)
    members = [metrics.log_loss(labels, p) for p in softmax(logits)]
    np.testing.assert_allclose(scored.member_nll, members, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 30), st.integers(1, 5))
def test_identities(seed, runs, examples, classes):
    logits, labels = pool(seed, runs, examples, classes)
    scored, diverse = rs.ensemble_scores(logits, labels, kind="logits"), diversity(logits, labels, kind="logits")
    assert scored.nll <= scored.gibbs_nll + 1e-12  # convexity of -log
    assert scored.member_brier.mean() == pytest.approx(scored.brier + diverse.brier_diversity, abs=1e-12)
    order = np.random.default_rng(seed).permutation(runs)
    shuffled = rs.ensemble_scores(logits[order], labels, kind="logits")
    assert shuffled.nll == pytest.approx(scored.nll, abs=1e-12)
    assert shuffled.brier == pytest.approx(scored.brier, abs=1e-12)
    assert diversity(logits[order], labels, kind="logits").kl == pytest.approx(diverse.kl, abs=1e-10)


def test_ensemble_of_one_equals_its_member():
    logits, labels = pool(runs=1)
    scored = rs.ensemble_scores(logits, labels)
    assert scored.nll == pytest.approx(scored.member_nll[0], abs=1e-15)
    assert (scored.accuracy, scored.brier, scored.ece) == (
        scored.member_accuracy[0],
        scored.member_brier[0],
        scored.member_ece[0],
    )
    assert rs.ensemble_scores(logits[:1], labels).nll == scored.nll


def test_logits_and_probabilities_agree():
    logits, labels = pool()
    from_logits, from_probabilities = rs.ensemble_scores(logits, labels), rs.ensemble_scores(softmax(logits), labels)
    assert from_logits.nll == pytest.approx(from_probabilities.nll, abs=1e-12)
    assert rs.ensemble_scores(logits + 7.5, labels, kind="logits").nll == pytest.approx(from_logits.nll, abs=1e-12)
    assert rs.ensemble_scores(logits.astype(np.float16), labels).nll == pytest.approx(from_logits.nll, abs=1e-2)


def test_weights():
    logits, labels = pool()
    weighted = rs.ensemble_scores(logits, labels, weights=[0.5, 0.25, 0.25, 0])
    counted = rs.ensemble_scores(logits[[0, 0, 1, 2]], labels)
    assert weighted.nll == pytest.approx(counted.nll, abs=1e-12)
    assert weighted.gibbs_nll == pytest.approx(counted.gibbs_nll, abs=1e-12)
    assert weighted.run_ids == ("run 0", "run 1", "run 2")
    with pytest.raises(InputError, match="sum 1"):
        rs.ensemble_scores(logits, labels, weights=[0.5, 0.5, 0.5, 0.5])


def test_diverged_runs_are_named_not_averaged():
    logits, labels = pool()
    logits[1, 3, 0] = np.nan
    logits[2, 5, 1] = np.inf
    scored = rs.ensemble_scores(logits, labels)
    assert scored.run_ids == ("run 0", "run 3")
    assert [(item.run, item.reason) for item in scored.excluded] == [
        ("run 1", "NaN logits on 1 of 60 examples"),
        ("run 2", "infinite logits on 1 of 60 examples"),
    ]
    with pytest.raises(InputError, match="run 1 has a weight"):
        rs.ensemble_scores(logits, labels, weights=[0.5, 0.5, 0, 0])
    logits[:] = np.nan
    with pytest.raises(InputError, match="none of the 4 runs"):
        rs.ensemble_scores(logits, labels)


def test_zero_probability_of_the_truth_is_infinite_alone_and_finite_together():
    labels = np.array([0, 1])
    probabilities = np.array([[[1.0, 0], [1, 0]], [[0.5, 0.5], [0.5, 0.5]]])
    scored = rs.ensemble_scores(probabilities, labels)
    assert np.isinf(scored.member_nll[0])
    assert np.isinf(scored.gibbs_nll)
    assert scored.nll == pytest.approx(-np.log([0.75, 0.25]).mean())
    assert np.isinf(diversity(probabilities, labels).kl)
    logits = np.array([[[0, -np.inf], [0, 0]]])
    assert np.isinf(rs.ensemble_scores(logits, np.array([1, 0])).nll)


def test_rows_must_sum_to_one():
    probabilities = softmax(pool()[0])
    probabilities[2, 4] *= 1.001
    with pytest.raises(InputError, match=r"run 2 on example 4 sum to 1\.001"):
        rs.ensemble_scores(probabilities, pool()[1])


def test_kind_is_recognised():
    labels = np.array([0, 1])
    assert rs.ensemble_scores(np.zeros((1, 2, 2)), labels).nll == pytest.approx(np.log(2))  # all-zero logits
    rounded = np.array([[[0.501, 0.5], [0.501, 0.5]]])
    with pytest.raises(InputError, match="rounded"):
        rs.ensemble_scores(rounded, labels)
    assert np.isfinite(rs.ensemble_scores(rounded, labels, kind="logits").nll)
    with pytest.raises(InputError, match="Did you mean 'logits'"):
        rs.ensemble_scores(rounded, labels, kind="logit")


def test_ties_go_to_the_lowest_class():
    assert rs.ensemble_scores(np.full((1, 3, 2), 0.5), [0, 0, 1]).accuracy == pytest.approx(2 / 3)


def test_labels():
    logits, labels = pool()
    with pytest.raises(InputError, match="no labels"):
        rs.ensemble_scores(logits)
    with pytest.raises(InputError, match="out of range"):
        rs.ensemble_scores(logits, np.full(60, 3))
    with pytest.raises(InputError, match="one label per example"):
        rs.ensemble_scores(logits, labels[:-1])
    masked = np.where(np.arange(60) < 20, -100, labels)
    assert (
        rs.ensemble_scores(logits, masked, ignore_index=-100).nll == rs.ensemble_scores(logits[:, 20:], labels[20:]).nll
    )
    with pytest.raises(InputError):
        rs.ensemble_scores(logits, np.full(60, -100), ignore_index=-100)
    with pytest.raises(InputError):
        rs.ensemble_scores(logits[:, :0], labels[:0])


def test_one_class():
    scored = rs.ensemble_scores(np.zeros((2, 5, 1)), np.zeros(5, int), kind="logits")
    assert (scored.nll, scored.accuracy, scored.brier) == (0, 1, 0)


def test_standard_errors():
    logits, labels = pool(examples=500)
    scored = rs.ensemble_scores(logits, labels)
    losses = -np.log(softmax(logits).mean(0)[np.arange(500), labels])
    assert scored.nll_se == pytest.approx(losses.std(ddof=1) / np.sqrt(500))
    assert "500 examples" in scored.sentence()
    assert len(scored.table()) == 6
    assert np.isnan(rs.ensemble_scores(logits[:, :1], labels[:1]).nll_se)


def test_diversity_pair_by_pair():
    logits, labels = pool(runs=5)
    p = softmax(logits)
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    found = diversity(logits, labels)
    assert found.kl == pytest.approx(np.mean([(p[i] * np.log(p[i] / p[j])).sum(-1).mean() for i, j in pairs]))
    disagree = [(p[i].argmax(-1) != p[j].argmax(-1)).mean() for i, j in pairs]
    assert found.disagreement == pytest.approx(np.mean(disagree))
    unit = p / np.linalg.norm(p, axis=-1, keepdims=True)
    assert found.cosine_similarity == pytest.approx(np.mean([(unit[i] * unit[j]).sum(-1).mean() for i, j in pairs]))


def test_copies_do_not_count_towards_diversity():
    logits, labels = pool()
    doubled = np.concatenate([logits, logits[:2]])
    assert diversity(doubled, labels).disagreement == diversity(logits, labels).disagreement
    assert diversity(doubled, labels).n_duplicates == 2
    alone = diversity(logits[[0, 0, 0]], labels)
    assert (alone.n_members, alone.disagreement, alone.kl, alone.mutual_information) == (1, 0, 0, 0)
    assert "nothing to differ from" in alone.sentence()


def test_a_memory_map_is_read_and_left_alone(tmp_path):
    logits, labels = pool(runs=7, examples=40)
    np.save(tmp_path / "logits.npy", logits)
    for mode in ("r", "r+", "c"):
        mapped = np.load(tmp_path / "logits.npy", mmap_mode=mode)
        if mode == "c":
            mapped[0] = 0
        assert rs.ensemble_scores(mapped, labels).n_members == 7
        expected = np.zeros_like(logits[0]) if mode == "c" else logits[0]
        np.testing.assert_array_equal(mapped[0], expected)


def test_weights_are_matched_by_id(tmp_path):
    rng = np.random.default_rng(0)
    labels = {name: rng.integers(0, 3, 40) for name in ("validation", "test")}
    study = rs.create_study(tmp_path / "study", splits=labels)
    for seed in range(6):
        with study.record(seeds=seed) as run:
            for name in ("validation", "test"):
                logits = rng.normal(size=(40, 3)) + 2 * (seed + 1) / 6 * np.eye(3)[labels[name]]
                if (seed, name) != (0, "test"):
                    run.predictions(name, logits)
    study = rs.open_study(study.path)
    chosen = select_ensemble(study, size=2, folds=0)
    by_id = dict(zip(chosen.run_ids, chosen.weights, strict=True))
    reader = study.predictions("test")
    expected = rs.ensemble_scores(reader, weights=[by_id[name] for name in reader.run_ids])
    assert rs.ensemble_scores(study, weights=chosen).nll == expected.nll
    assert rs.ensemble_scores(study, weights=by_id).nll == expected.nll
    np.testing.assert_array_equal(
        ensemble_probabilities(reader, weights=chosen),
        ensemble_probabilities(reader, weights=[by_id[name] for name in reader.run_ids]),
    )
    with pytest.raises(InputError, match="matched by id"):
        rs.ensemble_scores(study, weights=chosen.weights)
    lost = study.runs[0].id
    with pytest.raises(InputError, match=f"{lost} .no split 'test'"):
        rs.ensemble_scores(study, weights={lost: 1.0})
    sizes = ensemble_sizes(study, sizes=(1, 2), n_random=5)
    assert sizes.n_candidates == 5
    assert [item.run for item in sizes.excluded] == [lost]


def test_low_precision_and_gradients_are_read():
    torch = pytest.importorskip("torch")
    logits, labels = pool()
    low = torch.from_numpy(logits).bfloat16()
    expected = rs.ensemble_scores(low.float().numpy(), labels)
    asked = low.clone().requires_grad_()
    for outputs in (low, asked, list(asked)):
        assert rs.ensemble_scores(outputs, torch.from_numpy(labels)).nll == expected.nll
    assert rs.ensemble_scores(low[0][None], labels).nll == rs.ensemble_scores(low[:1], labels).nll
    assert select_ensemble(asked, labels, 2, folds=0).score == select_ensemble(low.float(), labels, 2).score
    assert rs.variance(asked, labels) is not None
    types = pytest.importorskip("ml_dtypes")
    array = logits.astype(np.float32).astype(types.bfloat16)
    assert rs.ensemble_scores(array, labels).nll == rs.ensemble_scores(array.astype(np.float32), labels).nll


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("runs", [1, 3])
def test_no_error_on_100_examples_is_no_certainty(right, runs):
    labels = np.zeros(100, int)
    logits = np.tile([2.0, 0.0] if right else [0.0, 2.0], (runs, 100, 1))
    for outputs in (logits, logits.argmax(-1)):
        text = rs.ensemble_scores(outputs, labels).sentence()  # "standard error 0.00%" before
        assert ("100.00% (95% CI 96.30% to 100.00%)" if right else "0.00% (95% CI 0.00% to 3.70%)") in text


def test_an_infinite_likelihood_is_said_in_words():
    certain = np.tile(np.where([True, False, False], 0.0, -np.inf), (2, 20, 1))  # rules out what ten examples are
    labels = np.repeat([0, 1], 10)
    one, both = (rs.ensemble_scores(runs, labels, kind="log-probabilities") for runs in (certain[:1], certain))
    assert "2 members of 2 and their average give some true class probability 0" in both.warnings[0]
    for found in (one, both):
        assert "infinite NLL, Brier" in found.sentence()
        assert "inf " not in found.sentence()
        assert "nan" not in found.sentence()
    mixed = np.stack([certain[0], np.full((20, 3), np.log(1 / 3))])
    found = rs.ensemble_scores(mixed, labels, kind="log-probabilities")
    assert np.isfinite(found.nll)
    assert found.sentence().count("infinite NLL") == 1
    assert "1 member of 2 " in found.warnings[0]
