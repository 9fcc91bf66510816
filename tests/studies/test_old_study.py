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

from .keeping import FOLDER, facts_of, keep

ANSWERS: dict[str, dict[str, Any]] = {
    version.name: json.loads((version / "answers.json").read_text()) for version in FOLDER.glob("v*")
}
STUDIES = [(version, name) for version, kept in ANSWERS.items() for name in kept if name != "ensemble"]


@pytest.mark.parametrize(("version", "name"), STUDIES)
def test_an_old_study_opens_with_equal_answers(version: str, name: str) -> None:
    study, expected = rs.open_study(FOLDER / version / name), ANSWERS[version][name]
    assert not study.verify().corrupt
    found = facts_of(study)
    assert found["labels_sum"] == expected["labels_sum"]
    assert found["metrics"].keys() == expected["metrics"].keys()
    for key, values in expected["metrics"].items():
        assert found["metrics"][key] == pytest.approx(values)
    assert found["predictions_sum"] == pytest.approx(expected["predictions_sum"])
    for now, before in zip(found["runs"], expected["runs"], strict=True):
        sums = before["weights_sum"]
        assert now == before | {"weights_sum": sums and pytest.approx(sums, rel=1e-12)}


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
    assert kept == set(range(1, FORMAT_VERSION + 1)), "python -m tests.studies.keeping"


def test_a_study_of_the_newest_format_is_kept_by_one_command(tmp_path: Path) -> None:
    keep(tmp_path / "v9")
    known = json.loads((tmp_path / "v9" / "answers.json").read_text())["everything"]
    assert facts_of(rs.open_study(tmp_path / "v9" / "everything")) == known
    versions = [json.loads(file.read_text())["version"] for file in tmp_path.rglob("shard.json")]
    assert versions == [FORMAT_VERSION] * 2
    with pytest.raises(SystemExit, match="does not change"):
        keep(tmp_path / "v9")
