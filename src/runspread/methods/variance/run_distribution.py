"""The distribution of the runs' accuracies: what speaks against a normal one, and bounds that do without it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._words import count, listed, percent
from .._statistics import deviations, sample_variance

DISTRIBUTIONS = ("any", "normal")
LEAST_RUNS = 30  # of an interval for any distribution; below, rare kinds of run are too often unseen
_LEAST_OUTLYING, _OUTLYING_LEVEL = 6, 0.01
# Critical values at 2.5 % of the largest standardised gap by number of runs, from 8 runs on: the largest over normal,
# uniform, exponential, lognormal and t3 samples of 20,000 each. Other numbers take the row of the next smaller one.
_GAPS = dict(
    zip(
        (*range(8, 22), 31, 41, 60, 80, 100),
        (
            5.86,
            5.55,
            5.11,
            4.94,
            4.68,
            4.44,
            4.37,
            4.27,
            4.19,
            4.17,
            4.07,
            4.07,
            4.07,
            2.79,
            2.0,
            1.58,
            1.28,
            0.96,
            0.81,
        ),
        strict=True,
    )
)


def outlying_runs(values: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the positions of outlying values by the generalised ESD test at 1 % (Rosner 1983), from six values on.

    At most a fifth of the values are called outlying, the furthest first.
    """
    from scipy.special import stdtrit

    count = len(values)
    if count < _LEAST_OUTLYING:
        return ()
    left, removed, found = list(range(count)), list[int](), 0
    for _ in range(max(1, count // 5)):
        y, m = values[left], len(left)
        distance, sd = np.abs(deviations(y)), math.sqrt(float(sample_variance(y)))
        if not sd > 0:
            break
        t = float(stdtrit(m - 2, 1 - _OUTLYING_LEVEL / (2 * m)))
        removed.append(left.pop(int(distance.argmax())))
        if distance.max() / sd > t * (m - 1) / math.sqrt((m - 2 + t * t) * m):
            found = len(removed)
    return tuple(removed[:found])


def two_groups(values: NDArray[np.float64], step: float) -> int | None:
    """Return how many of the lowest values form a group of their own, None where no two groups show.

    The statistic is the largest gap between neighbours over the spread inside the two sides, of values that are whole
    multiples of `step`; its critical value holds for distributions of one mode from uniform to t3. No answer is no sign
    of one group: below 20 runs its power is poor.
    """
    count = len(values)
    if count < min(_GAPS):
        return None
    ordered = np.sort(values) - values.mean()
    sides = max(2, math.ceil(count / 10))
    k = np.arange(sides, count - sides + 1)
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    low, high = sums[k - 1], sums[-1] - sums[k - 1]
    inside = np.maximum(0.0, squares[-1] - low**2 / k - high**2 / (count - k))
    gaps = np.maximum(0.0, ordered[k] - ordered[k - 1] - step)
    scale = np.sqrt(inside / (count - 2) + step**2 / 12)
    sizes = np.divide(gaps, scale, out=np.zeros(len(k)), where=gaps > 0)
    best = int(sizes.argmax())
    return int(k[best]) if sizes[best] > _GAPS[max(n for n in _GAPS if n <= count)] else None


def unseen_share(n_runs: int, level: float) -> float:
    """Return the largest share of trainings that may do worse than the worst of so many runs, at `level`.

    Holds for any distribution: were the share larger, one of them would have been seen with at least that probability.
    """
    return 1 - (1 - level) ** (1 / n_runs)


def log_jackknife(values: NDArray[np.float64]) -> float:
    """Return the delete-one jackknife variance of the logarithm of the variance of `values`.

    Infinite where it hangs on one value, without which the others are equal.
    """
    count, ordered = len(values), np.sort(values)
    if ordered[0] == ordered[-2] or ordered[1] == ordered[-1]:
        return math.inf
    squares = np.square(values - values.mean())
    logs = np.log((squares.sum() - count / (count - 1) * squares) / (count - 2))
    return float((count - 1) / count * np.square(logs - logs.mean()).sum())


def unseen(n_runs: int, level: float) -> str:
    """Say which share of trainings may do worse than all of so many runs, at `level`."""
    up_to = f"up to {share_text(unseen_share(n_runs, level))} of trainings may do worse than the worst one here"
    return f"With {count(n_runs, 'run')}, {up_to} ({percent(level)} bound, for any distribution)."


def share_text(share: float) -> str:
    """Return a share as a percentage of two digits; a small one is not 0."""
    return f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g}%"


def odd_runs(accuracy: NDArray[np.float64], step: float, run_ids: Sequence[str] = ()) -> str:
    """Return what speaks against accuracies that are normal over runs, each outlying run named; or nothing.

    Accuracies are whole multiples of `step`.
    """
    lower = two_groups(accuracy, step)
    if lower is not None:
        ordered = np.sort(accuracy)
        low, high = ordered[:lower], ordered[lower:]
        return f"the runs fall into two groups, {lower} near {low.mean():.2%} and {len(high)} near {high.mean():.2%}"
    found = outlying_runs(accuracy)
    if not found:
        return ""
    names = listed([f"{run_ids[at] if len(run_ids) else f'run {at}'} ({accuracy[at]:.2%})" for at in found], most=4)
    return f"{names} {'is an outlying run' if len(found) == 1 else 'are outlying runs'}"


def warnings_of_distribution(counts: NDArray[np.int64], n_examples: int, run_ids: Sequence[str]) -> tuple[str, ...]:
    """Return what in the runs' correct counts speaks against intervals under a normal distribution, as sentences."""
    found = odd_runs(counts / n_examples, 1 / n_examples, run_ids)
    if not found:
        return ()
    least = "" if len(counts) >= LEAST_RUNS else f", from {LEAST_RUNS} runs on"
    return (
        f"{found[0].upper() if found.startswith('the runs') else found[0]}{found[1:]}: the intervals take accuracies "
        f"as normal over runs and may be far too short; distribution='any' does not take them so{least}.",
    )


def unlike_normal(values: NDArray[np.float64]) -> str:
    """Return what speaks against accuracies that are normal over runs, or that bound any spread; or nothing."""
    steps = np.diff(np.unique(values))
    if not len(steps):
        return f"all {len(values)} accuracies are equal, which bounds no spread: are the seeds different?"
    found = odd_runs(values, float(steps.min()))
    return found and f"{found}: accuracies may not be normal over runs."


def checked_distribution(distribution: Any, n_runs: int) -> str:
    """Return a distribution that intervals may assume, with that many runs."""
    from ..._checks import check_choice
    from ...errors import InputError

    check_choice(distribution, "distribution", DISTRIBUTIONS)
    if distribution == "any" and n_runs < LEAST_RUNS:
        raise InputError(
            f"got distribution='any' with {count(n_runs, 'run')}",
            f"{LEAST_RUNS} runs or more",
            "With fewer, rare kinds of run are too often unseen for any interval: pass distribution='normal', or "
            "train more.",
        )
    return distribution
