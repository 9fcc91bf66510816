"""Which states are detours: some runs do without them, and those that pass them are shown to converge later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hmm.parameters import Array, Frames, Mask
from .defaults import SIGNIFICANCE
from .live import added, emissions, sums
from .paths import Paths
from .prepare import PreparedSequences

SHUFFLES = 9999
_INSIDE = 0.99  # share of a state's checkpoints, were they normal, that lie in its region
_STAY = 0.25  # of the usual stay in a state: so long must a run be in its region to have passed it
_BETWEEN = 3  # checkpoints of a usual stay: a run that is quick may pass a shorter one between two checkpoints


@dataclass(frozen=True, eq=False)
class DetourTest:
    """What is shown of each state.

    Attributes
    ----------
    optional : ndarray of bool [K]
        Some run passes the state, and some converging run does not.
    pvalue : ndarray [K]
        Of the runs that pass an optional state converging later, over all of these; NaN for the others.
    detour : ndarray of bool [K]
        Optional, passed by no more than half of the runs, before they converge, and shown to go with late convergence.
    skipped : ndarray of bool [K]
        The same of states that more than half of the runs pass: those that do not take a shortcut.
    """

    optional: Mask
    pvalue: Array
    detour: Mask
    skipped: Mask


def detour_test(
    visits: Mask,
    convergence: NDArray[Any],
    ends: NDArray[Any],
    *,
    entered: NDArray[Any] | None = None,
    level: float = SIGNIFICANCE,
    seed: int = 0,
) -> DetourTest:
    """Test for each optional state whether the runs that pass it converge later.

    Parameters
    ----------
    visits : ndarray of bool [runs, K]
        Which states each run passes.
    convergence, ends : ndarray [runs]
        When each run converged (−1 for never) and ended.
    entered : ndarray [runs, K], optional
        When each run was first in a state that it passes; needed where runs end at different times.
    level : float
        Over all states.
    seed : int
        Seed of the shuffles.

    Notes
    -----
    Runs are ranked by who is known to converge after whom (Gehan 1965), so that one that never converged is later than
    those that did while it ran. The largest standardised rank sum over the states is compared with those of shuffled
    runs (Westfall and Young 1993, single step). A run that goes on for longer has more time to pass any state; so where
    runs end at different times, each that enters a state is compared with those that then still ran and had not entered
    it (as the log-rank test does, with the parts of the two times exchanged).
    """
    n_states = visits.shape[1]
    optional = np.any(~visits[convergence >= 0], axis=0) & visits.any(axis=0)
    pvalue = np.full(n_states, np.nan)
    score = lateness(convergence, ends)
    tested = np.flatnonzero(optional & ~visits.all(axis=0))
    if len(tested) and score.any():
        members, rng = visits[:, tested], np.random.default_rng([seed, len(visits)])
        if entered is None or np.ptp(ends) == 0:
            observed, shuffled = _rank_sums(score, members, rng)
        else:
            observed, shuffled = _entry_sums(score, members, entered[:, tested], ends, rng)
        pvalue[tested] = (1 + (shuffled.max(axis=1) >= observed[:, None] - 1e-9).sum(axis=1)) / (1 + SHUFFLES)
    late = pvalue < level  # False for NaN
    few = 2 * visits.sum(axis=0) <= len(visits)
    return DetourTest(optional, pvalue, late & few, late & ~few)


def _rank_sums(score: Array, members: Mask, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the standardised sum of scores over the runs that pass each state [K], and of shuffled runs [draws, K]."""
    n, size = len(score), members.sum(axis=0)
    sd = np.sqrt(size * (n - size) / (n * (n - 1)) * np.square(score).sum())
    passing = members.astype(np.float64)  # sums of whole numbers: exact in any order
    return score @ passing / sd, rng.permuted(np.tile(score, (SHUFFLES, 1)), axis=1) @ passing / sd


def _entry_sums(
    score: Array, members: Mask, entered: NDArray[Any], ends: NDArray[Any], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return the same of scores less their mean over the runs at risk, and for entrants drawn from these."""
    observed, drawn = np.zeros(members.shape[1]), np.zeros((SHUFFLES, members.shape[1]))
    for k, passing in enumerate(members.T):
        variance = 0.0
        for run in np.flatnonzero(passing):
            when = entered[run, k]
            waiting = score[(ends > when) & (~passing | (entered[:, k] >= when))]
            mean = waiting.mean()
            observed[k] += score[run] - mean
            drawn[:, k] += rng.choice(waiting, SHUFFLES) - mean
            variance += waiting.var()
        sd = np.sqrt(variance) or 1.0
        observed[k], drawn[:, k] = observed[k] / sd, drawn[:, k] / sd
    return observed, drawn


def fewest_runs(level: float) -> int:
    """Return the number of runs from which on the test can show a detour at a level, were half of the runs on it."""
    runs = 2
    while 1 / math.comb(runs, runs // 2) >= level:
        runs += 1
    return runs


def lateness(convergence: NDArray[Any], ends: NDArray[Any]) -> Array:
    """Return for each run the number of runs known to converge before it less that of those known to converge after."""
    done = convergence >= 0
    time = np.where(done, convergence, ends)
    later = np.where(done[:, None], time[:, None] > time, time[:, None] >= time) & done
    return (later.sum(axis=1) - later.sum(axis=0)).astype(np.float64)


def before_convergence(paths: Paths, checkpoints: NDArray[np.int64], n_states: int) -> Mask:
    """Return which states at least half of the runs that enter them enter before they converge [K].

    A state that runs enter afterwards cannot have held them up.
    """
    early, entered = np.zeros(n_states), np.zeros(n_states)
    for path, converged in zip(paths, checkpoints, strict=True):
        states, first = np.unique(path, return_index=True)
        entered[states] += 1
        early[states] += (first < converged) | (converged < 0)
    return 2 * early >= np.maximum(entered, 1)


def lasting(paths: Paths, n_states: int) -> Mask:
    """Return the states that runs usually stay in for so long that none can pass them between two checkpoints [K]."""
    counts = np.stack([np.bincount(path, minlength=n_states) for path in paths])
    return np.array([bool(column.any()) and np.median(column[column > 0]) >= _BETWEEN for column in counts.T])


def entries(prepared: PreparedSequences, paths: Paths, n_states: int, *, full: bool) -> NDArray[np.int64]:
    """Return the checkpoint at which each run is first in each state that it passes [runs, K], −1 for the others.

    Where runs were standardised together these are the states that it was decoded to. Where each was standardised on
    its own, a run that lingers has other levels than a quick one, and is decoded to other states although it goes
    through the same metrics. There a run passes a state if, in the metrics' own units, it is where the other runs in
    that state are.
    """
    one = np.eye(n_states, dtype=np.bool_)
    decoded = [one[path] for path in paths]
    if prepared.standardize != "run" or n_states == 1:
        return np.stack([_first(inside, np.logical_or.reduce(inside)) for inside in decoded])
    from scipy.special import chdtri

    raw = prepared.raw
    x = (raw.x - raw.x.mean(axis=0)) / np.sqrt(raw.spread)
    parts = Frames(x, raw.offsets, raw.names).split(x)
    of_run = [sums(part, path.astype(np.float64), full=full) for part, path in zip(parts, decoded, strict=True)]
    total = added(of_run)
    reach = float(chdtri(x.shape[1], 1 - _INSIDE))
    inside: list[Mask] = []
    for part, own in zip(parts, of_run, strict=True):  # of a state that a run is not decoded to, the others are all
        others = tuple(np.subtract(a, b) for a, b in zip(total, own, strict=True))
        inside.append(_inside(part, others, reach))
    counts = np.stack([path.sum(axis=0) for path in decoded])
    stay = [np.median(column[column > 0]) if column.any() else np.inf for column in counts.T]
    least = np.maximum(1.0, _STAY * np.array(stay))
    return np.stack([_first(rows, rows.sum(axis=0) >= least) for rows in inside])


def _first(inside: Mask, passes: Mask) -> NDArray[np.int64]:
    return np.where(passes, inside.argmax(axis=0), -1)


def _inside(x: Array, moments: Sequence[Array], reach: float) -> Mask:
    """Return which checkpoints [n, D] lie in the region of each state [n, K]; none in that of a state without any."""
    means, covars = emissions((moments[0], moments[1], moments[2]))
    gap = x[:, None, :] - means
    if covars.ndim == 2:
        distance = (np.square(gap) / covars).sum(axis=2)
    else:
        pairs = zip(np.moveaxis(gap, 1, 0), covars, strict=True)
        distance = np.stack([(g * np.linalg.solve(c, g.T).T).sum(axis=1) for g, c in pairs], axis=1)
    return (distance <= reach) & (moments[0] > 0.5)
