"""Promises 6 to 8 for ensembles that somebody sent: weights, sizes and facts that nobody saved so."""

from __future__ import annotations

import json
import resource

import numpy as np
import pytest

import runspread as rs
from runspread.errors import CorruptShardError, RunspreadError

torch = pytest.importorskip("torch")


@pytest.fixture
def saved(tmp_path):
    recipe = rs.recipe("digits-mlp", epochs=1, hidden=(8,))
    from runspread.training.build import plain_network
    from runspread.training.ensembles.artifact import Ensemble, EnsembleMetadata
    from runspread.training.ensembles.members import EnsembleModule, MemberStack

    networks = [plain_network(recipe, (64,), 10) for _ in range(2)]
    members = tuple({"id": name, "weight": 0.5, "hyperparameters": {}} for name in "ab")
    facts = EnsembleMetadata(members=members, recipe=recipe.identity(), shape=(64,), n_classes=10)
    return Ensemble(EnsembleModule(MemberStack(networks), [0.5, 0.5]), facts).save(tmp_path / "saved")


def rewrite(folder, change):
    facts = json.loads((folder / "ensemble.json").read_text())
    change(facts)
    facts.pop("seal", None)  # as somebody would who writes it by hand
    facts["version"] = 1
    (folder / "ensemble.json").write_text(json.dumps(facts))
    return folder


@pytest.mark.parametrize("weights", [(0.9, 0.67), (-4.0, -0.33), (1.5, -0.5), (float("1e308"), 1e308), (True, True)])
def test_weights_that_are_no_distribution_are_refused(saved, weights):
    def change(facts):
        for member, weight in zip(facts["members"], weights, strict=True):
            member["weight"] = weight

    with pytest.raises(CorruptShardError, match="weights"):
        rs.load_ensemble(rewrite(saved, change))


@pytest.mark.parametrize("options", [{"hidden": [10**6, 10**6]}, {"hidden": [1] * 10**5}, {"hidden": [10**18]}])
def test_a_network_larger_than_its_weights_is_refused_before_it_is_built(saved, options):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunspreadError, match="larger than its weights"):
        rs.load_ensemble(rewrite(saved, lambda facts: facts["recipe"]["model_options"].update(options)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 2**10  # KiB


ODD = {
    "shape": [[], [0], [-64], [10**12, 10**12], "64", None],
    "n_classes": [0, -1, 10**12, None, "ten"],
    "members": [[], [1], [{}], [{"id": "a"}], [{"id": "a", "weight": None}], {"a": 1}],
    "conversion": [{"kind": "other"}, {"kind": "hyper-batch"}, {"kind": "hyper-batch", "options": {"tied": 3}}, 5],
    "training": [{"sha256": "0"}, {"sha256": 5}, [1]],
    "recipe": [{}, {"model": 5}, {"model": "mlp"}, {"dataset": ["a"]}, "text", [1, 2]],
    "sha256": ["", None, 5],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in ODD.items() for value in values])
def test_facts_that_nobody_saved_are_refused_in_words(saved, field, value):
    with pytest.raises(RunspreadError):
        rs.load_ensemble(rewrite(saved, lambda facts: facts.update({field: value})))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "[" * 10**5, '{"members": []', "\ud800".encode("utf-8", "surrogatepass")]
)
def test_what_is_no_record_is_refused_in_words(saved, text):
    (saved / "ensemble.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunspreadError):
        rs.load_ensemble(saved)


def test_as_saved_it_loads(saved):
    assert rs.load_ensemble(saved).predict(np.zeros((2, 64), np.float32)).sum() == pytest.approx(2)
