"""Variance by source: crossed and one at a time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import run_statistics


def crossed(seed=0, levels=(4, 3, 5), examples=80):
    rng = np.random.default_rng(seed)
    latent = rng.normal(1, 1, examples)
    latent = latent + 0.3 * rng.normal(size=(levels[0], 1, 1, examples)) + 0.6 * rng.normal(size=(*levels, examples))
    return latent > 0


def test_crossed_components_on_the_distribution_by_pairs_of_examples():
    """The lifting rule is the mean over pairs of distinct examples of the same quadratic form."""
    matrix = crossed(examples=6)
    result = rs.sources(correct=matrix)
    values = matrix.astype(float)

    def bilinear(x, y):
        total, both = 0.0, 0.0
        for v, sign in ((x + y, 0.25), (x - y, -0.25)):
            both += sign * mean_square_abc(v)
        return total + both

    def mean_square_abc(v):
        rest = v.copy()
        for size in range(3):
            for kept in itertools.combinations(range(3), size):
                averaged = tuple(axis for axis in range(3) if axis not in kept)
                rest = rest + (-1) ** (3 - size) * v.mean(axis=averaged, keepdims=True)
        return np.square(rest).sum() / np.prod([size - 1 for size in v.shape])

    pairs = [bilinear(values[..., i], values[..., j]) for i, j in itertools.permutations(range(6), 2)]
    assert result.ms_dist[6] == pytest.approx(np.mean(pairs), rel=1e-9)


def test_crossed_total_effect_is_the_mean_conditional_variance():
    """Varying one source alone, averaged over the values of the others, is its total effect."""
    matrix = crossed()
    accuracies = matrix.mean(axis=-1)
    result = rs.sources(correct=matrix)
    for axis in range(3):
        assert result.total_effect_test[axis] == pytest.approx(accuracies.var(axis=axis, ddof=1).mean(), rel=1e-9)
    assert "init alone" in result.sentence()
    assert len(result.table()) == 7


def test_crossed_needs_two_levels():
    with pytest.raises(InputError, match="two seeds or more"):
        rs.sources(correct=crossed(levels=(1, 3, 3)))


def one_at_a_time(seed=1, examples=300):
    rng = np.random.default_rng(seed)
    seeds = [(i, 100 + i, 200 + i) for i in range(1, 13)]
    for axis in range(3):
        for value in range(8):
            row = [0, 0, 0]
            row[axis] = 1000 + value
            seeds.append(tuple(row))
    labels = rng.integers(0, 3, examples)
    predictions = np.where(rng.random((len(seeds), examples)) < 0.8, labels, rng.integers(0, 3, (len(seeds), examples)))
    order = rng.permutation(len(seeds))
    return predictions[order], labels, np.array(seeds)[order]


def test_groups_found_from_seeds():
    predictions, labels, seeds = one_at_a_time()
    result = rs.sources(predictions, labels, seeds=seeds)
    assert result.names == ("all", "init", "order", "augment")
    assert result.n_runs.tolist() == [12, 8, 8, 8]
    varied = predictions[seeds[:, 0] > 0][np.all(seeds[seeds[:, 0] > 0] > 0, axis=1)]
    assert result.var_test[0] == pytest.approx(rs.variance(varied, labels).var_test)
    assert result.disagreement[0] == pytest.approx(rs.calibration(varied, labels).disagreement.rate)
    for row in (1, 2, 3):
        f = result.var_test[row] / result.var_test[0]
        p = 2 * min(stats.f.cdf(f, 7, 11), stats.f.sf(f, 7, 11))
        assert result.p_value[row] == pytest.approx(min(1, p), rel=1e-9)
    assert math.isnan(result.p_value[0])
    assert "init alone" in result.sentence()


def test_groups_given_by_name():
    predictions, labels, _ = one_at_a_time()
    result = rs.sources({"everything": predictions[:10], "init": predictions[10:15]}, labels, reference="everything")
    assert result.f_ratio[0] == 1
    only = rs.sources(correct={"all": predictions[:10] == labels, "order": predictions[10:] == labels})
    assert np.isnan(only.disagreement).all()
    assert only.var_test[0] == pytest.approx(result.var_test[0])


def test_sources_refuse():
    predictions, labels, seeds = one_at_a_time()
    with pytest.raises(InputError, match="runs without seeds"):
        rs.sources(predictions, labels)
    with pytest.raises(InputError, match="seeds of shape"):
        rs.sources(predictions, labels, seeds=seeds[:3])
    with pytest.raises(InputError, match=r"groups for no role.*--vary init"):
        rs.sources(predictions[:12], labels, seeds=np.arange(36).reshape(12, 3))
    with pytest.raises(InputError, match="reference"):
        rs.sources({"a": predictions, "b": predictions}, labels)
    with pytest.raises(InputError, match="two runs or more"):
        rs.sources({"all": predictions, "b": predictions[:1]}, labels)


def test_two_roles_crossed_with_the_third_fixed():
    """Total effects are mean conditional variances, as with three roles, and a study of such runs is understood."""
    rng = np.random.default_rng(2)
    correct = rng.random((3, 4, 50)) < rng.uniform(0.5, 1, (3, 1, 50))
    direct = rs.sources(correct=correct, roles=("init", "order"))
    assert len(direct.comp_test) == 3
    accuracies = correct.mean(axis=-1)
    for axis in range(2):
        assert direct.total_effect_test[axis] == pytest.approx(accuracies.var(axis=axis, ddof=1).mean(), rel=1e-9)
    between = accuracies.mean(axis=1).var(ddof=1)
    assert direct.comp_test[0] + direct.comp_test[2] / 4 == pytest.approx(between, rel=1e-9)
    seeds = np.array([(a, b, 7) for a in range(3) for b in range(4)])
    order = rng.permutation(12)
    found = rs.sources(correct=correct.reshape(12, 50)[order], seeds=seeds[order])
    assert found.roles == ("init", "order")
    np.testing.assert_allclose(found.comp_dist, direct.comp_dist)
    assert "3 x 4 runs" in found.sentence()
    assert "interaction of the two" in found.sentence()


def test_what_is_left_out_and_what_is_repeated_is_said():
    predictions, labels, seeds = one_at_a_time()
    logits = np.eye(3)[predictions] + 0.1
    logits[5, 0, 0] = np.nan
    twice = logits.copy()
    twice[3] = twice[2]
    groups = rs.sources({"all": logits[:12], "init": twice[:5]}, labels)
    assert [item.run for item in groups.excluded] == ["all: run 5"]
    assert any(note.startswith("init: 1 pair of runs has identical outcomes") for note in groups.warnings)
    found = rs.sources(logits, labels, seeds=seeds)
    assert [item.run for item in found.excluded] == ["run 5"]
    assert found.n_runs.sum() == len(seeds) - 1


def test_equal_accuracies_have_no_shares():
    equal = np.eye(8, 30) == 1
    groups = rs.sources(correct={"all": equal, "init": np.roll(equal, 1, axis=1)})
    assert "no spread to give shares of" in groups.sentence()
    crossed_equal = rs.sources(correct=np.ones((2, 2, 2, 5), int))
    assert "show no spread" in crossed_equal.sentence()
    assert "nan" not in str(crossed_equal) + str(groups)


def test_groups_are_on_the_same_examples():
    predictions, labels, _ = one_at_a_time()
    parts = {"all": run_statistics(predictions, labels), "init": run_statistics(predictions, labels[::-1])}
    with pytest.raises(InputError, match="different labels"):
        rs.sources(parts)


def test_groups_that_share_runs(tmp_path):
    study = rs.create_study(tmp_path / "study", splits={"test": np.arange(3)})
    for seed in range(4):
        with study.record(seeds=seed) as run:
            run.predictions("test", np.random.default_rng(seed).normal(size=(3, 3)))
    result = rs.sources({"all": study, "init": study})
    assert any("share 4 runs" in note for note in result.warnings)


def test_one_run_and_groups_without_the_reference_are_refused():
    correct = np.random.default_rng(0).random((1, 50)) < 0.8
    with pytest.raises(InputError, match=r"1 usable run\. Expected two or more"):
        rs.sources(correct=correct, seeds=[[0, 0, 0]])
    with pytest.raises(InputError, match="groups a, b and none of the name 'all'"):
        rs.sources(correct={"a": correct, "b": correct})
