"""The effect of a tiny change, beside that of new seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import perturbation_sensitivity


def runs(seed=0, count=4, examples=60):
    return np.random.default_rng(seed).integers(0, 3, (count, examples))


def test_relative_disagreement_by_hand():
    base, fresh = runs(), runs(1, count=5)
    perturbed = base.copy()
    perturbed[0, :6] = (perturbed[0, :6] + 1) % 3
    perturbed[2, :3] = (perturbed[2, :3] + 1) % 3
    found = perturbation_sensitivity(base, base[:2], perturbed, fresh)
    pairs = [np.mean(fresh[a] != fresh[b]) for a in range(5) for b in range(a)]
    np.testing.assert_allclose(found.by_pair, [0.1, 0, 0.05, 0])
    assert found.deterministic
    assert found.fresh == pytest.approx(np.mean(pairs), rel=1e-12)
    assert found.relative == pytest.approx(0.0375 / np.mean(pairs), rel=1e-12)
    assert found.fresh == pytest.approx(rs.calibration(fresh, np.zeros(60, int)).disagreement.rate, rel=1e-12)
    assert (found.n_pairs, found.n_repeats, found.n_fresh) == (4, 2, 5)
    assert "The perturbation changes 3.75% of the predictions" in found.sentence()
    assert found.table()["pairs"] == [2, 4, 10]


def test_logits_and_the_base_as_fresh_runs():
    logits = np.random.default_rng(2).normal(size=(3, 40, 4))
    perturbed = logits.copy()
    perturbed[0, 0] *= -1
    classes = logits.argmax(-1)
    found = perturbation_sensitivity(logits, logits, perturbed)
    expected = perturbation_sensitivity(classes, classes, perturbed.argmax(-1))
    assert found.to_dict() == expected.to_dict()
    assert found.relative > 0


def test_a_training_that_is_not_deterministic_gives_no_number():
    base = runs()
    again = base.copy()
    again[1, 0] = (again[1, 0] + 1) % 3
    found = perturbation_sensitivity(base, again, base)
    assert not found.deterministic
    assert math.isnan(found.relative)
    assert found.repeated == pytest.approx(1 / 240)
    assert "not deterministic: identical runs differ in 0.42%" in found.sentence()


def test_nothing_to_compare_with():
    same = np.zeros((3, 5), int)
    assert "nothing to compare" in perturbation_sensitivity(same, same, same).sentence()


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((runs(), runs(), runs(count=3)), "as many perturbed runs"),
        ((runs(), runs(count=5), runs()), "as many perturbed runs"),
        ((runs(), runs(), runs(examples=50)), "the same examples"),
        ((runs(), runs(), runs(), runs(count=1)), "two or more"),
    ],
)
def test_other_runs_are_refused(arguments, found):
    with pytest.raises(InputError, match=found):
        perturbation_sensitivity(*arguments)


def test_studies_have_to_have_the_same_seeds(tmp_path):
    logits = np.random.default_rng(3).normal(size=(3, 20, 3))
    studies = {}
    for name, first in (("base", 0), ("perturbed", 0), ("other", 1)):
        studies[name] = rs.create_study(tmp_path / name, splits={"test": np.arange(20) % 3})
        for seed in range(3):
            with studies[name].record(seeds=first + seed) as run:
                run.predictions("test", logits[seed] + 0.3 * (name == "perturbed"))
    base = studies["base"]
    assert perturbation_sensitivity(base, base, studies["perturbed"]).relative == 0
    with pytest.raises(InputError, match="3 runs of perturbed with other seeds"):
        perturbation_sensitivity(base, base, studies["other"])
