"""EM from many starting points at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_keywords, check_numbers, check_seed, check_settings
from ..._cores import available_cores, blas_threads
from ...errors import InputError
from .defaults import COVARIANCE, COVARIANCES, ITERATIONS, RESTARTS, TOLERANCE, FitOptions
from .expectation import expectation
from .initial import from_clusters, initial_parameters
from .kernels import Kernels, load_kernels
from .maximization import maximization
from .parameters import Array, Frames, Mask, Parameters

NOISE = 1e-6
"""Share of a metric's variance that counts as noise of measurement: regular covariances, whatever the metrics."""
_KMEANS = {"clusters": (1, 1, 1, 0), "varied": (1,), "reference": (10,)}
"""k-means runs of each restart, in turn (ten for the first); 0 takes centres as they were drawn."""
_SAME = 1e-9
"""Log-likelihoods that agree to this share are one optimum, and the first restart that reached it is taken."""


@dataclass(frozen=True)
class FitSettings:
    """Checked `FitOptions`."""

    covariance: str = COVARIANCE
    restarts: int = RESTARTS
    iterations: int = ITERATIONS
    tolerance: float = TOLERANCE
    prior: Any = "noise"
    variance_floor: float | None = None
    mode: str = "robust"
    seed: int = 0
    workers: int | None = None
    kmeans: str = "clusters"

    def __post_init__(self) -> None:
        check_choice(self.covariance, "covariance", COVARIANCES)
        check_choice(self.mode, "mode", ("robust", "compat"))
        check_choice(self.kmeans, "kmeans", tuple(_KMEANS))
        for name, low in (("restarts", 1), ("iterations", 0)):
            if getattr(self, name) < low:
                raise InputError(f"got {name}={getattr(self, name)}", f"at least {low}")
        check_seed(self.seed)

    def prior_array(self, n_metrics: int) -> Array:
        """Return what is added to the sums of squares: [D] (diag) or [D, D] (full).

        A number is added to every entry of a full matrix, as hmmlearn does; ``"identity"`` to the diagonal only.
        """
        shape = (n_metrics,) * (1 + (self.covariance == "full"))
        if isinstance(self.prior, str):
            each = 1e-2 if check_choice(self.prior, "prior", ("noise", "identity")) == "identity" else 0.0
            return each * np.eye(n_metrics) if self.covariance == "full" else np.full(shape, each)
        prior = check_numbers(self.prior, "the prior's entries")
        if prior.shape not in ((), shape):
            raise InputError(f"got a prior of shape {prior.shape}", f"one number or {shape}")
        return np.broadcast_to(prior, shape)

    def noise(self, frames: Frames) -> Array | None:
        """Return the variance [D] that every state has on top of its own; None where the prior is another."""
        return NOISE * frames.spread if isinstance(self.prior, str) and self.prior == "noise" else None


def settings_of(options: FitOptions, verb: Callable[..., Any]) -> FitSettings:
    """Check the keywords of a verb and fill in defaults."""
    check_settings(options, FitOptions.__annotations__, verb)
    return FitSettings(**options)


@dataclass(eq=False)
class Batch:
    """Every restart of one fit.

    Attributes
    ----------
    params : Parameters
        After each restart's last M-step.
    history : list of list of float
        Log-likelihood before each M-step.
    scores : ndarray [B]
        Log-likelihood of the final parameters; NaN for failed restarts.
    dead : ndarray of bool [B, K]
        States without frames in the last M-step.
    failures : list of str
        Why a restart failed; empty text if it did not.
    fallbacks : int
        Forward-backward passes that needed log space.
    """

    params: Parameters
    history: list[list[float]]
    scores: Array
    dead: Mask
    failures: list[str]
    fallbacks: int = 0

    @property
    def failed(self) -> Mask:
        """Which restarts failed [B]."""
        return np.array([bool(reason) for reason in self.failures])


def best_restart(scores: Array) -> int:
    """Return the first restart whose score is the highest but for rounding."""
    top = np.nanmax(scores)
    return int(np.flatnonzero(scores >= top - _SAME * abs(top))[0])


def fit_batch(frames: Frames, start: Parameters, settings: FitSettings, kernels: Kernels | None = None) -> Batch:
    """Run EM from every starting point, spread over threads."""
    kernels = kernels or load_kernels()
    chunks = np.array_split(np.arange(len(start)), max(1, min(settings.workers or available_cores(), len(start) // 4)))

    def run(chunk: NDArray[np.int64]) -> Batch:
        return _fit_chunk(frames, start.take(chunk).copy(), settings, kernels)

    frames.prepare(full=start.full)
    with blas_threads(1):
        if len(chunks) == 1:
            return run(chunks[0])
        with ThreadPoolExecutor(len(chunks)) as pool:
            return _joined(list(pool.map(run, chunks)))


def _joined(batches: Sequence[Batch]) -> Batch:
    fields = (tuple(getattr(batch.params, name) for batch in batches) for name in ("start", "trans", "means", "covars"))
    return Batch(
        Parameters(*(np.concatenate(arrays) for arrays in fields)),
        [history for batch in batches for history in batch.history],
        np.concatenate([batch.scores for batch in batches]),
        np.concatenate([batch.dead for batch in batches]),
        [reason for batch in batches for reason in batch.failures],
        sum(batch.fallbacks for batch in batches),
    )


def _fit_chunk(frames: Frames, params: Parameters, settings: FitSettings, kernels: Kernels) -> Batch:
    batch = Batch(
        params,
        [[] for _ in range(len(params))],
        np.full(len(params), np.nan),
        np.zeros(params.start.shape, dtype=bool),
        [""] * len(params),
    )
    active = np.arange(len(params))
    for iteration in range(1, settings.iterations + 1):
        active = _step(frames, batch, active, iteration, settings, kernels)
        if not len(active):
            break
    alive = np.flatnonzero(~batch.failed)
    if len(alive):
        final = expectation(frames, params.take(alive), kernels)
        batch.scores[alive] = final.total
        _mark_failed(batch, alive, final.failed, len(batch.history[alive[0]]))
    return batch


def _step(
    frames: Frames, batch: Batch, active: NDArray[np.int64], iteration: int, settings: FitSettings, kernels: Kernels
) -> NDArray[np.int64]:
    """One EM iteration of the restarts that still run; return those that go on."""
    old = batch.params.take(active)
    stats = expectation(frames, old, kernels)
    batch.fallbacks += stats.fallbacks
    total = stats.total
    new, dead = maximization(
        stats,
        old,
        settings.prior_array(old.means.shape[2]),
        robust=settings.mode == "robust",
        variance_floor=settings.variance_floor,
        noise=settings.noise(frames),
    )
    broken = ~np.isfinite(total) | ~new.finite
    finite = ~broken
    batch.params.put(active[finite], new.take(finite))
    batch.dead[active[finite]] = dead[finite]
    _mark_failed(batch, active[broken], stats.failed[broken], iteration)
    for restart, value in zip(active[finite], total[finite], strict=True):
        batch.history[restart].append(float(value))
    return np.array([r for r in active[finite] if not _finished(batch.history[r], settings)], dtype=np.int64)


def _finished(history: list[float], settings: FitSettings) -> bool:
    return len(history) > 1 and history[-1] - history[-2] < settings.tolerance


def _mark_failed(batch: Batch, restarts: NDArray[np.int64], singular: Mask, iteration: int) -> None:
    """Note why restarts stopped: those whose score is not finite, too, when called at the end."""
    for restart, bad in zip(restarts, singular, strict=True):
        if bad:
            batch.failures[restart] = f"a covariance is not positive definite (iteration {iteration})"
        elif not np.isfinite(batch.scores[restart]):
            batch.failures[restart] = f"the log-likelihood or a parameter is not finite (iteration {iteration})"
        if batch.failures[restart]:
            batch.scores[restart] = np.nan


def starting_points(frames: Frames, n_states: int, settings: FitSettings, initial: Any) -> Parameters:
    """Return given starting points, checked, or drawn ones."""
    if initial is not None:
        return check_initial(initial, n_states, frames.x.shape[1], settings)
    turn = _KMEANS[settings.kmeans]
    start = initial_parameters(
        frames.x,
        n_states,
        settings.restarts,
        settings.seed,
        full=settings.covariance == "full",
        subset=None if settings.kmeans == "reference" else 4000,
        inner=[10, *(turn[b % len(turn)] for b in range(1, settings.restarts))],
    )
    if settings.kmeans != "clusters":
        return start
    return from_clusters(frames, start, [0, *range(1, settings.restarts, 2)])


def check_initial(initial: Any, n_states: int, n_metrics: int, settings: FitSettings) -> Parameters:
    """Return given parameters with a batch axis.

    Parameters
    ----------
    initial : mapping
        ``startprob`` [(B,) K], ``transmat`` [(B,) K, K], ``means`` [(B,) K, D], ``covars`` [(B,) K, D(, D)].
    """
    k, d = n_states, n_metrics
    shapes: dict[str, tuple[int, ...]] = {"startprob": (k,), "transmat": (k, k), "means": (k, d), "covars": (k, d)}
    shapes["covars"] += (d,) if settings.covariance == "full" else ()
    check_keywords(initial, shapes, "initial")
    arrays: list[Array] = []
    for name, shape in shapes.items():
        if name not in initial:
            raise InputError(f"got initial parameters without {name}", ", ".join(shapes))
        array = np.asarray(initial[name], dtype=np.float64)
        arrays.append(array[None] if array.ndim == len(shape) else array)
        if arrays[-1].shape[1:] != shape or len(arrays[-1]) != len(arrays[0]):
            raise InputError(f"got initial {name} of shape {array.shape}", f"{shape} or (restarts, ...)")
    return Parameters(*arrays).copy()
