"""Runs of two configurations under the same seeds, compared in pairs where that is shown to help (spec 5.1)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._errors import InputError
from ..._reading.correctness import Outcomes
from .counting import unpacked_rows
from .statistics import RunStatistics
from .sums import number, ratio

PAIRING_LEVEL = 0.01  # by simulation the size at 5 % then stays below 5.2 %; with 0.05 here it reaches 5.6 %
FEWEST_PAIRS = 3

Keys = Sequence[Hashable | None]


class Pairs(NamedTuple):
    """Positions of the runs of A and of B that share their seeds [pairs]."""

    a: NDArray[np.intp]
    b: NDArray[np.intp]


def run_seeds(
    source: Any, statistics: RunStatistics, outcomes: Outcomes | None, seeds: ArrayLike | None, name: str
) -> Keys:
    """Return what tells the seeds of each run: those given, or all that a study recorded; None where there are none."""
    if seeds is None:
        if outcomes is None or not hasattr(source, "runs"):
            raise InputError(f"runs of {name} without seeds", "studies, or seeds=(a, b) with one seed a run")
        recorded = {run.id: tuple(run.seeds.to_dict().values()) for run in source.runs}
        rows = [recorded[run] for run in outcomes.run_ids]
    else:
        table = np.asarray(seeds)
        runs = statistics.n_runs if outcomes is None else len(outcomes.keep)
        if table.ndim not in (1, 2) or len(table) not in (runs, statistics.n_runs):
            raise InputError(f"seeds of {name} of shape {table.shape}", f"({runs},), or ({runs}, roles)")
        table = table.reshape(len(table), -1)
        rows = [tuple(row) for row in (table[outcomes.keep] if outcomes and len(table) == runs else table).tolist()]
    return [None if all(seed is None for seed in row) else row for row in rows]


def pair_runs(a: Keys, b: Keys, names: tuple[str, str]) -> Pairs:
    """Return the runs that share their seeds, in the order of A."""
    for name, keys in zip(names, (a, b), strict=True):
        times = Counter(key for key in keys if key is not None)
        twice = [key for key, count in times.items() if count > 1]
        if twice:
            raise InputError(
                f"{len(twice)} seeds with several runs in {name}, the first {twice[0]}",
                "one run a seed, to know its partner",
                "Compare unpaired, or one configuration of each at a time.",
            )
    place = {key: at for at, key in enumerate(b) if key is not None}
    shared = [(at, place[key]) for at, key in enumerate(a) if key in place]
    return Pairs(*np.array(shared, np.intp).reshape(-1, 2).T)


class SharedSums(NamedTuple):
    """Integers over the pairs from which the covariances of the two configurations follow.

    `first` and `second` are the correct predictions summed, with `first_squares` and `second_squares`; `cross` is the
    sum of their products, `both` counts outcomes that are right in both runs of a pair, and `columns` sums over
    examples the product of the runs that are right in A and in B.
    """

    n_pairs: int
    n_examples: int
    first: int
    second: int
    first_squares: int
    second_squares: int
    cross: int
    both: int
    columns: int

    @property
    def variances(self) -> tuple[Fraction, Fraction]:
        """Sample variances of accuracy over the paired runs of A and of B."""
        m, scale = self.n_pairs, self.n_pairs * (self.n_pairs - 1) * self.n_examples**2
        a, b = m * self.first_squares - self.first**2, m * self.second_squares - self.second**2
        return Fraction(a, scale), Fraction(b, scale)

    @property
    def covariance(self) -> Fraction:
        """Sample covariance of the accuracies over pairs."""
        m = self.n_pairs
        return Fraction(m * self.cross - self.first * self.second, m * (m - 1) * self.n_examples**2)

    def _over(self, numerator: int) -> float:
        m, n = self.n_pairs, self.n_examples
        return float(Fraction(numerator, m * (m - 1) * n * (n - 1))) if n > 1 else math.nan

    @property
    def covariance_dist(self) -> float:
        """Unbiased covariance of the accuracies on the distribution (the lifting rule, spec 2.6)."""
        m = self.n_pairs
        return self._over(m * self.cross - self.first * self.second - m * self.both + self.columns)

    @property
    def covariance_inter(self) -> float:
        """Unbiased covariance of the run-by-example interactions."""
        m, n = self.n_pairs, self.n_examples
        return self._over(n * m * self.both - n * self.columns - m * self.cross + self.first * self.second)


def shared_sums(a: RunStatistics, b: RunStatistics, pairs: Pairs, names: tuple[str, str]) -> SharedSums:
    """Return the sums over pairs; both statistics have to have kept the correctness of every run."""
    bits: list[NDArray[np.uint8]] = []
    for name, statistics, rows in zip(names, (a, b), pairs, strict=True):
        packed = statistics.packed
        if packed is None:
            raise InputError(
                f"{name} without the correctness of each run",
                "at most 2^32 outcomes, or statistics with keep_bits=True",
            )
        bits.append(packed[rows])
    right_a, right_b = np.zeros((2, a.n_examples), np.int64)
    both = 0
    for first, second in zip(*(unpacked_rows(packed, a.n_examples) for packed in bits), strict=True):
        both += int(np.count_nonzero(first & second))
        right_a += first.sum(axis=0)
        right_b += second.sum(axis=0)
    x, y = a.correct[pairs.a].astype(object), b.correct[pairs.b].astype(object)
    columns = int((right_a.astype(object) * right_b).sum())
    return SharedSums(
        n_pairs=len(x),
        n_examples=a.n_examples,
        first=int(x.sum()),
        second=int(y.sum()),
        first_squares=int((x * x).sum()),
        second_squares=int((y * y).sum()),
        cross=int((x * y).sum()),
        both=both,
        columns=columns,
    )


def correlation_over_seeds(sums: SharedSums) -> tuple[float, float]:
    """Return the correlation of the accuracies over pairs, and the one-sided p-value that it is positive (t test)."""
    from scipy.special import stdtr

    a, b = sums.variances
    found = ratio(float(sums.covariance), math.sqrt(a * b))
    if math.isnan(found):
        return math.nan, math.nan
    found, degrees = max(-1.0, min(1.0, found)), sums.n_pairs - 2
    t = found * math.sqrt(degrees / (1 - found**2)) if abs(found) < 1 else math.copysign(math.inf, found)
    return found, float(stdtr(degrees, -t))


class PairedForm(NamedTuple):
    """The fields of a comparison on pairs, and what a plan for pairs needs.

    `variance` is that of the difference between the accuracies of a pair, `shared_noise` what pairs share of the run
    noise in the mean difference on an example.
    """

    fields: dict[str, Any]
    variance: float
    shared_noise: float


def paired_form(a: RunStatistics, b: RunStatistics, pairs: Pairs, names: tuple[str, str], s2_diff: float) -> PairedForm:
    """Return the paired tests, and whether a positive correlation over seeds is shown, so that they are to be used."""
    count = len(pairs.a)
    if count < FEWEST_PAIRS:
        return PairedForm({"n_pairs": count}, math.nan, math.nan)
    sums = shared_sums(a, b, pairs, names)
    correlation, p = correlation_over_seeds(sums)
    fields = {"n_pairs": count, "seed_correlation": correlation, "p_seed_correlation": p, "paired": p <= PAIRING_LEVEL}
    share = 2 * count / (a.n_runs * b.n_runs)
    var_a, var_b = number(a.sums.var_test), number(b.sums.var_test)
    paired_a, paired_b = sums.variances
    scale = 1.0 if count == a.n_runs == b.n_runs else math.sqrt(ratio(var_a * var_b, float(paired_a * paired_b)))
    covariance = scale * float(sums.covariance)
    squared = max(0.0, var_a / a.n_runs + var_b / b.n_runs - share * covariance)
    between = number(a.sums.var_dist) / a.n_runs + number(b.sums.var_dist) / b.n_runs - share * sums.covariance_dist
    n = a.n_examples
    squared_dist = max(s2_diff / n + between, s2_diff / n) if n > 1 else math.nan
    delta = float(a.sums.mean_acc - b.sums.mean_acc)
    fields |= _tests(delta, math.sqrt(squared), math.sqrt(squared_dist), count - 1)
    return PairedForm(fields, max(0.0, var_a + var_b - 2 * covariance), share * sums.covariance_inter)


def _tests(delta: float, error: float, error_dist: float, degrees: int) -> dict[str, float]:
    """Return the t test on this test set and the z test on the distribution, from standard errors of pairs.

    Where every run has a partner, the former is the t test of the differences, and `error_dist` follows from the
    variance components of the differences; runs without a partner count as unpaired.
    """
    from scipy.special import ndtr, stdtr

    t = delta / error if error else math.copysign(math.inf, delta) if delta else math.nan
    z = ratio(delta, error_dist)
    return {
        "se_paired": error,
        "t_paired": t,
        "df_paired": float(degrees),
        "p_paired": 2 * float(stdtr(degrees, -abs(t))),
        "se_dist_paired": error_dist,
        "z_dist_paired": z,
        "p_dist_paired": 2 * float(ndtr(-abs(z))),
    }
