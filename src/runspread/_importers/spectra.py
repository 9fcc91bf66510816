"""``rs.spectra``: weight spectra of anything that holds weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._checks import check_choice
from .._errors import InputError
from .._methods.layer_metrics import LayerOptions
from .._methods.spectra import ModelSpectra, analyse_tensors
from .._methods.spectrum import CONV_MODES, Solver
from .._methods.weight_tensors import WeightTensor, tensors_of_arrays
from .torch_weights import TorchCheckpoint, tensors_of_module, tensors_of_state
from .weight_files import tensors_of_safetensors

_PICKLES = (".pt", ".pth", ".bin", ".ckpt")


def spectra(
    source: Any,
    *,
    parity: Literal["weightwatcher"] | None = None,
    conv_mode: Literal["slices", "unfold"] = "slices",
    mp_fit: bool = False,
    n_shuffles: int = 0,
    bootstrap: int = 0,
    min_eigenvalues: int = 8,
    min_fit: int = 20,
    min_tail: int = 8,
    min_evals: int | None = None,
    include_embeddings: bool = False,
    fused: bool = False,
    depthwise: Literal["skip", "flatten"] = "skip",
    max_size: int = 15_000,
    kinds: Mapping[str, str] | None = None,
    seed: int = 0,
    workers: int | None = None,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ModelSpectra:
    """Return scale and shape metrics of every weight tensor of a model, and their averages.

    Parameters
    ----------
    source : path, module, mapping or checkpoint
        A safetensors file; a folder of them, sharded or not; a ``torch.nn.Module``; a mapping of name to array or
        tensor (a state dict, ``study.weights(run)``); or what `from_torch_checkpoint` returns.
    parity : "weightwatcher", optional
        Give the numbers of WeightWatcher 0.7.7 (see `layer_metrics`); failed fits then enter the averages as -1.
    conv_mode, mp_fit, n_shuffles, bootstrap, min_eigenvalues, min_fit, min_tail, seed
        As in `layer_metrics`.
    min_evals : int, optional
        Smallest number of eigenvalues of a layer in the averages (50; with `parity`, `min_eigenvalues`).
    include_embeddings : bool
        Whether averages include embeddings.
    fused : bool
        Keep the fused projections of attention and the gates of recurrent layers in one matrix.
    depthwise : {"skip", "flatten"}
        Skip depthwise kernels, or take each as one matrix [channels, positions].
    max_size : int
        Layers with more columns are listed, not analysed.
    kinds : mapping of str to str, optional
        Kind of a tensor by name, where it cannot be seen: "conv_transposed", "stack", "embedding", ...
    workers : int, optional
        Layers analysed at a time, one BLAS thread each; as many as there are cores when None.
    device : str, optional
        Where PyTorch computes the eigenvalues, for example "cuda"; NumPy on this machine when None.
    progress : callable, optional
        Called with the number of layers done and of tensors in all.

    Returns
    -------
    ModelSpectra
        One row a tensor, with a status; nothing is left out without a word.

    Raises
    ------
    InputError
        The source holds no tensors, or is not one of the above.

    References
    ----------
    Martin and Mahoney (2021), arXiv:2106.00734.
    """
    check_choice(conv_mode, "conv_mode", [mode for mode in CONV_MODES if mode != "fft"])
    check_choice(depthwise, "depthwise", ("skip", "flatten"))
    options = LayerOptions(
        conv_mode=conv_mode, parity=parity, min_eigenvalues=min_eigenvalues, min_fit=min_fit, min_tail=min_tail,
        mp_fit=mp_fit, n_shuffles=n_shuffles, bootstrap=bootstrap, seed=seed,
        solver=None if device is None else torch_solver(device),
    )  # fmt: skip
    tensors, label = tensors_of(source, kinds)
    return analyse_tensors(
        tensors, options, source=label,
        min_evals=min_evals if min_evals is not None else (min_eigenvalues if parity else 50),
        include_embeddings=include_embeddings, fused=fused, depthwise=depthwise, max_size=max_size,
        workers=workers, progress=progress,
    )  # fmt: skip


def tensors_of(source: Any, kinds: Mapping[str, str] | None = None) -> tuple[list[WeightTensor], str]:
    """Return the tensors of a source and what to call it."""
    if isinstance(source, (str, os.PathLike)):
        return _tensors_of_path(Path(source), kinds)
    if isinstance(source, TorchCheckpoint):
        return list(source.tensors), source.path.name
    if hasattr(source, "named_modules"):
        return tensors_of_module(source, kinds), type(source).__name__
    if isinstance(source, Mapping):
        torch_values = any(hasattr(value, "data_ptr") for value in source.values())
        return (tensors_of_state if torch_values else tensors_of_arrays)(source, kinds), "the weights"
    raise InputError(
        f"a {type(source).__name__}",
        "a path, a torch module, a mapping of name to array, or rs.from_torch_checkpoint(path)",
        "For one run of a study: rs.spectra(study.weights(run)). For all runs: rs.study_spectra(study)."
        if hasattr(source, "weights") else "",
    )  # fmt: skip


def _tensors_of_path(path: Path, kinds: Mapping[str, str] | None) -> tuple[list[WeightTensor], str]:
    if not path.exists():
        raise InputError(f"no file or folder {path}", "safetensors weights")
    if path.suffix in _PICKLES:
        raise InputError(
            f"{path.name}, which has to be unpickled",
            "safetensors",
            "Pickles can run code: say so with rs.spectra(rs.from_torch_checkpoint(path)).",
        )
    return tensors_of_safetensors(path, kinds), path.name


def torch_solver(device: str) -> Solver:
    """Return a solver of symmetric eigenvalue problems that PyTorch runs on `device` in float64."""
    from .._optional import require

    torch = require("torch", f"eigenvalues on {device}")

    def solve(blocks: NDArray[Any]) -> NDArray[np.float64]:
        on_device = torch.as_tensor(np.ascontiguousarray(blocks), device=device)
        return torch.linalg.eigvalsh(on_device).cpu().numpy()

    return solve
