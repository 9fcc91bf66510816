"""Runs of two configurations under the same seeds, compared in pairs where that is shown to help (spec 5.1)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._reading.correctness import Outcomes
from ...errors import InputError
from .clusters import Grouping, single_groups
from .counting import unpacked_rows
from .difference import RunNoise, hidden
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
            raise InputError(f"got runs of {name} without seeds", "studies, or seeds=(a, b) with one seed per run")
        recorded = {run.id: tuple(run.seeds.to_dict().values()) for run in source.runs}
        rows = [recorded[run] for run in outcomes.run_ids]
    else:
        table = np.asarray(seeds)
        runs = statistics.n_runs if outcomes is None else len(outcomes.keep)
        if table.ndim not in (1, 2) or len(table) not in (runs, statistics.n_runs):
            raise InputError(f"got seeds of {name} of shape {table.shape}", f"({runs},), or ({runs}, roles)")
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
                f"got {len(twice)} seeds with several runs in {name}, the first {twice[0]}",
                "one run per seed, to know its partner",
                "Compare unpaired, or one configuration of each at a time.",
            )
    place = {key: at for at, key in enumerate(b) if key is not None}
    shared = [(at, place[key]) for at, key in enumerate(a) if key in place]
    return Pairs(*np.array(shared, np.intp).reshape(-1, 2).T)


class SharedSums(NamedTuple):
    """Integers over the pairs from which the covariances of the two configurations follow.

    `first` and `second` are the correct predictions summed, with `first_squares` and `second_squares`; `cross` is the
    sum of their products, `both` counts outcomes that are right in both runs of a pair, and `columns` sums over
    examples the product of the runs that are right in A and in B; `own_columns` does so for A by A and B by B together.
    `within` and `between` are `both` and `columns` by clusters of examples, of which `n_apart` ordered pairs of
    examples lie in different ones.
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
    own_columns: int
    within: int
    between: int
    n_apart: int

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

    @property
    def covariance_dist(self) -> float:
        """Unbiased covariance of the accuracies on the distribution (the lifting rule, spec 2.6)."""
        m = self.n_pairs
        shared = m * self.cross - self.first * self.second - m * self.within + self.between
        return float(Fraction(shared, m * (m - 1) * self.n_apart)) if self.n_apart else math.nan

    @property
    def covariance_ind(self) -> float:
        """Covariance of the accuracies if examples were independent of each other."""
        m = self.n_pairs
        return float(Fraction(m * self.both - self.columns, m * (m - 1) * self.n_examples**2))

    @property
    def varying(self) -> float:
        """How much the differences of a pair vary on each example, summed: squared deviations from their mean."""
        total = self.first + self.second - 2 * self.both
        return total - (self.own_columns - 2 * self.columns) / self.n_pairs


def shared_sums(
    a: RunStatistics, b: RunStatistics, pairs: Pairs, names: tuple[str, str], grouping: Grouping | None
) -> SharedSums:
    """Return the sums over pairs; both statistics have to have kept the correctness of every run."""
    bits = [kept_bits(statistics, name)[rows] for name, statistics, rows in zip(names, (a, b), pairs, strict=True)]
    grouping = single_groups(a.n_examples) if grouping is None else grouping
    right_a, right_b = np.zeros((2, a.n_examples), np.int64)
    both = within = 0
    for first, second in zip(*(unpacked_rows(packed, a.n_examples) for packed in bits), strict=True):
        both += int(np.count_nonzero(first & second))
        within += int((grouping.correct(first) * grouping.correct(second)).sum())
        right_a += first.sum(axis=0)
        right_b += second.sum(axis=0)
    x, y = a.correct[pairs.a].astype(object), b.correct[pairs.b].astype(object)
    p, q = right_a.astype(object), right_b.astype(object)
    return SharedSums(
        n_pairs=len(x),
        n_examples=a.n_examples,
        first=int(x.sum()),
        second=int(y.sum()),
        first_squares=int((x * x).sum()),
        second_squares=int((y * y).sum()),
        cross=int((x * y).sum()),
        both=both,
        columns=int((p * q).sum()),
        own_columns=int((p * p).sum() + (q * q).sum()),
        within=within,
        between=int((grouping.sums(right_a).astype(object) * grouping.sums(right_b)).sum()),
        n_apart=grouping.pairs,
    )


def kept_bits(statistics: RunStatistics, name: str) -> NDArray[np.uint8]:
    """Return the correctness of every run in bits, or say that it was not kept."""
    if statistics.packed is None:
        raise InputError(
            f"got {name} without the correctness of each run",
            "at most 2^32 outcomes, or statistics with keep_bits=True",
        )
    return statistics.packed


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


class PairedRuns(NamedTuple):
    """The fields of a comparison on pairs, and the noise of paired runs in the difference; None below three pairs.

    `one` is the variance of the difference between the accuracies of a pair.
    """

    fields: dict[str, Any]
    noise: RunNoise | None
    one: float


def paired_runs(
    a: RunStatistics,
    b: RunStatistics,
    pairs: Pairs,
    names: tuple[str, str],
    *,
    each: tuple[RunNoise | None, RunNoise | None],
    grouping: Grouping | None,
    limit: float,
) -> PairedRuns:
    """Return the noise of runs in pairs, and whether a positive correlation over seeds is shown, so that it counts.

    Where every run has a partner it is that of the differences; runs without a partner count as unpaired. `each` is
    the noise of one run of A and of B, `limit` that of what was not seen.
    """
    count = len(pairs.a)
    noise_a, noise_b = each
    if count < FEWEST_PAIRS or noise_a is None or noise_b is None:
        return PairedRuns({"n_pairs": count}, None, math.nan)
    sums = shared_sums(a, b, pairs, names, grouping)
    correlation, p = correlation_over_seeds(sums)
    fields = {"n_pairs": count, "seed_correlation": correlation, "p_seed_correlation": p, "paired": p <= PAIRING_LEVEL}
    share = 2 * count / (a.n_runs * b.n_runs)
    paired_a, paired_b = sums.variances
    alone = count == a.n_runs == b.n_runs
    scale = 1.0 if alone else math.sqrt(ratio(noise_a.test * noise_b.test, float(paired_a * paired_b)))
    covariance = scale * float(sums.covariance)
    mean_a, mean_b = noise_a.times(1 / a.n_runs), noise_b.times(1 / b.n_runs)
    independent = (number(x.sums.var_ind) / x.n_runs for x in (a, b))
    noise = RunNoise(
        test=max(0.0, mean_a.test + mean_b.test - share * covariance),
        dist=mean_a.dist + mean_b.dist - share * sums.covariance_dist,
        least=max(
            sum(independent) - share * sums.covariance_ind,
            hidden(1 / (count * a.n_examples), sums.varying, limit),
        ),
        degrees=count - 1,
    )
    return PairedRuns(fields, noise, max(0.0, noise_a.test + noise_b.test - 2 * covariance))
