"""Studies of each format and an ensemble, as they were written then: every later version opens them, equally."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runspread as rs
from runspread.studies.layout import FORMAT_VERSION
from runspread.training import load_split

FOLDER = Path(__file__).parents[1] / "data" / "studies"
ANSWERS: dict[str, dict[str, Any]] = {
    version.name: json.loads((version / "answers.json").read_text()) for version in FOLDER.iterdir()
}
STUDIES = [("v1", "trained"), ("v1", "recorded"), ("v2", "classes"), ("v2", "probabilities")]


@pytest.mark.parametrize(("version", "name"), STUDIES)
def test_an_old_study_opens_with_equal_answers(version: str, name: str) -> None:
    study, expected = rs.open_study(FOLDER / version / name), ANSWERS[version][name]
    assert not study.verify().corrupt
    found = [
        {
            "id": run.id,
            "status": run.status,
            "seeds": run.seeds.to_dict(),
            "hyperparameters": run.hyperparameters,
            "accuracy": run.accuracy,
        }
        for run in study.runs
    ]
    assert found == [{key: run[key] for key in found[0]} for run in expected["runs"]]
    for run, before in zip(study.runs, expected["runs"], strict=True):
        if before["weights_sum"] is not None:
            sums = {key: float(np.asarray(value, dtype=float).sum()) for key, value in study.weights(run).items()}
            assert sums == pytest.approx(before["weights_sum"], rel=1e-12)
    outputs = study.predictions("test")
    array = np.asarray(outputs.to_array(), float)
    assert array.reshape(len(array), -1).sum(1).tolist() == pytest.approx(expected["predictions_sum"])
    assert outputs.labels is not None
    assert int(outputs.labels.sum()) == expected["labels_sum"]
    metrics = study.metrics()
    sums = {key: np.nansum(np.asarray(metrics[key].values, dtype=float), 1).tolist() for key in metrics}
    assert sums.keys() == expected["metrics"].keys()
    for key, values in expected["metrics"].items():
        assert sums[key] == pytest.approx(values)


@pytest.mark.parametrize(("version", "name"), STUDIES)
def test_the_variance_of_an_old_study_is_what_it_was(version: str, name: str) -> None:
    found = rs.variance(rs.open_study(FOLDER / version / name)).to_dict()
    expected = ANSWERS[version][name]["variance"]
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-12)


def test_an_old_ensemble_predicts_what_it_did() -> None:
    pytest.importorskip("torch")
    ensemble = rs.load_ensemble(FOLDER / "v1" / "ensemble")
    assert [member["id"] for member in ensemble.metadata.members] == ANSWERS["v1"]["ensemble"]["members"]
    inputs, _ = load_split(rs.recipe("digits-mlp"), "test")
    expected = np.array(ANSWERS["v1"]["ensemble"]["probabilities"])
    assert np.asarray(ensemble.predict(inputs[:5])) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_every_format_is_kept() -> None:
    kept = {json.loads(file.read_text())["version"] for file in FOLDER.glob("*/*/shards/*/shard.json")}
    assert kept == set(range(1, FORMAT_VERSION + 1))
