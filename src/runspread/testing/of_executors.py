"""What an executor promises: where shards are trained changes neither which runs there are nor what is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import TrainingError
from ..studies.layout import SHARDS

# A network whose worker dies the first time that one reaches it; the process that plans builds it unharmed.
_DIES_ONCE = """
import os
import torch

def build(shape, outputs):
    if os.getpid() != {planner}:
        try:
            os.close(os.open({marker!r}, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os._exit(1)
    return torch.nn.Linear(shape[0], outputs)
"""
_FAILS_ONCE = """
import torch

def build(shape, outputs):
    if torch.initial_seed() == {seed}:
        raise ZeroDivisionError("this seed is unlucky")
    return torch.nn.Linear(shape[0], outputs)
"""


class ExecutorTests:
    """Tests of an executor for `runspread.train`: a name that it knows, or a ``concurrent.futures.Executor``.

    Derive a class whose name starts with ``Test``, and return what is tested from `make_executor`. Needs torch; the
    networks are tiny. Workers have to see the test's folder.

    Examples
    --------
    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from pathlib import Path
    >>> import runspread as rs
    >>> class TestThreads(rs.testing.ExecutorTests):
    ...     loses_workers = False
    ...     def make_executor(self):
    ...         return ThreadPoolExecutor(2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     TestThreads().test_the_runs_are_those_of_a_serial_training(Path(folder))
    """

    options: Mapping[str, Any] = MappingProxyType({})
    """``executor_options`` of `runspread.train`."""
    loses_workers = True
    """Whether a worker is a process that can die alone; False for threads, where dying would end the test."""

    def make_executor(self) -> str | Executor:
        """Return the executor; called once per test."""
        raise NotImplementedError

    def test_the_runs_are_those_of_a_serial_training(self, tmp_path: Path) -> None:
        """The same ids, weights and predictions, in the same order."""
        found = self._train(_recipe(), tmp_path / "there")
        expected = _train_serially(_recipe(), tmp_path / "here")
        assert found.runs.ids == expected.runs.ids
        _assert_same_runs(found, expected)

    def test_a_training_goes_on_with_what_is_missing(self, tmp_path: Path) -> None:
        """Runs that are there are left alone, and more of them are the same runs."""
        first = self._train(_recipe(), tmp_path / "there", runs=2)
        stamps = {path: path.stat().st_mtime_ns for path in first.path.glob(f"{SHARDS}/*")}
        found = self._train(_recipe(), tmp_path / "there")
        assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
        _assert_same_runs(found, _train_serially(_recipe(), tmp_path / "here"))

    def test_a_lost_worker_is_replaced(self, tmp_path: Path) -> None:
        """What it trained is trained again, and no run is missing or doubled."""
        import os

        import pytest

        if not self.loses_workers:
            pytest.skip("workers of this executor cannot die alone")
        marker = tmp_path / "died"
        own = _recipe(tmp_path, _DIES_ONCE.format(planner=os.getpid(), marker=str(marker)))
        found = self._train(own, tmp_path / "there")
        assert marker.exists(), "no worker died: are the workers processes of their own?"
        _assert_same_runs(found, _train_serially(own, tmp_path / "here"))

    def test_an_error_in_one_shard_is_named_and_the_rest_is_trained(self, tmp_path: Path) -> None:
        """The message quotes the error; the other runs are in the study."""
        import pytest

        from ..studies.opening import open_study
        from ..training.seeding import derive_seed

        own = _recipe(tmp_path, _FAILS_ONCE.format(seed=derive_seed(0, "init", 1)))
        with pytest.raises(TrainingError, match=re.escape("this seed is unlucky")):
            self._train(own, tmp_path / "there", runs=2)
        study = open_study(tmp_path / "there")
        assert len(study.runs) == 1
        assert study.verify().ok

    def test_an_executor_of_the_callers_stays_open(self, tmp_path: Path) -> None:
        """One that was handed in as an object takes further calls afterwards."""
        import pytest

        executor = self.make_executor()
        if isinstance(executor, str):
            pytest.skip("train makes and closes this executor itself")
        self._train(_recipe(), tmp_path / "there", executor=executor, runs=2)
        assert executor.submit(int, "3").result() == 3

    def _train(self, recipe: Any, out: Path, *, executor: str | Executor | None = None, runs: int = 4) -> Any:
        from ..training.train import train

        where = self.make_executor() if executor is None else executor
        return train(recipe, runs=runs, out=out, executor=where, executor_options=self.options, workers=2, stack=1)


def _recipe(folder: Path | None = None, network: str = "") -> Any:
    from ..training.recipes import recipe

    tiny = recipe("sparse-parity", bits=8, subset=2, train_examples=64, test_examples=32, epochs=2)
    tiny = tiny.replace(hidden=(4,), record="none", weight_metrics=False)
    if folder is None:
        return tiny
    (folder / "network.py").write_text(network)
    return tiny.replace(model=f"{folder / 'network.py'}:build")


def _train_serially(recipe: Any, out: Path, runs: int = 4) -> Any:
    from ..training.train import train

    return train(recipe, runs=runs, out=out, executor="local", workers=1, stack=1)


def _assert_same_runs(found: Any, expected: Any) -> None:
    assert sorted(found.runs.ids) == sorted(expected.runs.ids)
    assert found.verify().ok
    assert {run.status for run in found.runs} == {"completed"}
    for run in expected.runs:
        for name, value in expected.weights(run).items():
            np.testing.assert_allclose(found.weights(run.id)[name], value, rtol=1e-5, atol=1e-6, err_msg=run.id)
        ours, theirs = (study.predictions("test") for study in (found, expected))
        row, other = (reader.run_ids.index(run.id) for reader in (ours, theirs))
        np.testing.assert_allclose(ours[row], theirs[other], rtol=2e-3, atol=2e-3, err_msg=run.id)
