"""Comparing two configurations.

Runs of the probit model; both configurations are equally good on the distribution, and their success rates differ from
example to example by `tau` (standard deviation of the probit). A verdict that one is better is an error.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tests.variance.probit import draw_pair

import runspread as rs
from simulations.promises import Promise, promise

EXAMPLES = 200


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(50, round(500 * scale))
    settings = [(beta, 0.0, runs, runs) for beta in (0.1, 0.3) for runs in (2, 3, 5)]
    for beta, tau, first, second in (*settings, (0.1, 0.5, 3, 10), (0.1, 0.5, 10, 10), (0.1, 0.5, 30, 10)):
        rng = np.random.default_rng([7, first, second])
        found = [rs.compare(correct=draw_pair(rng, (first, second), EXAMPLES, beta, tau)) for _ in range(sets)]
        wrong = [result.verdict() != "undecided" for result in found]
        setting = f"{first} and {second} runs, beta {beta}, tau {tau}"
        yield promise("one is better on the distribution, where both are equal", setting, (0.0, 0.05), wrong)
