"""Importers of studies and of files keep the contract; those that write, lose or accept everything do not."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.testing import ImporterTests

from ..factories import make_study
from .broken import failures


class TestStudiesAsSources(ImporterTests):
    """A study of another folder, copied by `Study.merge`."""

    @property
    def statuses(self):
        return self.known

    def make_source(self, folder):
        study = make_study(folder / "study")
        with study.record(seeds=50) as run:
            run.diverged("on purpose")
        self.known = {run.id: run.status for run in study.runs}
        return study.path

    def import_runs(self, source, out):
        other = rs.open_study(source)
        study = rs.create_study(out, splits=other.splits, exist_ok=True)
        study.merge(other)
        return study


def from_folder(source, out):
    """One file of classes per run; an empty one is a run that failed."""
    if not (source / "labels.csv").is_file():
        raise InputError(f"{source} holds no labels.csv", "a folder with labels.csv and a run_*.csv per run")
    study = rs.create_study(out, splits={"test": np.loadtxt(source / "labels.csv", dtype=int)}, exist_ok=True)
    for file in sorted(source.glob("run_*.csv")):
        if file.stem in study.runs.ids:
            continue
        with study.record(id=file.stem) as run:
            if file.stat().st_size:
                run.predictions("test", np.loadtxt(file, dtype=int))
            else:
                run.diverged("an empty file")
    return study


class Folder(ImporterTests):
    statuses = MappingProxyType({"run_a": "completed", "run_b": "completed", "run_c": "diverged"})

    def make_source(self, folder):
        for number, name in enumerate(("labels", "run_a", "run_b")):
            np.savetxt(folder / f"{name}.csv", np.random.default_rng(number).integers(3, size=20), fmt="%d")
        (folder / "run_c.csv").touch()
        return folder

    def import_runs(self, source, out):
        return from_folder(source, out)


class TestFolder(Folder):
    pass


class Scribbles(Folder):
    def import_runs(self, source, out):
        (source / "imported").touch()
        return super().import_runs(source, out)


class Appends(Folder):
    def import_runs(self, source, out):
        study = super().import_runs(source, out)
        with (source / "labels.csv").open("a") as file:
            file.write("\n")
        return study


class Loses(Folder):
    def import_runs(self, source, out):
        return super().import_runs(source, out).where(status="completed")


class Doubles(Folder):
    def import_runs(self, source, out):
        study = super().import_runs(source, out)
        with study.record(id=f"again-{len(study.runs)}") as run:
            run.predictions("test", study.splits["test"])
        return study


class Guesses(Folder):
    def import_runs(self, source, out):
        study = super().import_runs(source, out)
        with study.record(id="guess") as run:
            run.predictions("test", np.random.default_rng().integers(3, size=20))
        return study


class AcceptsAll(Folder):
    def import_runs(self, source, out):
        try:
            return super().import_runs(source, out)
        except InputError:
            return rs.create_study(out, exist_ok=True)


class Crashes(Folder):
    def import_runs(self, source, out):
        if not source.is_dir():
            raise KeyError(source)
        return super().import_runs(source, out)


class LeavesAStudy(Folder):
    def import_runs(self, source, out):
        if not (source / "labels.csv").exists():
            rs.create_study(out, splits={"test": [0]}, exist_ok=True)
        return super().import_runs(source, out)


class ReadsTheFailed(Folder):
    statuses = MappingProxyType({**Folder.statuses, "run_b": "failed"})


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (Scribbles, "nothing_is_written_into_the_source"),
        (Appends, "nothing_is_written_into_the_source"),
        (Loses, "every_run_is_named_with_its_status"),
        (Doubles, "importing_into_the_same_study_adds_nothing"),
        (Guesses, "importing_twice_gives_the_same_study"),
        (AcceptsAll, "a_bad_source_is_refused"),
        (Crashes, "a_bad_source_is_refused"),
        (LeavesAStudy, "a_bad_source_is_refused"),
        (ReadsTheFailed, "a_run_that_did_not_complete_is_not_read"),
    ],
)
def test_a_broken_importer_is_found(tmp_path, broken, caught):
    assert caught in failures(broken(), tmp_path)
