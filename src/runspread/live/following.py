"""One run that is recorded while it trains, whoever calls: what all callbacks share."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal

from .._checks import to_numpy
from ..errors import DuplicateRunError, InputError, RunspreadError
from ..studies.homes import home_at
from ..studies.opening import create_study, open_study
from ..studies.recorder import RunRecorder
from ..studies.study import Study
from .predicting import outputs_of


class UnfinishedError(Exception):
    """A training that stopped without its end; it becomes the error of a failed run, and is never raised."""


class FollowedRun:
    """A run that is recorded while it trains; a context manager for a loop of one's own, made by `follow`.

    What was logged is kept if the training fails, and if the process ends without an end of the training.
    """

    def __init__(
        self,
        study: Study | str | os.PathLike[str],
        *,
        seeds: Any,
        hyperparameters: Mapping[str, Any] | None,
        predictions: Mapping[str, Any] | None,
        weight_metrics: bool,
        keep_weights: bool,
    ) -> None:
        self.study = study if isinstance(study, Study) else _study_at(study)
        self._seeds, self._hyperparameters = seeds, dict(hyperparameters or {})
        self._predictions, self._weight_metrics = dict(predictions or {}), weight_metrics
        self._keep_weights = keep_weights
        self._recorder: RunRecorder | None = None
        self._last: dict[str, int] = {}
        self.skipped: list[str] = []

    @property
    def id(self) -> str | None:
        """Id of the run, once it has begun."""
        return None if self._recorder is None else self._recorder.id

    def begin(self, seeds: Any = None, hyperparameters: Mapping[str, Any] | None = None) -> None:
        """Begin the run, with seeds and hyperparameters that were found in what trains where none were given."""
        if self._recorder is not None:
            return
        given = self._seeds if self._seeds is not None else seeds
        values = {**_plain(hyperparameters or {}), **_plain(self._hyperparameters)}
        try:
            self._recorder = self.study.record(seeds=given, hyperparameters=values)
        except DuplicateRunError as error:
            hint = "Give the run seeds or hyperparameters of its own (seeds=, hyperparameters=), or skip it."
            raise DuplicateRunError(error.found, error.expected, hint) from None
        atexit.register(_end_of, weakref.ref(self))

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Log the numbers among some metrics at a step; one at a step that was logged before is skipped."""
        if self._recorder is None:
            return
        fine: dict[str, float] = {}
        for name, value in metrics.items():
            with suppress(TypeError, ValueError, OverflowError):
                number = float(to_numpy(value))
                if step > self._last.get(str(name), -1):
                    fine[str(name)] = number
        self._last |= dict.fromkeys(fine, step)
        self._recorder.log(step, **fine)

    def model(self, step: int, model: Any) -> None:
        """Log the weight metrics of a model at a step, if they are wanted."""
        if self._recorder is None or not self._weight_metrics:
            return
        with suppress(RunspreadError):
            from ..methods.dynamics.metrics_of_weights import weight_metrics

            self.log(step, weight_metrics(_state(model)))

    def end(self, model: Any = None) -> None:
        """Record predictions and weights of the trained model, and publish the run as completed."""
        recorder = self._recorder
        if recorder is None:
            return
        try:
            if model is not None:
                self._record_model(recorder, model)
        except BaseException as error:
            self.fail(error)
            raise
        self._recorder = None
        recorder.__exit__(None, None, None)

    def _record_model(self, recorder: RunRecorder, model: Any) -> None:
        for split, source in self._predictions.items():
            outputs, labels = outputs_of(model, source)
            known = split in self.study.splits
            recorder.predictions(split, outputs, labels=None if known else labels)
        if self._keep_weights:
            recorder.weights(_state(model))

    def fail(self, error: BaseException) -> None:
        """Publish the run as failed, with what it had logged."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.__exit__(type(error), error, error.__traceback__)

    def __enter__(self) -> FollowedRun:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if error is not None:
            self.fail(error)
        else:
            self.end()
        return False


def follow(
    study: Study | str | os.PathLike[str],
    *,
    seeds: Any = None,
    hyperparameters: Mapping[str, Any] | None = None,
    predictions: Mapping[str, Any] | None = None,
    weight_metrics: bool = True,
    keep_weights: bool = True,
) -> FollowedRun:
    """Record a run of a loop of one's own; a context manager.

    Parameters
    ----------
    study : Study or path
        Where it goes; a path is opened, or created.
    seeds : int, mapping or Seeds, optional
        Seeds by role, as for `Study.record`.
    hyperparameters : mapping, optional
        What identifies the configuration.
    predictions : mapping of str to data, optional
        For each split what the model is asked at the end: ``(inputs, labels)``, or batches of these.
    weight_metrics : bool
        Whether to log the fourteen weight metrics wherever a model is shown (`FollowedRun.model`), for `dynamics`.
    keep_weights : bool
        Whether to keep the final weights.

    Returns
    -------
    FollowedRun
        With ``log(step, metrics)``, ``model(step, model)`` and ``end(model)``.

    Examples
    --------
    ::

        with rs.live.follow("runs/mine", seeds=seed, predictions={"test": (x, y)}) as run:
            for epoch in range(10):
                run.log(epoch, {"loss": train_one_epoch(model)})
                run.model(epoch, model)
            run.end(model)

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> study = rs.create_study(mkdtemp() + "/mine")
    >>> with rs.live.follow(study, seeds=0, weight_metrics=False, keep_weights=False) as run:
    ...     run.log(1, {"loss": 0.5})
    >>> len(study.runs)
    1
    """
    return FollowedRun(
        study,
        seeds=seeds,
        hyperparameters=hyperparameters,
        predictions=predictions,
        weight_metrics=weight_metrics,
        keep_weights=keep_weights,
    )


def _study_at(path: str | os.PathLike[str]) -> Study:
    return open_study(path) if home_at(path).has_plan() else create_study(path)


def _end_of(reference: weakref.ref[FollowedRun]) -> None:
    """At the end of the process, publish a run that never ended as failed."""
    run = reference()
    if run is not None and run.id is not None:
        last = getattr(sys, "last_value", None)
        error = (
            last if isinstance(last, BaseException) else UnfinishedError("the process ended before the training did")
        )
        with suppress(RunspreadError):
            run.fail(error)


def _state(model: Any) -> Any:
    """Return a model's weights: a mapping by name, or what has a ``state_dict``."""
    if hasattr(model, "state_dict") or isinstance(model, Mapping):
        return model
    if hasattr(model, "weights"):  # of Keras
        return {getattr(one, "path", None) or one.name: to_numpy(_array(one)) for one in model.weights}
    raise InputError(f"a {type(model).__name__} has no weights", "a module of torch, a Keras model, or a mapping")


def _array(variable: Any) -> Any:
    return variable.numpy() if hasattr(variable, "numpy") else variable


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyperparameters that a study can hold."""
    from ..importers.hyperparameters import flat

    return flat(values, [])


def torch_seed() -> int | None:
    """Return the seed that torch was last given, if it is a plausible one."""
    torch = sys.modules.get("torch")
    found = None if torch is None else int(torch.initial_seed())
    return found if found is not None and 0 <= found < 2**63 else None


class Following:
    """Base of the callbacks: each follows one run, and also derives from the library's own class.

    A subclass says in ``_base`` which class that is; it is imported when an instance is made.
    """

    _base = ("", "")  # module and name

    def __new__(cls, *_: Any, **__: Any) -> Any:
        """Return an instance of a class that derives from both."""
        from .._optional import require

        module, name = cls._base
        base = getattr(require(module, f"recording a training of {module.partition('.')[0]}"), name)
        real = type(cls.__name__, (cls, base), {"__module__": cls.__module__, "__doc__": cls.__doc__})
        return object.__new__(real)

    def __init__(
        self,
        study: Study | str | os.PathLike[str],
        *,
        seeds: Any = None,
        hyperparameters: Mapping[str, Any] | None = None,
        predictions: Mapping[str, Any] | None = None,
        weight_metrics: bool = True,
        keep_weights: bool = True,
    ) -> None:
        super().__init__()
        self.run: FollowedRun = follow(
            study,
            seeds=seeds,
            hyperparameters=hyperparameters,
            predictions=predictions,
            weight_metrics=weight_metrics,
            keep_weights=keep_weights,
        )
