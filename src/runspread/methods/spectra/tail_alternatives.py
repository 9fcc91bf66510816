"""What else could describe a tail: the power law with an exponential cut-off, and three others not nested in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._results import Result, Table
from ...errors import InputError
from .._ties import first_smallest
from .powerlaw import PowerLawFit, fit_power_law
from .tails import Floats, first_of_equal

ALTERNATIVES = ("truncated_power_law", "lognormal", "exponential", "stretched_exponential")
_LOWEST = np.log(1e-307)  # log-likelihood of a value that a distribution calls impossible, as in `powerlaw`


@dataclass(frozen=True, eq=False, kw_only=True)
class TruncatedPowerLawFit(Result):
    """A power law with an exponential cut-off: ``p(x) ~ x^-alpha exp(-Lambda x)`` for x >= xmin.

    Attributes
    ----------
    alpha : float
        Exponent, above 1.
    Lambda : float
        Rate of the cut-off, in one over the unit of the values.
    xmin : float
        Where the tail starts.
    D : float
        Kolmogorov-Smirnov distance between the tail and the fit.
    n, n_tail : int
        Number of values, and of those in the tail.
    log_likelihood : float
        Of the tail.
    R : float
        Gain in log-likelihood over the plain power law with the same xmin, at least 0.
    p_value : float
        p-value of that gain if the plain power law were true (chi-squared with one degree of freedom).
    """

    alpha: float
    Lambda: float
    xmin: float
    D: float
    n: int
    n_tail: int
    log_likelihood: float
    R: float
    p_value: float

    def table(self) -> Table:
        """Return one row of the fit."""
        names = ("alpha", "Lambda", "xmin", "D", "n_tail", "n", "R", "p_value")
        return Table({name: [getattr(self, name)] for name in names})

    def sentence(self) -> str:
        """Say whether the cut-off is needed."""
        verb = "improves on" if self.p_value < 0.05 else "does not improve on"
        return (
            f"An exponential cut-off (rate {self.Lambda:.3g}, exponent {self.alpha:.2f}) {verb} the plain power law "
            f"for the largest {self.n_tail} of {self.n} values (gain in log-likelihood {self.R:.2f}, "
            f"p = {self.p_value:.3f}); it does not show that either distribution is right."
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class TailComparison(Result):
    """A power-law tail against other distributions, all fitted to the same values above the same xmin.

    Attributes
    ----------
    fit : PowerLawFit
        The power law.
    alternative : tuple of str
        Names of the other distributions.
    R : ndarray [alternatives]
        Log-likelihood ratio, power law over alternative: divided by its standard deviation (Vuong) for those that are
        not nested, plain for the truncated power law. Positive favours the power law.
    p_value : ndarray [alternatives]
        p-value of a ratio that far from zero if both were equally good.
    parameters : tuple of dict
        Fitted parameters of each distribution.
    """

    fit: PowerLawFit
    alternative: tuple[str, ...]
    R: NDArray[np.float64]
    p_value: NDArray[np.float64]
    parameters: tuple[dict[str, float], ...]

    def table(self) -> Table:
        """Return one row per distribution."""
        return Table(
            {
                "alternative": self.alternative,
                "R": self.R,
                "p": self.p_value,
                "favours": [_favoured(r, p) for r, p in zip(self.R, self.p_value, strict=True)],
                "parameters": [_described(*row) for row in zip(self.R, self.p_value, self.parameters, strict=True)],
            }
        )

    def sentence(self) -> str:
        """Say which distributions describe the tail better or worse."""
        verdicts = [
            f"{name.replace('_', ' ')}: {_favoured(r, p)}"
            for name, r, p in zip(self.alternative, self.R, self.p_value, strict=True)
        ]
        return (
            f"Power law (exponent {self.fit.alpha:.2f}, {self.fit.n_tail} values) against other distributions, "
            f"which one the likelihood favours at 5 %: {'; '.join(verdicts)}. The better of two may still be wrong."
        )


def _favoured(ratio: float, p_value: float) -> str:
    if not p_value < 0.05:
        return "neither"
    return "power law" if ratio > 0 else "alternative"


def _described(ratio: float, p_value: float, parameters: dict[str, float]) -> str:
    if abs(ratio) < 1e-2 and p_value > 0.98:
        return "tends to the power law itself"
    return ", ".join(f"{name} = {value:.4g}" for name, value in parameters.items())


def fit_truncated_power_law(
    values: ArrayLike,
    *,
    xmin: float | None = None,
    select: Literal["power_law", "truncated"] = "power_law",
    min_tail: int = 8,
) -> TruncatedPowerLawFit:
    """Fit a power law with an exponential cut-off by maximum likelihood.

    Parameters
    ----------
    values : array_like [n]
        Positive.
    xmin : float, optional
        Start of the tail.
    select : {"power_law", "truncated"}
        Where xmin comes from when it is None: from the plain power law, or from the smallest Kolmogorov-Smirnov
        distance of the truncated power law itself over all candidates (a few milliseconds each).
    min_tail : int
        Smallest tail allowed.

    Raises
    ------
    InputError
        No power law can be fitted to start from.

    References
    ----------
    Clauset, Shalizi, Newman (2009), table 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> values = np.random.default_rng(0).pareto(2.0, size=500) + 1
    >>> bool(rs.methods.spectra.fit_truncated_power_law(values, xmin=1.0).alpha > 1)
    True
    """
    check_choice(select, "select", ("power_law", "truncated"))
    plain = _usable(fit_power_law(values, xmin=xmin, min_tail=min_tail))
    if xmin is not None or select == "power_law":
        return _truncated(plain)
    first = first_of_equal(plain.values)
    candidates = plain.values[first[:-1]][plain.n - first[:-1] >= max(2, min_tail)]
    fits = (_truncated(fit_power_law(plain.values, xmin=float(start))) for start in candidates)
    found = list(fits)
    return found[first_smallest(np.array([fit.D for fit in found]))]


def compare_tails(fit: PowerLawFit, alternatives: tuple[str, ...] = ALTERNATIVES) -> TailComparison:
    """Compare a fitted power law with other distributions on the same tail.

    Parameters
    ----------
    fit : PowerLawFit
        From `fit_power_law`, without an upper end.
    alternatives : tuple of str
        Any of "truncated_power_law", "lognormal", "exponential", "stretched_exponential", all cut off below xmin.

    Raises
    ------
    InputError
        Values in place of a fit, a fit that failed or has an upper end, or an unknown distribution.

    References
    ----------
    Vuong (1989); Clauset, Shalizi, Newman (2009), section 5.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> fit = rs.methods.spectra.fit_power_law(rs.methods.spectra.spectrum(weight).eigenvalues)
    >>> rs.methods.spectra.compare_tails(fit).table()["alternative"]
    ['truncated_power_law', 'lognormal', 'exponential', 'stretched_exponential']
    """
    if not isinstance(fit, PowerLawFit):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"got a {type(fit).__name__}",
            "a fitted power law",
            "Fit the values first. In Python: compare_tails(rs.methods.spectra.fit_power_law(values))",
        )
    _usable(fit)
    if fit.xmax is not None:
        raise InputError(f"got a power law with upper end {fit.xmax:.4g}", "one without", "Fit again without xmax.")
    rows = [_compared(fit, check_choice(name, "alternative", ALTERNATIVES)) for name in alternatives]
    ratios, p_values, parameters = zip(*rows, strict=True)
    return TailComparison(
        fit=fit, alternative=tuple(alternatives), R=np.array(ratios), p_value=np.array(p_values), parameters=parameters
    )


def _usable(fit: PowerLawFit) -> PowerLawFit:
    if fit.status != "ok":
        raise InputError(f"no power law could be fitted ({fit.status.replace('_', ' ')}, {fit.n} values)", "a tail")
    return fit


def _compared(fit: PowerLawFit, name: str) -> tuple[float, float, dict[str, float]]:
    if name == "truncated_power_law":
        one = _truncated(fit)
        return -one.R, one.p_value, {"alpha": one.alpha, "Lambda": one.Lambda}
    from scipy.special import erfc

    logs, parameters = _LAWS[name](fit.tail, fit.xmin)
    difference = _power_law_logs(fit) - np.where(np.isfinite(logs), logs, _LOWEST)
    spread = np.sqrt(fit.n_tail) * np.std(difference)
    ratio = float(np.sum(difference) / spread) if spread > 0 else 0.0
    return ratio, float(erfc(abs(ratio) / np.sqrt(2))), parameters


def _power_law_logs(fit: PowerLawFit) -> Floats:
    return np.log((fit.alpha - 1) / fit.xmin) - fit.alpha * np.log(fit.tail / fit.xmin)


def _minimum(negative: Callable[[Floats], float], start: tuple[float, float]) -> Floats:
    """Return the place of the minimum by Nelder-Mead, which copes with the edges that these likelihoods have."""
    from scipy.optimize import minimize

    with np.errstate(all="ignore"):
        found = minimize(
            negative, np.array(start), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000}
        )
        return np.asarray(found.x)


def _lognormal(tail: Floats, xmin: float) -> tuple[Floats, dict[str, float]]:
    """Fit in y = ln(x/xmin), where the distribution is ``exp(-a y - c y^2/2)`` and the power law is its limit c = 0."""
    y = np.log(tail / xmin)

    def likelihoods(a: float, c: float) -> Any:
        return -a * y - c * y**2 / 2 - 0.5 * np.log(np.pi / (2 * c)) - _log_erfcx(a / np.sqrt(2 * c)) - np.log(tail)

    def negative(p: Floats) -> float:
        return -float(np.sum(likelihoods(p[0], np.exp(p[1])))) if abs(p[1]) < 60 else np.inf

    a, log_c = _minimum(negative, (1 / float(np.mean(y)), -np.log(np.var(y))))
    c = np.exp(log_c)
    return likelihoods(a, c), {"mu": float(np.log(xmin) - a / c), "sigma": float(1 / np.sqrt(c))}


def _log_erfcx(u: float) -> float:
    from scipy.special import erfcx, log_ndtr

    return float(np.log(erfcx(u)) if u > 0 else u**2 + np.log(2) + log_ndtr(-u * np.sqrt(2)))


def _exponential(tail: Floats, xmin: float) -> tuple[Floats, dict[str, float]]:
    rate = 1 / (float(np.mean(tail)) - xmin)
    return np.log(rate) - rate * (tail - xmin), {"Lambda": rate}


def _stretched_exponential(tail: Floats, xmin: float) -> tuple[Floats, dict[str, float]]:
    """Fit in y = ln(x/xmin) with theta = beta (Lambda xmin)^beta, which tends to alpha - 1 where beta tends to 0."""
    y = np.log(tail / xmin)

    def likelihoods(theta: float, beta: float) -> Any:
        return np.log(theta / xmin) + (beta - 1) * y - theta * np.expm1(beta * y) / beta

    def negative(p: Floats) -> float:
        return -float(np.sum(likelihoods(p[0], p[1]))) if min(p) > 1e-12 else np.inf

    theta, beta = (float(p) for p in _minimum(negative, (xmin / float(np.mean(tail)), 1.0)))
    log_rate = np.log(theta / beta) / beta - np.log(xmin)
    return likelihoods(theta, beta), {"log Lambda": float(log_rate), "beta": beta}


_LAWS: dict[str, Callable[[Floats, float], tuple[Floats, dict[str, float]]]] = {
    "lognormal": _lognormal,
    "exponential": _exponential,
    "stretched_exponential": _stretched_exponential,
}


def _truncated(fit: PowerLawFit) -> TruncatedPowerLawFit:
    """Fit the truncated power law to the tail of `fit`."""
    from scipy.special import chdtrc

    tail, n = fit.tail, fit.n_tail
    sum_logs, total = float(np.sum(np.log(tail))), float(np.sum(tail))

    def likelihood(alpha: float, rate: float) -> float:
        normaliser = (1 - alpha) * np.log(rate) - log_upper_gamma(1 - alpha, rate * fit.xmin)
        return n * normaliser - alpha * sum_logs - rate * total

    def negative(p: Floats) -> float:
        return -likelihood(p[0], float(np.exp(p[1]))) if p[0] > 1 and abs(p[1]) < 500 else np.inf

    alpha, log_rate = (float(p) for p in _minimum(negative, (fit.alpha, -np.log(total / n))))
    rate = float(np.exp(log_rate))
    best = likelihood(alpha, rate)
    gain = max(0.0, best - float(np.sum(_power_law_logs(fit))))  # the plain power law is the limit of no cut-off
    below = first_of_equal(tail)
    survival = [log_upper_gamma(1 - alpha, rate * x) for x in tail[below]]
    model = -np.expm1(np.array(survival) - log_upper_gamma(1 - alpha, rate * fit.xmin))
    return TruncatedPowerLawFit(
        alpha=alpha,
        Lambda=rate,
        xmin=fit.xmin,
        D=float(np.max(np.abs(model - below / n))),
        n=fit.n,
        n_tail=n,
        log_likelihood=best,
        R=gain,
        p_value=float(chdtrc(1, 2 * gain)),
    )


def log_upper_gamma(s: float, z: float) -> float:
    """Return the logarithm of the upper incomplete gamma function for s <= 1 of any sign and z > 0.

    Below z = 1 by the recurrence ``Gamma(s, z) = (Gamma(s+1, z) - z^s e^-z) / s`` from the first s + k in (0, 1];
    above, by Legendre's continued fraction (DLMF 8.9.2), where the recurrence would cancel.
    """
    if z > 1:
        return _log_gamma_fraction(s, z)
    from scipy.special import gamma, gammaincc

    if abs(s - round(s)) < 1e-6 and s < 0.5:
        s = round(s) - 1e-6  # the recurrence divides by s + k: step aside
    steps = max(0, int(np.ceil(-s)))
    value = float(gamma(s + steps) * gammaincc(s + steps, z))
    for k in range(steps - 1, -1, -1):
        value = (value - z ** (s + k) * np.exp(-z)) / (s + k)
    return float(np.log(value))


def _log_gamma_fraction(s: float, z: float) -> float:
    """Evaluate the continued fraction by the modified Lentz algorithm."""
    b = z + 1 - s
    d = 1 / b
    c, h = np.inf, d
    for k in range(1, 500):
        a = -k * (k - s)
        b += 2
        d = 1 / (a * d + b)
        c = b + a / c
        h *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return float(s * np.log(z) - z + np.log(h))
