"""How many states: fit every number and compare, on all runs or on some that were held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_integers
from ..._cores import available_cores, blas_threads
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError, RunspreadError
from .defaults import CRITERIA, HELD_OUT, PAPER, PRESET, PRESETS, STATES, FitOptions
from .expectation import expectation
from .fit import model_of
from .fitting import NOISE, Batch, FitSettings, best_restart, fit_batch, settings_of, starting_points
from .kernels import load_kernels
from .model import HiddenMarkovModel
from .parameters import Array, Frames, as_frames, count_parameters

TIE = 2.0
"""A number of states with a BIC within this of the smallest is as good: fewer states are taken then."""
CLOSE = 10.0
"""A difference in BIC below this is no strong evidence (Kass and Raftery 1995)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class HmmSelection(Result):
    """Scores of hidden Markov models with different numbers of states.

    Attributes
    ----------
    states : ndarray of int64 [k]
        Numbers of states that were tried.
    log_likelihood : ndarray [k, restarts]
        Of the runs that the choice was made on; NaN for a failed restart.
    aic, bic : ndarray [k, restarts]
        With the checkpoints of those runs as sample size.
    parameters : ndarray of int64 [k]
        Free parameters; of full covariances, for ``bic``, in the directions that metrics vary in.
    criterion : str
        What was minimised (``heldout_ll``: maximised).
    n_states : int
        The choice.
    model : HiddenMarkovModel
        With that number of states, the restart with the highest log-likelihood on those runs.
    training_runs, validation_runs : tuple of str
        The runs that were fitted, and those held out to choose on; none of the latter where all were fitted (``bic``,
        or a single run), which then serve as both.
    """

    picture = "..dynamics.plots:plot_state_selection"

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
    def curve(self) -> Array:
        """BIC that the numbers of states are compared by [k]: of the best restart (``bic``), else the mean."""
        return self.bic_best if self.criterion == "bic" else self.bic_mean

    @property
    def rivals(self) -> tuple[int, ...]:
        """Other numbers of states whose BIC is close to the chosen one's.

        Within 10 (``bic``), or within its standard deviation over restarts (the criteria on held-out runs).
        """
        return _rivals(self.states, self._chosen, self.bic, self.criterion)

    @property
    def _chosen(self) -> int:
        return int(np.flatnonzero(self.states == self.n_states)[0])

    def table(self) -> Table:
        """Return one row per number of states."""
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
        fits = (
            "One state fits best: no distinct phases found"
            if self.n_states == 1
            else f"{self.n_states} states fit best"
        )
        tried = f"{self.states.min()} to {self.states.max()} tried" if len(self.states) > 1 else "no other number tried"
        restarts = self.bic.shape[1] - self.failed[self._chosen]
        return (
            f"{fits} ({_CRITERION_NAMES[self.criterion]} on {self.where}: {self._value()}; {tried}, "
            f"{count(restarts, 'restart')}). The number describes these runs; it is not a fact about training."
        )

    @property
    def where(self) -> str:
        """The runs that the choice was made on, in words."""
        if self.validation_runs:
            return count(len(self.validation_runs), "held-out run")
        return "the run it was fitted to" if len(self.training_runs) == 1 else f"all {len(self.training_runs)} runs"

    def _value(self) -> str:
        own = self.curve[self._chosen]
        if self.criterion != "bic":
            return f"mean BIC {own:.1f}, SD {self.bic_sd[self._chosen]:.1f} over restarts"
        others = np.delete(self.curve, self._chosen)
        if not np.isfinite(others).any():
            return f"{own:.1f}"
        gap = float(np.nanmin(others)) - own
        return f"{own:.1f}, " + (
            f"{gap:.1f} below any other" if gap > TIE else f"a tie within {TIE:.0f}, fewer states taken"
        )


_CRITERION_NAMES = {
    "bic": "smallest BIC of the best restart",
    "bic_mean": "smallest mean BIC, the published rule,",
    "bic_best": "smallest BIC of any restart",
    "aic": "smallest mean AIC",
    "heldout_ll": "highest mean log-likelihood",
}


def _over_restarts(statistic: Any, values: Array) -> Array:
    """Apply a statistic to the finite entries of each row; NaN for a row without any."""
    finite = [row[np.isfinite(row)] for row in values]
    return np.array([float(statistic(row)) if len(row) else np.nan for row in finite])


def _rivals(states: NDArray[np.int64], best: int, bic: Array, criterion: str) -> tuple[int, ...]:
    """Return the other numbers of states that come close; not those of which all restarts failed."""
    if criterion == "bic":
        curve, reach = _over_restarts(np.min, bic), CLOSE
    else:
        curve, reach = _over_restarts(np.mean, bic), _over_restarts(np.std, bic)[best]
    near = np.abs(curve - curve[best]) <= reach
    return tuple(int(k) for k in states[near] if k != states[best])


def split_runs(names: Sequence[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Return indices of training and validation runs.

    Runs are sorted by name and shuffled, and the first ``ceil(fraction · n)`` are held out. With one run there is
    nothing to hold out; with more, at least one run stays on either side.
    """
    if not 0 < fraction < 1:
        raise InputError(f"got validation_fraction={fraction}", "between 0 and 1")
    order = np.array(sorted(range(len(names)), key=names.__getitem__))
    np.random.default_rng(np.random.SeedSequence([seed, len(names)])).shuffle(order)
    held = min(int(np.ceil(fraction * len(names))), len(names) - 1)
    return sorted(order[held:].tolist()), sorted(order[:held].tolist())


def select_hmm(
    sequences: Any,
    states: Iterable[int] = STATES,
    *,
    preset: str = PRESET,
    criterion: str | None = None,
    validation_fraction: float | None = None,
    columns: Sequence[str] = (),
    **options: Unpack[FitOptions],
) -> HmmSelection:
    """Choose the number of states of a hidden Markov model.

    Parameters
    ----------
    sequences : sequence or mapping of ndarray [T, D], or ndarray [runs, T, D]
        One array per run; used as given (``prepare_sequences`` standardises each run).
    states : iterable of int
        Numbers of states to try.
    preset : {"default", "paper"}
        ``default`` fits all runs and takes the smallest BIC. ``paper`` is the published rule, ``bic_mean``, with 5
        restarts of 32 iterations, hmmlearn's prior, and k-means with ten starts on all checkpoints; it finds the true
        number of states less often.
    criterion : {"bic", "bic_mean", "bic_best", "aic", "heldout_ll"}, optional
        ``bic``: BIC of the best restart, on all runs. The others are taken on runs that were held out: mean BIC over
        restarts (as published), smallest BIC, mean AIC, or mean log-likelihood. Ties go to fewer states (``bic``: those
        within 2 of the smallest); a number of which all restarts failed cannot win.
    validation_fraction : float, optional
        Share of runs held out, rounded up (default: 0.2); for the criteria on held-out runs.
    columns : sequence of str
        Names of the metrics.
    **options
        How models are fitted, as in `fit_hmm`; they override the preset: see `FitOptions`.

    Returns
    -------
    HmmSelection
        Its ``model`` is the restart with the highest log-likelihood on the runs that the choice was made on.

    Raises
    ------
    InputError
        Bad sequences or options.
    RunspreadError
        Every restart failed for every number of states.

    Notes
    -----
    The published rule (Hu et al. 2023, section 3: "the K minimising BIC on held-out runs"; averaging over restarts is
    that of their code) judges a fifth of the runs, and by starting points that EM did not get far from. BIC is
    consistent for models fitted to the data it is computed on (Schwarz 1978), at the best restart. It takes checkpoints
    of one state as independent: metrics that drift or fluctuate slowly take more states than there are phases (of noise
    without any phases and an autocorrelation of 0.9 it did so every time).

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> levels = np.repeat([[0.0, 0.0], [3.0, 1.0]], 15, axis=0)  # two phases
    >>> runs = [levels + 0.1 * rng.normal(size=(30, 2)) for _ in range(8)]
    >>> rs.methods.hmm.select_hmm(runs, [1, 2], restarts=2).n_states
    2
    """
    check_choice(preset, "preset", PRESETS)
    published: Any = PAPER if preset == "paper" else {}
    fits: Any = {**published, **options}
    settings = settings_of(fits, select_hmm)
    criterion = check_choice(criterion or ("bic_mean" if preset == "paper" else "bic"), "criterion", CRITERIA)
    frames, tried = as_frames(sequences), check_states(states)
    training, validation = _split(frames.names, criterion, validation_fraction, settings.seed)
    fitted, judged = frames.subset(training), frames.subset(validation or training)
    batches = _fit_all(fitted, tried, settings)
    scores = np.stack([_score(judged, batch) if validation else batch.scores for batch in batches])
    if np.isnan(scores).all():
        raise RunspreadError(f"all restarts failed for {tried.tolist()} states: {batches[0].failures[0]}")
    dimensions = independent_metrics(frames, settings) if criterion == "bic" else frames.x.shape[1]
    free = np.array([count_parameters(int(k), dimensions, settings.covariance) for k in tried])
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
        model=model_of(batches[best], best_restart(scores[best]), fitted, settings, columns),
        training_runs=fitted.names,
        validation_runs=judged.names if validation else (),
        warnings=_caveats(tried, best, scores, bic, len(frames) > 1, criterion=criterion),
    )


def check_states(states: Any) -> NDArray[np.int64]:
    """Return the numbers of states to try, ascending and each once."""
    if isinstance(states, (int, np.integer)):
        raise InputError(
            f"got states={states}",
            "the numbers of states to try",
            f"states=[{states}] tries {states} alone, states=range(1, {states + 1}) all up to it."
            if states > 0
            else "For example states=[1, 2, 3].",
        )
    tried = np.unique(check_integers(list(states), "states", 1, None))
    if not len(tried):
        raise InputError("there are no numbers of states", "at least one, such as states=[1, 2, 3]")
    return tried


def _split(names: Sequence[str], criterion: str, fraction: float | None, seed: int) -> tuple[list[int], list[int]]:
    """Return indices of the runs that are fitted and of those that are held out, if the criterion holds any out."""
    if criterion != "bic":
        return split_runs(names, HELD_OUT if fraction is None else fraction, seed)
    if fraction is not None:
        raise InputError(
            f"got validation_fraction={fraction} with criterion='bic'",
            "a criterion on held-out runs",
            "criterion='bic_mean' is the published one; 'bic' fits and judges all runs.",
        )
    return list(range(len(names))), []


def independent_metrics(frames: Frames, settings: FitSettings) -> int:
    """Return in how many directions metrics vary by more than the noise that the prior adds: copies have none.

    A full covariance has no free parameters in the others, and BIC must not pay for any.
    """
    if settings.covariance == "diag" or settings.noise(frames) is None or len(frames.x) < 2:
        return frames.x.shape[1]
    values = np.linalg.eigvalsh(np.atleast_2d(np.cov(frames.x.T / np.sqrt(frames.spread)[:, None], ddof=0)))
    return max(1, int((values > NOISE).sum()))


def _fit_all(frames: Frames, states: NDArray[np.int64], settings: FitSettings) -> list[Batch]:
    """Fit every number of states, each on one thread when there are several; the longest fits first."""
    alone = settings if len(states) == 1 else replace(settings, workers=1)
    frames.prepare(full=settings.covariance == "full")

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
    """Return the place of the fewest states that are as good as the best."""
    values = {
        "bic": _over_restarts(np.min, bic),
        "bic_mean": _over_restarts(np.mean, bic),
        "bic_best": _over_restarts(np.min, bic),
        "aic": _over_restarts(np.mean, aic),
        "heldout_ll": -_over_restarts(np.mean, scores),
    }[criterion]
    least = np.nanmin(values)
    margin = TIE if criterion == "bic" else 1e-9 * abs(least)  # below the latter is rounding
    return int(np.flatnonzero(values <= least + margin)[0])


def _caveats(
    states: NDArray[np.int64],
    best: int,
    scores: Array,
    bic: Array,
    several: bool,  # runs
    *,
    criterion: str = "bic_mean",
) -> tuple[str, ...]:
    notes: list[str] = []
    if rivals := _rivals(states, best, bic, criterion):
        listed = ", ".join(map(str, rivals))
        near = (
            f"have a BIC within {CLOSE:.0f} of"
            if criterion == "bic"
            else "come within the standard deviation over restarts of the BIC of"
        )
        notes.append(
            f"{listed} states {near} {states[best]}: compare their maps, and other seeds, before leaning on this one"
        )
    if best == len(states) - 1 and len(states) > 1:
        notes.append(f"the criterion still falls at {states[best]} states, the most that were tried")
    if not several:
        notes.append("one run: the number of states was chosen on the run that was fitted")
    lost = np.isnan(scores).sum(axis=1)
    if lost.any():
        counts = ", ".join(f"{n} with {k} states" for k, n in zip(states, lost, strict=True) if n)
        notes.append(f"failed restarts (excluded from means): {counts}")
    return tuple(notes)
