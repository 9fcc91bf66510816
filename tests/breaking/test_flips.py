"""Promise 6: a corrupt file is named, its runs excluded and counted, and no answer changes in silence."""

from __future__ import annotations

import errno
import json
import os
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.errors import CorruptShardError, RunspreadError, RunspreadWarning
from runspread.studies.opening import verify_folder
from runspread.studies.repair import repair_study
from runspread.studies.study import INDEX_AFTER
from tests.breaking.tools import LABELS, answers, copied, files_of, flipped, logits, make_study, record

SMALL = 2000  # bytes up to which every bit is flipped, in the full form


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study with every kind of file: four runs, an index, a plan of looks, an ensemble."""
    folder = tmp_path_factory.mktemp("flips") / "study"
    study = make_study(folder, 4)
    from runspread.studies.index import stamps_of, write_index

    write_index(folder, study._shards, stamps_of(folder))
    from runspread.studies.files import write_json

    write_json(folder / "until.json", {"version": 2, "question": "gap=1", "looks": [2, 4]})
    return folder


@pytest.fixture(scope="module")
def right(whole):
    return answers(rs.open_study(whole))


def kinds(folder):
    """One file of each kind: of several shards the first."""
    found = {}
    for path in files_of(folder):
        found.setdefault(path.name, path)
    return list(found.values())


def bits_of(path, amount, seed=0):
    size = 8 * path.stat().st_size
    return range(size) if size <= amount else random.Random(seed).sample(range(size), amount)


def used_right(folder, right):
    """Whether a damaged study is refused, or answers as before of all runs that it does not exclude."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            study = rs.open_study(folder)
            found = {"runs": [(r.id, r.status, r.hyperparameters, r.accuracy, r.seeds.to_dict()) for r in study.runs]}
            found |= {"splits": {n: a.tolist() for n, a in study.splits.items()}, "recipe": study.recipe}
            readers = {name: study.predictions(split) for name, split in (("outputs", "test"), ("classes", "hard"))}
            for name, reader in readers.items():
                found[name] = dict(zip(reader.run_ids, reader.to_array().tolist(), strict=True))
                assert len(reader) + len({item.run for item in reader.excluded}) >= 4 or study.corrupt
            loss = study.metrics()["loss"]
            found["loss"] = {run: (loss.of(run)[0].tolist(), loss.of(run)[1].tolist()) for run in loss.run_ids}
            assert len(loss.run_ids) == 4 or said
            found["weights"] = {}
            for run in study.runs:
                try:
                    found["weights"][run.id] = {n: w.tolist() for n, w in study.weights(run).items()}
                except CorruptShardError:
                    continue
    except RunspreadError:
        return True
    assert found["splits"] == right["splits"]
    assert found["recipe"] == right["recipe"]
    known = {run[0]: run for run in right["runs"]}
    assert all(run == known[run[0]] for run in found["runs"])
    for name in ("outputs", "classes", "loss", "weights"):
        assert all(right[name][run] == value for run, value in found[name].items()), name
    return True


def is_named(folder):
    try:
        return not verify_folder(folder).ok
    except RunspreadError:
        return True


def check_flips(whole, right, tmp_path, amount):
    folder = copied(whole, tmp_path / "study")
    counts = {}
    for path in kinds(folder):
        bits = bits_of(path, amount)
        for bit in bits:
            with flipped(path, bit):
                assert is_named(folder), (path.name, bit)
                assert used_right(folder, right), (path.name, bit)
        counts[path.name] = len(bits)
    return counts


def test_some_bits_of_every_file_are_named_and_change_no_answer(whole, right, tmp_path):
    counts = check_flips(whole, right, tmp_path, 25)
    assert len(counts) >= 9


@pytest.mark.slow
def test_every_bit_of_small_files_and_a_thousand_of_large_ones(whole, right, tmp_path, tally):
    counts = check_flips(whole, right, tmp_path, 8 * SMALL)
    tally("bits flipped, each named by verify and no answer changed", sum(counts.values()), 0)


def test_a_file_cut_at_any_length_is_named(whole, tmp_path):
    folder = copied(whole, tmp_path / "study")
    for path in kinds(folder):
        data = path.read_bytes()
        for length in {0, 1, 7, 8, len(data) // 2, len(data) - 1} - {len(data)}:
            path.write_bytes(data[:length])
            assert is_named(folder), (path.name, length)
        path.write_bytes(data + b"\0")
        assert is_named(folder), path.name
        path.write_bytes(data)
    assert verify_folder(folder, deep=True).ok


def test_an_empty_or_cut_list_of_sums_is_named_and_so_is_what_it_does_not_list(whole, tmp_path):
    folder = copied(whole, tmp_path / "study")
    sums = next(folder.rglob("SHA256SUMS"))
    lines = sums.read_text().splitlines(keepends=True)
    for text in ("", "".join(lines[:1]), "".join(lines[1:])):
        sums.write_text(text)
        found = verify_folder(folder)
        assert list(found.corrupt) == [sums.parent.name]
        assert "does not list" in str(found.corrupt)
    sums.write_text("".join(lines))
    (sums.parent / "more.npy").write_bytes(b"x")
    assert verify_folder(folder).corrupt == {sums.parent.name: ("SHA256SUMS does not list more.npy",)}


@pytest.mark.parametrize("text", ["{}", '{"version": -5}', '{"format": "other", "version": 1}', '{"version": 0}'])
def test_a_plan_that_says_no_version_is_refused(whole, tmp_path, text):
    folder = copied(whole, tmp_path / "study")
    (folder / "study.json").write_text(text)
    with pytest.raises(RunspreadError, match=r"study\.json cannot be read"):
        rs.open_study(folder)


def test_the_index_is_not_believed_where_a_shard_was_replaced(tmp_path):
    folder = tmp_path / "study"
    study = rs.create_study(folder, splits={"test": LABELS})
    for seed in range(INDEX_AFTER + 1):
        record_test(study, seed)
    rs.open_study(folder)
    assert list((folder / ".cache").glob("index*"))
    other = rs.create_study(tmp_path / "other", splits={"test": LABELS})
    with other.record(seeds=0) as run:
        run.predictions("test", np.eye(3)[LABELS])
    name = next((other.path / "shards").iterdir()).name
    copied(other.path / "shards" / name, folder / "shards" / name)
    assert rs.open_study(folder).runs[other.runs.ids[0]].accuracy == {"test": 1.0}


def record_test(study, seed):
    with study.record(seeds=seed) as run:
        run.predictions("test", logits(seed))


def test_one_unreadable_file_is_one_exclusion(whole, tmp_path):
    """It stopped `variance` and `audit`."""
    folder = copied(whole, tmp_path / "study")
    study = rs.open_study(folder)
    record(study, 7)
    shard = folder / "shards" / study.shard_of(study.runs.ids[0])
    for damage in (b"", b"x" * 100):
        (shard / "predictions.safetensors").write_bytes(damage)
        found = rs.variance(rs.open_study(folder))
        assert [item.run for item in found.excluded] == [study.runs.ids[0]]
        assert "corrupt shard" in found.excluded[0].reason
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RunspreadWarning)
            assert rs.audit(rs.open_study(folder)).sentence()


@pytest.mark.parametrize("kind", ["metrics", "weights", "predictions", "every metrics"])
def test_the_audit_looks_at_what_is_intact_and_names_the_rest(whole, tmp_path, kind):
    """A corrupt file of metrics or weights, of one run of four, stopped `audit` and the audit that methods add."""
    folder = copied(whole, tmp_path / "study")
    first = rs.open_study(folder).runs.ids[0]
    shards = [folder / "shards" / rs.open_study(folder).shard_of(run) for run in rs.open_study(folder).runs.ids]
    for shard in shards if kind.startswith("every") else shards[:1]:
        (shard / f"{kind.split()[-1]}.safetensors").write_bytes(b"x" * 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = rs.audit(rs.open_study(folder))
        noted = rs.variance(rs.open_study(folder))
    assert found.n_runs == 4
    assert {item.run for item in found.excluded} == {
        run.id for run in rs.open_study(folder).runs if run.id == first or kind == "every metrics"
    }
    if kind != "every metrics":
        assert shards[0].name in found.excluded[0].reason
    assert "loss curves" in found.not_seen or kind != "every metrics"
    assert any("was not looked at for signs of dependent seeds" in note and first in note for note in noted.warnings)


def test_sums_can_be_left_unchecked(whole, tmp_path, right):
    folder = copied(whole, tmp_path / "study")
    path = next(folder.rglob("predictions.safetensors"))
    with flipped(path, 8 * path.stat().st_size - 3):
        assert len(rs.open_study(folder, check=False).predictions("test")) == 4
        assert len(rs.open_study(folder).predictions("test")) == 3


def test_deep_verification_compares_what_is_said_with_what_is_held(whole, tmp_path):
    """Sums that are right again, by somebody who changed the content with care."""
    folder = copied(whole, tmp_path / "study")
    shard = next(path for path in (folder / "shards").iterdir())
    from runspread.studies.files import checksum_lines, sha256, write_json

    facts = json.loads((shard / "shard.json").read_text())
    facts["runs"][0]["accuracy"]["test"] = 0.999
    write_json(shard / "shard.json", facts)
    names = [path.name for path in shard.iterdir() if path.name not in ("SHA256SUMS", "provenance.json")]
    (shard / "SHA256SUMS").write_bytes(checksum_lines({name: sha256(shard / name) for name in names}))
    assert shard.name not in verify_folder(folder).corrupt
    assert "lists accuracy 0.999" in str(verify_folder(folder, deep=True).corrupt[shard.name])
    result = CliRunner().invoke(cli, ["verify", str(folder), "--deep"])
    assert result.exit_code == 1


def test_repair_moves_damaged_shards_aside_and_says_which_runs_to_train_again(whole, tmp_path):
    folder = copied(whole, tmp_path / "study")
    study = rs.open_study(folder)
    shards = [folder / "shards" / study.shard_of(run) for run in study.runs.ids[:2]]
    (shards[0] / "predictions.safetensors").write_bytes(b"")
    (shards[1] / "shard.json").write_text("{")
    (folder / "labels.safetensors").write_bytes(b"")
    before = {path.read_bytes() for path in files_of(folder)}
    found = repair_study(folder)
    assert found.ok
    assert set(found.moved) == {shard.name for shard in shards}
    assert set(found.again) == set(study.runs.ids[:2])  # the second is known from the index
    assert "Moved 2 damaged shards to damaged/; nothing was deleted. To train again: 2 runs." in found.sentence()
    assert before <= {path.read_bytes() for path in files_of(folder)}
    assert verify_folder(folder, deep=True).ok
    assert len(make_study(folder, 4).runs) == 4  # the same loop goes on
    again = CliRunner().invoke(cli, ["repair", str(folder)])
    assert again.exit_code == 0
    assert "Nothing is damaged" in again.output


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("name", ["shard.json", "SHA256SUMS", "predictions.safetensors"])
def test_repair_leaves_alone_what_cannot_be_read_from_here(tmp_path, monkeypatch, code, name):
    """It moved every shard aside when this process had no handles left, or no permission."""
    study = make_study(tmp_path / "kept", 2)
    opened = os.open

    def refused(path, *args, **options):
        if Path(path).name == name:
            raise OSError(code, os.strerror(code), str(path))
        return opened(path, *args, **options)

    before = sorted(path.name for path in (study.path / "shards").iterdir())
    with monkeypatch.context() as broken:
        broken.setattr(os, "open", refused)
        found, said = repair_study(study.path), study.verify()
    assert not found.ok
    assert found.moved == found.again == {}
    assert set(said.unread) == set(before)
    assert said.corrupt == {}
    assert os.strerror(code) in said.sentence()
    assert sorted(path.name for path in (study.path / "shards").iterdir()) == before
    assert study.verify().ok


def test_a_shard_of_a_newer_runspread_is_not_damaged(whole, tmp_path):
    """It was moved aside, and "No run is lost" stood beside the shard whose runs were not known."""
    folder = copied(whole, tmp_path / "study")
    (folder / "shards" / "Thumbs.db").write_bytes(b"x")  # of a file manager, not of runspread
    shard = folder / "shards" / rs.open_study(folder).shard_of(rs.open_study(folder).runs.ids[0])
    from runspread.studies.files import checksum_lines, sha256, write_json

    facts = json.loads((shard / "shard.json").read_text())
    write_json(shard / "shard.json", facts | {"version": 9})
    names = [path.name for path in shard.iterdir() if path.name not in ("SHA256SUMS", "provenance.json")]
    (shard / "SHA256SUMS").write_bytes(checksum_lines({name: sha256(shard / name) for name in names}))
    found = repair_study(folder)
    assert (found.moved, found.ok, shard.exists()) == ({}, False, True)
    assert list(verify_folder(folder).unread) == [shard.name]
    assert "Upgrade runspread" in found.sentence()


def test_repair_does_not_say_that_no_run_is_lost_where_it_does_not_know(tmp_path):
    study = make_study(tmp_path / "study", 2)
    (study.path / "shards" / study.shard_of(study.runs.ids[0]) / "shard.json").write_text("{")
    said = repair_study(study.path).sentence()
    assert "is not known" in said
    assert "No run is lost" not in said


def test_an_ensemble_is_verified(tmp_path):
    torch = pytest.importorskip("torch")
    folder = rs.training.Ensemble.of([torch.nn.Linear(3, 2) for _ in range(2)]).save(tmp_path / "study" / "best")
    for path in files_of(folder):
        for bit in bits_of(path, 40):
            with flipped(path, bit):
                assert CliRunner().invoke(cli, ["verify", str(folder)]).exit_code == 1, (path.name, bit)
                with pytest.raises(RunspreadError):
                    rs.load_ensemble(folder, network=torch.nn.Linear(3, 2))
    assert CliRunner().invoke(cli, ["verify", str(folder)]).exit_code == 0


@pytest.mark.parametrize("data", [b"", b"x" * 100])
def test_corrupt_weights_are_one_exclusion_of_spectra(tmp_path, data):
    """They stopped `spectra` and `paradox` for all other runs."""
    study = rs.create_study(tmp_path / "s", splits={"test": LABELS})
    for seed in range(4):
        with study.record(seeds=seed) as run:
            run.predictions("test", logits(seed))
            run.weights({"fc.weight": np.random.default_rng(seed).normal(size=(60, 50)).astype("f4")})
    first = study.runs.ids[0]
    files = [study.path / "shards" / study.shard_of(run) / "weights.safetensors" for run in study.runs.ids]
    files[0].write_bytes(data)
    found = rs.spectra(rs.open_study(study.path))
    assert len(found.runs) == 3
    assert [(item.run, "corrupt shard" in item.reason) for item in found.excluded] == [(first, True)]
    with pytest.raises(CorruptShardError, match=r"weights\.safetensors cannot be read"):
        rs.open_study(study.path).weights(first)
    for file in files:
        file.write_bytes(data)
    with pytest.raises(CorruptShardError, match="weights of no run can be read"):
        rs.spectra(rs.open_study(study.path))


UNLIKE = {
    "outputs of whole numbers": ("predictions", "logits/test", np.zeros((1, 12, 3), "i4")),
    "outputs without classes": ("predictions", "logits/test", np.zeros((1, 12, 0), "f4")),
    "outputs of one axis": ("predictions", "logits/test", np.zeros(1, "f4")),
    "outputs of four axes": ("predictions", "logits/test", np.zeros((1, 12, 3, 1), "f4")),
    "labels of two axes": ("predictions", "labels/test", np.zeros((12, 2), "u1")),
    "no labels": ("predictions", "labels/test", np.zeros(0, "u1")),
    "fractions of classes": ("digest", "class/hard", np.zeros((1, 12), "f4")),
    "fractions of points": ("metrics", "lengths/loss", np.ones(1, "f4")),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_arrays_that_are_not_what_they_are_called_are_one_exclusion(whole, tmp_path, name):
    """With right sums, as somebody can write them: raw errors of ten kinds."""
    from safetensors.numpy import load_file, save_file

    from runspread.studies.files import checksum_lines, sha256, write_json

    file, key, array = UNLIKE[name]
    folder = copied(whole, tmp_path / "study")
    study = rs.open_study(folder)
    shard = folder / "shards" / study.shard_of(study.runs.ids[0])
    place = shard / f"{file}.safetensors"
    save_file(load_file(place) | {key: array}, place)
    write_json(shard / "shard.json", json.loads((shard / "shard.json").read_text()) | {"sums": {}})
    names = [path.name for path in shard.iterdir() if path.name not in ("SHA256SUMS", "provenance.json")]
    (shard / "SHA256SUMS").write_bytes(checksum_lines({name: sha256(shard / name) for name in names}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for split in ("test", "hard"):
            found = rs.variance(rs.open_study(folder), split=split)
            assert len(found.excluded) <= 1
        rs.audit(rs.open_study(folder))
        rs.open_study(folder).metrics()["loss"]
    assert not verify_folder(folder, deep=True).ok
