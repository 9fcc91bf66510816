"""Power-law fit of the upper tail of a sample: the tail of smallest Kolmogorov-Smirnov distance, exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_integers, check_seed, check_settings
from ..._results import Result, Table
from ..._words import percent
from ...errors import InputError
from .defaults import CONFIDENCE_LEVEL, MIN_TAIL, TailSettings
from .tails import Floats, Tails, tails_from, tails_of

SMALL_SAMPLE = 20  # below this, WeightWatcher 0.7.7 uses n - 1 and tails of at least 8
FIT_STATUSES = ("ok", "too_few_values", "degenerate")


@dataclass(frozen=True, eq=False, kw_only=True)
class PowerLawFit(Result):
    """A power law fitted to the upper tail of a sample: ``p(x) = (alpha-1)/xmin (x/xmin)^-alpha`` for x >= xmin.

    Attributes
    ----------
    alpha : float
        Exponent (NaN where there is no fit).
    xmin : float
        Where the tail starts, in the unit of the values.
    D : float
        Kolmogorov-Smirnov distance between the tail and the fit.
    sigma : float
        Standard error ``(alpha-1)/sqrt(n_tail)``, given xmin.
    n : int
        Number of values.
    n_tail : int
        Number of values in the tail.
    xmin_index : int
        Position of xmin among the ascending values; -1 where there is no fit.
    xmax : float or None
        Upper end of the model.
    status : {"ok", "too_few_values", "degenerate"}
        Why there is no fit, where there is none.
    p_value : float or None
        Share of samples drawn from the fit that lie at least as far from their own fits; below 0.1 the tail is
        not a power law. None where no bootstrap was asked for.
    alpha_interval : tuple of float or None
        Bootstrap interval of alpha, xmin refitted.
    confidence_level : float
        Confidence level of the interval.
    n_bootstrap : int
        Number of bootstrap samples.
    ks : {"one_sided", "two_sided"}
        Which Kolmogorov-Smirnov distance.
    truncated_mle : bool
        Whether alpha maximises the likelihood of the model that ends at xmax.
    ties : {"distinct", "copies"}
        Whether equal values are one candidate or one each.
    raw_alpha : float or None
        Exponent before the largest values were excluded (`fit_without_fingers`).
    num_fingers : int
        How many of the largest values were excluded; WeightWatcher's count, one less, where its rule was asked for.
    values : ndarray [n]
        The values, ascending.
    """

    picture = ".plots:plot_power_law"
    keys: ClassVar = {"confidence_level": "level"}

    alpha: float
    xmin: float
    D: float
    sigma: float
    n: int
    n_tail: int
    xmin_index: int
    xmax: float | None
    status: str
    p_value: float | None = None
    alpha_interval: tuple[float, float] | None = None
    confidence_level: float = 0.95
    n_bootstrap: int = 0
    ks: str = "one_sided"
    truncated_mle: bool = False
    ties: str = "distinct"
    raw_alpha: float | None = None
    num_fingers: int = 0
    values: NDArray[np.float64]

    @property
    def tail(self) -> NDArray[np.float64]:
        """The values at or above xmin [n_tail]."""
        return self.values[len(self.values) - self.n_tail :]

    def profile(self) -> tuple[Floats, Floats, Floats]:
        """Return xmin, alpha and D of every tail: three arrays [candidates]; takes n^2/2 exponentials."""
        tails = self._tails()
        return tails.values[:-1], 1 + tails.slopes, tails.distances()

    def _tails(self) -> Tails:
        return tails_of(
            self.values,
            distinct=self.ties == "distinct",
            xmax=self.xmax,
            bounded=self.truncated_mle,
            two_sided=self.ks == "two_sided",
        )

    def table(self) -> Table:
        """Return one row: alpha, its standard error, xmin, D, sizes, p-value."""
        row: dict[str, Any] = {
            "alpha": self.alpha, "sigma": self.sigma, "xmin": self.xmin, "D": self.D, "n tail": self.n_tail,
            "n": self.n, "p": self.p_value, "status": self.status,
        }  # fmt: skip
        return Table({name: [value] for name, value in row.items()})

    def sentence(self) -> str:
        """Return the exponent with its error, and whether the tail is a power law at all."""
        if self.status != "ok":
            reason = "all are equal" if self.status == "degenerate" else "too few of them lie in any tail"
            return f"No power law was fitted to {self.n} values: {reason}."
        text = f"The largest {self.n_tail} of {self.n} values follow a power law of exponent {self.alpha:.2f} "
        text += f"(SE {self.sigma:.2f} given xmin = {self.xmin:.3g}; KS distance {self.D:.3f})"
        if self.p_value is None or self.alpha_interval is None:
            return text + "; whether a power law describes them was not tested (ask for a bootstrap)."
        low, high = self.alpha_interval
        verdict = "a power law is rejected" if self.p_value < 0.1 else "a power law is not rejected"
        return (
            f"{text}; {percent(self.confidence_level)} bootstrap CI {low:.2f} to {high:.2f}, p = {self.p_value:.3f} "
            f"from {self.n_bootstrap} samples: {verdict}; others may fit as well."
        )


def fit_power_law(
    values: ArrayLike,
    *,
    xmin: float | None = None,
    xmax: float | Literal["max"] | None = None,
    min_tail: int = MIN_TAIL,
    bootstrap: int = 0,
    confidence_level: float = CONFIDENCE_LEVEL,
    seed: int | np.random.Generator | None = None,
    **settings: Unpack[TailSettings],
) -> PowerLawFit:
    """Fit a continuous power law to the upper tail of positive values.

    For every candidate xmin the exponent is the maximum-likelihood one; the candidate with the smallest
    Kolmogorov-Smirnov distance wins. The minimum is exact (branch and bound), not a search on a grid.

    Parameters
    ----------
    values : array_like [n]
        Positive, for example the eigenvalues of a layer above the rounding floor.
    xmin : float, optional
        Start of the tail; chosen among the values when None.
    xmax : float or "max", optional
        Upper end of the model: larger values are excluded, and the distance is that to the bounded distribution.
        ``"max"`` is
        the largest value (the setting of the 2021 papers).
    min_tail : int
        Smallest tail allowed. 2 is the rule of `powerlaw` and WeightWatcher.
    bootstrap : int
        Number of samples drawn from the fit and refitted, for the p-value and the interval of alpha.
    confidence_level : float
        Confidence level of that interval.
    seed : int or Generator, optional
        Random source of the bootstrap.
    **settings
        To fit as other programs do (`xmin_range`, `ks`, `truncated_mle`, `ties`, `small_sample`): see `TailSettings`.

    Returns
    -------
    PowerLawFit
        With status "too_few_values" or "degenerate" and NaN where nothing can be fitted.

    Raises
    ------
    InputError
        No values, values that are not positive and finite, or an option out of range.

    Notes
    -----
    On true power laws the bootstrap p-value is uniform for a given xmin, and a little conservative where xmin is
    chosen.

    References
    ----------
    Clauset, Shalizi, Newman (2009), "Power-law distributions in empirical data", sections 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> values = np.random.default_rng(0).pareto(2.0, size=2000) + 1  # exponent 3
    >>> round(rs.methods.spectra.fit_power_law(values, xmin=1.0).alpha, 1)
    3.0
    """
    check_settings(settings, TailSettings.__annotations__, fit_power_law)
    rules = TailRules(**settings)
    check_integers(bootstrap, "bootstrap", 0, None)
    ordered, top = _used(_positive(values), xmax)
    if rules.truncated_mle and top is None:
        raise InputError("got truncated_mle without xmax", "an upper end of the model", "Pass xmax='max'.")
    small = rules.small_sample == "weightwatcher" and len(ordered) < SMALL_SAMPLE
    options: dict[str, Any] = {
        "xmax": top, "bounded": rules.truncated_mle, "unbiased": small, "two_sided": rules.ks == "two_sided",
    }  # fmt: skip
    start = PowerLawFit(
        alpha=np.nan, xmin=np.nan, D=np.nan, sigma=np.nan, n=len(ordered), n_tail=0, xmin_index=-1, xmax=top,
        status="too_few_values", confidence_level=confidence_level, ks=rules.ks,
        truncated_mle=rules.truncated_mle, ties=rules.ties, values=ordered,
    )  # fmt: skip
    smallest = 8 if small else max(2, min_tail)
    fit = _fitted_at(start, xmin, options) if xmin is not None else _fitted(start, rules.xmin_range, smallest, options)
    if bootstrap and fit.status == "ok":
        again: dict[str, Any] = {"xmin": xmin, "xmax": top, "min_tail": min_tail, **settings}
        fit = _bootstrapped(fit, bootstrap, np.random.default_rng(check_seed(seed)), again)
    return fit


@dataclass(frozen=True)
class TailRules:
    """Checked `TailSettings`, with defaults."""

    xmin_range: tuple[float, float] | None = None
    ks: str = "one_sided"
    truncated_mle: bool = False
    ties: str = "distinct"
    small_sample: str = "standard"

    def __post_init__(self) -> None:
        check_choice(self.ks, "ks", ("one_sided", "two_sided"))
        check_choice(self.ties, "ties", ("distinct", "copies"))
        check_choice(self.small_sample, "small_sample", ("standard", "weightwatcher"))
        _check_range(self.xmin_range)


def _check_range(xmin_range: Any) -> None:
    if xmin_range is None:
        return
    low, high = xmin_range if np.size(xmin_range) == 2 else (np.nan, np.nan)
    if not low <= high:
        raise InputError(f"got xmin_range {xmin_range}", "two numbers, the smaller first")


def _positive(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64).ravel()
    if not array.size:
        raise InputError("there are no values", "at least two positive numbers")
    bad = ~((array > 0) & np.isfinite(array))
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} of {array.size} values are not positive and finite, the first {array[np.argmax(bad)]}",
            "positive numbers",
            "For a layer, rs.methods.spectra.spectrum(weight).tail_values() excludes what rounding noise explains.",
        )
    return np.sort(array)


def _used(ordered: Floats, xmax: float | str | None) -> tuple[Floats, float | None]:
    if xmax is None:
        return ordered, None
    if isinstance(xmax, str):
        check_choice(xmax, "xmax", ("max",))
        return ordered, float(ordered[-1])
    kept = ordered[ordered <= xmax]
    if not kept.size:
        raise InputError(f"got xmax {xmax} below every value", f"at least {ordered[0]:.4g}")
    return kept, float(xmax)


def _fitted(
    start: PowerLawFit, xmin_range: tuple[float, float] | None, min_tail: int, options: dict[str, Any]
) -> PowerLawFit:
    """Choose the tail of smallest distance."""
    tails = tails_of(start.values, distinct=start.ties == "distinct", **options)
    if len(tails.values) < 2 or tails.values[0] == tails.values[-1]:
        return replace(start, status="degenerate" if start.n >= min_tail else "too_few_values")
    allowed = (tails.counts[:-1] >= min_tail) & np.isfinite(tails.slopes)
    if xmin_range is not None:
        allowed &= (tails.values[:-1] >= xmin_range[0]) & (tails.values[:-1] <= xmin_range[1])
    rows = np.flatnonzero(allowed)
    if not rows.size:
        return start
    row, distance = tails.best(rows)
    return _filled(start, tails, row, distance)


def _fitted_at(start: PowerLawFit, xmin: float, options: dict[str, Any]) -> PowerLawFit:
    """Fit the tail that starts at `xmin`, which need not be one of the values."""
    if not xmin > 0:
        raise InputError(f"got xmin {xmin}", "a positive number")
    tail = start.values[start.values >= xmin]
    if len(tail) < 2:
        return start
    if tail[-1] == xmin:
        return replace(start, status="degenerate")
    whole = tails_of(tail, distinct=start.ties == "distinct", **options)
    if whole.values[0] > xmin:
        values, counts = np.append(xmin, whole.values), np.append(whole.counts[0], whole.counts)
        whole = tails_from(values, counts, **options)
    return _filled(start, whole, 0, whole.distance(0))


def _filled(start: PowerLawFit, tails: Tails, row: int, distance: float) -> PowerLawFit:
    alpha, n_tail = 1 + float(tails.slopes[row]), int(tails.counts[row])
    return replace(
        start,
        alpha=alpha,
        xmin=float(tails.values[row]),
        D=distance,
        sigma=(alpha - 1) / np.sqrt(n_tail),
        n_tail=n_tail,
        xmin_index=start.n - n_tail,
        status="ok",
    )


def _bootstrapped(fit: PowerLawFit, n_bootstrap: int, rng: np.random.Generator, options: dict[str, Any]) -> PowerLawFit:
    """Add the p-value and the interval from the semi-parametric bootstrap (Clauset et al., section 4.1)."""
    again = [fit_power_law(_drawn(fit, rng), **options) for _ in range(n_bootstrap)]
    alphas = np.array([one.alpha for one in again if one.status == "ok"])
    if not alphas.size:
        return fit
    tail = (1 - fit.confidence_level) / 2
    low, high = np.quantile(alphas, [tail, 1 - tail])
    distances = np.array([one.D for one in again if one.status == "ok"])
    return replace(
        fit,
        p_value=float(np.mean(distances >= fit.D)),
        alpha_interval=(float(low), float(high)),
        n_bootstrap=len(alphas),
    )


def _drawn(fit: PowerLawFit, rng: np.random.Generator) -> Floats:
    """Draw n values: each from the fitted tail with probability n_tail/n, otherwise from the values below xmin."""
    in_tail = int(rng.binomial(fit.n, fit.n_tail / fit.n))
    share = rng.random(in_tail)
    if fit.xmax is not None:
        share *= -np.expm1((1 - fit.alpha) * np.log(fit.xmax / fit.xmin))
    tail = fit.xmin * (1 - share) ** (1 / (1 - fit.alpha))
    below = fit.values[: fit.n - fit.n_tail]
    return np.concatenate([tail, rng.choice(below, fit.n - in_tail)]) if in_tail < fit.n else tail
