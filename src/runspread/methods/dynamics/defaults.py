"""Settings of training dynamics, and their default values: one set for the verbs, the command and the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ..hmm.defaults import PAPER, FitOptions

DIRECTIONS = ("above", "below")
DIRECTION = "above"
STANDARDIZE = "run"
STANDARDIZATIONS = ("run", "pooled", "none")
DIVERGED = "exclude"
DIVERGED_RUNS = ("exclude", "truncate")
REDUNDANT = "drop"
SIGNIFICANCE = 0.05  # chance of a false detour in data without any
PERMUTATIONS = 1000  # of the regression
BOOTSTRAPS = 20  # resamples of the runs
FRACTIONS = (0.05, 0.1, 0.2, 0.3, 0.5)  # of training, that a prediction knows
FOLDS = 5
PRESETS: dict[str, dict[str, Any]] = {
    "default": {"first_n": None, "criterion": "bic", "redundant": REDUNDANT, "significance": SIGNIFICANCE},
    "paper": {"first_n": 1000, "criterion": "bic_mean", "redundant": "keep", "significance": 1e-3, **PAPER},
}


class DynamicsSettings(FitOptions, total=False):
    """Keywords of `dynamics` beside those that it names: `FitOptions`, which override the preset, and these.

    Attributes
    ----------
    criterion : {"bic", "bic_mean", "bic_best", "aic", "heldout_ll"}, optional
        As for `select_hmm`; by default the preset's, ``bic`` or ``bic_mean``.
    columns, steps, lengths, first_n, diverged
        As for `prepare_sequences`.
    significance : float, optional
        Chance of a false detour in a data set without any (default: 0.05); for the paper's preset the level of the
        F-test below which states can be detours (default: 0.001).
    permutations : int
        Shuffles for the permutation p-value of the regression (default: 1000).
    """

    criterion: str | None
    columns: Sequence[str] | None
    steps: Any
    lengths: ArrayLike | None
    first_n: int | None
    diverged: str
    significance: float | None
    permutations: int
