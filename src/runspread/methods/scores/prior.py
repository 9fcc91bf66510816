"""What is known of the spread of runs from elsewhere: a prior from many groups, and the atlas (scores 3.1, 6.4)."""

from __future__ import annotations

import csv
import functools
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._results import Table
from ..._words import count
from ...errors import InputError
from .forms import Arm, Form, pooled_sd

Floats = NDArray[np.float64]
_ATLAS = Path(__file__).with_name("atlas.csv")
_ONE_SERIES = 4.0  # degrees at most of a single series as a prior for another recipe: a factor of about two either way


class Prior(NamedTuple):
    """A scaled inverse chi-square distribution of the variance of runs.

    Attributes
    ----------
    sd : float
        Its typical standard deviation, in the unit of the metric.
    df : float
        Runs' worth of knowledge; infinite where the spread is known.
    """

    sd: float
    df: float


def fit_prior(sds: ArrayLike, degrees: ArrayLike) -> Prior:
    """Return the prior that the spreads of many groups suggest, by the moments of their logarithms (Smyth 2004).

    Parameters
    ----------
    sds, degrees : array_like of float [groups]
        Standard deviation and degrees of freedom (runs less one) of each group; those without spread are excluded.

    Raises
    ------
    InputError
        Fewer than two groups with a spread.

    Examples
    --------
    >>> import runspread as rs
    >>> round(rs.methods.scores.fit_prior([1.0, 1.4, 0.7, 1.1], [4, 4, 9, 2]).sd, 3)
    1.189
    """
    from scipy.special import digamma, polygamma

    sd, df = np.asarray(sds, np.float64), np.asarray(degrees, np.float64)
    sd, df = sd[sd > 0], df[sd > 0]
    if len(sd) < 2:
        raise InputError(f"{count(len(sd), 'group')} {'has' if len(sd) == 1 else 'have'} a spread", "two or more")
    logs = 2 * np.log(sd) - digamma(df / 2) + np.log(df / 2)
    middle = float(logs.mean())
    beyond = float(logs.var(ddof=1) - polygamma(1, df / 2).mean())
    if beyond <= 0:
        return Prior(math.exp(middle / 2), math.inf)
    prior_df = 2 * _inverse_trigamma(beyond)
    return Prior(math.exp((middle + float(digamma(prior_df / 2)) - math.log(prior_df / 2)) / 2), prior_df)


def _inverse_trigamma(value: float) -> float:
    from scipy.optimize import brentq
    from scipy.special import polygamma

    return float(brentq(lambda y: float(polygamma(1, y)) - value, 1e-8, 10 / value + 10, xtol=1e-13, rtol=1e-14))


def moderated(prior: Prior, *arms: Arm) -> tuple[float, float]:
    """Return the standard deviation that arms and prior together suggest, and its degrees of freedom."""
    df = sum(arm.n - 1 for arm in arms)
    if math.isinf(prior.df):
        return prior.sd, math.inf
    own = pooled_sd(*arms)
    squares = 0.0 if math.isnan(own) else df * own**2
    return math.sqrt((prior.df * prior.sd**2 + squares) / (prior.df + df)), prior.df + df


def moderated_form(prior: Prior, a: Arm, b: Arm) -> Form:
    """Return the t form of the difference of two arms whose spread is moderated by a prior."""
    sd, df = moderated(prior, a, b)
    return Form(math.hypot(a.pooled_se(sd), b.pooled_se(sd)), df)


@functools.cache
def _entries() -> tuple[dict[str, Any], ...]:
    with _ATLAS.open(newline="", encoding="utf-8") as file:
        return tuple(dict(row) for row in csv.DictReader(file))


def _name(row: dict[str, Any]) -> str:
    return f"{row['source']}: {row['model']}"


def atlas() -> Table:
    """Return the known spreads of runs, a row each; `name` is what ``spread=`` and ``like=`` take.

    Examples
    --------
    >>> import runspread as rs
    >>> len(rs.methods.scores.atlas())
    8
    """
    rows = _entries()
    numbers = ("sd", "df", "groups", "runs", "sd_low", "sd_high")
    columns: dict[str, list[Any]] = {"name": [_name(row) for row in rows]}
    for key in rows[0]:
        cells = [row[key] for row in rows]
        columns[key] = [float(cell) if cell else math.nan for cell in cells] if key in numbers else cells
    return Table(columns, title="Known spreads of runs")


def atlas_prior(name: str) -> Prior:
    """Return the prior of an atlas entry; a single series counts for at most 4 degrees of freedom elsewhere.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.scores.atlas_prior("Jordan 2023: ResNet-9 64 epochs").sd > 0
    True
    """
    rows = {_name(row): row for row in _entries()}
    row = rows[check_choice(name, "atlas entry", rows)]
    df = float(row["df"])
    return Prior(float(row["sd"]), df if int(row["groups"]) > 1 else min(df, _ONE_SERIES))
