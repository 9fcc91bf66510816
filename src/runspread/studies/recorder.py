"""Recording one run from a training loop of one's own."""

from __future__ import annotations

import math
import platform
import socket
import time
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_labels, to_numpy
from .._reading.recordable import recordable
from ..errors import DuplicateRunError, InputError
from .layout import SHARDS
from .records import RunRecord, examples_digest

if TYPE_CHECKING:
    from .study import Study


class RunRecorder:
    """Takes down one run; a context manager that publishes the run when the block ends.

    An exception inside the block is not swallowed: the run is published as failed, with what it had logged and the
    traceback, and the exception goes on. See `Study.record`.
    """

    def __init__(self, study: Study, record: RunRecord) -> None:
        self._study = study
        self._record = record
        self._curves: dict[str, list[tuple[int, float]]] = {}
        self._started = time.time()

    @property
    def id(self) -> str:
        """Id of the run."""
        return self._record.id

    def log(self, step: int, /, **metrics: float) -> None:
        """Log metrics at a step.

        Parameters
        ----------
        step : int
            Step or epoch, from 0; each metric's steps must increase.
        **metrics : float
            Values by name; tensors and arrays of one element are taken as numbers. NaN and infinity are kept.
        """
        at = _step(step)
        for name, value in metrics.items():
            curve = self._curves.setdefault(name, [])
            if curve and at <= curve[-1][0]:
                raise InputError(
                    f"metric {name!r} was logged at step {at} after step {curve[-1][0]}", "increasing steps"
                )
            curve.append((at, _number(value, name)))

    def log_weights(self, model: Any, step: int, /, **options: Any) -> None:
        """Log the fourteen weight metrics at a step, for the study of training dynamics.

        Parameters
        ----------
        model : torch.nn.Module or mapping of str to array
            A module, or arrays or tensors by name.
        step : int
            Step or epoch.
        **options
            As for `weight_metrics`: ``architecture``, ``heads``, ``variance``.
        """
        from ..methods.dynamics.metrics_of_weights import weight_metrics

        self.log(step, **weight_metrics(model, **options))

    def predictions(
        self,
        split: str,
        outputs: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        step: int | None = None,
        example_ids: ArrayLike | str | None = None,
        kind: str = "auto",
    ) -> None:
        """Keep the outputs on one split.

        Parameters
        ----------
        split : str
            Name of the split, for example ``"test"``.
        outputs : array_like [examples, classes], or of int [examples]
            Logits or probabilities, one column of class 1, or predicted classes (-1 for no prediction); a torch tensor
            on any device will do. Probabilities are kept as their logarithms.
        labels : array_like of int [examples], optional
            True classes, where the study was created without them.
        step : int, optional
            At which step; None means the end of training.
        example_ids : array_like of str or int [examples], or str, optional
            Id of each example in the order of the logits, or a digest of your own; other ids, or another order, than
            the study's or another run's is then an error. Without them an order that is permuted within classes cannot
            be told.
        kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
            What the outputs are; has to be said of one column whose values all lie in 0..1.

        Raises
        ------
        InputError
            Outputs, labels or example ids that do not fit; outputs of which it cannot be told what they are; other
            classes than those of the runs in the study.
        """
        split = str(split)  # as create_study does
        known = self._labels(split, labels)
        columns = np.shape(to_numpy(outputs))[1:]
        if len(columns) == 1 and known.max() >= max(2, columns[0]):
            classes = max(2, columns[0])
            raise InputError(
                f"the labels go up to {known.max()}, but the logits have {classes} classes", f"labels below {classes}"
            )
        array, note = recordable(outputs, len(known), kind)
        self._check_columns(split, array.shape[1] if array.ndim == 2 else 0)
        at = split, None if step is None else _step(step)
        self._record.predictions[at] = array
        self._record.kinds.pop(at, None)
        if note is not None:
            self._record.kinds[at] = note
        self._record.labels[split] = known
        self._note_examples(split, example_ids, len(known))

    def weights(self, model: Any, step: int | None = None) -> None:
        """Keep the parameters.

        Parameters
        ----------
        model : torch.nn.Module or mapping of str to array
            A module (its ``state_dict()`` is taken) or arrays or tensors by name.
        step : int, optional
            At which step; None means the end of training.

        Raises
        ------
        InputError
            Something that is no array of numbers of at most 8 bytes, such as the extra state of a module.
        """
        state = model.state_dict() if hasattr(model, "state_dict") else model
        if not isinstance(state, Mapping) or not state:
            raise InputError(
                f"the weights have type {type(model).__name__}", "a module or a mapping of names to arrays, not empty"
            )
        self._record.weights[None if step is None else _step(step)] = {
            str(name): _parameter(value, name) for name, value in state.items()
        }

    def diverged(self, reason: str = "") -> None:
        """Mark the run as diverged: it is kept, named and counted, and excluded from analyses."""
        self._record.status, self._record.error = "diverged", str(reason) or None

    def _labels(self, split: str, labels: ArrayLike | None) -> NDArray[np.int64]:
        known = self._study.splits.get(split)
        if known is None and labels is None:
            declared = ", ".join(self._study.splits) or "none"
            raise InputError(
                f"split {split!r} has no labels",
                f"a split that the study was created with ({declared}), or labels",
                f"Pass labels=..., or create the study with splits={{{split!r}: labels}}.",
            )
        if known is None:
            assert labels is not None
            return check_labels(labels)
        if labels is not None and not np.array_equal(known, to_numpy(labels)):
            raise InputError(f"the labels for split {split!r} differ from the study's", "the same labels, or none")
        return known

    def _check_columns(self, split: str, columns: int) -> None:
        known = self._study.columns_of(split)
        if known is not None and columns != known[0]:
            raise InputError(
                f"the outputs for split {split!r} are {_columns(columns)}",
                f"{_columns(known[0]) if 0 in (columns, known[0]) else known[0]}, as in the runs of the study",
                "Record other classes under another name of the split or in a separate study. "
                f"If {SHARDS}/{known[1]} is wrong, move it out of the study.",
            )

    def _note_examples(self, split: str, example_ids: ArrayLike | str | None, n_examples: int) -> None:
        if example_ids is None:
            return
        given = examples_digest(example_ids, n_examples, split)
        known = self._record.example_ids.setdefault(split, self._study.example_ids.get(split, given))
        if given != known:
            raise InputError(
                f"the example ids of split {split!r} differ from those given before ({given} and {known})",
                "the same examples in the same order",
                "Put the logits into the order that the study was created with.",
            )

    def __enter__(self) -> RunRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        record = self._record
        if error is not None:
            text = "".join(traceback.format_exception(kind, error, trace))
            record.status = "failed"
            record.error = text.encode(errors="replace").decode()  # the name of a file need not be text
        record.metrics = {
            name: (np.array([at for at, _ in curve], dtype=np.int64), np.array([value for _, value in curve]))
            for name, curve in self._curves.items()
        }
        try:
            self._publish()
        except DuplicateRunError as first:
            record.status, record.error = "failed", str(first)
            kept = f"{self._study.location}/{SHARDS}/{self._publish()}"
            hint = (
                f"What this one recorded is in {kept}, as a failed attempt; to have both in the study, record it again "
                "with an id= of its own."
            )
            raise DuplicateRunError(first.found, first.expected, hint) from None

    def _publish(self) -> str:
        return self._study.publish([self._record], provenance=provenance(self._started), reproducible=False)


def provenance(started: float) -> dict[str, Any]:
    """Return when, where and with what a shard was made: facts that differ between two equal trainings.

    Parameters
    ----------
    started : float
        ``time.time()`` at the start.
    """
    from .. import __version__

    return {
        "started": _clock(started),
        "seconds": _finite(round(time.time() - started, 3)),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "runspread": __version__,
    }


def _clock(seconds: float) -> str | None:
    """Return a time as text; None where the clock says what is no time: a run is not lost over that."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None


def _columns(columns: int) -> str:
    return f"logits of {columns} columns" if columns else "predicted classes"


def _number(value: Any, name: str) -> float:
    try:
        return float(to_numpy(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"metric {name!r} is {value!r}", "a number (NaN is kept)") from error


def _step(step: Any) -> int:
    try:
        number = float(step)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number < 2**63 or number != int(number):
        raise InputError(f"the step is {step!r}", "a whole number from 0 to 2**63 - 1")
    return int(step)


def _parameter(value: Any, name: Any) -> NDArray[Any]:
    try:
        array = np.array(to_numpy(value))
    except (TypeError, ValueError):  # lists of unequal lengths, types that NumPy does not have
        array = np.array(None)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        found = f"of dtype {array.dtype}" if array.dtype.kind != "O" else f"of type {type(value).__name__}"
        raise InputError(
            f"got the weights {name!r} {found}",
            "an array of real numbers of at most 8 bytes",
            "Convert them, or exclude them: run.weights({name: array, ...}) records only what it is given.",
        )
    return array
