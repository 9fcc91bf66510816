"""Metric logs of a study as the logs that ``dynamics`` reads: one row per step at which all metrics were logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ..._reading.outputs import corrupt_shards
from ..._results import Excluded
from ...errors import InputError, MissingDataError
from .convergence import Curve
from .metrics_of_weights import WEIGHT_METRICS
from .prepare import SHORTEST, TOO_FEW
from .reading import Log, Logs
from .shared import common_steps, shared_metrics

LOG_WEIGHTS = "Metrics of the weights are logged by run.log_weights(model, step)."


@dataclass(frozen=True)
class StudyLogs:
    """What a study logged.

    Attributes
    ----------
    logs : Logs
        Of the runs to model, at the steps at which each logged all metrics.
    curves : dict of str to Curve
        The outcome of each run at the steps at which that was logged; empty where it is no metric of the study.
    left_out : tuple of Excluded
    """

    logs: Logs
    curves: dict[str, Curve]
    left_out: tuple[Excluded, ...]


def only_the_outcome(name: str) -> MissingDataError:
    """Return the error for logs of nothing but the outcome."""
    return MissingDataError(
        f"{name}, the outcome, is the only metric that was logged",
        "another one, from which states are made",
        f"To make them from the outcome itself, ask for metrics=[{name!r}] (--metric {name}). {LOG_WEIGHTS}",
    )


def study_logs(study: Any, metrics: Sequence[str] | None, outcome: Any, diverged: str) -> StudyLogs:
    """Read the metrics of a study's runs at the steps that they share within each run.

    By default the weight metrics that were logged are modelled, or where there are none everything but the outcome, as
    far as it was logged often enough and together. A run that failed is excluded; so is one that diverged, unless its
    intact part is wanted and long enough.
    """
    if outcome is not None and not isinstance(outcome, (str, Mapping)):
        raise InputError("got a list of outcomes for a study", "a metric's name, or a mapping from run id")
    curves = study.metrics()
    names, dropped = _names(study, curves, metrics, outcome)
    wanted = dict.fromkeys([*names, outcome] if isinstance(outcome, str) else names)
    read = {name: curves[check_choice(name, "metric", list(curves))] for name in wanted}
    logged = {name: set(curve.run_ids) for name, curve in read.items()}
    runs: dict[str, Log] = {}
    excluded: list[Excluded] = []
    recorded = [name for name in names if not np.isnan(read[name].values).all()]
    for run in study.runs:
        found = _common_rows(run.id, read, names, logged) if run.status in ("completed", "diverged") else run.status
        if run.status == "diverged":
            found = _sound_rows(found, names, recorded, run.error, keep=diverged == "truncate")
        if isinstance(found, str):
            excluded.append(Excluded(run.id, found))
        else:
            runs[run.id] = found
    if not runs:
        reason = excluded[0].reason if excluded else "no runs"
        raise MissingDataError(f"there is no run with the metrics {', '.join(wanted)} ({reason})", "at least one")
    logs = Logs(runs, names, True, {run: log.at for run, log in runs.items()}, dropped)
    crossed = {run: Curve(*read[outcome].of(run)) for run in runs} if isinstance(outcome, str) else {}
    return StudyLogs(logs, crossed, (*corrupt_shards(study), *excluded))


def _names(
    study: Any, curves: Mapping[str, Any], metrics: Sequence[str] | None, outcome: Any
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the metrics to model, and why not the others."""
    if metrics is not None:
        return tuple(metrics), {}
    weights = tuple(name for name in WEIGHT_METRICS if name in curves)
    names = weights or tuple(name for name in curves if name != outcome)
    if not names and curves:
        raise only_the_outcome(str(outcome))
    if not names:
        raise MissingDataError("no metrics were logged", "run.log(...) during training", LOG_WEIGHTS)
    runs = [run.id for run in study.runs if run.status in ("completed", "diverged")]
    read = {name: curves[name] for name in names}  # once: each reads every shard
    logged = {name: set(curve.run_ids) for name, curve in read.items()}
    return shared_metrics([{n: read[n].of(run)[0] for n in names if run in logged[n]} for run in runs])


def _sound_rows(
    found: Log | str, names: Sequence[str], recorded: Sequence[str], error: str | None, *, keep: bool
) -> Log | str:
    """Return what a diverged run logged before its first bad checkpoint, if that is wanted; or why it is excluded."""
    why = f" ({error})" if error else ""
    if isinstance(found, str):
        return f"diverged{why}; {found}"
    values = {name: found.x[:, names.index(name)] for name in recorded}
    bad = {name: int(np.argmin(np.isfinite(v))) for name, v in values.items() if not np.isfinite(v).all()}
    first = min(bad.values(), default=len(found.at))
    if keep and first >= SHORTEST:
        return Log(found.at[:first], found.x[:first])
    name = min(bad, key=bad.__getitem__, default="")
    what = (
        f"{name} is {values[name][first]} at checkpoint {first}" if bad else f"its log ends before checkpoint {first}"
    )
    return f"diverged: {what}{why}{TOO_FEW if keep else ''}"


def _common_rows(run: str, read: Mapping[str, Any], names: Sequence[str], logged: Mapping[str, set[str]]) -> Log | str:
    """Return a run's values at the steps at which it logged all metrics; or why there are none."""
    absent = [name for name in read if run not in logged[name]]
    if absent:
        return f"no metric {absent[0]}"
    rows: dict[str, tuple[NDArray[np.int64], NDArray[Any]]] = {name: read[name].of(run) for name in names}
    steps = common_steps({name: at for name, (at, _) in rows.items()}, names)
    if not len(steps):
        return "its metrics were logged at no common step"
    return Log(steps, np.stack([rows[name][1][np.isin(rows[name][0], steps)] for name in names], axis=1).astype(float))
