"""A fitted Gaussian hidden Markov model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._cores import blas_threads
from ..._reading.plain_files import UnfitJsonError, parse_json
from ..._results import Result, Table, to_plain
from ...errors import InputError
from .densities import density
from .expectation import expectation, log_parameters, smooth_block
from .kernels import load_kernels
from .parameters import Array, Frames, Parameters, as_frames, count_parameters

if TYPE_CHECKING:
    from .monitor import RunMonitor


class Decoding(NamedTuple):
    """Most probable paths.

    Attributes
    ----------
    paths : list of ndarray of int64 [T]
        State at every checkpoint, one array per run.
    log_probability : ndarray [runs]
        Joint log-probability of the path and the run's metrics.
    """

    paths: list[NDArray[np.int64]]
    log_probability: Array


@dataclass(frozen=True, eq=False)
class Restart:
    """One starting point of EM: where it ended.

    Attributes
    ----------
    log_likelihood : float
        Of the final parameters on the fitted runs; NaN if the restart failed.
    history : tuple of float
        Log-likelihood before each M-step, so the last entry is one step behind `log_likelihood`.
    failure : str
        Why it failed; empty if it did not.
    """

    log_likelihood: float
    history: tuple[float, ...]
    failure: str
    parameters: Parameters


@dataclass(frozen=True, eq=False, kw_only=True)
class HiddenMarkovModel(Result):
    """A Gaussian hidden Markov model over metrics of training runs.

    Attributes
    ----------
    startprob : ndarray [K]
        Probability that a run starts in each state.
    transmat : ndarray [K, K]
        Probability of going from state i to state j between two checkpoints.
    means : ndarray [K, D]
        Mean metrics in each state, in the units of the sequences it was fitted to.
    covars : ndarray [K, D] or [K, D, D]
        Variances (diag) or covariance matrices (full).
    columns : tuple of str
        Names of the metrics; empty if they were not given.
    history : tuple of float
        Log-likelihood before each M-step of the restart that was kept.
    stopped : str
        Why EM stopped: ``tolerance``, ``iterations`` or ``given`` (parameters that were not fitted).
    log_likelihood : float
        Of the fitted runs, in nats.
    n_runs, n_frames : int
        Fitted runs and their checkpoints.
    dead_states : tuple of int
        States without a checkpoint in the last step.
    restarts : tuple of Restart
        All starting points with their final parameters.
    center, scale : ndarray [D] or None
        Reference mean and standard deviation of the raw metrics, with which ``monitor`` standardises a live run.
    live_means, live_covars : ndarray or None
        Emissions in the units of `center` and `scale`, where those of the fit are others (runs that were standardised
        each on its own): what ``monitor`` uses in place of `means` and `covars`.
    live_agreement : float
        Share of checkpoints at which following a run so gives its decoded state, mean over runs; where emissions were
        estimated again, each run with those of the others. NaN where that is not known.
    detours : tuple of int or None
        Detour states that ``dynamics`` found; None where it was not asked.
    horizon : int
        Checkpoints of the longest run; 0 where that is not known.
    """

    no_picture = "training_map(model, sequences) has one, and table() lists the states' means"

    startprob: Array
    transmat: Array
    means: Array
    covars: Array
    columns: tuple[str, ...] = ()
    history: tuple[float, ...] = ()
    stopped: str = "given"
    log_likelihood: float = float("nan")
    n_runs: int = 0
    n_frames: int = 0
    dead_states: tuple[int, ...] = ()
    restarts: tuple[Restart, ...] = field(default=(), repr=False)
    center: Array | None = None
    scale: Array | None = None
    live_means: Array | None = None
    live_covars: Array | None = None
    live_agreement: float = float("nan")
    detours: tuple[int, ...] | None = None
    horizon: int = 0

    @property
    def n_states(self) -> int:
        """Number of states K."""
        return len(self.startprob)

    @property
    def n_metrics(self) -> int:
        """Number of metrics D."""
        return self.means.shape[1]

    @property
    def covariance(self) -> str:
        """``"diag"`` or ``"full"``."""
        return "full" if self.covars.ndim == 3 else "diag"

    @property
    def n_parameters(self) -> int:
        """Free parameters: (K−1) + K(K−1) + KD + KD or KD(D+1)/2."""
        return count_parameters(self.n_states, self.n_metrics, self.covariance)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """`columns`, or ``metric 0``, ``metric 1``, ..."""
        return self.columns or tuple(f"metric {index}" for index in range(self.n_metrics))

    def parameters(self) -> Parameters:
        """Return the parameters as a batch of one."""
        return Parameters(self.startprob[None], self.transmat[None], self.means[None], self.covars[None])

    def log_density(self, frames: Frames) -> Array:
        """Return log N(x_t; μ_k, Σ_k) [frames, K].

        Raises
        ------
        InputError
            A covariance is not positive definite.
        """
        dense = density(self.parameters(), load_kernels())
        if dense.failed.any():
            raise InputError("a covariance of the model is not positive definite", "a model that EM did not break")
        return np.ascontiguousarray(dense.log(frames, 0, len(frames.x))[:, :, 0])

    def score(self, sequences: Any) -> float:
        """Return the log-likelihood of runs, summed over them, in nats."""
        return float(self.score_runs(sequences).sum())

    def score_runs(self, sequences: Any) -> Array:
        """Return the log-likelihood of each run [runs]; minus infinity for one that the model cannot produce."""
        with blas_threads(1):
            stats = expectation(as_frames(sequences, self.n_metrics), self.parameters(), load_kernels())
        return np.where(stats.failed[0], np.nan, stats.log_likelihood[:, 0])

    def posterior(self, sequences: Any) -> list[Array]:
        """Return p(state at t | whole run) as one array [T, K] a run."""
        frames, params, kernels = as_frames(sequences, self.n_metrics), self.parameters(), load_kernels()
        with blas_threads(1):
            block = smooth_block(frames, 0, len(frames), params, density(params, kernels), kernels)
        return frames.split(np.ascontiguousarray(block.gamma[:, :, 0]))

    def filtered(self, sequences: Any) -> list[Array]:
        """Return p(state at t | run up to t) as one array [T, K] a run: what is known while training."""
        frames, kernels = as_frames(sequences, self.n_metrics), load_kernels()
        logs = log_parameters(self.parameters())
        alphas = [kernels.forward_log(part, *logs) for part in frames.split(self.log_density(frames))]
        with np.errstate(invalid="ignore"):
            weights = [np.exp(alpha - alpha.max(axis=1, keepdims=True)) for alpha in alphas]
        return [weight / weight.sum(axis=1, keepdims=True) for weight in weights]

    def decode(self, sequences: Any) -> Decoding:
        """Return the most probable path of each run (Viterbi); ties go to the lowest state."""
        frames, kernels = as_frames(sequences, self.n_metrics), load_kernels()
        logs = log_parameters(self.parameters())
        found = [kernels.viterbi(np.ascontiguousarray(p), *logs) for p in frames.split(self.log_density(frames))]
        return Decoding([path for path, _ in found], np.array([score for _, score in found]))

    def aic(self, sequences: Any) -> float:
        """Return −2 log-likelihood + 2 parameters."""
        return -2 * self.score(sequences) + 2 * self.n_parameters

    def bic(self, sequences: Any) -> float:
        """Return −2 log-likelihood + parameters · ln(number of checkpoints)."""
        frames = as_frames(sequences, self.n_metrics)
        return -2 * self.score(frames) + self.n_parameters * float(np.log(len(frames.x)))

    def permuted(self, order: Sequence[int] | NDArray[np.int64]) -> HiddenMarkovModel:
        """Return the model with state ``order[k]`` called ``k``; restarts keep their own labels."""
        index = np.asarray(order, dtype=np.int64)
        if sorted(index.tolist()) != list(range(self.n_states)):
            raise InputError(f"got order {index.tolist()}", f"a permutation of 0..{self.n_states - 1}")
        params = self.parameters().permuted(index)
        renamed = np.argsort(index)
        return self._with(
            params,
            dead_states=tuple(sorted(int(renamed[state]) for state in self.dead_states)),
            live_means=None if self.live_means is None else self.live_means[index],
            live_covars=None if self.live_covars is None else self.live_covars[index],
            detours=None if self.detours is None else tuple(sorted(int(renamed[state]) for state in self.detours)),
        )

    def restart(self, index: int) -> HiddenMarkovModel:
        """Return the model that another starting point ended in."""
        chosen = self.restarts[index]
        return self._with(
            chosen.parameters, history=chosen.history, log_likelihood=chosen.log_likelihood, center=None, scale=None,
            live_means=None, live_covars=None, live_agreement=float("nan"), detours=None,
        )  # fmt: skip

    def _with(self, params: Parameters, **changes: Any) -> HiddenMarkovModel:
        return replace(
            self, startprob=params.start[0], transmat=params.trans[0], means=params.means[0], covars=params.covars[0],
            **changes,
        )  # fmt: skip

    def monitor(self, detours: Sequence[int] | None = None, horizon: int | None = None) -> RunMonitor:
        """Return a monitor that takes one checkpoint's metrics at a time from a live training loop.

        Parameters
        ----------
        detours : sequence of int, optional
            States to watch for (default: those that `dynamics` found).
        horizon : int, optional
            Number of checkpoints that the run will have, for the risk of a detour (default: that of the longest run
            that `dynamics` saw).

        Returns
        -------
        RunMonitor
            ``monitor.update(metrics)`` gives the state and the risk.

        Warns
        -----
        RunspreadWarning
            Following a run checkpoint by checkpoint gives another state than decoding it whole too often.

        Examples
        --------
        >>> monitor = result.model.monitor()  # doctest: +SKIP
        >>> reading = monitor.update(rs.methods.dynamics.weight_metrics(network))  # doctest: +SKIP
        >>> reading.state, reading.risk  # doctest: +SKIP
        """
        from .monitor import RunMonitor

        return RunMonitor(
            self, self.detours if detours is None else detours, self.horizon if horizon is None else horizon
        )

    def table(self) -> Table:
        """Return one row per state: start probability, probability to stay, mean of every metric."""
        means = {name: self.means[:, index] for index, name in enumerate(self.metric_names)}
        head = {"state": np.arange(self.n_states), "start": self.startprob, "stay": np.diagonal(self.transmat)}
        return Table({**head, **means}, formats=dict.fromkeys(("start", "stay"), ".3f"))

    def sentence(self) -> str:
        """Return what was fitted to what, how well, and what that does not show."""
        failed = sum(bool(restart.failure) for restart in self.restarts)
        tries = f"best of {len(self.restarts)} restarts" + (f", {failed} failed" if failed else "")
        return (
            f"A {self.n_states}-state hidden Markov model with {self.covariance} covariances over {self.n_metrics} "
            f"metrics has log-likelihood {self.log_likelihood:.6g} on the {self.n_runs} runs ({self.n_frames} "
            f"checkpoints) it was fitted to ({tries}); whether {self.n_states} states are the right number is for "
            "held-out runs to say."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the model without the other restarts' parameters; ``from_dict`` reads it back."""
        names = (field.name for field in fields(self) if field.name != "restarts")
        kept = {name: to_plain(getattr(self, name)) for name in names}
        scores = [[r.log_likelihood, len(r.history), r.failure] for r in self.restarts]
        return {"kind": "gaussian-hmm", "covariance": self.covariance, **kept, "restarts": scores}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> HiddenMarkovModel:
        """Read a model back from ``to_dict``; the other restarts' parameters are not in it."""
        missing = {"startprob", "transmat", "means", "covars"} - set(data)
        if missing:
            raise InputError(
                f"there is no {', '.join(sorted(missing))} in the record", "what HiddenMarkovModel.to_dict writes"
            )
        arrays = ("startprob", "transmat", "means", "covars", "center", "scale", "live_means", "live_covars")
        skipped = ("restarts", "excluded", "kind", "covariance")
        names = [field.name for field in fields(cls)]
        known = {name: data[name] for name in names if name in data and name not in skipped}
        for name in arrays:
            known[name] = None if known.get(name) is None else np.array(known[name], dtype=np.float64)
        for name in ("columns", "history", "dead_states", "warnings"):
            known[name] = tuple(known.get(name) or ())
        known["detours"] = None if known.get("detours") is None else tuple(known["detours"])
        for name in ("log_likelihood", "live_agreement"):
            if known.get(name) is None:
                known.pop(name, None)
        return cls(**known)

    @classmethod
    def from_json(cls, text: str) -> HiddenMarkovModel:
        """Read a model back from ``to_json``."""
        try:
            return cls.from_dict(parse_json(text, dict[str, Any], constants=True))
        except UnfitJsonError as error:
            raise InputError(f"the text is no model ({error})", "what to_json() returned") from error
