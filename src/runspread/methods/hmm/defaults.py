"""Settings of hidden Markov models, and their default values: one set for every verb, the command and the report."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from numpy.typing import ArrayLike

STATES = range(1, 9)  # numbers of states to choose from
CRITERIA = ("bic", "bic_mean", "bic_best", "aic", "heldout_ll")
COVARIANCES = ("full", "diag")
COVARIANCE = "full"
RESTARTS = 16
ITERATIONS = 100
TOLERANCE = 1e-2
HELD_OUT = 0.2  # share of the runs that criteria on held-out runs are taken on
PRESETS = ("default", "paper")
PRESET = "default"
PAPER: dict[str, Any] = {"restarts": 5, "iterations": 32, "tolerance": 1e-2, "kmeans": "reference", "prior": 1e-2}
"""How the paper's released code fits; it chooses by ``bic_mean``."""


class FitOptions(TypedDict, total=False):
    """Keywords of `fit_hmm`, `select_hmm` and `dynamics` that steer the fit.

    Attributes
    ----------
    covariance : {"full", "diag"}
        Covariances of the states; ``diag`` when runs are few.
    restarts : int, default 16
        Starting points, each with random numbers of its own.
    iterations : int, default 100
        EM iterations, at most.
    tolerance : float, default 1e-2
        Stop when the log-likelihood of all runs (in nats) rises by less; ``-inf`` runs all iterations.
    prior : {"noise", "identity"}, float or array, default "noise"
        What keeps covariances regular. ``"noise"``: every variance has a millionth of the metric's variance on top, as
        if the metric were measured to a thousandth of its spread. The others are added to the sums of squares in every
        M-step: ``"identity"`` 0.01 to the diagonal, a number to every entry of a full matrix (0.01 in hmmlearn and in
        the paper), which keeps nothing regular.
    variance_floor : float, optional
        Smallest variance (diag) or eigenvalue (full).
    mode : {"robust", "compat"}
        ``robust``: a state without frames keeps its parameters. ``compat``: it becomes NaN, as in hmmlearn, and the
        restart fails. Both give the same numbers as long as no state dies.
    seed : int, default 0
        Seed of the starting points, and of what else a verb draws.
    workers : int, optional
        Threads over which restarts are spread; as many as there are cores by default.
    kmeans : {"clusters", "varied", "reference"}
        ``varied``: starts of one k-means run per restart (ten for the first) on at most 4000 frames, with pooled
        covariances and sparse Dirichlet transitions. ``clusters`` (default): every second of them takes covariances and
        transitions from the frames nearest to its centres instead, which EM gets further from. ``reference``: ten
        k-means runs on all frames for each, as in hmmlearn.
    """

    covariance: Literal["full", "diag"]
    restarts: int
    iterations: int
    tolerance: float
    prior: float | ArrayLike | Literal["noise", "identity"]
    variance_floor: float | None
    mode: Literal["robust", "compat"]
    seed: int
    workers: int | None
    kmeans: Literal["clusters", "varied", "reference"]
