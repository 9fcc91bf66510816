"""Spectra of a whole model: one row per tensor with its status, and averages over the layers that have a fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_workers
from ..._cores import available_cores, blas_threads
from ..._reading.weights.tensors import LayerSlice, WeightTensor, is_depthwise, parts_of
from ..._results import Result, Table
from ...errors import InputError
from .defaults import MAX_SIZE
from .layers import LayerMetrics, LayerOptions, measured, without_scale

# Averaged over layers; those of WeightWatcher first, in its order.
_WW_AVERAGED = (
    "log_norm", "alpha", "alpha_weighted", "log_alpha_norm", "log_spectral_norm", "stable_rank", "mp_softrank",
)  # fmt: skip
_AVERAGED = (
    *_WW_AVERAGED, "D", "entropy", "num_spikes", "ERG_gap", "rand_distance", "rand_distance_density",
)  # fmt: skip
# Metric -> heading and format in the table of layers, where any layer has it.
_COLUMNS = {
    "alpha": ("alpha", ".2f"), "sigma": ("sigma", ".2f"), "D": ("D", ".3f"), "p_value": ("p", ".3f"),
    "log_spectral_norm": ("log spec", ".2f"), "log_norm": ("log norm", ".2f"), "stable_rank": ("stable rank", ".1f"),
    "entropy": ("entropy", ".3f"), "num_spikes": ("spikes", ".0f"), "mp_softrank": ("soft rank", ".2f"),
    "rand_distance": ("distance", ".3f"), "rand_num_spikes": ("traps", ".1f"),
}  # fmt: skip
_WITHOUT_ROWS = ("not_a_matrix", "training_state")  # counted in the summary, listed only on request
_NOT_THEIRS = "not_in_weightwatcher"  # of names that do not end in ".weight"


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelSpectra(Result):
    """Spectral metrics of every tensor of one model.

    Attributes
    ----------
    layers : tuple of LayerMetrics
        One per tensor (several for fused tensors), in the order of the source, whatever their status.
    means : dict of str to float
        Average of each metric over the layers used; NaN where there are none.
    medians : dict of str to float
        Median over the same layers.
    used : tuple of str
        Names of the layers used in the averages.
    skipped : dict of str to int
        Number of layers excluded from the averages, by reason.
    min_evals : int
        Smallest number of eigenvalues of a layer in the averages.
    parity : str or None
        "weightwatcher" where the numbers are WeightWatcher's.
    source : str
        What was read.
    """

    picture = ".plots:plot_model"

    excluded_noun = "part"

    layers: tuple[LayerMetrics, ...]
    means: dict[str, float]
    medians: dict[str, float]
    used: tuple[str, ...]
    skipped: dict[str, int]
    min_evals: int
    parity: str | None
    source: str

    def __getitem__(self, name: str) -> LayerMetrics:
        found = [layer for layer in self.layers if name in (layer.name, *layer.aliases, *layer.made_of)]
        if not found:
            raise InputError(f"there is no layer {name!r}", f"one of {', '.join(layer.name for layer in self.layers)}")
        return next((layer for layer in found if layer.name == name), found[0])

    def table(self, *, all_tensors: bool = False) -> Table:
        """Return one row per layer, with its status; tensors without a matrix only with `all_tensors`.

        Parameters
        ----------
        all_tensors : bool
            Biases and the state of training too, and for each tensor why it is excluded or what it was made of.
        """
        rows = [layer for layer in self.layers if all_tensors or layer.status not in _WITHOUT_ROWS]
        columns: dict[str, list[Any]] = {
            "layer": [layer.name for layer in rows],
            "kind": [layer.kind for layer in rows],
            "shape": ["x".join(map(str, layer.shape)) for layer in rows],
            "n": [layer.n_eigenvalues or None for layer in rows],
            "status": [layer.status for layer in rows],
        }
        formats: dict[str, str] = {}
        for name, (heading, format_) in _COLUMNS.items():
            if any(name in row.metrics for row in rows):
                columns[heading] = [row.metrics.get(name) for row in rows]
                formats[heading] = format_
        if all_tensors:
            columns["why"] = [row.why for row in rows]
        return Table(columns, formats=formats, title=f"Spectra of {self.source}")

    def summary(self) -> Table:
        """Return one row per metric: mean and median over the layers used."""
        return Table({"metric": list(self.means), "mean": [*self.means.values()], "median": [*self.medians.values()]})

    def sentence(self) -> str:
        """Say what the model's average exponent is, over which layers, and what was excluded."""
        left = in_words(self.skipped)
        if not any(layer.metrics for layer in self.layers):
            return f"No layer of {self.source} can be analysed{left}."
        if not self.used:
            return f"No layer of {self.source} has a spectrum large enough to average{left}."
        norm = self.means["log_spectral_norm"]
        scale = f" and log10 spectral norm {norm:.2f}" if np.isfinite(norm) else ""
        text = (
            f"Average exponent {self.means['alpha']:.2f}{scale} over {len(self.used)} of {len(self.layers)} tensors of "
            f"{self.source}{left}."
        )
        if not scale:
            text += " Norms are excluded: the scaling of the adapter is not known without its configuration."
        return (
            text + " It may rank models of one architecture and depth; it does not compare models of different depth."
        )


def in_words(skipped: Mapping[str, int]) -> str:
    """Return how many layers were excluded from the averages and why, in brackets; empty where none was."""
    left = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in skipped.items())
    return f" ({left} excluded)" if left else ""


def analyse_tensors(
    tensors: Iterable[WeightTensor],
    options: LayerOptions,
    *,
    source: str,
    min_evals: int = 50,
    include_embeddings: bool = False,
    fused: bool = False,
    depthwise: str = "skip",
    max_size: int = MAX_SIZE,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ModelSpectra:
    """Return the spectra of tensors, several at a time, each loaded when its turn comes.

    Parameters
    ----------
    tensors : iterable of WeightTensor
        Of one model.
    options : LayerOptions
        What is computed per layer.
    source : str
        How to call the model in sentences.
    min_evals : int
        Smallest number of eigenvalues of a layer in the averages.
    include_embeddings : bool
        Whether averages include embeddings.
    fused : bool
        Keep fused tensors whole.
    depthwise : {"skip", "flatten"}
        Skip depthwise kernels, or take each as one matrix [channels, positions].
    max_size : int
        Layers with more columns are skipped.
    workers : int, optional
        Layers at a time; as many as there are cores when None.
    progress : callable, optional
        Called with the number of tensors done and in all.
    """
    listed, workers = list(tensors), check_workers(workers)
    if not listed:
        raise InputError(f"{source} holds no tensors", "at least one weight matrix")
    shapes = {tensor.name: tensor.shape for tensor in listed}
    rules = _Rules(fused=fused, flatten=depthwise == "flatten", max_size=max_size, shapes=shapes)
    layers: list[LayerMetrics] = []
    with blas_threads(1), ThreadPoolExecutor(workers or available_cores()) as pool:
        # the largest first, so that none of them is left for the end
        order = sorted(range(len(listed)), key=lambda k: -_work(listed[k]))
        waiting = {k: pool.submit(_layers_of, listed[k], options, rules) for k in order}
        for done, k in enumerate(range(len(listed)), start=1):
            layers += waiting.pop(k).result()
            if progress is not None:
                progress(done, len(listed))
    return _averaged(layers, options, source, min_evals, include_embeddings)


def _work(tensor: WeightTensor) -> float:
    """Return roughly how many operations the eigenvalues of a tensor take."""
    if len(tensor.shape) < 2 or 0 in tensor.shape:
        return 0.0
    return float(np.prod(tensor.shape)) * min(tensor.shape[:2])


@dataclass(frozen=True)
class _Rules:
    fused: bool
    flatten: bool
    max_size: int
    shapes: dict[str, tuple[int, ...]]


def _layers_of(tensor: WeightTensor, options: LayerOptions, rules: _Rules) -> list[LayerMetrics]:
    tensor, status = _sorted_out(tensor, options, rules)
    if status:
        kind = "vector" if status == "not_a_matrix" else tensor.kind
        return [
            LayerMetrics(name=tensor.name, status=status, kind=kind, shape=tensor.shape, stored=tensor.stored,
                         aliases=tensor.aliases, detail=tensor.detail, made_of=tensor.made_of)
        ]  # fmt: skip
    array = tensor.load().reshape(tensor.shape)
    parts = parts_of(tensor, rules.shapes, fused=rules.fused or options.matched)
    return [_measured_part(tensor, part, array, options) for part in parts]


def _measured_part(tensor: WeightTensor, part: LayerSlice, array: NDArray[Any], options: LayerOptions) -> LayerMetrics:
    found = measured(
        array[part.rows], options, name=part.name, kind=tensor.kind, groups=tensor.groups, stored=tensor.stored
    )
    if not tensor.scaled:
        found = replace(found, metrics=without_scale(found.metrics))
    return replace(
        found, aliases=tensor.aliases, made_of=tensor.made_of, detail=found.detail or tensor.detail
    )  # fmt: skip


def _sorted_out(tensor: WeightTensor, options: LayerOptions, rules: _Rules) -> tuple[WeightTensor, str]:
    """Return the tensor as it is analysed, and the status of one that is not."""
    if tensor.status:
        return tensor, tensor.status
    if tensor.kind == "vector" or len(tensor.shape) < 2:
        return tensor, "not_a_matrix"
    if options.matched:
        return replace(tensor, groups=1), _weightwatcher_status(tensor, options)
    if is_depthwise(tensor):
        if not rules.flatten:
            return tensor, "depthwise_skipped"
        return replace(tensor, kind="dense", groups=1, shape=(tensor.shape[0], int(np.prod(tensor.shape[1:])))), ""
    if min(tensor.shape[-2:] if tensor.kind == "stack" else tensor.shape[:2]) > rules.max_size:
        return replace(tensor, detail=f"more than max_size = {rules.max_size} columns"), "too_large"
    return tensor, ""


def _weightwatcher_status(tensor: WeightTensor, options: LayerOptions) -> str:
    """Return the status of a layer that WeightWatcher excludes: only matrices and 2-D kernels, of certain sizes."""
    if len(tensor.shape) not in (2, 4):
        return "unsupported"
    sizes = sorted(tensor.shape[:2])
    eigenvalues = sizes[0] * int(np.prod(tensor.shape[2:]))
    if eigenvalues < options.min_eigenvalues:
        return "too_small"
    return "too_large" if eigenvalues > 15_000 or sizes[1] > 50_000 else ""


def _averaged(
    layers: list[LayerMetrics], options: LayerOptions, source: str, min_evals: int, include_embeddings: bool
) -> ModelSpectra:
    used: list[LayerMetrics] = []
    skipped: Counter[str] = Counter()
    bases = any(layer.status == "ok" and layer.kind not in ("update", "embedding") for layer in layers)
    weights = any(layer.name.endswith(".weight") for layer in layers)
    for layer in layers:
        reason = _left_out(layer, options, min_evals, include_embeddings)
        if not reason and options.matched and weights and not layer.name.endswith(".weight"):
            reason = _NOT_THEIRS
        elif not reason and layer.kind == "update" and bases:
            reason = "adapter_update"  # added to a weight that is averaged
        if reason:
            skipped[reason] += 1
        else:
            used.append(layer)
    names = [name for name in (_WW_AVERAGED if options.matched else _AVERAGED) if any(name in x.metrics for x in used)]
    values = {name: np.array([layer.metrics[name] for layer in used]) for name in names}
    return ModelSpectra(
        layers=tuple(layers),
        means={name: float(np.mean(column)) for name, column in values.items()} or _nothing(),
        medians={name: float(np.median(column)) for name, column in values.items()} or _nothing(),
        used=tuple(layer.name for layer in used),
        skipped=dict(skipped),
        min_evals=min_evals,
        parity=options.parity,
        source=source,
    )


def _nothing() -> dict[str, float]:
    return dict.fromkeys(_WW_AVERAGED[:-1], float("nan"))


def _left_out(layer: LayerMetrics, options: LayerOptions, min_evals: int, include_embeddings: bool) -> str:
    """Return why a layer is not averaged; empty where it is."""
    if options.matched:
        return "" if layer.metrics and layer.n_eigenvalues >= min_evals else layer.status
    if layer.status != "ok":
        return layer.status
    if layer.kind == "embedding" and not include_embeddings:
        return "embedding"
    return "" if layer.n_eigenvalues >= min_evals else f"fewer than {min_evals} eigenvalues"
