"""Variance components of runs in which every combination of some seeds was trained (spec 6)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._results import Result, Table
from ...errors import InputError
from .wording import points, root

_BLOCK = 2**22


def _effects(sources: int) -> tuple[tuple[int, ...], ...]:
    """Return the main effects and interactions: a, b, c, ab, ac, bc, abc for three sources."""
    axes = range(sources)
    return tuple(effect for size in range(1, sources + 1) for effect in itertools.combinations(axes, size))


@dataclass(frozen=True, eq=False, kw_only=True)
class SourceComponents(Result):
    """Variance components of a crossed design of three seeds, or of two, one run per cell.

    Components come in the order a, b, c, ab, ac, bc, abc, with a, b, c the `roles`; with two a, b, ab. Negative ones
    stay negative.

    Attributes
    ----------
    roles : tuple of str
        Names of the sources.
    levels : tuple of int
        Number of seeds of each.
    n_examples : int
        Size of the test set.
    ms_test, ms_dist : ndarray of float [7 or 3]
        Mean squares of the accuracies, and their unbiased versions on the distribution.
    comp_test, comp_dist : ndarray of float [7 or 3]
        Variance components.
    total_test, total_dist : float
        Their sums: the variance between runs in which everything varies.
    total_effect_test, total_effect_dist : ndarray of float [sources]
        Expected variance when only that source varies.
    """

    picture = ".plots:plot_sources"

    roles: tuple[str, ...]
    levels: tuple[int, ...]
    n_examples: int
    ms_test: NDArray[np.float64]
    ms_dist: NDArray[np.float64]
    comp_test: NDArray[np.float64]
    comp_dist: NDArray[np.float64]
    total_test: float
    total_dist: float
    total_effect_test: NDArray[np.float64]
    total_effect_dist: NDArray[np.float64]

    def table(self) -> Table:
        """Return one row per component; shares are of the total variance."""
        columns = {
            "source": [" x ".join(self.roles[axis] for axis in effect) for effect in _effects(len(self.roles))],
            "share on test set": self.comp_test / (self.total_test or math.nan),
            "variance on test set": self.comp_test,
            "variance on distribution": self.comp_dist,
        }
        return Table(columns, formats={"share on test set": ".1%"})

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        if not self.total_test > 0:
            return (
                f"The {' x '.join(map(str, self.levels))} runs show no spread on {self.n_examples} examples to split "
                f"between {', '.join(self.roles)}."
            )
        shares = self.total_effect_test / self.total_test
        parts = ", ".join(f"{role} alone {share:.0%}" for role, share in zip(self.roles, shares, strict=True))
        cells = " x ".join(map(str, self.levels))
        between = "all three" if len(self.roles) == 3 else "the two"
        return (
            f"Varying one source gives, of the variance with all sources varied (sd {points(root(self.total_test))} "
            f"percentage points, {cells} runs, {self.n_examples} examples): {parts}, each with the interactions it is "
            f"part of; {self.comp_test[-1] / self.total_test:.0%} is the interaction of {between}. Few levels make "
            "these shares rough."
        )


def crossed_components(correct: NDArray[np.bool_], roles: Sequence[str]) -> SourceComponents:
    """Return the components of correctness [a, b, c, examples], or [a, b, examples]."""
    *levels, examples = correct.shape
    if len(levels) != len(roles) or min(levels) < 2 or examples < 2:
        raise InputError(
            f"got correct of shape {correct.shape} for roles {', '.join(roles)}",
            "one axis per role with two seeds or more of each, and two examples",
        )
    test = _mean_squares(correct.mean(axis=-1)[..., None])[:, 0]
    own = np.zeros(len(test))
    step = max(1, _BLOCK // math.prod(levels))
    for start in range(0, examples, step):
        own += _mean_squares(correct[..., start : start + step].astype(np.float64)).sum(axis=1)
    dist = examples / (examples - 1) * (test - own / examples**2)
    comp_test, comp_dist = _components(test, tuple(levels)), _components(dist, tuple(levels))
    return SourceComponents(
        roles=tuple(roles),
        levels=tuple(levels),
        n_examples=examples,
        ms_test=test,
        ms_dist=dist,
        comp_test=comp_test,
        comp_dist=comp_dist,
        total_test=float(comp_test.sum()),
        total_dist=float(comp_dist.sum()),
        total_effect_test=_total_effects(comp_test, len(levels)),
        total_effect_dist=_total_effects(comp_dist, len(levels)),
    )


def _mean_squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean squares [effects, examples] of values [a, b, (c,) examples] in the order of the effects."""
    levels = values.shape[:-1]
    axes, effects = tuple(range(len(levels))), _effects(len(levels))
    found = np.empty((len(effects), values.shape[-1]))
    for row, effect in enumerate(effects):
        contrast = np.zeros(values.shape)
        for size in range(len(effect) + 1):
            for kept in itertools.combinations(effect, size):
                averaged = tuple(axis for axis in axes if axis not in kept)
                contrast += (-1) ** (len(effect) - size) * values.mean(axis=averaged, keepdims=True)
        degrees = math.prod(levels[axis] - 1 for axis in effect)
        found[row] = np.square(contrast).sum(axis=axes) / degrees
    return found


def _components(squares: NDArray[np.float64], levels: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the random-effects components: mean squares of an effect and of those that hold it, with changing sign."""
    effects = _effects(len(levels))
    found = np.empty(len(effects))
    for row, effect in enumerate(effects):
        signed = [
            (-1) ** (len(other) - len(effect)) * square
            for other, square in zip(effects, squares.tolist(), strict=True)
            if set(effect) <= set(other)
        ]
        found[row] = sum(signed) / math.prod(size for axis, size in enumerate(levels) if axis not in effect)
    return found


def _total_effects(components: NDArray[np.float64], sources: int) -> NDArray[np.float64]:
    """Return, for each source, the sum of the components in which it takes part."""
    effects = _effects(sources)
    return np.array(
        [sum(components[row] for row, effect in enumerate(effects) if axis in effect) for axis in range(sources)]
    )
