"""Metric logs of a study as the sequences that ``dynamics`` reads: one row a step at which all metrics were logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ..._errors import InputError, MissingDataError
from ..._results import Excluded
from ..hmm.parameters import Array
from .prepare import SHORTEST, TOO_FEW
from .weight_metrics import WEIGHT_METRICS

Logs = dict[str, dict[str, Array]]
Rows = tuple[dict[str, Array], NDArray[np.int64]]


def is_study(source: Any) -> bool:
    """Whether a source hands out logged metrics by name, as a study does."""
    return callable(getattr(source, "metrics", None)) and hasattr(source, "runs")


@dataclass(frozen=True)
class StudyLogs:
    """What a study logged.

    Attributes
    ----------
    logs : dict of str to dict of str to ndarray [T]
        Run id to metric to values.
    metrics : tuple of str
        Those to model.
    left_out : tuple of Excluded
    every : int or None
        Training steps from one checkpoint to the next; None where that changes, the last checkpoint aside.
    """

    logs: Logs
    metrics: tuple[str, ...]
    left_out: tuple[Excluded, ...]
    every: int | None


def study_logs(study: Any, metrics: Sequence[str] | None, outcome: Any, diverged: str) -> StudyLogs:
    """Read the metrics of a study's runs at the steps that all of them share.

    By default the weight metrics that were logged are modelled, or where there are none everything but the outcome.
    A run that failed is left out; so is one that diverged, unless its sound part is wanted and long enough.
    """
    if outcome is not None and not isinstance(outcome, (str, Mapping)):
        raise InputError("a list of outcomes for a study", "a metric's name, or a mapping from run id")
    curves = study.metrics()
    names = _names(curves, metrics, outcome)
    wanted = dict.fromkeys([*names, outcome] if isinstance(outcome, str) else names)
    read = {name: curves[check_choice(name, "metric", list(curves))] for name in wanted}
    logs: Logs = {}
    excluded: list[Excluded] = []
    gaps: set[int] = set()
    recorded = [name for name in names if not np.isnan(read[name].values).all()]
    for run in study.runs:
        found = _common_rows(run.id, read) if run.status in ("completed", "diverged") else run.status
        if run.status == "diverged":
            found = _sound_rows(found, recorded, run.error, keep=diverged == "truncate")
        if isinstance(found, str):
            excluded.append(Excluded(run.id, found))
        else:
            logs[run.id], steps = found
            gaps |= {int(gap) for gap in np.diff(steps[:-1])}
    if not logs:
        reason = excluded[0].reason if excluded else "no runs"
        raise MissingDataError(f"no run with the metrics {', '.join(wanted)} ({reason})", "at least one")
    return StudyLogs(logs, names, tuple(excluded), gaps.pop() if len(gaps) == 1 else None)


def _names(curves: Mapping[str, Any], metrics: Sequence[str] | None, outcome: Any) -> tuple[str, ...]:
    if metrics is not None:
        return tuple(metrics)
    weights = tuple(name for name in WEIGHT_METRICS if name in curves)
    names = weights or tuple(name for name in curves if name != outcome)
    if not names:
        raise MissingDataError(
            "no metrics were logged", "run.log(...) during training", "For weights: run.log_weights(model, step)."
        )
    return names


def _sound_rows(found: Rows | str, names: Sequence[str], error: str | None, *, keep: bool) -> Rows | str:
    """Return what a diverged run logged before its first bad checkpoint, if that is wanted; or why it is left out."""
    why = f" ({error})" if error else ""
    if isinstance(found, str):
        return f"diverged{why}; {found}"
    log, steps = found
    bad = {name: int(np.argmin(np.isfinite(log[name]))) for name in names if not np.isfinite(log[name]).all()}
    first = min(bad.values(), default=len(steps))
    if keep and first >= SHORTEST:
        return {name: values[:first] for name, values in log.items()}, steps[:first]
    name = min(bad, key=bad.__getitem__, default="")
    what = f"{name} is {log[name][first]} at checkpoint {first}" if bad else f"its log ends before checkpoint {first}"
    return f"diverged: {what}{why}{TOO_FEW if keep else ''}"


def _common_rows(run: str, read: Mapping[str, Any]) -> Rows | str:
    """Return a run's values at the steps that all metrics share, and these steps; or why there are none."""
    absent = [name for name, curve in read.items() if run not in curve.run_ids]
    if absent:
        return f"no metric {absent[0]}"
    logged: dict[str, tuple[NDArray[np.int64], NDArray[Any]]] = {name: curve.of(run) for name, curve in read.items()}
    steps = reduce(np.intersect1d, [steps for steps, _ in logged.values()])
    if not len(steps):
        return "its metrics were logged at no common step"
    return {n: v[np.isin(s, steps)] for n, (s, v) in logged.items()}, steps
