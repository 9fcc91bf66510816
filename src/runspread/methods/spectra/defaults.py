"""Settings of weight spectra, and their default values: one set for the verbs, the command and the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypedDict

from numpy.typing import NDArray

MIN_EIGENVALUES = 8  # below, no tail is fitted
MIN_FIT = 20  # eigenvalues above the rounding floor that a fit needs
MIN_TAIL = 8  # smallest tail of a fit
MIN_EVALS = 50  # eigenvalues of a layer that enters a model's averages
MAX_SIZE = 15_000  # columns beyond which a layer is listed, not analysed
CONFIDENCE_LEVEL = 0.95
METRIC = "alpha"  # that two checkpoints are compared in
DROP = 0.1  # fall in accuracy that fixes a noise level
DRAWS = 10  # of noise at a level


class LayerSettings(TypedDict, total=False):
    """Keywords of `layer_metrics` beside those that it names.

    Attributes
    ----------
    groups, stored, conv_mode, input_size, solver
        As in `spectrum`.
    min_eigenvalues : int
        Below, the status is "too_small" and no tail is fitted (default: 8).
    min_fit : int
        Number of eigenvalues above the floor that a fit needs (default: 20).
    min_tail : int
        Smallest tail of the fit (default: 8).
    mp_fit : bool
        Fit a Marchenko-Pastur bulk too.
    n_shuffles : int
        Number of shuffles of the entries to compare with.
    """

    groups: int
    stored: str | None
    conv_mode: Literal["slices", "unfold", "fft"]
    input_size: tuple[int, ...] | None
    solver: Callable[[NDArray[Any]], NDArray[Any]] | None
    min_eigenvalues: int
    min_fit: int
    min_tail: int
    mp_fit: bool
    n_shuffles: int


class TailSettings(TypedDict, total=False):
    """Keywords of `fit_power_law` beside those that it names: how other programs fit.

    Attributes
    ----------
    xmin_range : (float, float)
        Candidates for xmin are the values in this closed range.
    ks : {"one_sided", "two_sided"}
        Compare with the share of values strictly below each value (Clauset's code and its successors), or with both
        sides of each step.
    truncated_mle : bool
        Use the likelihood of the distribution that ends at `xmax`. Removes the bias of the unbounded exponent.
    ties : {"distinct", "copies"}
        Whether equal values are one candidate and one step, or one each as in WeightWatcher.
    small_sample : {"standard", "weightwatcher"}
        ``"weightwatcher"``: below 20 values, use n - 1 in the exponent and tails of at least 8.
    """

    xmin_range: tuple[float, float] | None
    ks: Literal["one_sided", "two_sided"]
    truncated_mle: bool
    ties: Literal["distinct", "copies"]
    small_sample: Literal["standard", "weightwatcher"]


class RadiusSettings(TypedDict, total=False):
    """Keywords of `worst_case_radius` beside those that it names: the search, and the ascent at each of its steps.

    Attributes
    ----------
    tolerance : float
        How near to `drop` is near enough (default: 0.01).
    highest : float
        Upper end of the search (default: 0.5).
    steps : int
        Bisection steps (default: 20).
    restarts : int
        Ascents from random points in the box, of which the worst counts (default: 3).
    ascents : int
        Steps of an ascent on batches of `batch` examples, each followed by clipping to the box (default: 20).
    rate : float
        Length of a step: the largest change of a weight in each tensor, as a share of its largest box (default: 0.1).
    batch : int
        Examples per step (default: 64).
    """

    tolerance: float
    highest: float
    steps: int
    restarts: int
    ascents: int
    rate: float
    batch: int
