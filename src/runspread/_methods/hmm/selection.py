"""How many states: fit every number on some runs, judge on the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ..._cores import available_cores, blas_threads
from ..._errors import InputError, RunspreadError
from ..._results import Result, Table
from .expectation import expectation
from .fit import model_of
from .fitting import Batch, FitOptions, Settings, fit_batch, settings_of, starting_points
from .kernels import load_kernels
from .model import HiddenMarkovModel
from .parameters import Array, Frames, as_frames, count_parameters

CRITERIA = ("bic_mean", "bic_best", "aic", "heldout_ll")


@dataclass(frozen=True, eq=False, kw_only=True)
class HmmSelection(Result):
    """Held-out scores of hidden Markov models with different numbers of states.

    Attributes
    ----------
    states : ndarray of int64 [k]
        Numbers of states that were tried.
    log_likelihood : ndarray [k, restarts]
        Of the validation runs; NaN for a failed restart.
    aic, bic : ndarray [k, restarts]
        With the validation checkpoints as sample size.
    parameters : ndarray of int64 [k]
        Free parameters.
    criterion : str
        What was minimised (``heldout_ll``: maximised).
    n_states : int
        The choice.
    model : HiddenMarkovModel
        With that number of states, the restart with the highest validation log-likelihood.
    training_runs, validation_runs : tuple of str
        The split; no validation runs when there was only one run, which then serves as both.
    """

    states: NDArray[np.int64]
    log_likelihood: Array
    aic: Array
    bic: Array
    parameters: NDArray[np.int64]
    criterion: str
    n_states: int
    model: HiddenMarkovModel
    training_runs: tuple[str, ...]
    validation_runs: tuple[str, ...]

    @property
    def failed(self) -> NDArray[np.int64]:
        """Failed restarts for each number of states [k]."""
        return np.isnan(self.log_likelihood).sum(axis=1)

    @property
    def bic_mean(self) -> Array:
        """Mean over restarts [k]; NaN where all failed."""
        return _over_restarts(np.mean, self.bic)

    @property
    def bic_best(self) -> Array:
        """Smallest over restarts [k]."""
        return _over_restarts(np.min, self.bic)

    @property
    def bic_sd(self) -> Array:
        """Population standard deviation over restarts [k]."""
        return _over_restarts(np.std, self.bic)

    @property
    def rivals(self) -> tuple[int, ...]:
        """Other numbers of states whose mean BIC is within the chosen one's standard deviation over restarts."""
        return _rivals(self.states, int(np.flatnonzero(self.states == self.n_states)[0]), self.bic)

    def table(self) -> Table:
        """Return one row a number of states."""
        return Table(
            {
                "states": self.states,
                "parameters": self.parameters,
                "BIC, mean": self.bic_mean,
                "BIC, best": self.bic_best,
                "AIC, mean": _over_restarts(np.mean, self.aic),
                "log-likelihood, mean": _over_restarts(np.mean, self.log_likelihood),
                "SD over restarts": _over_restarts(np.std, self.log_likelihood),
                "failed restarts": self.failed,
                "chosen": ["←" if k == self.n_states else "" for k in self.states],
            },
            formats=dict.fromkeys(("BIC, mean", "BIC, best", "AIC, mean", "log-likelihood, mean"), ".1f"),
            title="Number of states",
        )

    def sentence(self) -> str:
        """Return the choice, what it rests on, and how firm it is."""
        where = f"{len(self.validation_runs)} held-out runs" if self.validation_runs else "the run it was fitted to"
        best = int(np.flatnonzero(self.states == self.n_states)[0])
        return (
            f"{self.n_states} states by {_CRITERION_NAMES[self.criterion]} on {where} (BIC {self.bic_mean[best]:.1f} ± "
            f"{self.bic_sd[best]:.1f} over {self.bic.shape[1] - self.failed[best]} restarts, "
            f"{self.states.min()} to {self.states.max()} states tried); other splits and restarts may move the choice, "
            "so it is a description, not a fact about training."
        )


_CRITERION_NAMES = {
    "bic_mean": "the smallest mean BIC",
    "bic_best": "the smallest BIC of any restart",
    "aic": "the smallest mean AIC",
    "heldout_ll": "the highest mean log-likelihood",
}


def _over_restarts(statistic: Any, values: Array) -> Array:
    """Apply a statistic to the finite entries of each row; NaN for a row without any."""
    finite = [row[np.isfinite(row)] for row in values]
    return np.array([float(statistic(row)) if len(row) else np.nan for row in finite])


def _rivals(states: NDArray[np.int64], best: int, bic: Array) -> tuple[int, ...]:
    mean, sd = _over_restarts(np.mean, bic), _over_restarts(np.std, bic)
    near = np.abs(mean - mean[best]) <= sd[best]  # not where all restarts failed
    return tuple(int(k) for k in states[near] if k != states[best])


def split_runs(names: Sequence[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Return indices of training and validation runs.

    Runs are sorted by name and shuffled, and the first ``ceil(fraction · n)`` are held out. With one run there is
    nothing to hold out; with more, at least one run stays on either side.
    """
    if not 0 < fraction < 1:
        raise InputError(f"validation_fraction={fraction}", "between 0 and 1")
    order = np.array(sorted(range(len(names)), key=names.__getitem__))
    np.random.default_rng(np.random.SeedSequence([seed, len(names)])).shuffle(order)
    held = min(int(np.ceil(fraction * len(names))), len(names) - 1)
    return sorted(order[held:].tolist()), sorted(order[:held].tolist())


def select_hmm(
    sequences: Any,
    states: Iterable[int] = range(1, 9),
    *,
    criterion: str = "bic_mean",
    validation_fraction: float = 0.2,
    columns: Sequence[str] = (),
    **options: Unpack[FitOptions],
) -> HmmSelection:
    """Choose the number of states of a hidden Markov model on held-out runs.

    Parameters
    ----------
    sequences : sequence or mapping of ndarray [T, D], or ndarray [runs, T, D]
        One array a run; used as given (``prepare_sequences`` standardises each run).
    states : iterable of int
        Numbers of states to try.
    criterion : {"bic_mean", "bic_best", "aic", "heldout_ll"}
        Mean BIC over restarts (as published), smallest BIC, mean AIC, or mean log-likelihood, on the held-out runs.
        Ties go to fewer states; a number of which all restarts failed cannot win.
    validation_fraction : float
        Share of runs held out, rounded up.
    columns : sequence of str
        Names of the metrics.
    **options
        As for ``fit_hmm``.

    Returns
    -------
    HmmSelection
        Its ``model`` is the restart with the highest held-out log-likelihood.

    Raises
    ------
    InputError
        Bad sequences or options.
    RunspreadError
        Every restart failed for every number of states.

    Notes
    -----
    Source: Hu et al. 2023, section 3 ("the K minimising BIC on held-out runs"); averaging over restarts and the choice
    of the restart are those of their code.
    """
    check_choice(criterion, "criterion", CRITERIA)
    frames, settings = as_frames(sequences), settings_of(options)
    tried = np.array(sorted(set(states)), dtype=np.int64)
    if not len(tried) or tried[0] < 1:
        raise InputError(f"states={tried.tolist()}", "at least one positive number")
    training, validation = split_runs(frames.names, validation_fraction, settings.seed)
    fitted, judged = frames.subset(training), frames.subset(validation or training)
    batches = _fit_all(fitted, tried, settings)
    scores = np.stack([_score(judged, batch) for batch in batches])
    if np.isnan(scores).all():
        raise RunspreadError(f"all restarts failed for {tried.tolist()} states: {batches[0].failures[0]}")
    free = np.array([count_parameters(int(k), frames.x.shape[1], settings.covariance) for k in tried])
    aic, bic = (-2 * scores + weight * free[:, None] for weight in (2.0, np.log(len(judged.x))))
    best = _choose(criterion, scores, aic, bic)
    return HmmSelection(
        states=tried,
        log_likelihood=scores,
        aic=aic,
        bic=bic,
        parameters=free,
        criterion=criterion,
        n_states=int(tried[best]),
        model=model_of(batches[best], int(np.nanargmax(scores[best])), fitted, settings, columns),
        training_runs=fitted.names,
        validation_runs=judged.names if validation else (),
        warnings=_reservations(tried, best, scores, bic, bool(validation)),
    )


def _fit_all(frames: Frames, states: NDArray[np.int64], settings: Settings) -> list[Batch]:
    """Fit every number of states, each on one thread when there are several; the longest fits first."""
    alone = settings if len(states) == 1 else replace(settings, workers=1)
    _ = frames.with_one, frames.products if settings.covariance == "full" else frames.squares  # before threads share it

    def run(n_states: np.int64) -> Batch:
        start = starting_points(frames, int(n_states), alone, None)
        return fit_batch(frames, start, alone)

    with blas_threads(1), ThreadPoolExecutor(max(1, min(len(states), settings.workers or available_cores()))) as pool:
        return list(pool.map(run, states[::-1]))[::-1]


def _score(frames: Frames, batch: Batch) -> Array:
    """Return the log-likelihood of held-out runs for each restart [B]; NaN where it failed or gives them no chance."""
    scores = np.full(len(batch.failures), np.nan)
    alive = np.flatnonzero(~batch.failed)
    if len(alive):
        with blas_threads(1):
            scores[alive] = expectation(frames, batch.params.take(alive), load_kernels()).total
    return np.where(np.isfinite(scores), scores, np.nan)


def _choose(criterion: str, scores: Array, aic: Array, bic: Array) -> int:
    values = {
        "bic_mean": _over_restarts(np.mean, bic),
        "bic_best": _over_restarts(np.min, bic),
        "aic": _over_restarts(np.mean, aic),
        "heldout_ll": -_over_restarts(np.mean, scores),
    }
    return int(np.nanargmin(values[criterion]))


def _reservations(states: NDArray[np.int64], best: int, scores: Array, bic: Array, held_out: bool) -> tuple[str, ...]:
    notes: list[str] = []
    if rivals := _rivals(states, best, bic):
        listed = ", ".join(map(str, rivals))
        notes.append(
            f"{listed} states come within the standard deviation over restarts of the BIC of {states[best]}: compare "
            "their maps, and other seeds, before leaning on this one"
        )
    if best == len(states) - 1 and len(states) > 1:
        notes.append(f"the criterion still falls at {states[best]} states, the most that were tried")
    if not held_out:
        notes.append("one run: the number of states was chosen on the run that was fitted")
    lost = np.isnan(scores).sum(axis=1)
    if lost.any():
        counts = ", ".join(f"{n} with {k} states" for k, n in zip(states, lost, strict=True) if n)
        notes.append(f"failed restarts (left out of means): {counts}")
    return tuple(notes)
