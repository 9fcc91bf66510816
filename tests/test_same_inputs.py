"""What the methods ask of inputs that belong together: seeds that are seeds, and one set of examples."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

import runspread as rs
from runspread.errors import InputError
from runspread.methods.ensembles import corrupt
from runspread.methods.hmm import fit_hmm
from runspread.methods.spectra import fit_power_law
from runspread.methods.trimming import trimming_scores
from runspread.methods.variance import independence_test, pair_deviations, perturbation_sensitivity, run_statistics

LABELS = np.arange(40) % 2


def logits(runs=8, seed=0):
    rng = np.random.default_rng(seed)
    return 2 * np.eye(2)[LABELS] + rng.normal(size=(runs, 40, 2))


def recorded(path, ids, seed):
    study = rs.create_study(path, splits={"test": LABELS}, example_ids={"test": ids})
    for number, outputs in enumerate(logits(seed=seed)):
        with study.record(seeds=10 * seed + number) as run:
            run.predictions("test", outputs, example_ids=ids)
    return study


@pytest.fixture
def pair(tmp_path):
    """Two studies whose labels agree, on the same examples in two orders."""
    ids = np.arange(40)
    return recorded(tmp_path / "a", ids, 1), recorded(tmp_path / "b", np.roll(ids, 2), 2)


CALLS = {
    "compare": lambda a, b: rs.compare(a, b, names=("old", "new")),
    "trimming": rs.trimming,
    "same": rs.same,
    "poke": lambda a, b: perturbation_sensitivity(a, a, a, b),
    "sources": lambda a, b: rs.sources({"all": a, "init": b}, reference="all"),
}


@pytest.mark.parametrize("name", CALLS)
def test_another_order_of_the_examples_is_refused(pair, name):
    a, b = pair
    with pytest.raises(InputError, match=r"different example ids\. Expected the same examples in the same order"):
        CALLS[name](a, b)
    CALLS[name](a, a)


def test_candidates_and_references_need_the_same_labels(tmp_path):
    a, b = (tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    for path, labels in ((a, LABELS), (b, 1 - LABELS)):
        save_file({"logits": logits(), "labels": labels}, path)
    with pytest.raises(InputError, match="candidates and references have different labels"):
        rs.trimming(rs.open_outputs(a), rs.open_outputs(b))


SEEDED = {
    "trimming": lambda seed: rs.trimming(logits(), seed=seed),
    "representative size": lambda seed: rs.representative_size(logits(), seed=seed),
    "scores": lambda seed: trimming_scores(logits(), LABELS, seed=seed),
    "same": lambda seed: rs.same(logits(), logits(), seed=seed),
    "pairs": lambda seed: pair_deviations(logits(), LABELS, sample=5, seed=seed),
    "independence": lambda seed: independence_test(logits(), LABELS, seed=seed),
    "hmm": lambda seed: fit_hmm([np.random.default_rng(0).normal(size=(30, 1))], 2, seed=seed),
    "corruptions": lambda seed: corrupt(np.zeros((1, 3, 8, 8), np.uint8), "gaussian_noise", 1, seed=seed),
    "power law": lambda seed: fit_power_law(np.arange(1.0, 60) ** -0.5, bootstrap=3, seed=seed),
}


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize(
    ("seed", "found"), [(-1, "seed is -1"), ("x", "the dtype of seed is"), ([1, 2], "the seed is an array of 1 axis")]
)
def test_what_is_no_seed(name, seed, found):
    with pytest.raises(InputError, match=found):
        SEEDED[name](seed)


def test_policies_beside_statistics_are_not_ignored():
    statistics = run_statistics(logits(), LABELS)
    with pytest.raises(InputError, match="nan='abstain' and missing='intersect' with RunStatistics"):
        rs.variance(statistics, nan="abstain", missing="intersect")
    with pytest.raises(InputError, match="nan='abstain' with RunStatistics"):
        rs.compare(statistics, statistics, nan="abstain")
    holes = logits(seed=1)
    holes[0, 3] = np.nan
    assert rs.compare(statistics, holes, LABELS, nan="abstain").n_runs_b == 8
