"""Runs of two arms under equal seeds, compared in pairs where that is shown to help (scores 1.8, 3.5)."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from ...errors import InputError
from .forms import Arm, Difference, Form
from .one_arm import t_above

Floats = NDArray[np.float64]
PAIRING_LEVEL, FEWEST_PAIRS = 0.01, 3
_EXACT_SIGNS, _DRAWS = 14, 9_999


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairing(Part):
    """The paired form of a difference; NaN where fewer than two pairs leave it undefined.

    Attributes
    ----------
    n_pairs : int
        Seeds with a run in both arms.
    seed_correlation, p_seed_correlation : float
        Correlation over pairs, and its one-sided p.
    paired : bool
        Whether that correlation is shown (1 %), so that the paired form is used.
    se_paired, t_paired, p_paired, lo_paired, hi_paired : float
        The paired form.
    df_paired : int
        Pairs less one.
    p_signflip, p_wilcoxon : float
        Exact tests of the differences: all changes of signs, and signed ranks.
    """

    n_pairs: int
    seed_correlation: float
    p_seed_correlation: float
    paired: bool
    se_paired: float
    df_paired: int
    t_paired: float
    p_paired: float
    lo_paired: float
    hi_paired: float
    p_signflip: float
    p_wilcoxon: float

    def difference(self, value: float, floor: float = 0.0) -> Difference:
        """Return the paired form of a difference, whose standard error is at least `floor`."""
        forms = (Form(max(self.se_paired, floor), self.df_paired),) if self.se_paired > 0 else ()
        return Difference(value, forms, "paired")


def pair_positions(a: Sequence[Hashable], b: Sequence[Hashable]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the positions in both arms of the runs that share a seed; None is no seed."""
    for name, seeds in (("old", a), ("new", b)):
        twice = [seed for seed, times in Counter(seeds).items() if times > 1 and seed is not None]
        if twice:
            raise InputError(f"seed {twice[0]} is there twice in the {name} arm", "one run a seed, to know its partner")
    place = {seed: at for at, seed in enumerate(b) if seed is not None}
    shared = [(at, place[seed]) for at, seed in enumerate(a) if seed in place]
    first, second = np.array(shared, np.intp).reshape(-1, 2).T
    return first, second


def pairing(
    a: Floats,
    b: Floats,
    seeds_a: Sequence[Hashable],
    seeds_b: Sequence[Hashable],
    level: float,
    *,
    design: bool = False,
) -> Pairing:
    """Return the paired form of two arms, and whether it is used.

    Parameters
    ----------
    a, b : ndarray of float [runs]
        Old and new.
    seeds_a, seeds_b : sequence [runs]
        Seed of each run.
    level : float
        Of the interval.
    design : bool
        Whether runs are paired by design, so that no correlation has to be shown first.
    """
    first, second = pair_positions(seeds_a, seeds_b)
    x, y = a[first], b[second]
    m = len(x)
    correlation, p_correlation = _correlation(x, y)
    se = _standard_error(a, b, x, y)
    value = float(b.mean() - a.mean())
    defined = se > 0
    one = Difference(value, (Form(se, m - 1),) if defined else (), "paired")
    low, high = one.interval(level)
    return Pairing(
        n_pairs=m,
        seed_correlation=correlation,
        p_seed_correlation=p_correlation,
        paired=bool(defined and (design or (m >= FEWEST_PAIRS and p_correlation <= PAIRING_LEVEL))),
        se_paired=se,
        df_paired=m - 1,
        t_paired=value / se if defined else math.nan,
        p_paired=one.p(),
        lo_paired=low,
        hi_paired=high,
        p_signflip=_sign_flips(y - x),
        p_wilcoxon=_signed_ranks(y - x),
    )


def _correlation(x: Floats, y: Floats) -> tuple[float, float]:
    """Return Pearson's correlation over pairs and its one-sided p; NaN below three pairs or without spread."""
    m = len(x)
    if m < FEWEST_PAIRS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan, math.nan
    apart_x, apart_y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float((apart_x**2).sum()) * float((apart_y**2).sum()))
    r = max(-1.0, min(1.0, float((apart_x * apart_y).sum()) / scale))
    if abs(r) == 1:
        return r, 0.0 if r > 0 else 1.0
    return r, t_above(r * math.sqrt((m - 2) / (1 - r * r)), m - 2)


def _standard_error(a: Floats, b: Floats, x: Floats, y: Floats) -> float:
    m, arms, paired = len(x), (Arm.of(a), Arm.of(b)), (Arm.of(x), Arm.of(y))
    if m < 2:
        return math.nan
    covariance = float(((x - x.mean()) * (y - y.mean())).sum() / (m - 1))
    if not m == len(a) == len(b) and paired[0].sd > 0 and paired[1].sd > 0:
        covariance *= arms[0].sd * arms[1].sd / (paired[0].sd * paired[1].sd)
    squared = arms[0].se ** 2 + arms[1].se ** 2 - 2 * m * covariance / (len(a) * len(b))
    return math.sqrt(max(0.0, squared))


def _sign_flips(differences: Floats) -> float:
    """Return the two-sided p over all changes of signs; over random ones beyond 14 pairs."""
    m = len(differences)
    if not m:
        return math.nan
    if m <= _EXACT_SIGNS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=m)))
    else:
        signs = np.random.default_rng(0).choice((1.0, -1.0), (_DRAWS + 1, m))
        signs[0] = 1.0
    sums = np.abs((signs * differences).sum(axis=1))
    return float((sums >= sums[0] - 1e-9 * float(np.abs(differences).sum())).mean())


def _signed_ranks(differences: Floats) -> float:
    from scipy.stats import wilcoxon

    if not len(differences) or not differences.any():
        return math.nan
    ties = len(np.unique(np.abs(differences))) < len(differences) or bool((differences == 0).any())
    return float(wilcoxon(differences, method="auto" if ties else "exact").pvalue)
