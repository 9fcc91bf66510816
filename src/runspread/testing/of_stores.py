"""What a store of runs promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DuplicateRunError, InputError, MissingDataError, StudyError

_EXAMPLES, _CLASSES, _LEARNING_RATE = 40, 3, 0.1


class StudyTests:
    """Tests of a store of runs: something with the interface of a `runspread.studies.Study`.

    Derive a class whose name starts with ``Test``; say how a store is made (`create`), opened again (`reopen`) and
    damaged (`damage`).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import runspread as rs
    >>> class TestMyStore(rs.testing.StudyTests):
    ...     def create(self, folder, splits):
    ...         return rs.create_study(folder / "store", splits=splits)
    ...     def reopen(self, store):
    ...         return rs.open_study(store.path)
    ...     def damage(self, store):
    ...         shard = sorted((store.path / "shards").iterdir())[0]
    ...         (shard / "shard.json").write_bytes(b"{")
    ...         return shard.name
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     TestMyStore().test_a_run_is_read_as_it_was_recorded(Path(folder))
    """

    def create(self, folder: Path, splits: dict[str, Any]) -> Any:
        """Return a new, empty store.

        Parameters
        ----------
        folder : Path
            A folder of the test; the same folder is the same store.
        splits : dict of str to ndarray of int64 [examples]
            Labels.

        Raises
        ------
        StudyError
            There is a store already.
        """
        raise NotImplementedError

    def reopen(self, store: Any) -> Any:
        """Return the same store, opened as another process would."""
        raise NotImplementedError

    def damage(self, store: Any) -> str:
        """Damage the part of the store that holds one run, as a failing disk would; return that part's name."""
        raise NotImplementedError

    # ------------------------------------------------------------------ what is written is read

    def test_a_new_store_holds_no_runs(self, tmp_path: Path) -> None:
        """And opens."""
        store = self.create(tmp_path, _splits())
        assert len(store.runs) == len(self.reopen(store).runs) == 0

    def test_a_store_is_not_made_over_another(self, tmp_path: Path) -> None:
        """The runs of the first stay."""
        store = self.create(tmp_path, _splits())
        _record(store, 0)
        _refused(StudyError, lambda: self.create(tmp_path, _splits()))
        assert len(self.reopen(store).runs) == 1

    def test_a_run_is_read_as_it_was_recorded(self, tmp_path: Path) -> None:
        """Seeds, hyperparameters, predictions (rounded, each class as it was), metrics, weights to the last bit."""
        store = self.create(tmp_path, _splits())
        _record(store, 5)
        store = self.reopen(store)
        run, reader, expected = store.runs[0], store.predictions("test"), _logits(5)
        assert (run.status, run.seeds.to_dict()) == ("completed", {"init": 5, "order": 5, "augment": 5})
        assert run.hyperparameters == {"lr": _LEARNING_RATE}
        np.testing.assert_array_equal(reader.labels, _splits()["test"])
        np.testing.assert_allclose(reader[0], expected, rtol=2e-3, atol=1e-6)
        np.testing.assert_array_equal(reader[0].argmax(-1), expected.argmax(-1))
        steps, values = store.metrics()["loss"].of(run.id)
        np.testing.assert_array_equal(steps, [1, 2, 3])
        np.testing.assert_allclose(values, [1, 1 / 2, 1 / 3], rtol=1e-6)
        np.testing.assert_array_equal(store.weights(run)["layer"], np.full((2, 3), 5, np.float32))

    def test_accuracy_is_that_of_the_predictions(self, tmp_path: Path) -> None:
        """As read, on every split."""
        store = self._with_runs(tmp_path, 3)
        for run, logits in zip(store.runs, store.predictions("test").to_array(), strict=True):
            assert run.accuracy["test"] == np.mean(logits.argmax(-1) == _splits()["test"])

    def test_runs_keep_their_order(self, tmp_path: Path) -> None:
        """That in which they were recorded, in the runs and in all readers."""
        store = self._with_runs(tmp_path, 4)
        assert [run.seeds.init for run in store.runs] == [0, 1, 2, 3]
        assert tuple(store.predictions("test").run_ids) == tuple(store.runs.ids)
        assert tuple(store.metrics()["loss"].run_ids) == tuple(store.runs.ids)

    def test_the_id_follows_from_seeds_and_hyperparameters(self, tmp_path: Path) -> None:
        """So two machines that record one run agree in its name."""
        first, second = (self.create(tmp_path / name, _splits()) for name in ("here", "there"))
        for store in (first, second):
            _record(store, 3)
        assert first.runs.ids == second.runs.ids

    def test_methods_read_the_store(self, tmp_path: Path) -> None:
        """`variance` of the store is that of the outputs that it holds."""
        from ..methods.variance.estimate import variance

        store = self._with_runs(tmp_path, 4)
        reader = store.predictions("test")
        expected, found = variance(reader.to_array(), reader.labels).to_dict(), variance(store).to_dict()
        for name in ("mean_acc", "var_test", "var_dist"):
            assert np.isclose(found[name], expected[name], rtol=1e-9), name

    # ------------------------------------------------------------------ what must not be written

    def test_a_run_is_recorded_once(self, tmp_path: Path) -> None:
        """A second record of the same seeds and hyperparameters is refused, and the first stays."""
        store = self._with_runs(tmp_path, 2)
        assert store.is_recorded(seeds=0, hyperparameters={"lr": _LEARNING_RATE})
        assert not store.is_recorded(seeds=2, hyperparameters={"lr": _LEARNING_RATE})
        before = store.predictions("test").to_array()
        _refused(DuplicateRunError, lambda: _record(store, 0, noise=1.0))
        again = self.reopen(store)
        assert len(again.runs) == 2
        np.testing.assert_array_equal(again.predictions("test").to_array(), before)

    def test_outputs_that_do_not_fit_are_refused(self, tmp_path: Path) -> None:
        """Other examples, or other classes, than the store's."""
        store = self._with_runs(tmp_path, 1)
        for seed, shape in enumerate(((_EXAMPLES + 1, _CLASSES), (_EXAMPLES, _CLASSES + 1)), start=8):
            with store.record(seeds=seed) as run:
                _refused(InputError, lambda shape=shape, run=run: run.predictions("test", np.ones(shape)))
                run.diverged("refused")

    def test_what_was_not_recorded_is_named(self, tmp_path: Path) -> None:
        """Splits, metrics and weights that are not there are errors of their own."""
        store = self._with_runs(tmp_path, 1)
        _refused(MissingDataError, lambda: store.predictions("validation"))
        _refused(MissingDataError, lambda: store.metrics()["nothing"])
        _refused(MissingDataError, lambda: store.weights(store.runs[0], step=7))

    # ------------------------------------------------------------------ what went wrong is kept and named

    def test_a_diverged_run_is_excluded_by_name(self, tmp_path: Path) -> None:
        """It is among the runs, and no reader counts it."""
        store = self._with_runs(tmp_path, 2)
        with store.record(seeds=7) as run:
            run.log(1, loss=float("nan"))
            run.diverged("the loss is not finite")
        store = self.reopen(store)
        assert [run.status for run in store.runs] == ["completed", "completed", "diverged"]
        assert store.predictions("test").shape[0] == 2
        assert [item.run for item in store.predictions("test").excluded] == [store.runs[2].id]

    def test_a_failed_run_can_be_recorded_again(self, tmp_path: Path) -> None:
        """The exception goes on, the attempt is kept as failed, and a later one that completes counts."""
        store = self.create(tmp_path, _splits())

        def fail() -> None:
            with store.record(seeds=0, hyperparameters={"lr": _LEARNING_RATE}):
                raise ZeroDivisionError("in the loop")

        _refused(ZeroDivisionError, fail)
        (failed,) = self.reopen(store).runs
        assert failed.status == "failed"
        assert "ZeroDivisionError" in (failed.error or "")
        assert not store.is_recorded(seeds=0, hyperparameters={"lr": _LEARNING_RATE})
        _record(store, 0)
        assert [run.status for run in self.reopen(store).runs] == ["completed"]

    def test_an_intact_store_verifies(self, tmp_path: Path) -> None:
        """`verify` finds nothing."""
        assert self._with_runs(tmp_path, 3).verify().ok

    def test_a_damaged_part_is_named_and_the_rest_is_read(self, tmp_path: Path) -> None:
        """`corrupt`, `verify` and the readers name it; the other runs are as they were."""
        import warnings

        store = self._with_runs(tmp_path, 3)
        before = dict(zip(store.runs.ids, store.predictions("test").to_array(), strict=True))
        name = self.damage(store)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            store = self.reopen(store)
        assert any(name in str(warning.message) for warning in caught), "opening does not warn of the damaged part"
        assert list(store.corrupt) == [name]
        assert not store.verify().ok
        assert name in store.verify().corrupt
        reader = store.predictions("test")
        assert any(name in item.run for item in reader.excluded), "a reader does not name the damaged part"
        assert len(reader.run_ids) == 2
        for run, logits in zip(reader.run_ids, reader.to_array(), strict=True):
            np.testing.assert_array_equal(logits, before[run])

    def _with_runs(self, folder: Path, runs: int) -> Any:
        store = self.create(folder, _splits())
        for seed in range(runs):
            _record(store, seed)
        return self.reopen(store)


def _splits() -> dict[str, Any]:
    return {"test": np.arange(_EXAMPLES) % _CLASSES}


def _logits(seed: int, noise: float = 0.0) -> Any:
    truth = np.eye(_CLASSES)[_splits()["test"]]
    return truth + noise + np.random.default_rng(seed).normal(size=truth.shape)


def _record(store: Any, seed: int, noise: float = 0.0) -> None:
    with store.record(seeds=seed, hyperparameters={"lr": _LEARNING_RATE}) as run:
        for step in (1, 2, 3):
            run.log(step, loss=1 / step)
        run.predictions("test", _logits(seed, noise))
        run.weights({"layer": np.full((2, 3), seed, np.float32)})


def _refused(error: type[Exception], call: Any) -> None:
    import pytest

    with pytest.raises(error):
        call()
