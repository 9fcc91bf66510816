"""Two configurations whose true difference is known: the probit model with all that comparisons meet.

An example is right with probability ``Phi(latent)``. The latent has the difficulty of the example, N(mean, 1), what the
configurations differ by on it (`tau`), an effect of the run (`beta`) and, where examples come in groups, the difficulty
of the group (`group`), what the configurations differ by on it (`group_gap`), and errors that a run makes on the whole
group (`group_run`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri


@dataclass(frozen=True)
class Configurations:
    """The laws of an old and a new configuration."""

    mean: tuple[float, float] = (1.5, 1.5)
    beta: tuple[float, float] = (0.1, 0.1)
    tau: float = 0.0
    groups: int = 0
    unequal: bool = False
    group: float = 0.6
    group_gap: float = 0.4
    group_run: float = 0.2
    failing: float = 0.0

    def _sd(self, arm: int) -> float:
        grouped = self.group**2 + self.group_gap**2 + self.group_run**2 if self.groups else 0.0
        return math.sqrt(2 + self.tau**2 + self.beta[arm] ** 2 + grouped)

    def accuracy(self, arm: int) -> float:
        """Return the true accuracy of the old (0) or new (1) configuration, without runs that fail."""
        return float(ndtr(self.mean[arm] / self._sd(arm)))

    @property
    def gap(self) -> float:
        """True difference, new minus old."""
        return self.accuracy(1) - self.accuracy(0)

    def with_gap(self, gap: float) -> Configurations:
        """Return the same with a new configuration that is better by `gap`."""
        return replace(self, mean=(self.mean[0], float(ndtri(self.accuracy(0) + gap)) * self._sd(1)))

    def draw(self, rng: np.random.Generator, runs: tuple[int, int], examples: int) -> tuple[np.ndarray, ...]:
        """Return correctness of the old and the new runs, and the group of each example."""
        latent, codes = rng.normal(size=examples), np.arange(examples)
        if self.groups:
            weights = rng.lognormal(0, 0.8, self.groups) if self.unequal else np.ones(self.groups)
            codes = np.sort(rng.choice(self.groups, examples, p=weights / weights.sum()))
            codes[: self.groups] = np.arange(self.groups)
            latent = latent + self.group * rng.normal(size=self.groups)[codes]
        return (*(self._arm(rng, arm, count, latent, codes) for arm, count in enumerate(runs)), codes)

    def _arm(self, rng: np.random.Generator, arm: int, runs: int, latent: np.ndarray, codes: np.ndarray) -> np.ndarray:
        examples = len(latent)
        own = self.mean[arm] + latent + self.tau * rng.normal(size=examples)
        own = own + self.beta[arm] * rng.normal(size=(runs, 1))
        if self.groups:
            own = own + self.group_gap * rng.normal(size=self.groups)[codes]
            own = own + self.group_run * rng.normal(size=(runs, self.groups))[:, codes]
        own = own - 2.0 * (rng.random((runs, 1)) < self.failing)
        return rng.random((runs, examples)) < ndtr(own)
