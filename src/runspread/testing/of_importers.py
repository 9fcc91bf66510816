"""What an importer promises: runs that were trained elsewhere, as a study."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RunspreadError
from ..studies.layout import holds_study


class ImporterTests:
    """Tests of an importer: a function that makes a study of runs that something else has trained.

    Derive a class whose name starts with ``Test``; write a source (`make_source`), say which runs it holds
    (`statuses`), and import it (`import_runs`).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import runspread as rs
    >>> def from_folder(source, out):
    ...     "One file of classes, run_name.csv, per run; the labels are in labels.csv."
    ...     try:
    ...         labels = np.loadtxt(source / "labels.csv", dtype=int)
    ...         runs = {file.stem: np.loadtxt(file, dtype=int) for file in sorted(source.glob("run_*.csv"))}
    ...     except (OSError, ValueError) as error:
    ...         raise rs.errors.InputError(f"{source} cannot be read ({error})", "a folder with labels.csv") from error
    ...     study = rs.create_study(out, splits={"test": labels}, exist_ok=True)
    ...     for name, classes in runs.items():
    ...         if name not in study.runs.ids:
    ...             with study.record(id=name) as run:
    ...                 run.predictions("test", classes)
    ...     return study
    >>> class TestFromFolder(rs.testing.ImporterTests):
    ...     statuses = {"run_a": "completed", "run_b": "completed"}
    ...     def make_source(self, folder):
    ...         rng = np.random.default_rng(0)
    ...         for name in ("labels", *self.statuses):
    ...             np.savetxt(folder / f"{name}.csv", rng.integers(3, size=20), fmt="%d")
    ...         return folder
    ...     def import_runs(self, source, out):
    ...         return from_folder(source, out)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     TestFromFolder().test_every_run_is_named_with_its_status(Path(folder))
    """

    statuses: Mapping[str, str]
    """Id of each run that the source holds, and its status: "completed", "diverged" or "failed"."""

    def make_source(self, folder: Path) -> Path:
        """Write what is imported into an empty folder; return its path."""
        raise NotImplementedError

    def import_runs(self, source: Path, out: Path) -> Any:
        """Import the source into a study at `out`, which does not exist yet; return the study."""
        raise NotImplementedError

    def bad_sources(self, folder: Path) -> Sequence[Path]:
        """Return sources that cannot be imported: by default none, an empty folder, and a file of noise."""
        (folder / "empty").mkdir()
        (folder / "noise").write_bytes(hashlib.sha512(b"noise").digest())
        return [folder / "missing", folder / "empty", folder / "noise"]

    def test_every_run_is_named_with_its_status(self, tmp_path: Path) -> None:
        """No run is missing, none is invented, and those that failed say so."""
        study = self._imported(tmp_path)
        assert {run.id: run.status for run in study.runs} == dict(self.statuses)

    def test_a_run_that_did_not_complete_is_not_read(self, tmp_path: Path) -> None:
        """Readers of predictions name each of them as excluded."""
        study = self._imported(tmp_path)
        left_out = {run for run, status in self.statuses.items() if status != "completed"}
        splits = {split for run in study.runs for split, _ in run.predictions}
        for split in splits:
            reader = study.predictions(split)
            assert not left_out & set(reader.run_ids)
            assert left_out <= {item.run for item in reader.excluded}

    def test_the_study_verifies(self, tmp_path: Path) -> None:
        """What was written agrees with its checksums."""
        assert self._imported(tmp_path).verify().ok

    def test_nothing_is_written_into_the_source(self, tmp_path: Path) -> None:
        """Neither a new file nor another byte: it may be somebody's only copy."""
        source = self._source(tmp_path)
        before = _contents(source)
        self.import_runs(source, tmp_path / "out")
        after = _contents(source)
        assert after.keys() == before.keys(), f"files {sorted(after.keys() ^ before.keys())} came or went"
        assert after == before, "a file of the source was changed"

    def test_importing_twice_gives_the_same_study(self, tmp_path: Path) -> None:
        """The same runs with the same outputs, metrics and accuracies, in the same order."""
        source = self._source(tmp_path)
        first, second = (self.import_runs(source, tmp_path / name) for name in ("one", "two"))
        assert [_facts(run) for run in second.runs] == [_facts(run) for run in first.runs]
        for split in sorted({split for run in first.runs for split, _ in run.predictions}):
            ours, theirs = first.predictions(split), second.predictions(split)
            np.testing.assert_array_equal(theirs.labels, ours.labels)
            np.testing.assert_array_equal(theirs.to_array(), ours.to_array())
        for name, curves in first.metrics().items():
            np.testing.assert_array_equal(second.metrics()[name].values, curves.values)

    def test_importing_into_the_same_study_adds_nothing(self, tmp_path: Path) -> None:
        """It finds the runs there, or refuses; no run is doubled."""
        source, out = self._source(tmp_path), tmp_path / "out"
        study = self.import_runs(source, out)
        with suppress(RunspreadError):
            self.import_runs(source, out)
        study.refresh()
        assert {run.id: run.status for run in study.runs} == dict(self.statuses)

    def test_a_bad_source_is_refused(self, tmp_path: Path) -> None:
        """With an error of runspread's that names it, and without a study left behind."""
        import pytest

        (tmp_path / "bad").mkdir()
        for number, source in enumerate(self.bad_sources(tmp_path / "bad")):
            out = tmp_path / f"out-{number}"
            with pytest.raises(RunspreadError, match=source.name):
                self.import_runs(source, out)
            assert not holds_study(out), f"a study was made of {source.name}"

    def _source(self, folder: Path) -> Path:
        (folder / "source").mkdir()
        return self.make_source(folder / "source")

    def _imported(self, folder: Path) -> Any:
        return self.import_runs(self._source(folder), folder / "out")


def _contents(path: Path) -> dict[str, str]:
    """Return the digest of every file by its path."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _facts(run: Any) -> tuple[Any, ...]:
    return run.id, run.status, run.seeds, run.hyperparameters, run.accuracy, run.predictions, run.weights, run.metrics
