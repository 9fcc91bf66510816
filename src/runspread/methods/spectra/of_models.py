"""Weight spectra of one model: a file, a folder, a module, a mapping or a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..._reading.protocols import Module
from ..._reading.weights.files import tensors_of_safetensors
from ..._reading.weights.sorting import tensors_of_arrays
from ..._reading.weights.tensors import WeightTensor
from ..._reading.weights.torch_files import TorchCheckpoint, tensors_of_containers, tensors_of_module, tensors_of_state
from ..._results import Excluded
from ...errors import InputError
from .defaults import MIN_EVALS
from .layers import LayerOptions
from .models import ModelSpectra, analyse_tensors
from .singular_values import Solver


class SpectraOptions(TypedDict, total=False):
    """Keywords of `spectra`, `study_spectra` and, for studies, `paradox`; their meaning is in `spectra`."""

    parity: Literal["weightwatcher"] | None
    conv_mode: Literal["slices", "unfold"]
    mp_fit: bool
    n_shuffles: int
    bootstrap: int
    min_eigenvalues: int
    min_fit: int
    min_tail: int
    min_evals: int | None
    include_embeddings: bool
    fused: bool
    depthwise: Literal["skip", "flatten"]
    max_size: int
    kinds: Mapping[str, str] | None
    seed: int
    workers: int | None
    device: str | None
    progress: Callable[[int, int], None] | None


_OF_LAYERS = (
    "parity",
    "conv_mode",
    "mp_fit",
    "n_shuffles",
    "bootstrap",
    "min_eigenvalues",
    "min_fit",
    "min_tail",
    "seed",
)
_OF_MODELS = ("include_embeddings", "fused", "depthwise", "max_size", "workers", "progress")
ModelSource = str | os.PathLike[str] | Mapping[str, Any] | TorchCheckpoint | Module


def spectra_of_model(source: ModelSource, options: Mapping[str, Any]) -> ModelSpectra:
    """Return the spectra of one model; `spectra` says what it is and what the options are."""
    device = options.get("device")
    layer = LayerOptions(
        **{name: options[name] for name in _OF_LAYERS if name in options},
        solver=None if device is None else torch_solver(device),
    )
    min_evals = options.get("min_evals")
    if min_evals is None:
        min_evals = layer.min_eigenvalues if layer.matched else MIN_EVALS
    tensors, label, left_out = tensors_of(source, options.get("kinds"))
    model = {name: options[name] for name in _OF_MODELS if name in options}
    found = analyse_tensors(tensors, layer, source=label, min_evals=min_evals, **model)
    return replace(found, excluded=tuple(left_out))


def tensors_of(
    source: Any, kinds: Mapping[str, str] | None = None
) -> tuple[list[WeightTensor], str, Sequence[Excluded]]:
    """Return the tensors of a source, what to call it, and what beside the model was excluded."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if not path.exists():
            raise InputError(f"there is no file or folder {path}", "safetensors weights")
        tensors, left_out = tensors_of_safetensors(path, kinds)
        return tensors, path.resolve().name, left_out
    if isinstance(source, TorchCheckpoint):
        return source.sorted_by(kinds), source.path.name, source.left_out
    if hasattr(source, "named_modules"):
        return tensors_of_module(source, kinds), type(source).__name__, ()
    if isinstance(source, Mapping):
        if any(isinstance(value, Mapping) for value in source.values()):
            tensors, left_out = tensors_of_containers(source, kinds)
            return tensors, "the weights", left_out
        torch_values = any(hasattr(value, "data_ptr") for value in source.values())
        return (tensors_of_state if torch_values else tensors_of_arrays)(source, kinds), "the weights", ()
    raise InputError(
        f"got a {type(source).__name__}",
        "a path, a torch module, a mapping of name to array, or rs.methods.spectra.from_torch_checkpoint(path)",
    )


def torch_solver(device: str) -> Solver:
    """Return a solver of symmetric eigenvalue problems that PyTorch runs on `device` in float64."""
    from ..._optional import require

    torch = require("torch", f"eigenvalues on {device}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"got device {device!r}, unusable here ({error})", "cpu, cuda, cuda:1 or auto") from error

    def solve(blocks: NDArray[Any]) -> NDArray[np.float64]:
        on_device = torch.as_tensor(np.ascontiguousarray(blocks), device=device)
        return torch.linalg.eigvalsh(on_device).cpu().numpy()

    return solve
