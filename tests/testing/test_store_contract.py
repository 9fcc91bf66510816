"""Our studies keep the contract of a store of runs; stores that lose, double or hide runs do not."""

from __future__ import annotations

import pytest

import runspread as rs
from runspread.studies import Study
from runspread.studies.recorder import RunRecorder
from runspread.testing import StudyTests

from .broken import failures


class FolderOfShards(StudyTests):
    def create(self, folder, splits):
        return rs.create_study(folder / "study", splits=splits)

    def reopen(self, store):
        return rs.open_study(store.path)

    def damage(self, store):
        shard = min((store.path / "shards").iterdir())
        (shard / "shard.json").write_bytes(b"{")
        return shard.name


class TestStudy(FolderOfShards):
    """The folder of shards; the metadata of one of them cannot be read."""


class TestMergedStudy(FolderOfShards):
    """Another study's shards, copied here."""

    def reopen(self, store):
        copy = store.path.parent / "copy"
        if not (copy / "study.json").exists():
            rs.create_study(copy, splits=store.splits)
        merged = rs.open_study(copy)
        if not merged.corrupt and rs.open_study(store.path).verify().ok:
            merged.merge(store)
        return merged


class Forgetful(FolderOfShards):
    """Makes a new store over the old."""

    def create(self, folder, splits):
        import shutil

        shutil.rmtree(folder / "study", ignore_errors=True)
        return super().create(folder, splits)


class Doubles(FolderOfShards):
    """Does not see that a run is there."""

    def create(self, folder, splits):
        store = super().create(folder, splits)
        store._refuse_duplicates = lambda runs: None
        store.is_recorded = lambda **run: False
        return store

    def reopen(self, store):
        store.refresh()
        return store


class Silent(FolderOfShards):
    """Drops what it cannot read without a word."""

    def damage(self, store):
        import shutil

        shard = min((store.path / "shards").iterdir())
        shutil.rmtree(shard)
        return shard.name


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (Forgetful, "a_store_is_not_made_over_another"),
        (Doubles, "a_run_is_recorded_once"),
        (Silent, "a_damaged_part_is_named_and_the_rest_is_read"),
    ],
)
def test_a_broken_store_is_found(tmp_path, broken, caught):
    assert caught in failures(broken(), tmp_path)


@pytest.mark.parametrize(
    ("place", "name", "value", "caught"),
    [
        (RunRecorder, "weights", lambda self, model, step=None: None, "a_run_is_read_as_it_was_recorded"),
        (RunRecorder, "diverged", lambda self, reason="": None, "a_diverged_run_is_excluded_by_name"),
        (RunRecorder, "_check_columns", lambda self, split, columns: None, "outputs_that_do_not_fit_are_refused"),
        (Study, "run_names", None, None),
    ],
)
def test_a_store_that_loses_something_is_found(tmp_path, monkeypatch, place, name, value, caught):
    monkeypatch.setattr(place, name, value)
    assert failures(FolderOfShards(), tmp_path) == ({caught} if caught else set())


@pytest.mark.parametrize("reverse", [False, True])
def test_a_store_that_changes_the_order_is_found(tmp_path, monkeypatch, reverse):
    if reverse:
        publish = Study.publish
        monkeypatch.setattr(
            Study,
            "publish",
            lambda self, records, **how: publish(self, records, **{**how, "position": 1000 - len(self.runs)}),
        )
    assert ("runs_keep_their_order" in failures(FolderOfShards(), tmp_path)) == reverse
