"""Digest columns: the same answers as from the outputs to the last bit, made of old studies too, and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread._reading.digest_columns import digest_columns
from runspread.studies import add_digests, columns

EXAMPLES, CLASSES = 120, 12


def record(folder: Path, *, odd: bool = False, examples: int = EXAMPLES, runs: int = 9) -> rs.Study:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, examples)
    shared = rng.normal(size=(examples, CLASSES)) + 3 * np.eye(CLASSES)[labels]
    study = rs.create_study(folder, splits={"test": labels, "validation": labels})
    for seed in range(runs):
        logits = shared + np.random.default_rng(seed).normal(size=shared.shape)
        if odd and seed == 2:
            logits[3, 4] = np.inf
        if odd and seed == 3:
            logits[5] = -np.inf
        if odd and seed == 4:
            logits[labels != 1, 1] = -np.inf  # a mask
        with study.record(seeds=seed) as run:
            run.predictions("test", logits)
            run.predictions("validation", logits)
    return rs.open_study(folder)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[rs.Study, rs.Study]:
    """A study with outputs that cannot be used, and the same one with digests."""
    folder = tmp_path_factory.mktemp("digests")
    plain, digested = record(folder / "plain", odd=True), record(folder / "digested", odd=True)
    assert len(add_digests(digested)) == 9
    return plain, rs.open_study(folder / "digested")


QUESTIONS = {
    "variance": rs.variance,
    "variance, abstaining": lambda study: rs.variance(study, nan="abstain"),
    "calibration": rs.calibration,
    "independence": rs.methods.variance.independence_test,
    "compare": lambda study: rs.compare(study.where(init=[0, 1, 5]), study.where(init=[6, 7, 8])),
    "audit": rs.audit,
    "trimming": lambda study: rs.trimming(study, margin="true-class", seed=0),
    "selection": lambda study: rs.methods.ensembles.select_ensemble(study, size=3),
    "sizes": lambda study: rs.methods.ensembles.ensemble_sizes(study, sizes=(1, 2), n_random=5),
}


@pytest.mark.filterwarnings("ignore::runspread.errors.RunspreadWarning")
@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_from_digests_are_those_from_the_outputs(pair, question):
    plain, digested = pair
    answers = [QUESTIONS[question](study).to_json() for study in (plain, digested)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("question", ["variance", "calibration", "compare", "trimming", "selection"])
def test_the_outputs_are_not_read_where_digests_are(tmp_path, question):
    study = record(tmp_path / "study", runs=9)
    expected = QUESTIONS[question](study).to_json()
    add_digests(study)
    for file in study.path.glob("shards/*/predictions.safetensors"):
        file.write_bytes(b"")
    assert QUESTIONS[question](rs.open_study(study.path)).to_json() == expected


def test_large_outputs_get_digests_when_they_are_recorded(tmp_path, monkeypatch):
    assert record(tmp_path / "small", runs=1).digest("test") is None
    monkeypatch.setattr(columns, "_LARGE", 1000)
    monkeypatch.setattr(columns, "_COLUMN_BYTES", 6)
    study = record(tmp_path / "large", runs=2)
    digest = study.digest("test")
    assert digest is not None
    outputs = study.predictions("test")
    for name, array in digest_columns(outputs.to_array(), outputs.labels, "logits").items():
        np.testing.assert_array_equal(digest.digest_column(name).to_array(), array)
    assert digest.shape == outputs.shape
    assert study.verify().ok


def test_columns_are_what_their_definitions_say():
    rng = np.random.default_rng(1)
    rows, labels = rng.normal(size=(3, 9, 4)).astype(np.float16), rng.integers(0, 4, 9)
    rows[0, 0, :2] = 5  # a tie goes to the smaller class
    found = digest_columns(rows, labels, "logits")
    wide = rows.astype(np.float64)
    np.testing.assert_array_equal(found["class"], wide.argmax(-1))
    np.testing.assert_array_equal(np.unpackbits(found["correct"], axis=1, count=9), wide.argmax(-1) == labels)
    own = wide[:, np.arange(9), labels]
    np.testing.assert_allclose(found["log_true"], own - np.log(np.exp(wide).sum(-1)), rtol=1e-6)
    others = np.where(np.eye(4, dtype=bool)[labels], -np.inf, wide).max(-1)
    np.testing.assert_allclose(found["margin"], own - others, rtol=1e-6)
    rows[1, 2, 3] = np.nan
    found = digest_columns(rows, labels, "logits")
    assert (found["class"][1] == -1).sum() == 1
    assert np.isnan(found["log_true"]).all(axis=1).tolist() == [False, True, False]


def test_the_command_is_repeatable_and_damage_is_named(tmp_path):
    study = record(tmp_path / "study", runs=2)
    run = lambda *words: CliRunner().invoke(cli, [*words]).output  # noqa: E731
    assert "2 shards of 2 would get" in run("digest", str(study.path), "--dry-run")
    assert not (study.path / "digests").exists()
    assert "2 shards of 2 got" in run("digest", str(study.path))
    assert "0 shards of 2 got" in run("digest", str(study.path))
    assert rs.studies.open_study(study.path).verify().ok
    expected = rs.variance(study).to_json()
    file = next(study.path.glob("digests/*/digest.safetensors"))
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    assert f"digests/{file.parent.name}" in rs.open_study(study.path).verify().files
    (file.parent / "digest.json").write_bytes(b"{")
    assert rs.variance(rs.open_study(study.path)).to_json() == expected  # from the outputs
    assert "0 shards of 2 got" in run("digest", str(study.path))  # what cannot be used lies in its place
