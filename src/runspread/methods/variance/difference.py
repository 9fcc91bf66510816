"""How uncertain the difference of two configurations is: by its runs, by its examples, by both.

The variance between runs has few degrees of freedom, so every form is a t test. Where runs or examples show no spread
at all, what was not seen counts: the spread is at least that of independent errors, and at least what may hide among so
few outcomes (Wilson's limit at 0 of n: a share of q^2/n).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers import TForm
from .clusters import Grouping, cluster_totals, mean_variance
from .counting import unpacked_rows
from .statistics import RunStatistics
from .sums import RunSums, number

FEW = 10  # outcomes or examples that vary, below which those that were not seen count
GUARDED = 4  # runs up to which Welch's test of unequal numbers of runs errs in up to 12 % instead of 5


class RunNoise(NamedTuple):
    """What runs add to the variance of a difference of means.

    Attributes
    ----------
    test : float
        On this test set.
    dist : float
        What remains on the distribution; unbiased, so possibly negative.
    least : float
        What `test` is in truth at least.
    degrees : float
        Degrees of freedom.
    """

    test: float
    dist: float
    least: float
    degrees: float

    def times(self, factor: float) -> RunNoise:
        """Return the noise times a factor, such as 1/R for the mean of R runs."""
        return RunNoise(factor * self.test, factor * self.dist, factor * self.least, self.degrees)

    @property
    def known(self) -> float:
        """Variance on this test set, as large as it has to be."""
        return max(self.test, self.least)

    @property
    def inter(self) -> float:
        """Part that comes from each run erring on examples of its own."""
        return self.test - self.dist


class Noise(NamedTuple):
    """The noise of the runs of both configurations, and the form of its test.

    `form` is "welch", "guarded" (few runs against many: the degrees of freedom of the fewer), "paired", "alike" (a
    single run of one configuration, whose spread is not known: the noise if it spreads as the other), or "none".
    """

    form: str
    parts: tuple[RunNoise, ...]

    @property
    def told(self) -> bool:
        """Whether the runs of both show their spread."""
        return self.form not in ("alike", "none")


def quantile(level: float) -> float:
    """Return the two-sided normal quantile of a level."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def hidden(unit: float, seen: float, limit: float) -> float:
    """Return the variance that outcomes not seen can bring to a mean, of which each has the weight `unit`.

    Where nothing varied, a share of up to q^2/n of further outcomes may; `limit` is q, `seen` how many varied.
    """
    return (limit * unit) ** 2 * max(0.0, 1 - seen / FEW)


def clustered_sums(statistics: RunStatistics, grouping: Grouping | None) -> RunSums:
    """Return the sums that the variances follow from, by clusters where there are any."""
    packed = statistics.packed
    if grouping is None or packed is None:
        return statistics.sums
    return cluster_totals(unpacked_rows(packed, statistics.n_examples), grouping, statistics.right).sums


def noise_of_one_run(statistics: RunStatistics, sums: RunSums, limit: float) -> RunNoise:
    """Return the variance of the accuracy of one run; of two runs or more."""
    plain, runs, examples = statistics.sums, statistics.n_runs, statistics.n_examples
    independent = number(plain.var_ind)
    varying = independent * examples**2 * (runs - 1)
    least = max(independent, runs * hidden(1 / (runs * examples), varying, limit))
    return RunNoise(number(sums.var_test), number(sums.var_dist), least, runs - 1)


def noise_of_runs(
    both: tuple[RunStatistics, RunStatistics], grouping: Grouping | None, limit: float
) -> tuple[Noise, tuple[RunNoise | None, RunNoise | None]]:
    """Return the noise of the runs in the difference, unpaired, and that of one run of each configuration."""
    each = tuple(
        noise_of_one_run(x, clustered_sums(x, grouping), limit) if x.n_runs > 1 and x.n_examples > 1 else None
        for x in both
    )
    runs = [x.n_runs for x in both]
    known = [noise for noise in each if noise is not None]
    if len(known) == 2:
        form = "guarded" if runs[0] != runs[1] and min(runs) <= GUARDED else "welch"
        parts = tuple(noise.times(1 / count) for noise, count in zip(known, runs, strict=True))
    else:
        form = "alike" if known else "none"
        parts = tuple(noise.times(1 / runs[0] + 1 / runs[1]) for noise in known)
    return Noise(form, parts), (each[0], each[1])


class ItemNoise(NamedTuple):
    """What examples or clusters add to the variance of a mean difference, of the runs at hand.

    Attributes
    ----------
    variance, third : float
        Second and third central moment of the mean difference.
    least : float
        Lower bound of the variance.
    degrees : float
        Degrees of freedom of the variance: fewer for clusters of unequal size, and where few examples make most of it.
    limit : float
        Normal quantile at which skewness is allowed for.
    """

    variance: float
    third: float
    least: float
    degrees: float
    limit: float

    @property
    def known(self) -> float:
        """Variance, as large as it has to be; NaN where it cannot be measured."""
        return self.variance if math.isnan(self.variance) else max(self.variance, self.least)

    def form(self, total: float, degrees: float) -> TForm:
        """Return the t test with a total variance, its limit on the side of the heavy tail moved outwards.

        A few examples that tell far more than others make the estimate skewed; the shift is that of Johnson (1978), for
        rare discordant examples nearly that of Wilson's limits.
        """
        shift = self.third / total * (1 + 2 * self.limit**2) / 6
        return TForm(math.sqrt(total), degrees, max(0.0, -shift), max(0.0, shift))


def noise_of_examples(a: RunStatistics, b: RunStatistics, grouping: Grouping, limit: float) -> ItemNoise:
    """Return what the examples add to the variance of the difference of means."""
    scale = a.n_runs * b.n_runs
    whole = a.n_runs * b.right - b.n_runs * a.right
    found = mean_variance(whole, grouping)
    values, counts = np.unique(whole, return_counts=True)
    seen = int(np.count_nonzero(grouping.sums(whole != values[counts.argmax()])))
    deviations = grouping.sums((whole - whole.mean()) / scale) / a.n_examples
    return ItemNoise(
        variance=found.variance / scale**2,
        third=float((deviations**3).sum()),
        least=hidden(1 - grouping.between, seen, limit),
        degrees=min(found.degrees, _degrees_of_squares(deviations)),
        limit=limit,
    )


def _degrees_of_squares(deviations: NDArray[np.float64]) -> float:
    """Return the degrees of freedom of a sum of squares, fewer where a few deviations make most of it (kurtosis)."""
    squares = np.square(deviations)
    total = float(squares.sum())
    excess = float(np.square(squares).sum()) - total**2 / len(squares)
    return max(1.0, 2 * total**2 / excess) if excess > 0 else math.inf


def on_test_set(noise: Noise) -> tuple[TForm, ...]:
    """Return the test on these very examples: the noise of the runs alone; none where nothing is known of it."""
    if not noise.parts:
        return ()
    values = [part.known for part in noise.parts]
    degrees = sum(values) ** 2 / sum(value**2 / part.degrees for value, part in zip(values, noise.parts, strict=True))
    if noise.form == "guarded":
        degrees = min(part.degrees for part in noise.parts)
    return (TForm(math.sqrt(sum(values)), degrees),)


def on_distribution(noise: Noise, items: ItemNoise) -> tuple[TForm, ...]:
    """Return the tests on the distribution: of runs and examples together, and that on this test set.

    The noise that runs share with no example is in both variances, and is taken out once. What cannot be told on this
    test set cannot be told beyond it.
    """
    if not noise.parts or math.isnan(items.variance):
        return ()
    total = items.known + max(0.0, sum(part.dist for part in noise.parts))
    spread = items.known**2 / items.degrees
    for part in noise.parts:
        spread += part.test**2 / part.degrees + part.inter**2 / (part.degrees * items.degrees)
    return (items.form(total, max(1.0, total**2 / spread)), *on_test_set(noise))


def on_models(items: ItemNoise) -> tuple[TForm, ...]:
    """Return the test of the trained models at hand on the distribution: the noise of the examples alone."""
    return () if math.isnan(items.variance) else (items.form(items.known, items.degrees),)
