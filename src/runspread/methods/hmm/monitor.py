"""Follow a run while it trains: the state it is in, and the risk that it takes a detour."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError, RunspreadWarning
from .densities import density
from .kernels import load_kernels
from .parameters import Array, Frames, log_sum

if TYPE_CHECKING:
    from .model import HiddenMarkovModel

_POOR = 0.8  # agreement with the decoded paths below which a monitor warns


@dataclass(frozen=True, eq=False)
class MonitorReading:
    """What is known of a run after one more checkpoint.

    Attributes
    ----------
    checkpoint : int
        Counted from 0.
    state : int
        The most probable one.
    probabilities : ndarray [K]
        p(state | all checkpoints so far).
    visited : float
        Probability that the run has been in a detour state by now; NaN without detours to watch for.
    risk : float
        Probability that it has been or will be before the horizon, if it goes on as the fitted runs did; NaN without
        detours or without a horizon.
    surprise : float
        −log density of this checkpoint given those before, in nats; NaN where a metric was missing.
    """

    checkpoint: int
    state: int
    probabilities: Array
    visited: float
    risk: float
    surprise: float


class RunMonitor:
    """Takes one checkpoint's metrics at a time from a live training loop; made by ``model.monitor()``.

    Parameters
    ----------
    model : HiddenMarkovModel
        With ``center`` and ``scale`` (those from `dynamics` have them), metrics are taken in their own units and
        standardised with these; otherwise as they are.
    detours : sequence of int, optional
        States to watch for.
    horizon : int
        Number of checkpoints that the run will have; 0 where that is not known.

    Notes
    -----
    Exact filtering in log space. Of runs that were standardised each on its own, `dynamics` estimates the states'
    emissions again in units common to all, because the mean and deviation of a live run are not known yet; where
    runs differ more in level than states do, that distinguishes states less well than
    ``dynamics(..., standardize="pooled")``. ``model.live_agreement`` says how well it does.
    """

    def __init__(self, model: HiddenMarkovModel, detours: Sequence[int] | None = None, horizon: int = 0) -> None:
        if model.live_agreement < _POOR:
            warnings.warn(_poor(model), RunspreadWarning, stacklevel=3)
        if model.live_means is not None and model.live_covars is not None:
            model = replace(model, means=model.live_means, covars=model.live_covars)
        self.model, self.horizon = model, horizon
        self.detours = tuple(detours or ())
        if any(not 0 <= state < model.n_states for state in self.detours):
            raise InputError(f"got detours {list(self.detours)}", f"states 0..{model.n_states - 1}")
        self._clear = np.ones(model.n_states)
        self._clear[list(self.detours)] = 0.0
        self._density = density(model.parameters(), load_kernels())
        with np.errstate(divide="ignore"):
            self._log_start, self._log_trans = np.log(model.startprob), np.log(model.transmat)
        self._alpha = np.empty(0)  # log p(state, all so far), and the same without a detour so far
        self._spared = np.empty(0)
        self._step = -1

    def update(self, metrics: Mapping[str, float] | ArrayLike) -> MonitorReading:
        """Take in one checkpoint.

        Parameters
        ----------
        metrics : mapping of str to float, or array_like [D]
            By name (others than the model's are ignored), or in the model's order. A missing or non-finite metric makes
            the checkpoint unobserved: time passes, nothing is learned.

        Returns
        -------
        MonitorReading
        """
        emission = self._log_density(self._row(metrics))
        before = 0.0 if self._step < 0 else float(log_sum(self._alpha))
        with np.errstate(divide="ignore"):
            clear = np.log(self._clear)
        if self._step < 0:
            self._alpha = self._log_start + emission
            self._spared = self._alpha + clear
        else:
            self._alpha = log_sum(self._alpha[:, None] + self._log_trans, axis=0) + emission
            self._spared = log_sum(self._spared[:, None] + self._log_trans, axis=0) + emission + clear
        self._step += 1
        return self._reading(before, observed=bool(emission.any()))

    def _row(self, metrics: Any) -> Array:
        if isinstance(metrics, Mapping):
            if not self.model.columns:
                raise InputError("metrics by name for a model without names", "an array in the order of the fit")
            metrics = [metrics.get(name, np.nan) for name in self.model.columns]
        row = np.asarray(metrics, dtype=np.float64)
        if row.shape != (self.model.n_metrics,):
            raise InputError(f"got a checkpoint of shape {row.shape}", f"({self.model.n_metrics},) metrics")
        if self.model.center is None or self.model.scale is None:
            return row
        return (row - self.model.center) / self.model.scale

    def _log_density(self, row: Array) -> Array:
        if not np.isfinite(row).all():
            return np.zeros(self.model.n_states)
        frames = Frames(row[None], np.array([0, 1]), ("live",))
        return self._density.log(frames, 0, 1)[0, :, 0]

    def _reading(self, before: float, *, observed: bool) -> MonitorReading:
        total = float(log_sum(self._alpha))
        probabilities = np.exp(self._alpha - total)
        visited, risk = self._detour_chances(np.exp(self._spared - total))
        return MonitorReading(
            self._step,
            int(probabilities.argmax()),
            probabilities,
            visited,
            risk,
            before - total if observed else float("nan"),
        )

    def _detour_chances(self, spared: Array) -> tuple[float, float]:
        """Return the probabilities of a detour by now and before the horizon; NaN for what was not asked."""
        if not self.detours:
            return float("nan"), float("nan")
        visited = float(np.clip(1 - spared.sum(), 0, 1))
        if self.horizon < 1:
            return visited, float("nan")
        stay = self.model.transmat * self._clear  # one more checkpoint without a detour
        later = np.linalg.matrix_power(stay, max(0, self.horizon - 1 - self._step)).sum(axis=1)
        return visited, float(np.clip(1 - spared @ later, 0, 1))


def _poor(model: HiddenMarkovModel) -> str:
    again = model.live_means is not None
    return (
        f"followed checkpoint by checkpoint, runs are in their decoded state {model.live_agreement:.0%} of the time. "
        + (
            "Runs differ too much in level for a model of runs standardised each on its own; dynamics(..., "
            'standardize="pooled") gives one that live runs can be given to.'
            if again
            else "States are distinguishable only by what comes later; read a state as a guess."
        )
    )
