"""``rs.spectra``: weight spectra of anything that holds weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict, Unpack, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_keywords
from ..._reading.weights.files import tensors_of_safetensors
from ..._reading.weights.sorting import tensors_of_arrays
from ..._reading.weights.tensors import WeightTensor
from ..._reading.weights.torch_files import TorchCheckpoint, tensors_of_module, tensors_of_state
from ..._results import Excluded
from ...errors import InputError
from .layers import LayerOptions
from .models import ModelSpectra, analyse_tensors
from .quality import StudySpectra
from .singular_values import CONV_MODES, Solver


@runtime_checkable
class HoldsRuns(Protocol):
    """What is needed of a study: facts of its runs, and weights by run and step."""

    @property
    def runs(self) -> Sequence[Any]: ...
    def weights(self, run: Any, *, step: int | None = None) -> Mapping[str, NDArray[Any]]: ...


class Module(Protocol):
    """What is needed of a ``torch.nn.Module``."""

    def named_modules(self) -> Any: ...
    def state_dict(self) -> Any: ...


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


@overload
def spectra(source: HoldsRuns, **options: Unpack[SpectraOptions]) -> StudySpectra: ...
@overload
def spectra(source: ModelSource, **options: Unpack[SpectraOptions]) -> ModelSpectra: ...
def spectra(source: Any, **options: Unpack[SpectraOptions]) -> ModelSpectra | StudySpectra:
    """Return scale and shape metrics of every weight tensor of a model, and their averages.

    Parameters
    ----------
    source : path, module, mapping, checkpoint or study
        A safetensors file, an index of shards, or a folder that holds one model so; a ``torch.nn.Module``; a mapping
        of name to array or tensor (a state dict, ``study.weights(run)``); what `from_torch_checkpoint` returns; or a
        study, all of whose runs are then read at the end of training (`study_spectra` reads other steps too).
    parity : "weightwatcher", optional
        Give the numbers of WeightWatcher 0.7.7 (see `layer_metrics`); failed fits then enter the averages as -1.
    conv_mode, mp_fit, n_shuffles, bootstrap, min_eigenvalues, min_fit, min_tail, seed
        As in `layer_metrics`; conv_mode is "slices" or "unfold".
    min_evals : int, optional
        Smallest number of eigenvalues of a layer in the averages (50; with `parity`, `min_eigenvalues`).
    include_embeddings : bool
        Whether averages include embeddings (False).
    fused : bool
        Keep the fused projections of attention and the gates of recurrent layers in one matrix (False).
    depthwise : {"skip", "flatten"}
        Skip depthwise kernels, or take each as one matrix [channels, positions].
    max_size : int
        Layers with more columns are listed, not analysed (15,000).
    kinds : mapping of str to str, optional
        Kind of a tensor by name, where the rules cannot see it: "dense", "embedding", "conv", "conv_transposed",
        "stack" (of matrices [matrices, rows, columns]) or "vector" (no layer); "conv/32" for a kernel in 32 groups, of
        which a file says nothing.
    workers : int, optional
        Layers analysed at a time, one BLAS thread each; as many as there are cores when None.
    device : str, optional
        Where PyTorch computes the eigenvalues, for example "cuda"; NumPy on this machine when None.
    progress : callable, optional
        Called with the number of tensors (of a study: models) done and in all.

    Returns
    -------
    ModelSpectra or StudySpectra
        One row a tensor, or a weight that several tensors make (``made_of``), with a status: nothing is left out
        without a word. For a study, one row a run.

    Raises
    ------
    InputError
        The source holds no tensors or is not one of the above, or a keyword is unknown.

    Notes
    -----
    What is a layer: a module says which of its tensors are weights of layers, tables that are looked up, or buffers.
    In a file, a state dict or a mapping names, shapes and what stands beside a tensor decide, by rules that give
    the module's answer where names allow it. Class tokens, positions, masks, queues, biases, scales, states of
    optimisers and averages of weights are never averaged. Kernels of Keras, Flax and Haiku are read in their
    layouts. Pruned, normalised and low-rank weights are computed as the layers use them; float8 numbers are
    multiplied by their scales, one for all, a row or a block. Packed integers are not read.

    References
    ----------
    Martin and Mahoney (2021), arXiv:2106.00734.
    """
    check_keywords(options, SpectraOptions.__annotations__, "spectra")
    check_choice(options.get("conv_mode", "slices"), "conv_mode", [mode for mode in CONV_MODES if mode != "fft"])
    check_choice(options.get("depthwise", "skip"), "depthwise", ("skip", "flatten"))
    if isinstance(source, HoldsRuns):
        from ..corpus.verbs import study_spectra

        return study_spectra(source, **options)
    return _spectra_of_model(source, dict(options))


def _spectra_of_model(source: Any, options: Mapping[str, Any]) -> ModelSpectra:
    device = options.get("device")
    layer = LayerOptions(
        **{name: options[name] for name in _OF_LAYERS if name in options},
        solver=None if device is None else torch_solver(device),
    )
    min_evals = options.get("min_evals")
    if min_evals is None:
        min_evals = layer.min_eigenvalues if layer.matched else 50
    tensors, label, left_out = tensors_of(source, options.get("kinds"))
    model = {name: options[name] for name in _OF_MODELS if name in options}
    found = analyse_tensors(tensors, layer, source=label, min_evals=min_evals, **model)
    return replace(found, excluded=tuple(left_out))


def tensors_of(
    source: Any, kinds: Mapping[str, str] | None = None
) -> tuple[list[WeightTensor], str, Sequence[Excluded]]:
    """Return the tensors of a source, what to call it, and what beside the model was left out."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if not path.exists():
            raise InputError(f"no file or folder {path}", "safetensors weights")
        tensors, left_out = tensors_of_safetensors(path, kinds)
        return tensors, path.resolve().name, left_out
    if isinstance(source, TorchCheckpoint):
        return source.sorted_by(kinds), source.path.name, source.left_out
    if hasattr(source, "named_modules"):
        return tensors_of_module(source, kinds), type(source).__name__, ()
    if isinstance(source, Mapping):
        torch_values = any(hasattr(value, "data_ptr") for value in source.values())
        return (tensors_of_state if torch_values else tensors_of_arrays)(source, kinds), "the weights", ()
    raise InputError(
        f"a {type(source).__name__}",
        "a path, a torch module, a mapping of name to array, or rs.methods.spectra.from_torch_checkpoint(path)",
    )


def torch_solver(device: str) -> Solver:
    """Return a solver of symmetric eigenvalue problems that PyTorch runs on `device` in float64."""
    from ..._optional import require

    torch = require("torch", f"eigenvalues on {device}")
    from ...training.engine import choose_device

    device = choose_device(device)

    def solve(blocks: NDArray[Any]) -> NDArray[np.float64]:
        on_device = torch.as_tensor(np.ascontiguousarray(blocks), device=device)
        return torch.linalg.eigvalsh(on_device).cpu().numpy()

    return solve
