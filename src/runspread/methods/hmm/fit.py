"""``fit_hmm``: fit one model with a given number of states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError, RunspreadError
from .defaults import FitOptions
from .fitting import Batch, FitSettings, best_restart, fit_batch, settings_of, starting_points
from .model import HiddenMarkovModel, Restart
from .parameters import Frames, as_frames, count_parameters


def fit_hmm(
    sequences: Any,
    n_states: int,
    *,
    initial: Mapping[str, ArrayLike] | None = None,
    columns: Sequence[str] = (),
    **options: Unpack[FitOptions],
) -> HiddenMarkovModel:
    """Fit a Gaussian hidden Markov model to the metric sequences of several runs by exact EM.

    Parameters
    ----------
    sequences : sequence or mapping of ndarray [T, D], or ndarray [runs, T, D]
        One array per run, of any lengths; used as given (``prepare_sequences`` standardises each run).
    n_states : int
        Number of states K.
    initial : mapping, optional
        Starting parameters ``startprob`` [K], ``transmat`` [K, K], ``means`` [K, D], ``covars`` [K, D] or [K, D, D], or
        with a leading axis of restarts. Zeros in ``startprob`` and ``transmat`` stay zero for ever.
    columns : sequence of str
        Names of the metrics.
    **options
        How it is fitted (`covariance`, `restarts`, `iterations`, `prior`, `seed`, `workers`, ...): see `FitOptions`.

    Returns
    -------
    HiddenMarkovModel
        The restart with the highest log-likelihood; ``model.restarts`` has all of them.

    Raises
    ------
    InputError
        Bad sequences or parameters; names the run.
    RunspreadError
        Every restart failed; says why.

    Notes
    -----
    EM as in hmmlearn 0.3 (its formulas, stopping rule and, with ``prior=0.01``, its prior) on all restarts at once,
    with scaled recursions that are checked for lost paths and repeated in log space where they may have lost one.
    Source: Rabiner 1989; Hu et al. 2023.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> levels = np.repeat([[0.0, 0.0], [3.0, 1.0]], 15, axis=0)  # two phases
    >>> runs = [levels + 0.1 * rng.normal(size=(30, 2)) for _ in range(8)]
    >>> rs.methods.hmm.fit_hmm(runs, 2, restarts=2).n_states
    2
    """
    frames, settings = as_frames(sequences), settings_of(options, fit_hmm)
    if n_states < 1:
        raise InputError(f"got n_states={n_states}", "at least 1")
    start = starting_points(frames, n_states, settings, initial)
    batch = fit_batch(frames, start, settings)
    if batch.failed.all():
        raise RunspreadError(
            f"all {len(batch.failures)} restarts failed with {n_states} states: {batch.failures[0]}",
            hint='Use fewer states, covariance="diag" or prior="noise".',
        )
    return model_of(batch, best_restart(batch.scores), frames, settings, columns)


def model_of(
    batch: Batch, best: int, frames: Frames, settings: FitSettings, columns: Sequence[str] = ()
) -> HiddenMarkovModel:
    """Return restart `best` of a batch as a model."""
    restarts = tuple(
        Restart(float(batch.scores[b]), tuple(batch.history[b]), batch.failures[b], batch.params.take(slice(b, b + 1)))
        for b in range(len(batch.scores))
    )
    params, history = batch.params, tuple(batch.history[best])
    if columns and len(columns) != frames.x.shape[1]:
        raise InputError(f"{len(columns)} column names for {frames.x.shape[1]} metrics", "one per metric")
    rising = len(history) < settings.iterations or settings.iterations == 0
    return HiddenMarkovModel(
        startprob=params.start[best],
        transmat=params.trans[best],
        means=params.means[best],
        covars=params.covars[best],
        columns=tuple(columns),
        history=history,
        stopped="tolerance" if rising and history else "iterations",
        log_likelihood=float(batch.scores[best]),
        n_runs=len(frames),
        n_frames=len(frames.x),
        dead_states=tuple(int(k) for k in np.flatnonzero(batch.dead[best])),
        restarts=restarts,
        warnings=_caveats(frames, params.start.shape[1], settings, batch, history),
    )


def _caveats(
    frames: Frames, n_states: int, settings: FitSettings, batch: Batch, history: tuple[float, ...]
) -> tuple[str, ...]:
    free = count_parameters(n_states, frames.x.shape[1], settings.covariance)
    notes: list[str] = []
    if len(frames.x) < free:
        notes.append(f"fewer checkpoints ({len(frames.x)}) than free parameters ({free}); diag covariances have fewer")
    if len(frames) < n_states:
        notes.append(f"fewer runs ({len(frames)}) than states ({n_states})")
    if batch.failed.any():
        reason = next(reason for reason in batch.failures if reason)
        notes.append(f"{int(batch.failed.sum())} of {len(batch.failures)} restarts failed: {reason}")
    if len(history) > 1 and np.diff(history).min() < 0:
        notes.append("the log-likelihood fell in at least one iteration (the prior makes that possible)")
    return tuple(notes)
