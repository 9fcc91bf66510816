"""Weights from PyTorch: live modules, state dicts, and checkpoints, which a process of its own unpickles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import to_numpy
from .._errors import InputError
from .._methods.spectra.weight_tensors import WeightTensor, guessed_kind
from .._results import Excluded
from .weight_files import tensors_of_safetensors

_CHILD = Path(__file__).with_name("torch_child.py")
_STORED = {"bfloat16", "float16", "float32", "float64"}
_FLOAT8 = {"float8_e4m3fn": "float8_e4m3", "float8_e5m2": "float8_e5m2"}


def tensors_of_module(module: Any, kinds: Mapping[str, str] | None = None) -> list[WeightTensor]:
    """Return the parameters and buffers of a ``torch.nn.Module``, with what its layers say of groups and kinds."""
    layers = {f"{path}.weight" if path else "weight": layer for path, layer in module.named_modules()}
    tensors = tensors_of_state(module.state_dict(), kinds)
    return [_described(tensor, layers.get(tensor.name), kinds or {}) for tensor in tensors]


def _described(tensor: WeightTensor, layer: Any, kinds: Mapping[str, str]) -> WeightTensor:
    """Add what a layer knows of its weight."""
    if layer is None or tensor.name in kinds or tensor.kind == "vector":
        return tensor
    if hasattr(layer, "transposed") and hasattr(layer, "groups"):
        return replace(tensor, kind="conv_transposed" if layer.transposed else "conv", groups=int(layer.groups))
    if hasattr(layer, "num_embeddings"):
        return replace(tensor, kind="embedding")
    return replace(tensor, kind="dense") if hasattr(layer, "in_features") and len(tensor.shape) == 2 else tensor


def tensors_of_state(state: Mapping[str, Any], kinds: Mapping[str, str] | None = None) -> list[WeightTensor]:
    """Return the tensors of a state dict; names of one storage become aliases of the first."""
    found: dict[Any, WeightTensor] = {}
    for name, value in state.items():
        if not hasattr(value, "data_ptr"):
            continue  # extra state: no weights
        key = _storage(value, name)
        if key in found:
            found[key] = replace(found[key], aliases=(*found[key].aliases, name))
        else:
            found[key] = _tensor(name, value, kinds or {})
    return list(found.values())


def _storage(value: Any, name: str) -> Any:
    plain = not (value.is_meta or value.is_sparse or value.is_quantized or "strided" not in str(value.layout))
    if not plain or value.numel() == 0:
        return name
    return (str(value.device), value.data_ptr(), tuple(value.shape), value.stride(), str(value.dtype))


def _tensor(name: str, value: Any, kinds: Mapping[str, str]) -> WeightTensor:
    shape, stored = tuple(value.shape), str(value.dtype).removeprefix("torch.")
    kind = kinds.get(name, guessed_kind(name, shape))
    status, detail, load = "", "", partial(to_numpy, value)
    if value.is_meta or "strided" not in str(value.layout):
        status, detail = "unsupported", "on the meta device" if value.is_meta else "sparse"
    elif value.is_quantized:
        load, stored = partial(_dequantised, value), "float32"
    elif stored in _FLOAT8:
        load, stored = partial(_widened, value), _FLOAT8[stored]
    elif stored not in _STORED:
        status, kind = ("", "vector") if kind == "vector" else ("quantised", kind)
        detail = f"stored as {stored}"
    return WeightTensor(name=name, shape=shape, stored=stored, load=load, kind=kind, status=status, detail=detail)


def _dequantised(value: Any) -> NDArray[Any]:
    return np.asarray(to_numpy(value.dequantize()))


def _widened(value: Any) -> NDArray[Any]:
    return np.asarray(to_numpy(value.float()))


class TorchCheckpoint:
    """The tensors of a PyTorch checkpoint, read safely; made by `from_torch_checkpoint`.

    Attributes
    ----------
    path : Path
        The checkpoint.
    tensors : tuple of WeightTensor
        Its tensors, loaded one at a time from a temporary safetensors file.
    left_out : tuple of Excluded
        What holds tensors that are not the model's, such as the state of an optimiser.
    """

    def __init__(self, path: Path, tensors: Sequence[WeightTensor], left_out: Sequence[Excluded], folder: Path) -> None:
        self.path = path
        self.tensors, self.left_out = tuple(tensors), tuple(left_out)
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def __repr__(self) -> str:
        return f"<checkpoint {self.path.name}, {len(self.tensors)} tensors>"


def from_torch_checkpoint(
    path: str | os.PathLike[str], *, memory_bytes: int = 64 * 2**30, seconds: int = 600
) -> TorchCheckpoint:
    """Read the tensors of a ``.pt``, ``.pth``, ``.bin`` or ``.ckpt`` file that ``torch.save`` wrote.

    Such files are pickles. This one is read with ``torch.load(weights_only=True)`` in a process of its own, with limits
    on memory and time, which writes the tensors it finds as safetensors; this process reads those.

    Parameters
    ----------
    path : path
        A state dict, or a mapping that holds one; names of nested mappings are joined by dots. Where exactly one of
        ``state_dict``, ``model_state_dict``, ``model``, ``module`` and the like holds tensors, only that is read;
        otherwise all but the state of training (optimisers, schedulers, losses, ... and a moving average of the weights
        beside the weights themselves). What was left out is named in the result's ``excluded``.
    memory_bytes : int
        Limit on the address space of the reading process.
    seconds : int
        Limit on its processor time.

    Returns
    -------
    TorchCheckpoint
        For `spectra`.

    Raises
    ------
    InputError
        The file cannot be read this way, or holds no tensors.
    MissingDependencyError
        PyTorch is not installed.
    """
    from .._optional import require

    require("torch", "reading a PyTorch checkpoint")
    source = Path(path).resolve()
    if not source.is_file():
        raise InputError(f"no file {source}", "a checkpoint written by torch.save")
    folder = Path(tempfile.mkdtemp(prefix="runspread-"))
    try:
        tensors, left_out = _converted(source, folder / "tensors.safetensors", memory_bytes, seconds)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return TorchCheckpoint(source, tensors, left_out, folder)


def _converted(
    source: Path, target: Path, memory_bytes: int, seconds: int
) -> tuple[list[WeightTensor], list[Excluded]]:
    """Let another process turn `source` into safetensors; return the tensors there, and what was left out."""
    command = [sys.executable, "-I", str(_CHILD), str(source), str(target), str(memory_bytes), str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=4 * seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"reading {source.name} took over {4 * seconds} s", "less", "Raise seconds.") from error
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"signal {-done.returncode}"
        raise InputError(
            f"{source.name} cannot be read safely ({reason})",
            "tensors in plain containers",
            "Save model.state_dict(), or convert the file to safetensors where it was made.",
        )
    facts: dict[str, Any] = json.loads(target.with_suffix(".json").read_text())
    tensors = tensors_of_safetensors(target)
    left_out = [
        Excluded(name, f"{count} tensor{'s' * (count > 1)} that {'are' if count > 1 else 'is'} not the model's")
        for name, count in facts["left_out"].items()
    ]
    return [replace(tensor, aliases=tuple(facts["aliases"].get(tensor.name, ()))) for tensor in tensors], left_out
