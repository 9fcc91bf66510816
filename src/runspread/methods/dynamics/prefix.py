"""Which early states foretell a slow run, judged on runs that the model has not seen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_seed
from ..._results import Result, Table
from ..._words import percent
from ...errors import InputError
from ..hmm.defaults import FitOptions
from ..hmm.fit import fit_hmm
from ..hmm.model import HiddenMarkovModel
from ..hmm.parameters import Array, Frames, is_constant
from .defaults import FOLDS, FRACTIONS
from .intervals import auc_interval
from .maps import route_text
from .paths import canonical_order, collapsed
from .result import TrainingDynamics

Route = tuple[int, ...]
FEWEST = 8
"""Runs below which an AUC says too little to be given an interval."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PrefixPrediction(Result):
    """How well the states of the first part of training foretell the rest.

    Attributes
    ----------
    fractions : ndarray [F]
        Share of a run that is known: of the time that half of the runs last, the same for all, so that how much is
        known of a run does not tell when it ends.
    at_risk : ndarray of int64 [F]
        Runs that had not converged by then: only they are judged.
    auc : ndarray [F]
        Chance that a slow run's probability of being slow is raised more, over its base rate among the runs it is
        predicted from, than a fast one's; 0.5 where states tell nothing, NaN where all are alike.
    auc_low, auc_high : ndarray [F]
        Intervals over runs (Newcombe 2006, method 5) that all hold at once with 95 %: each at 1 − 0.05 / the number of
        shares that have one. NaN with fewer than 8 runs at risk.
    brier, brier_baseline : ndarray [F]
        Mean squared error of the probability of being slow, and of the share of slow runs in the training runs.
    route_probability, route_baseline : ndarray [F]
        Mean probability given to the route that a run then took, and its frequency in the training runs.
    run_ids : tuple of str
    routes : tuple of tuple of int
        The routes of the result's map, that of most runs first.
    taken : ndarray of int64 [runs]
        Which of them each run took.
    path_probability : ndarray [F, runs, routes]
        Held-out probability of each route; NaN where a run had converged.
    slow : ndarray [F, runs]
        Held-out probability that each run is slow; NaN where it had converged.
    signs : tuple of dict
        For each fraction, routes so far on one model of all runs: ``route``, ``runs``, ``mean_convergence``, ``slow``.
    cut : ndarray [F]
        A run is slow when it converges later than this checkpoint (or step), the median of the runs at risk.
    folds : int
    unit : str
        What `cut` counts: ``checkpoint`` or ``step``.
    """

    picture = ".plots_map_checks:plot_prefix_prediction"

    fractions: Array
    at_risk: NDArray[np.int64]
    auc: Array
    auc_low: Array
    auc_high: Array
    brier: Array
    brier_baseline: Array
    route_probability: Array
    route_baseline: Array
    run_ids: tuple[str, ...]
    routes: tuple[Route, ...]
    taken: NDArray[np.int64]
    path_probability: Array
    slow: Array
    signs: tuple[dict[str, Any], ...]
    cut: Array
    folds: int
    unit: str = "checkpoint"

    def table(self) -> Table:
        """Return one row a known share of training."""
        return Table(
            {
                "known": self.fractions,
                "runs at risk": self.at_risk,
                "slow: after": self.cut,
                "AUC, slow": self.auc,
                "low": self.auc_low,
                "high": self.auc_high,
                "Brier": self.brier,
                "Brier, base rate": self.brier_baseline,
                "probability of the route taken": self.route_probability,
                "its base rate": self.route_baseline,
            },
            formats={"known": ".0%"} | dict.fromkeys(("AUC, slow", "low", "high"), ".2f"),
            title=f"Held-out runs, {self.folds} folds (slow: after this {self.unit}, the median of the runs at risk)",
        )

    def paths_table(self, known: float | None = None, *, most: int = 6) -> Table:
        """Return one row per run that had not converged: the route it took, and the held-out probability of each route.

        Parameters
        ----------
        known : float, optional
            One of `fractions` (default: the first).
        most : int
            Routes with a column of their own, most frequent first; the rest share one.
        """
        found = np.flatnonzero(np.isclose(self.fractions, self.fractions[0] if known is None else known))
        if not len(found):
            raise InputError(f"got known={known}", f"one of {', '.join(f'{share:g}' for share in self.fractions)}")
        chances = self.path_probability[found[0]]
        judged = np.flatnonzero(~np.isnan(chances[:, 0]))
        names = [route_text(route) for route in self.routes]
        columns: dict[str, Any] = {
            "run": [self.run_ids[run] for run in judged],
            "took": [names[self.taken[run]] for run in judged],
        }
        odds = {f"P({name})": chances[judged, route] for route, name in enumerate(names[:most])}
        if len(names) > most:
            odds["P(another)"] = chances[judged, most:].sum(axis=1)
        title = f"Held-out probability of each route after the first {percent(self.fractions[int(found[0])])}"
        return Table(columns | odds, formats=dict.fromkeys(odds, ".2f"), title=title)

    def signs_table(self) -> Table:
        """Return one row a route so far, for each known share."""
        keys = ("known", "route", "runs", "mean_convergence", "slow")
        return Table(
            {key: [sign[key] for sign in self.signs] for key in keys},
            formats={"known": ".0%", "mean_convergence": ".1f", "slow": ".0%"},
        )

    @property
    def looks(self) -> int:
        """Number of shares of training that were judged: what the intervals are corrected for."""
        return int((~np.isnan(self.auc_low)).sum())

    def sentence(self) -> str:
        """Return the earliest share of training from which slow runs are shown to differ."""
        if not self.looks:
            return (
                f"Too few runs had not converged yet ({self.at_risk.max()} at most; {FEWEST} are needed) to say "
                "whether early states distinguish slow runs from fast ones."
            )
        looks = "" if self.looks == 1 else f" over {self.looks} looks"
        clear = np.flatnonzero(self.auc_low > 0.5)
        if len(clear):
            i = int(clear[0])
            return (
                f"The states of the first {percent(self.fractions[i])} of training distinguish slow runs from fast ones"
                f": AUC {self.auc[i]:.2f} (95 % {self.auc_low[i]:.2f} to {self.auc_high[i]:.2f}{looks}; "
                f"{self.at_risk[i]} held-out runs that had not converged). That leaving a state sooner would help is "
                "not shown."
            )
        i = int(np.nanargmax(np.where(np.isnan(self.auc_low), np.nan, self.auc)))
        return (
            "States of early training are not shown to distinguish slow runs from fast ones: "
            f"AUC at most {self.auc[i]:.2f} (95 % {self.auc_low[i]:.2f} to {self.auc_high[i]:.2f}{looks}; "
            f"{self.at_risk[i]} held-out runs). With more runs they may."
        )


def predict_from_prefix(
    result: TrainingDynamics,
    fractions: Sequence[float] = FRACTIONS,
    *,
    folds: int = FOLDS,
    **options: Unpack[FitOptions],
) -> PrefixPrediction:
    """Predict from the first part of training whether a run will be slow and which route it will take.

    Parameters
    ----------
    result : TrainingDynamics
        What `dynamics` returned, with an outcome; gives the runs, metrics, number of states, and routes to foretell.
    fractions : sequence of float
        Shares of training to predict from.
    folds : int
        Runs are divided into as many parts; each is predicted by a model of the others.
    **options
        As for `fit_hmm`; by default what the result was fitted with (``result.fit_options``), but 4 restarts. ``seed``
        divides the runs too.

    Returns
    -------
    PrefixPrediction

    Notes
    -----
    Nothing of a run's future is used: metrics are standardised with the mean and deviation of the training runs (not
    each run's own), only the prefix is decoded, and the model has not seen the run. The probability is the share among
    training runs with the same route so far, drawn towards the share for the same state and the share overall (one
    pseudo-run each). So is the probability of each route; routes are those of the result's map.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> runs, finished = {}, {}
    >>> for seed in range(20):  # half of the runs lose time in another phase
    ...     lost = 12 * (seed % 2)
    ...     path = np.repeat([0, 1, 2], [10, lost, 40 - lost])[:40]
    ...     values = np.array([[0, 0], [2, -4], [5, 3]])[path] + 0.1 * rng.normal(size=(40, 2))
    ...     runs[f"seed {seed}"], finished[f"seed {seed}"] = dict(zip(("l1", "l2"), values.T)), 10 + lost
    >>> found = rs.dynamics(runs, outcome=finished, states=[3], restarts=2, standardize="pooled")
    >>> rs.methods.dynamics.predict_from_prefix(found, (0.2, 0.4), folds=2, restarts=1).fractions
    array([0.2, 0.4])
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.ndim != 1 or not len(shares) or not ((shares > 0) & (shares < 1)).all():
        raise InputError(f"got fractions {list(fractions)}", "numbers between 0 and 1")
    if result.capped is None or result.convergence is None:
        raise InputError("got dynamics without an outcome", "dynamics(..., outcome=...)")
    n = len(result.capped)
    if not 2 <= folds <= n:
        raise InputError(f"got {folds} folds for {n} runs", f"2 to {n}")
    settings: Any = {"seed": 0, **result.fit_options, "covariance": result.model.covariance, "restarts": 4, **options}
    known = np.array([_known(result, share) for share in shares])
    cut = np.array([np.median(result.capped[row > 0]) if (row > 0).any() else np.nan for row in known])
    known = np.where(
        (result.convergence < 0) & (result.prepared.ends < cut[:, None]), 0, known
    )  # slow or fast: unknown
    late = result.capped > cut[:, None]
    part = np.random.default_rng(check_seed(settings["seed"])).permutation(n) % folds
    routes = [route for route, _ in Counter(result.map.routes).most_common()]
    taken = np.array([routes.index(route) for route in result.map.routes], dtype=np.int64)
    of_route = np.tile(np.eye(len(routes))[taken], (len(shares), 1, 1))
    targets: Array = np.concatenate([late[:, :, None].astype(np.float64), of_route], axis=2)
    held = np.full((2, *targets.shape), np.nan)  # probabilities of being slow and of each route, and their base rates
    for fold in range(folds):
        seen = _Seen(result, np.flatnonzero(part != fold), known, late, settings)
        for f, run in np.argwhere((known > 0) & (part == fold)):
            held[:, f, run] = seen.predict(result, int(run), int(f), targets[f])
    everyone = _Seen(result, np.arange(n), known, late, settings)
    signs = [sign for f, share in enumerate(shares) for sign in _signs(everyone, result.capped, f, float(share))]
    return PrefixPrediction(
        fractions=shares, cut=cut, folds=folds, signs=tuple(signs), run_ids=result.prepared.run_ids,
        routes=tuple(routes), taken=taken, path_probability=held[0, :, :, 1:], unit=result.prepared.unit,
        **_judged(held, late, taken),
    )  # fmt: skip


def _known(result: TrainingDynamics, share: float) -> NDArray[np.int64]:
    """Return how many checkpoints of each run are known, or 0 for one that has ended or converged by then."""
    prepared, done = result.prepared, result.convergence_checkpoint
    assert done is not None
    until = share * float(np.median(prepared.ends))
    if prepared.unit == "checkpoint":
        known = np.full(len(done), max(1, int(until)))
    else:
        known = np.array([max(1, int(np.searchsorted(at, until))) for at in prepared.at])
    over = (known > prepared.lengths) | ((done >= 0) & (done < known))
    return np.where(over, 0, known)


class _Seen:
    """A model of the training runs and what became of them, by the route of their first part."""

    def __init__(
        self,
        result: TrainingDynamics,
        runs: NDArray[np.int64],
        known: NDArray[np.int64],
        late: NDArray[np.bool_],
        settings: dict[str, Any],
    ) -> None:
        raw = result.prepared.raw.subset(runs)
        center, scale = raw.x.mean(axis=0), raw.x.std(axis=0)
        self.center, self.scale = center, np.where(is_constant(center, scale), 1.0, scale)
        frames = Frames((raw.x - self.center) / self.scale, raw.offsets, raw.names)
        model: HiddenMarkovModel = fit_hmm(frames, result.model.n_states, **settings)
        self.model = model.permuted(canonical_order(model.decode(frames).paths, model.n_states))
        self.known, self.late, self.runs = known, late[:, runs], runs
        parts = frames.split(frames.x)
        self.prefixes: list[dict[int, Route]] = []  # a share each: training run at risk -> its route so far
        for row in known[:, runs]:
            here = np.flatnonzero(row > 0)
            cuts = self.model.decode([parts[i][: row[i]] for i in here]).paths if len(here) else []
            self.prefixes.append({int(i): collapsed(path) for i, path in zip(here, cuts, strict=True)})

    def predict(self, result: TrainingDynamics, run: int, f: int, targets: Array) -> tuple[Array, Array]:
        """Return the probability that each target [all runs, targets] is true of a run, and its base rate."""
        raw, at_risk = result.prepared.raw, self.prefixes[f]
        x = (raw.x[raw.offsets[run] : raw.offsets[run + 1]] - self.center) / self.scale
        so_far = collapsed(self.model.decode([x[: self.known[f, run]]]).paths[0])
        same = [i for i, prefix in at_risk.items() if prefix == so_far]
        state = [i for i, prefix in at_risk.items() if prefix[-1] == so_far[-1]]
        values = targets[self.runs]
        estimate = base = values[list(at_risk)].mean(axis=0) if at_risk else values.mean(axis=0)
        for group in (state, same):  # the share in the smaller group is drawn towards that in the larger one
            estimate = (values[group].sum(axis=0) + estimate) / (len(group) + 1)
        return estimate, base


def _judged(held: Array, late: NDArray[np.bool_], taken: NDArray[np.int64]) -> dict[str, Any]:
    """Compare what was predicted of held-out runs with what became of them."""
    (slow, base), runs = held[:, :, :, 0], np.arange(len(taken))
    route, route_base = held[:, :, runs, 1 + taken]
    judged = ~np.isnan(slow)
    # The base rate of a slow run is lower, as it is excluded itself: alone it would put the AUC far below 0.5.
    raised = np.round(slow - base, 12)
    looks = sum(_has_interval(late[f, ok]) for f, ok in enumerate(judged))
    areas = np.array([_auc_interval(raised[f, ok], late[f, ok], looks) for f, ok in enumerate(judged)])
    return {
        "at_risk": judged.sum(axis=1),
        "auc": areas[:, 0],
        "auc_low": areas[:, 1],
        "auc_high": areas[:, 2],
        "brier": _row_means(np.square(slow - late)),
        "brier_baseline": _row_means(np.square(base - late)),
        "route_probability": _row_means(route),
        "route_baseline": _row_means(route_base),
        "slow": slow,
    }


def _row_means(values: Array) -> Array:
    """Return the mean of the numbers in each row; NaN where there are none."""
    known = ~np.isnan(values)
    return np.where(known.any(axis=1), np.nansum(values, axis=1) / np.maximum(known.sum(axis=1), 1), np.nan)


def _auc(score: Array, late: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve, ties counted half."""
    high, low = score[late], score[~late]
    if not len(high) or not len(low):
        return float("nan")
    return float((high[:, None] > low).mean() + 0.5 * (high[:, None] == low).mean())


def _has_interval(late: NDArray[np.bool_]) -> bool:
    return len(late) >= FEWEST and bool(late.any() and not late.all())


def _auc_interval(score: Array, late: NDArray[np.bool_], looks: int = 1) -> tuple[float, float, float]:
    """Return the AUC and its interval, one of `looks` that hold at once with 95 %."""
    nan = float("nan")
    if not late.any() or late.all():
        return nan, nan, nan
    auc, n_late = _auc(score, late), int(late.sum())
    if not _has_interval(late):
        return auc, nan, nan
    return auc, *auc_interval(auc, n_late, len(late) - n_late, level=1 - 0.05 / looks)


def _signs(seen: _Seen, times: NDArray[Any], f: int, share: float) -> list[dict[str, Any]]:
    groups: dict[Route, list[int]] = defaultdict(list)
    for run, prefix in seen.prefixes[f].items():
        groups[prefix].append(run)
    rows = [
        {
            "known": share,
            "route": route_text(prefix),
            "runs": len(runs),
            "mean_convergence": float(times[seen.runs[runs]].mean()),
            "slow": float(seen.late[f, runs].mean()),
        }
        for prefix, runs in groups.items()
    ]
    return sorted(rows, key=lambda row: -row["runs"])
