"""Tests of training code against a baseline.

A baseline is drawn once and used for ever, so what counts is its own rate of red tests where nothing changed: it is
worked out for each baseline from 400,000 runs. Heavy tails are Student's t with 3 degrees; in failing one run in twenty
lies 6 sd higher.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runspread.methods.gate import permutation_p, regression_limits, shown_not_worse
from simulations.promises import Promise, promise

POOL, LEVEL = 400_000, 0.01


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of baselines."""
    sets = max(200, round(4000 * scale))
    yield from rates(sets)
    yield from shifts(sets)
    yield from proofs(sets)
    yield from distributions(sets)


def draw(rng: np.random.Generator, n: int, law: str = "normal") -> np.ndarray:
    """Return runs [n], larger is worse."""
    if law == "heavy tails":
        return rng.standard_t(3, n) / np.sqrt(3)
    if law == "failing":
        return rng.normal(size=n) + 6 * (rng.random(n) < 0.05)
    return rng.normal(size=n)


class Law:
    """A law by many runs of it, and means of three."""

    def __init__(self, rng: np.random.Generator, law: str) -> None:
        runs = draw(rng, POOL, law)
        self.runs = np.sort(runs)
        self.means = np.sort(rng.permutation(runs)[: POOL // 3 * 3].reshape(-1, 3).mean(1))

    def above(self, limit: float, *, means: bool) -> float:
        """Return the chance of a run, or of a mean of three, above a limit."""
        values = self.means if means else self.runs
        return 1 - np.searchsorted(values, limit, side="right") / len(values)

    def red(self, base: np.ndarray, shift: float = 0.0) -> float:
        """Return how often tests against a baseline are red, if all new runs are worse by a shift."""
        limits, mean, sd = regression_limits(len(base), LEVEL), base.mean(), base.std(ddof=1)
        first = self.above(mean + limits.first * sd - shift, means=False)
        return first * self.above(mean + limits.then * sd - shift, means=True)


def rates(sets: int) -> Iterator[Promise]:
    """Keep the rate in 95 % of baselines, for normal runs."""
    cells = [(n, "normal") for n in (5, 10, 20)] + [(10, "heavy tails"), (10, "failing")]
    for number, (n, law) in enumerate(cells):
        rng = np.random.default_rng([80, number])
        known = Law(rng, law)
        hits = [known.red(draw(rng, n, law)) <= LEVEL for _ in range(sets)]
        what, setting = "tests against a baseline are red in at most 1 % where nothing changed", f"{n} runs, {law}"
        yield promise(what, setting, (0.95, 1.0), hits, assumed=law == "normal")


def shifts(sets: int) -> Iterator[Promise]:
    """See the shift that a green test names about nine times in ten."""
    for number, n in enumerate((5, 10, 20)):
        rng, hits = np.random.default_rng([81, number]), []
        known, seen = Law(rng, "normal"), regression_limits(n, LEVEL).seen()
        for _ in range(sets):
            base = draw(rng, n)
            hits.append(rng.random() < known.red(base, seen * base.std(ddof=1)))
        yield promise("the shift that a green test names turns it red", f"{n} runs, normal", (0.88, 0.92), hits)


def proofs(sets: int) -> Iterator[Promise]:
    """Show not worse in at most 1 % of cases where new runs are worse by the margin."""
    for number, (n, new) in enumerate(((10, 5), (20, 5), (10, 3))):
        rng, hits = np.random.default_rng([82, number]), []
        for _ in range(sets):
            base, runs = draw(rng, n), draw(rng, new) + 1.0
            hits.append(shown_not_worse(runs, base, 1.0, level=LEVEL).verdict in ("not worse", "better"))
        setting = f"baseline of {n}, {new} new runs"
        yield promise("not worse is shown though new runs are worse by the margin", setting, (0.0, LEVEL), hits)


def distributions(sets: int) -> Iterator[Promise]:
    """Call equal runs different in at most 1 %, on average over baselines."""
    for number, (n, new, law) in enumerate(((10, 5, "normal"), (10, 8, "failing"), (8, 8, "heavy tails"))):
        rng, hits = np.random.default_rng([83, number]), []
        for _ in range(sets):
            base, runs = draw(rng, n, law), draw(rng, new, law)
            hits.append(2 * min(permutation_p(base, runs), permutation_p(-base, -runs)) <= LEVEL)
        setting = f"baseline of {n}, {new} new runs, {law}"
        yield promise("outputs of equal runs differ, on average over baselines", setting, (0.0, LEVEL), hits)
