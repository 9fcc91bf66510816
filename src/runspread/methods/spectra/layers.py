"""All metrics of one layer: scale, shape, tail, bulk, and the comparison with its shuffled self."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Unpack
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_integers, check_seed, check_settings
from ..._results import Result, Table
from ...errors import InputError
from . import spectral_numbers as numbers
from .defaults import MIN_EIGENVALUES, MIN_FIT, MIN_TAIL, LayerSettings
from .powerlaw import PowerLawFit, fit_power_law
from .randomised import mp_numbers, randomised_numbers, weightwatcher_randomised_numbers
from .singular_values import UNIT_ROUNDOFF, Solver, Spectrum, matrices_of, spectrum
from .tails import Floats

PARITY = "weightwatcher"
_WW_THRESHOLD = 1e-5  # eigenvalues at or below are excluded from WeightWatcher's fit, whatever the scale
_WW_CONV_SCALE = float(np.sqrt(0.5))
_SCALE_METRICS = {
    "norm", "log_norm", "spectral_norm", "log_spectral_norm", "alpha_weighted", "log_alpha_norm", "xmin", "sv_max",
    "sv_min", "detX_val", "sigma_mp", "bulk_max", "bulk_min", "W_scale", "max_rand_eval", "ww_maxdist",
}  # fmt: skip
# Statuses of a layer, with what each means.
LAYER_STATUSES = {
    "ok": "all metrics",
    "too_few_eigenvalues": "metrics, but no fit: too few eigenvalues lie above the rounding floor",
    "degenerate": "metrics, but no fit: all eigenvalues are equal, up to rounding",
    "too_small": "metrics, but no fit: the matrix has too few rows or columns",
    "zero": "all weights are zero",
    "nonfinite": "some weights are NaN or infinite",
    "not_a_matrix": "a bias, a scale, a single number: no spectrum",
    "not_a_layer": "has the axes of a matrix and is no layer's weight: tokens, positions, a mask, a buffer, a bias",
    "training_state": "of the training: the state of an optimiser, a moving average or another copy of the weights",
    "parametrised": "the weight is a function of it that is not in the source",
    "adapter": "a factor of an adapter whose update cannot be formed from it",
    "depthwise_skipped": "a depthwise convolution: its blocks are single numbers or vectors",
    "too_large": "more than max_size columns",
    "quantised": "packed integers and their scales, or numbers whose scale is not known",
    "unsupported": "sparse, on the meta device, or of an unknown type",
    "alias": "the same storage as another tensor, which stands for both",
}


@dataclass(frozen=True, kw_only=True)
class LayerOptions:
    """What is computed for each layer (see `layer_metrics`)."""

    conv_mode: str = "slices"
    parity: str | None = None
    min_eigenvalues: int = MIN_EIGENVALUES
    min_fit: int = MIN_FIT
    min_tail: int = MIN_TAIL
    mp_fit: bool = False
    n_shuffles: int = 0
    bootstrap: int = 0
    seed: int = 0
    solver: Solver | None = None

    def __post_init__(self) -> None:
        if self.parity is not None:
            check_choice(self.parity, "parity", (PARITY,))
        check_integers(self.n_shuffles, "n_shuffles", 0, None)
        check_integers(self.bootstrap, "bootstrap", 0, None)
        check_seed(self.seed)

    @property
    def matched(self) -> bool:
        """Whether WeightWatcher's numbers are wanted."""
        return self.parity == PARITY


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerMetrics(Result):
    """Metrics of one layer.

    Attributes
    ----------
    name : str
        Of the tensor, and of the part of it in brackets where it holds several layers.
    status : str
        One of `LAYER_STATUSES`.
    kind : str
        "dense", "embedding", "update" (of an adapter), "conv", "conv_transposed", "stack", or "vector" for what is no
        layer's matrix.
    shape : tuple of int
        Of the tensor, or of the part.
    stored : str
        Type that the weights are stored in.
    metrics : dict of str to float
        By name; also ``layer["alpha"]``. NaN where undefined.
    aliases : tuple of str
        Other names of the same storage.
    spectrum : Spectrum or None
        The eigenvalues.
    fit : PowerLawFit or None
        The power law.
    shuffled : ndarray [n] or None
        Eigenvalues of one shuffle of the entries, where shuffles were asked for.
    detail : str
        More on the status, or on how the weight was computed, where there is more to say.
    made_of : tuple of str
        Tensors of the source that the weight was computed from: a pruned weight of its original and its mask, ...
    """

    picture = ".plots:plot_layer"

    name: str
    status: str
    kind: str
    shape: tuple[int, ...]
    stored: str = ""
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    aliases: tuple[str, ...] = ()
    spectrum: Spectrum | None = None
    fit: PowerLawFit | None = None
    shuffled: NDArray[np.float64] | None = None
    detail: str = ""
    made_of: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        return self.metrics[check_choice(name, "metric", self.metrics)]

    @property
    def n_eigenvalues(self) -> int:
        """Number of eigenvalues; 0 without a spectrum."""
        return 0 if self.spectrum is None else self.spectrum.n

    @property
    def why(self) -> str:
        """The reason for the status in words, and how the weight was computed where it is no tensor of the source."""
        return self.detail or ("" if self.status == "ok" else LAYER_STATUSES[self.status])

    def table(self) -> Table:
        """Return one row per metric."""
        return Table({"metric": list(self.metrics), "value": list(self.metrics.values())}, title=self.name)

    def sentence(self) -> str:
        """Say what the exponent of this layer reads as."""
        label = f"Layer {self.name}" if self.name else "The layer"
        if self.spectrum is None or "stable_rank" not in self.metrics:
            return f"{label} has no metrics: {self.detail or LAYER_STATUSES[self.status]}."
        scale = f"stable rank {self['stable_rank']:.1f} of {self.spectrum.n}"
        if np.isfinite(self["log_spectral_norm"]):
            scale += f", log10 spectral norm {self['log_spectral_norm']:.2f}"
        if self.fit is None or self.fit.status != "ok":
            return f"{label}: {scale}; no power law ({LAYER_STATUSES[self.status]})."
        return (
            f"{label}: exponent {self.fit.alpha:.2f} ± {self.fit.sigma:.2f} ({_reading(self.fit.alpha)}) over "
            f"{self.fit.n_tail} of {self.spectrum.n} eigenvalues, KS distance {self.fit.D:.3f}; {scale}. An exponent "
            "is a summary of the tail, not proof of a power law."
        )


def _reading(alpha: float) -> str:
    """Return the class of Martin and Mahoney (2021), table 1."""
    if alpha < 2:
        return "very heavy-tailed"
    return "heavy-tailed" if alpha <= 6 else "weakly heavy-tailed or random-like: above 6 the value says little"


def layer_metrics(
    weight: ArrayLike,
    *,
    name: str = "",
    layout: Literal["auto", "dense", "conv", "conv_transposed", "stack"] = "auto",
    parity: Literal["weightwatcher"] | None = None,
    bootstrap: int = 0,
    seed: int = 0,
    **settings: Unpack[LayerSettings],
) -> LayerMetrics:
    """Return the scale and shape metrics of one weight tensor.

    Parameters
    ----------
    weight, layout
        As in `spectrum`.
    name : str
        Name of the layer; together with `seed` it fixes the shuffles.
    parity : "weightwatcher", optional
        Give the numbers of WeightWatcher 0.7.7: halved eigenvalues of kernels, an absolute threshold, its rule for
        small samples, its rank and entropy, -1 for a failed fit.
    bootstrap : int
        Number of bootstrap samples for the p-value and the interval of alpha.
    seed : int
        Seed of shuffles and bootstrap.
    **settings
        What the weight is (`groups`, `stored`, `conv_mode`, `input_size`), how small a tail may be (`min_eigenvalues`,
        `min_fit`, `min_tail`), what to compute too (`mp_fit`, `n_shuffles`), and `solver`: see `LayerSettings`.

    Returns
    -------
    LayerMetrics

    References
    ----------
    Martin and Mahoney, "Post-mortem on a deep learning contest: a Simpson's paradox and the complementary roles of
    scale metrics versus shape metrics" (2021), arXiv:2106.00734.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> round(rs.methods.spectra.layer_metrics(weight)["stable_rank"], 1)
    3.6
    """
    check_settings(settings, LayerSettings.__annotations__, layer_metrics)
    array, rest = np.asarray(weight), dict[str, Any](settings)
    kind = layout if layout != "auto" else ("dense" if array.ndim == 2 else "conv")
    groups, input_size = rest.pop("groups", 1), rest.pop("input_size", None)
    stored = rest.pop("stored", None) or str(array.dtype)
    options = LayerOptions(parity=parity, bootstrap=bootstrap, seed=seed, **rest)
    return measured(array, options, name=name, kind=kind, groups=groups, stored=stored, input_size=input_size)


def measured(
    array: NDArray[Any],
    options: LayerOptions,
    *,
    name: str,
    kind: str,
    groups: int = 1,
    stored: str = "",
    input_size: tuple[int, ...] | None = None,
) -> LayerMetrics:
    """Return the metrics of one array of a known kind, with a status in place of an error for what is in it."""
    facts: dict[str, Any] = {"name": name, "kind": kind, "shape": array.shape, "stored": stored}
    if not np.isfinite(array).all():
        count = int(np.sum(~np.isfinite(array)))
        return LayerMetrics(status="nonfinite", detail=f"{count} of {array.size} weights are not finite", **facts)
    if kind == "conv" and options.matched and array.ndim == 4:
        array = _channels_first(array)
    layout = {"embedding": "dense", "update": "auto"}.get(kind, kind)
    arguments: dict[str, Any] = {"layout": layout, "groups": groups, "conv_mode": options.conv_mode}
    found = spectrum(
        array,
        **arguments,
        input_size=input_size,
        stored=stored or None,
        scale=_scale(kind, options),
        method="svd" if options.matched else "gram",
        solver=options.solver,
    )
    if not found.eigenvalues[-1] > 0:
        return LayerMetrics(status="zero", metrics={"norm": 0.0, "matrix_rank": 0}, spectrum=found, **facts)
    fit, status = _tail_fit(found, options)
    metrics, shuffled = _metrics(found, fit, options), None
    if options.n_shuffles:
        blocks = matrices_of(array, input_size=input_size, **arguments) * _scale(kind, options)
        if np.iscomplexobj(blocks):
            raise InputError(
                "got n_shuffles with conv_mode='fft'", "'slices' or 'unfold'", "Entries there are not weights."
            )
        if options.matched and kind == "conv" and blocks.shape[1] < blocks.shape[2]:
            blocks = np.ascontiguousarray(
                np.swapaxes(blocks, 1, 2)
            )  # WeightWatcher turns kernels upright, not matrices
        compared, shuffled = _shuffled(found, blocks, name, options)
        metrics |= compared
    detail = _warning(metrics["alpha"]) if options.matched else ""
    return LayerMetrics(
        status=status, metrics=metrics, spectrum=found, fit=fit, shuffled=shuffled, detail=detail, **facts
    )


def without_scale(metrics: dict[str, float]) -> dict[str, float]:
    """Return metrics of a weight that is known up to a factor: those that depend on it are NaN."""
    return {name: float("nan") if name in _SCALE_METRICS else value for name, value in metrics.items()}


def _warning(alpha: float) -> str:
    """Return WeightWatcher's warning, which a failed fit (alpha = -1) gets too."""
    return "over-trained" if alpha < 2 else ("under-trained" if alpha > 6 else "")


def _scale(kind: str, options: LayerOptions) -> float:
    return _WW_CONV_SCALE if options.matched and kind == "conv" else 1.0


def _channels_first(kernel: NDArray[Any]) -> NDArray[Any]:
    """Return a kernel as [out, in, i, j] by WeightWatcher's guess at its layout."""
    first, last = sum(kernel.shape[:2]), sum(kernel.shape[2:])
    return kernel if first >= last else np.transpose(kernel, (3, 2, 0, 1))


def _tail_fit(found: Spectrum, options: LayerOptions) -> tuple[PowerLawFit | None, str]:
    if options.matched:
        values = found.eigenvalues[found.eigenvalues > _WW_THRESHOLD]
        if len(values) < 2:
            return None, "too_few_eigenvalues"
        fit = fit_power_law(values, min_tail=2, ties="copies", small_sample="weightwatcher")
        return fit, fit.status if fit.status != "too_few_values" else "too_few_eigenvalues"
    if found.n < options.min_eigenvalues:
        return None, "too_small"
    values = found.tail_values()
    if len(values) < options.min_fit:
        return None, "too_few_eigenvalues"
    if values[-1] - values[0] <= _rounding_spread(found.stored) * values[-1]:
        return None, "degenerate"
    fit = fit_power_law(values, min_tail=options.min_tail, bootstrap=options.bootstrap, seed=options.seed)
    return fit, fit.status if fit.status != "too_few_values" else "too_few_eigenvalues"


def _rounding_spread(stored: str) -> float:
    """Return the relative spread of equal eigenvalues that rounding explains.

    Orthogonal matrices of 64 to 512 rows: up to 2.4 unit round-offs of half precision, and 63 of single precision, in
    which they are computed.
    """
    if stored == "float64":
        return 1e-12
    return max(200 * UNIT_ROUNDOFF["float32"], 6 * UNIT_ROUNDOFF.get(stored.removesuffix("fn"), 0.0))


def _metrics(found: Spectrum, fit: PowerLawFit | None, options: LayerOptions) -> dict[str, float]:
    values = found.eigenvalues
    metrics = numbers.scale_numbers(values)
    metrics |= numbers.weightwatcher_rank_numbers(found) if options.matched else numbers.rank_numbers(found)
    metrics |= _tail_numbers(found, fit, -1.0 if options.matched else float("nan"))
    count, smallest = numbers.trace_log(values)
    metrics |= {"detX_num": count, "detX_val": smallest, "ERG_gap": count - metrics["num_pl_spikes"]}
    if options.mp_fit:
        metrics |= mp_numbers(found, values, require_bulk=not options.matched)
    return metrics


def _tail_numbers(found: Spectrum, fit: PowerLawFit | None, missing: float) -> dict[str, float]:
    fitted = fit is not None and fit.status == "ok"
    alpha = fit.alpha if fit is not None and fitted else missing
    largest = float(np.log10(found.eigenvalues[-1]))
    row = {
        "alpha": alpha,
        "D": fit.D if fit is not None and fitted else missing,
        "sigma": fit.sigma if fit is not None and fitted else missing,
        "xmin": fit.xmin if fit is not None and fitted else missing,
        "n_tail": fit.n_tail if fit is not None and fitted else missing,
        "num_pl_spikes": int(np.sum(found.eigenvalues >= fit.xmin)) if fit is not None and fitted else missing,
        "alpha_weighted": alpha * largest,
        "log_alpha_norm": numbers.log_alpha_norm(found.eigenvalues, alpha) if np.isfinite(alpha) else missing,
    }
    if fit is not None and fit.p_value is not None and fit.alpha_interval is not None:
        low, high = fit.alpha_interval
        row |= {"p_value": fit.p_value, "alpha_low": low, "alpha_high": high}
    return row


def _shuffled(
    found: Spectrum, blocks: NDArray[Any], name: str, options: LayerOptions
) -> tuple[dict[str, float], Floats]:
    if options.matched:
        rng = np.random.RandomState(options.seed)
        return weightwatcher_randomised_numbers(found, blocks, rng, mp_fit=options.mp_fit)
    rng = np.random.default_rng([options.seed, crc32(name.encode())])  # by name: the order of layers does not matter
    return randomised_numbers(found, blocks, options.n_shuffles, rng, mp_fit=options.mp_fit, solver=options.solver)
