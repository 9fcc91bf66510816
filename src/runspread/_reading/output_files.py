"""Outputs of runs trained elsewhere, from a NumPy or safetensors file, by memory map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._errors import CorruptShardError, InputError
from .outputs import RunOutputs, as_outputs
from .safetensors import map_tensors

_OUTPUTS = ("logits", "probabilities", "predictions", "outputs")
_LABELS = "labels"
_KINDS = "a .npy file with one array, or a .safetensors file"


def open_outputs(
    path: str | Path, labels: ArrayLike | str | Path | None = None, *, tensor: str | None = None
) -> RunOutputs:
    """Open a file that holds the outputs of many runs; nothing is read before a method asks for it.

    Every method that takes the outputs of runs takes what this returns. Methods go through it in chunks of runs, so a
    file may be larger than the memory: 60,000 runs on 10,000 examples of 10 classes in float16 are 12 GB.

    Parameters
    ----------
    path : str or Path
        A ``.npy`` file, or a ``.safetensors`` file: floating-point logits or probabilities [runs, examples, classes],
        whole-number predicted classes [runs, examples], or floating-point scalar outputs [runs, examples]: the
        log-odds of class 1 of a binary classifier.
    labels : array_like of int [examples], or path to a ``.npy`` file, optional
        True classes; by default the tensor "labels" of a safetensors file, where there is one.
    tensor : str, optional
        Name of the outputs in a safetensors file; default "logits", "probabilities", "predictions" or "outputs",
        whichever is there.

    Returns
    -------
    RunOutputs
        With runs named ``run 0``, ``run 1``, ...

    Raises
    ------
    InputError
        The file is not there or of another kind, holds no such tensor, or its array or labels do not fit.

    Examples
    --------
    >>> outputs = rs.open_outputs("logits.npy", labels="labels.npy")  # doctest: +SKIP
    >>> print(rs.variance(outputs))  # doctest: +SKIP
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no file {str(path)!r}", _KINDS)
    if path.suffix == ".npy":
        if tensor is not None:
            raise InputError(f"tensor={tensor!r} for a .npy file", "a name only with .safetensors, which holds several")
        array, own = _read_npy(path), None
    elif path.suffix == ".safetensors":
        array, own = _read_safetensors(path, tensor)
    else:
        raise InputError(f"{path.name}", _KINDS, "Save the array with numpy.save, which can be mapped into memory.")
    if isinstance(labels, (str, Path)):
        labels = _read_npy(Path(labels))
    if array.ndim == 2 and array.dtype.kind == "f":  # scalar outputs: one column of logits
        array = array[..., None]
    return as_outputs(array, own if labels is None else labels)


def _read_npy(path: Path) -> NDArray[Any]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read ({error})", "a .npy file, as numpy.save writes it") from error


def _read_safetensors(path: Path, tensor: str | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the outputs, and the labels where the file has them."""
    try:
        tensors = map_tensors(path, memmap=True)
    except CorruptShardError as error:
        raise InputError(f"{path} cannot be read ({error.__cause__})", "a whole safetensors file") from error
    names = [name for name in _OUTPUTS if name in tensors] if tensor is None else [tensor]
    if len(names) != 1 or names[0] not in tensors:
        raise InputError(
            f"tensors {', '.join(sorted(tensors))} in {path.name}",
            f"the tensor {tensor}" if tensor else f"exactly one of {', '.join(_OUTPUTS)}",
            "Name the one that holds the outputs of the runs with tensor=.",
        )
    return tensors[names[0]], tensors.get(_LABELS)
