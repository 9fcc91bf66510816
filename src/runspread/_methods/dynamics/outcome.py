"""When a run converges, and what the states it went through have to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_seed
from ..._errors import InputError
from ..._results import Result, Table
from ..hmm.parameters import Array


@dataclass(frozen=True, eq=False)
class Convergence:
    """When each run converged.

    Attributes
    ----------
    index : ndarray of int64 [runs]
        First checkpoint beyond the threshold, −1 for a run that never gets there.
    capped : ndarray of int64 [runs]
        The same with a run's own length in place of −1, as published.
    """

    index: NDArray[np.int64]
    capped: NDArray[np.int64]


def convergence_index(curves: Any, threshold: float, *, direction: str = "above") -> Convergence:
    """Return the first checkpoint at which each run's evaluation metric is beyond a threshold.

    Parameters
    ----------
    curves : sequence or mapping of array_like [T]
        Accuracy (or loss) at every checkpoint, one curve a run.
    threshold : float
        Strictly beyond it counts; "slightly below the best accuracy" in the paper (0.9 for grokking tasks). It is
        rounded to the type of the curve: 0.97 in single precision is larger than 0.97, and is not above it.
    direction : {"above", "below"}
        ``below`` for losses.

    Returns
    -------
    Convergence
        Indices count from 0.

    Notes
    -----
    Source: Hu et al. 2023, section 4 (convergence time).
    """
    check_choice(direction, "direction", ("above", "below"))
    rows = list(curves.values()) if isinstance(curves, Mapping) else list(curves)
    sign = 1.0 if direction == "above" else -1.0
    index = np.empty(len(rows), dtype=np.int64)
    for run, row in enumerate(rows):
        values = np.asarray(row)
        level = values.dtype.type(threshold) if values.dtype.kind == "f" else threshold
        beyond = sign * values > sign * level
        if beyond.ndim != 1 or not len(beyond):
            raise InputError(f"curve {run} has shape {beyond.shape}", "one axis [checkpoints], not empty")
        index[run] = int(beyond.argmax()) if beyond.any() else -1
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    return Convergence(index, np.where(index < 0, lengths, index))


@dataclass(frozen=True, eq=False, kw_only=True)
class OutcomeRegression(Result):
    """Least squares of convergence time on the shares of time in each state.

    Attributes
    ----------
    coef : ndarray [K]
        In units of the target: share of a run's length per share of it spent in the state.
    r_squared, f_statistic, f_pvalue : float
        Centred R² and its F-test with rank − 1 and n − rank degrees of freedom; NaN with a `reason`.
    rank : int
        Of the occupancy matrix.
    loo_r_squared : float
        With every run predicted from the others; −inf when some run alone visits a state.
    permutation_pvalue : float
        Share of shuffled targets that fit as well.
    target, fitted : ndarray [runs]
        Convergence index divided by the run's length, and what the states say.
    n_runs : int
    reason : str
        Why there is no F-test; empty if there is one.
    converged_only : OutcomeRegression or None
        The same without the runs that never converged; None where all or none did.
    """

    coef: Array
    r_squared: float
    f_statistic: float
    f_pvalue: float
    rank: int
    loo_r_squared: float
    permutation_pvalue: float
    target: Array
    fitted: Array
    n_runs: int
    reason: str = ""
    converged_only: OutcomeRegression | None = None

    def table(self) -> Table:
        """Return one row a state."""
        columns: dict[str, Any] = {"state": np.arange(len(self.coef)), "coefficient": self.coef}
        if self.converged_only is not None:
            columns["converged runs only"] = self.converged_only.coef
        return Table(columns, formats=dict.fromkeys(columns, ".3f") | {"state": ""})

    def sentence(self) -> str:
        """Return R², its test, and the caveat."""
        if self.reason:
            return f"No regression of convergence time on states: {self.reason} (n = {self.n_runs})."
        only = self.converged_only
        alone = "" if only is None else f"; {only.r_squared:.3f} on the {only.n_runs} runs that converged"
        return (
            f"Time in the states explains R² = {self.r_squared:.3f} of convergence time (n = {self.n_runs}, F-test "
            f"p = {self.f_pvalue:.2g}, leave-one-run-out R² = {self.loo_r_squared:.3f}{alone}); time spent before "
            "converging is part of the explanation, so this describes finished runs and forecasts none."
        )


def outcome_regression(
    occupancy: ArrayLike, convergence: ArrayLike, lengths: ArrayLike, *, permutations: int = 1000, seed: int = 0
) -> OutcomeRegression:
    """Regress convergence time on the share of time spent in each state.

    Parameters
    ----------
    occupancy : array_like [runs, K]
        Rows sum to 1.
    convergence : array_like of int [runs]
        Checkpoint at which a run converged, −1 for never (its length is used).
    lengths : array_like of int [runs]
        Checkpoints of each run.
    permutations : int
        Shuffles of the target for the permutation p-value.
    seed : int

    Returns
    -------
    OutcomeRegression

    Notes
    -----
    Ordinary least squares without a separate intercept (rows of the occupancy sum to 1, so there is one), of minimum
    norm where states are linearly dependent. Source: Hu et al. 2023, section 4; the degrees of freedom are what
    reproduces their tables.
    """
    shares, index = np.asarray(occupancy, dtype=np.float64), np.asarray(convergence, dtype=np.int64)
    size = np.asarray(lengths, dtype=np.int64)
    if shares.ndim != 2 or index.shape != (len(shares),) or size.shape != index.shape:
        raise InputError(f"shapes {shares.shape}, {index.shape}, {size.shape}", "[runs, states], [runs], [runs]")
    target = np.where(index < 0, size, index) / size
    rng = np.random.default_rng(check_seed(seed))
    done = index >= 0
    only = None if done.all() or not done.any() else _regress(shares[done], target[done], permutations, rng, None)
    return _regress(shares, target, permutations, rng, only)


def _regress(
    shares: Array, target: Array, permutations: int, rng: np.random.Generator, only: OutcomeRegression | None
) -> OutcomeRegression:
    left, singular, right = np.linalg.svd(shares, full_matrices=False)
    rank = int((singular > singular[0] * max(shares.shape) * np.finfo(np.float64).eps).sum())
    basis = left[:, :rank]
    coef = right[:rank].T @ ((basis.T @ target) / singular[:rank])
    fitted = shares @ coef
    reason = _why_not(target, rank)
    nan = float("nan")
    r2, f, p, loo, shuffled = (nan,) * 5
    if not reason:
        r2 = _r_squared(target - fitted, target)
        f, p = _f_test(r2, rank - 1, len(target) - rank)
        loo = _r_squared(_left_out(target - fitted, basis), target)
        shuffled = _permutation_pvalue(basis, target, permutations, rng)
    return OutcomeRegression(
        coef=coef, r_squared=r2, f_statistic=f, f_pvalue=p, rank=rank, loo_r_squared=loo, permutation_pvalue=shuffled,
        target=target, fitted=fitted, n_runs=len(target), reason=reason, converged_only=only,
    )  # fmt: skip


def _why_not(target: Array, rank: int) -> str:
    if np.ptp(target) <= 1e-12:
        return "all runs have the same convergence time"
    if rank <= 1:
        return "all runs spend the same share of time in every state"
    if len(target) <= rank:
        return f"{len(target)} runs for occupancies of rank {rank}"
    return ""


def _r_squared(residual: Array, target: Array) -> float:
    if not np.isfinite(residual).all():
        return float("-inf")
    return float(1 - np.square(residual).sum() / np.square(target - target.mean()).sum())


def _f_test(r_squared: float, df1: int, df2: int) -> tuple[float, float]:
    from scipy.special import fdtrc

    if r_squared >= 1:
        return float("inf"), 0.0
    statistic = (r_squared / df1) / ((1 - r_squared) / df2)
    return statistic, float(fdtrc(df1, df2, max(statistic, 0.0)))


def _left_out(residual: Array, basis: Array) -> Array:
    """Return the residuals of runs predicted from the others; infinite for a run that its states cannot do without."""
    rest = 1 - np.square(basis).sum(axis=1)
    return np.where(rest > 1e-10, residual / np.maximum(rest, 1e-10), np.inf)


def _permutation_pvalue(basis: Array, target: Array, permutations: int, rng: np.random.Generator) -> float:
    shuffled = rng.permuted(np.tile(target, (permutations, 1)), axis=1)
    explained, observed = np.square(shuffled @ basis).sum(axis=1), np.square(target @ basis).sum()
    return float((1 + (explained >= observed - 1e-12).sum()) / (1 + permutations))


class Detours(NamedTuple):
    """Optional and detour states, both ndarray of bool [K]."""

    optional: NDArray[np.bool_]
    detour: NDArray[np.bool_]


def detour_states(
    occupancy: Array, convergence: NDArray[np.int64], regression: OutcomeRegression, significance: float = 1e-3
) -> Detours:
    """Return the states that some converging run does without, and those among them that go with slow convergence.

    A detour is optional, has a positive coefficient, and the regression is significant. Source: Hu et al. 2023,
    section 4, version 3.
    """
    visited = occupancy > 0
    spared = np.any(~visited[convergence >= 0], axis=0)
    optional: NDArray[np.bool_] = np.logical_and(spared, np.any(visited, axis=0))
    significant = bool(regression.f_pvalue < significance)  # False for NaN
    positive = regression.coef > 1e-9  # an exact 0 comes out as rounding noise of either sign
    return Detours(optional, optional & positive & significant)
