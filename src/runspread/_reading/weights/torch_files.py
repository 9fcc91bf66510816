"""Weights from PyTorch: live modules, state dicts, and checkpoints, which a process of its own unpickles."""

from __future__ import annotations

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

from ..._checks import to_numpy
from ..._results import Excluded
from ..._words import listed
from ...errors import InputError
from ..plain_files import read_json
from .file_kinds import refuse_other_kinds
from .files import raw_tensors
from .model_config import knowledge_of
from .model_folders import ModelFiles, pickled_files
from .sorting import Knowledge, Load, sorted_tensors, tensor_of_array, tensors_of_arrays
from .tensors import WeightTensor
from .torch_child import model_tensors

_CHILD = Path(__file__).with_name("torch_child.py")
_FLOAT8 = {"float8_e4m3fn": "float8_e4m3", "float8_e8m0fnu": "float8_e8m0"}


def tensors_of_module(module: Any, kinds: Mapping[str, str] | None = None) -> list[WeightTensor]:
    """Return the parameters and buffers of a ``torch.nn.Module``, with what its layers say of themselves."""
    layers = dict(module.named_modules())
    known = {name: ("buffer", 1) for name, _ in module.named_buffers(remove_duplicate=False)}
    for path, layer in layers.items():
        found = _known(layer)
        if found is not None:
            known[f"{path}.weight" if path else "weight"] = found
    knowledge = Knowledge(known=known, scaling=partial(_scaling, layers), effective=_effective(layers))
    return sorted_tensors(_raw_tensors(module.state_dict()), kinds, knowledge)


def _known(layer: Any) -> tuple[str, int] | None:
    """Return what a layer says of its weight: its kind and, of a kernel, its groups."""
    types = {one.__name__ for one in type(layer).__mro__} | {getattr(layer, "original_name", "")}  # of TorchScript
    if hasattr(layer, "transposed") and hasattr(layer, "groups"):
        return "conv_transposed" if layer.transposed else "conv", int(layer.groups)
    if hasattr(layer, "num_embeddings"):
        return "embedding", 1
    if "Bilinear" in types:
        return "stack", 1
    if "Linear" in types:
        return "dense", 1
    return ("normalisation", 1) if any("Norm" in one for one in types) else None


def _effective(layers: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], Load]]:
    """Return shape and loader of each weight that a parametrisation computes."""
    found: dict[str, tuple[tuple[int, ...], Load]] = {}
    for path, layer in layers.items():
        for name in getattr(layer, "parametrizations", None) or ():
            load = partial(_parametrised, layer, name)
            found[f"{path}.{name}" if path else name] = (load().shape, load)
    return found


def _parametrised(layer: Any, name: str) -> NDArray[Any]:
    """Return a parametrised weight without a change of its buffers, as evaluation would."""
    chain = layer.parametrizations[name]
    modes = [(one, one.training) for one in chain.modules()]
    chain.eval()
    try:
        return np.asarray(to_numpy(getattr(layer, name)))
    finally:
        for one, mode in modes:
            one.training = mode


def _scaling(layers: Mapping[str, Any], layer: str, adapter: str, rank: int) -> float | None:
    """Return the factor that a layer of PEFT or loralib puts on its update."""
    found = getattr(layers.get(layer), "scaling", None)
    value: Any = found.get(adapter or "default") if isinstance(found, dict) else found  # pyright: ignore
    return float(value) if isinstance(value, (int, float)) else None


def tensors_of_state(state: Mapping[str, Any], kinds: Mapping[str, str] | None = None) -> list[WeightTensor]:
    """Return the tensors of a state dict; names of one storage become aliases of the first."""
    return sorted_tensors(_raw_tensors(state), kinds)


def tensors_of_containers(
    source: Mapping[str, Any], kinds: Mapping[str, str] | None = None
) -> tuple[list[WeightTensor], list[Excluded]]:
    """Return the tensors of the model in nested mappings, by the rules for files, and what was excluded.

    ``torch.load`` returns such for a checkpoint of a training, Flax keeps parameters so.
    """
    counts: dict[str, int] = {}
    found = dict(model_tensors(source, "", counts, _is_array))
    if not found:
        raise InputError(
            f"got nested mappings without tensors of a model (keys {listed([repr(key) for key in source])})",
            "arrays or tensors by name",
        )
    read = tensors_of_state if any(hasattr(value, "data_ptr") for value in found.values()) else tensors_of_arrays
    return read(found, kinds), _beside_the_model(counts)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic)


def _beside_the_model(counts: Mapping[str, int]) -> list[Excluded]:
    return [Excluded(name, _not_the_models(count)) for name, count in counts.items()]


def _raw_tensors(state: Mapping[str, Any]) -> list[WeightTensor]:
    found: dict[Any, WeightTensor] = {}
    for name, value in state.items():
        if not hasattr(value, "data_ptr"):
            if isinstance(value, np.ndarray):
                found[name] = tensor_of_array(name, value)
            continue  # else extra state: no weights
        key = _storage(value, name)
        if key in found:
            found[key] = replace(found[key], aliases=(*found[key].aliases, name))
        else:
            found[key] = _tensor(name, value)
    return list(found.values())


def _storage(value: Any, name: str) -> Any:
    if _why_unread(value) or value.is_quantized or value.numel() == 0:
        return name
    return (str(value.device), value.data_ptr(), tuple(value.shape), value.stride(), str(value.dtype))


def _why_unread(value: Any) -> str:
    """Return why the numbers of a tensor cannot be read; empty where they can."""
    if type(value).__name__.startswith("Uninitialized"):
        return "not initialised: a lazy module has no weights before its first batch"
    if value.is_meta:
        return "on the meta device"
    if "strided" not in str(value.layout):
        return "sparse"
    return f"a {type(value).__name__} of another library" if hasattr(value, "__tensor_flatten__") else ""


def _tensor(name: str, value: Any) -> WeightTensor:
    why = _why_unread(value)
    shape = () if why.startswith("not init") else tuple(value.shape)
    stored, load = str(value.dtype).removeprefix("torch."), partial(to_numpy, value)
    if value.is_quantized:
        load, stored = partial(_dequantised, value), "float32"
    elif stored.startswith("float8"):
        load, stored = partial(_widened, value), _FLOAT8.get(stored, stored)
    return WeightTensor(
        name=name, shape=shape, stored=stored, load=load, status="unsupported" if why else "", detail=why
    )  # fmt: skip


def _dequantised(value: Any) -> NDArray[Any]:
    return np.asarray(to_numpy(value.dequantize()))


def _widened(value: Any) -> NDArray[Any]:
    return np.asarray(to_numpy(value.double()))


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

    def __init__(
        self, path: Path, raw: Sequence[WeightTensor], left_out: Sequence[Excluded], folder: Path, knowledge: Knowledge
    ) -> None:
        self.path = path
        self._raw, self._knowledge = tuple(raw), knowledge
        self.left_out = tuple(left_out)
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    @property
    def tensors(self) -> tuple[WeightTensor, ...]:
        """Its tensors, sorted by the rules for names."""
        return tuple(self.sorted_by())

    def sorted_by(self, kinds: Mapping[str, str] | None = None) -> list[WeightTensor]:
        """Return its tensors, where `kinds` says the kind of some."""
        return sorted_tensors(self._raw, kinds, self._knowledge)

    def __repr__(self) -> str:
        return f"<checkpoint {self.path.name}, {len(self._raw)} tensors>"


def from_torch_checkpoint(
    path: str | os.PathLike[str], *, memory_bytes: int = 64 * 2**30, seconds: int = 600
) -> TorchCheckpoint:
    """Read the tensors of a ``.pt``, ``.pth``, ``.bin`` or ``.ckpt`` file that ``torch.save`` wrote, or of its shards.

    Such files are pickles. This one is read with ``torch.load(weights_only=True)`` in a process of its own, with limits
    on memory and time, which writes the tensors it finds as safetensors; this process reads those.

    Parameters
    ----------
    path : path
        A file, the index of shards (``pytorch_model.bin.index.json``), or a folder that holds one model so. A file
        holds a state dict, or a mapping with one in it; names of nested mappings are joined by dots. Where exactly one
        of ``state_dict``, ``model_state_dict``, ``model``, ``module`` and the like holds tensors, only that is read;
        otherwise all but the state of training (optimisers, schedulers, losses, ... and a moving average of the weights
        beside the weights themselves). What was excluded is named in the result's ``excluded``.
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
        The file cannot be read this way, or holds no tensors; a shard or a tensor that the index names is missing.
    MissingDependencyError
        PyTorch is not installed.
    """
    from ..._optional import require

    require("torch", "reading a PyTorch checkpoint")
    source = Path(path).resolve()
    if not source.exists():
        raise InputError(f"the file {source} does not exist", "a checkpoint written by torch.save")
    files = pickled_files(source)
    for file in files.files:
        refuse_other_kinds(file, pickles=True)
    folder = Path(tempfile.mkdtemp(prefix="runspread-"))
    try:
        tensors, left_out = _converted(files, folder, memory_bytes, seconds)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    beside = source if source.is_dir() else source.parent
    return TorchCheckpoint(source, tensors, (*files.left_out, *left_out), folder, knowledge_of(beside))


def _converted(
    files: ModelFiles, folder: Path, memory_bytes: int, seconds: int
) -> tuple[list[WeightTensor], list[Excluded]]:
    """Let another process turn checkpoints into safetensors; return the tensors there, and what was excluded."""
    _convert(files.files, folder, memory_bytes, seconds)
    tensors: dict[str, WeightTensor] = {}
    left_out: list[Excluded] = []
    names: dict[Path, set[str]] = {}
    for number, file in enumerate(files.files):
        target = folder / f"{number}.safetensors"
        facts: dict[str, Any] = read_json(target.with_suffix(".json"), dict[str, Any])
        found = _tensors_of(target, facts)
        names[file] = {name for one in found for name in (one.name, *one.aliases)}
        kept = [one for one in found if files.index.get(one.name, file.name) == file.name]
        twice = next((one.name for one in kept if one.name in tensors), None)
        if twice is not None:
            raise InputError(f"{twice} is in {file.name} and in an earlier shard", "each tensor in one shard")
        tensors |= {one.name: one for one in kept}
        left_out += _beside_the_model(facts["left_out"])
    files.check(names)
    return list(tensors.values()), left_out


def _not_the_models(count: int) -> str:
    return "1 tensor that is not the model's" if count == 1 else f"{count} tensors that are not the model's"


def _convert(sources: Sequence[Path], folder: Path, memory_bytes: int, seconds: int) -> None:
    """Let another process turn each source into safetensors in a folder, and say beside it what it found."""
    command = [sys.executable, "-I", str(_CHILD), str(memory_bytes), str(seconds), str(folder), *map(str, sources)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=4 * seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"reading {sources[0].name} took longer than {4 * seconds} s", hint="Pass a larger seconds= to allow more."
        ) from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        reached = sources[int(next((line for line in reversed(lines) if line.isdigit()), "0"))]
        reason = lines[-1] if lines and not lines[-1].isdigit() else f"signal {-done.returncode}"
        raise InputError(
            f"{reached.name} cannot be read safely ({reason})",
            "tensors in plain containers",
            "Save model.state_dict(), or convert the file to safetensors where it was made.",
        )


def _tensors_of(target: Path, facts: Mapping[str, Any]) -> list[WeightTensor]:
    """Return the tensors of a converted file in the order of the checkpoint, and those that could not be converted."""
    found = {one.name: one for one in raw_tensors(ModelFiles((target,)))} if target.exists() else {}
    for name, (shape, stored, why) in facts["unread"].items():
        found[name] = WeightTensor(
            name=name, shape=tuple(shape), stored=stored, load=_no_numbers, status="unsupported", detail=why
        )
    return [replace(found[name], aliases=tuple(facts["aliases"].get(name, ()))) for name in facts["order"]]


def _no_numbers() -> NDArray[Any]:
    raise InputError("the numbers of this tensor were not read", "a tensor with status ok")
