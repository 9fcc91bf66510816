"""When a run converges as explained by the states it went through."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_seed
from ..._results import Result, Table
from ..._words import count, p_text
from ...errors import InputError
from ..hmm.parameters import Array
from .defaults import PERMUTATIONS
from .intervals import r_squared_interval


@dataclass(frozen=True, eq=False, kw_only=True)
class OutcomeRegression(Result):
    """Least squares of convergence time on the shares of time in each state.

    Attributes
    ----------
    coef : ndarray [K]
        In units of the target: share of a run's length per share of it spent in the state.
    r_squared, f_statistic, f_pvalue : float
        Centred R² and its F-test with rank − 1 and n − rank degrees of freedom; NaN with a `reason`.
    r_squared_low, r_squared_high : float
        95 % interval of R² over new runs on the same map (states that were chosen on these runs count as given).
    r_squared_time : float
        R² of the convergence time itself, not divided by the run's length, on the time in each state; the same as
        `r_squared` where all runs are equally long.
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

    picture = ".plots_map_checks:plot_outcome_regression"

    coef: Array
    r_squared: float
    r_squared_low: float
    r_squared_high: float
    r_squared_time: float
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
        """Return one row per state."""
        columns: dict[str, Any] = {"state": np.arange(len(self.coef)), "coefficient": self.coef}
        if self.converged_only is not None:
            columns["converged runs only"] = self.converged_only.coef
        return Table(columns, formats=dict.fromkeys(columns, ".3f") | {"state": ""})

    def sentence(self) -> str:
        """Return R² with its interval and test, and the caveat."""
        if self.reason:
            return f"No regression of convergence on states: {self.reason} ({count(self.n_runs, 'run')})."
        time = "" if _equal(self.r_squared, self.r_squared_time) else f"; R² = {self.r_squared_time:.3f} undivided"
        return (
            f"Time in the states explains R² = {self.r_squared:.3f} (95 % {self.r_squared_low:.3f} to "
            f"{self.r_squared_high:.3f}{time}) of convergence divided by run length ({count(self.n_runs, 'run')}, "
            f"{p_text(self.f_pvalue)}); this describes finished runs and forecasts none."
        )

    def caveats(self) -> tuple[str, ...]:
        """Return what the reader of the R² should know."""
        notes: list[str] = []
        if not self.reason:
            out = f"{self.loo_r_squared:.3f}" if math.isfinite(self.loo_r_squared) else "is undefined"
            notes.append(
                f"R² is nearly built in where states change as runs converge: time before converging is part of what "
                f"explains it (leave-one-run-out R² {'= ' if out[0] != 'i' else ''}{out})"
            )
        if not _equal(self.r_squared, self.r_squared_time):
            notes.append(
                f"run lengths differ: R² = {self.r_squared:.3f} is of convergence divided by each run's length, on "
                f"shares of it; of convergence itself, on time in the states, R² = {self.r_squared_time:.3f}"
            )
        if self.converged_only is not None:
            only = self.converged_only
            r2 = f"R² = {only.r_squared:.3f}" if not only.reason else "there is no regression"
            missed = count(self.n_runs - only.n_runs, "run")
            notes.append(f"{missed} that never converged count with their length; without them {r2}")
        return tuple(notes)


def _equal(a: float, b: float) -> bool:
    return not abs(a - b) > 5e-4  # also where one is NaN: nothing to say then


def outcome_regression(
    occupancy: ArrayLike, convergence: ArrayLike, lengths: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> OutcomeRegression:
    """Regress convergence time on the share of time spent in each state.

    Parameters
    ----------
    occupancy : array_like [runs, K]
        Rows sum to 1.
    convergence : array_like [runs]
        Checkpoint (or training step) at which a run converged, −1 for never (its length is used).
    lengths : array_like [runs]
        Checkpoints (or training steps) of each run.
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

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> occupancy = rng.dirichlet([1.0, 1.0], size=20)  # share of time in each state, by run
    >>> found = rs.methods.dynamics.outcome_regression(occupancy, 10 + 20 * occupancy[:, 0], [60] * 20, permutations=99)
    >>> round(found.r_squared, 3)
    1.0
    """
    shares, index = np.asarray(occupancy, dtype=np.float64), np.asarray(convergence, dtype=np.float64)
    size = np.asarray(lengths, dtype=np.float64)
    if shares.ndim != 2 or index.shape != (len(shares),) or size.shape != index.shape:
        raise InputError(f"got shapes {shares.shape}, {index.shape}, {size.shape}", "[runs, states], [runs], [runs]")
    capped, done = np.where(index < 0, size, index), index >= 0
    rng = np.random.default_rng(check_seed(seed))
    only = None
    if done.any() and not done.all():
        only = _regress(shares[done], capped[done], size[done], permutations, rng, None)
    found = _regress(shares, capped, size, permutations, rng, only)
    return replace(found, warnings=found.caveats())


def _regress(
    shares: Array, time: Array, size: Array, permutations: int, rng: np.random.Generator, only: OutcomeRegression | None
) -> OutcomeRegression:
    target = time / size
    left, singular, right = np.linalg.svd(shares, full_matrices=False)
    rank = int((singular > singular[0] * max(shares.shape) * np.finfo(np.float64).eps).sum())
    basis = left[:, :rank]
    coef = right[:rank].T @ ((basis.T @ target) / singular[:rank])
    fitted = shares @ coef
    reason = _why_not(target, rank)
    nan = float("nan")
    r2, low, high, r2_time, f, p, loo, shuffled = (nan,) * 8
    if not reason:
        r2, freedom = _r_squared(target - fitted, target), (rank - 1, len(target) - rank)
        low, high = r_squared_interval(min(max(r2, 0.0), 1.0), *freedom)
        r2_time = _r_squared_of(shares * size[:, None], time)
        f, p = _f_test(r2, *freedom)
        loo = _r_squared(_left_out(target - fitted, basis), target)
        shuffled = _permutation_pvalue(basis, target, permutations, rng)
    return OutcomeRegression(
        coef=coef, r_squared=r2, r_squared_low=low, r_squared_high=high, r_squared_time=r2_time, f_statistic=f,
        f_pvalue=p, rank=rank, loo_r_squared=loo, permutation_pvalue=shuffled, target=target, fitted=fitted,
        n_runs=len(target), reason=reason, converged_only=only,
    )  # fmt: skip


def _r_squared_of(spent: Array, time: Array) -> float:
    """Return the R² of least squares of a time on the times spent in each state."""
    if np.ptp(time) <= 1e-12:
        return float("nan")
    return _r_squared(time - spent @ np.linalg.lstsq(spent, time, rcond=None)[0], time)


def _why_not(target: Array, rank: int) -> str:
    if np.ptp(target) <= 1e-12:
        return "all runs have the same convergence time"
    if rank <= 1:
        return "all runs spend the same share of time in every state"
    if len(target) <= rank:
        return f"{count(len(target), 'run')} for occupancies of rank {rank}"
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
    """Return the states that some converging run does without, and those among them that are detours as published.

    A detour is optional, has a positive coefficient, and the regression is significant. Source: Hu et al. 2023,
    section 4, version 3. A positive coefficient does not say that runs through the state are slower: there is no
    intercept, so that all states before convergence have one. ``detours.py`` has the rule that asks for that.
    """
    visited = occupancy > 0
    spared = np.any(~visited[convergence >= 0], axis=0)
    optional: NDArray[np.bool_] = np.logical_and(spared, np.any(visited, axis=0))
    significant = bool(regression.f_pvalue < significance)  # False for NaN
    positive = regression.coef > 1e-9  # an exact 0 comes out as rounding noise of either sign
    return Detours(optional, optional & positive & significant)
