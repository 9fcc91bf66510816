"""Run as a script: read checkpoints with ``weights_only=True`` under limits and write their models as safetensors.

Arguments: limit of the address space in bytes, limit of the processor time in seconds, folder of the results, sources.
The number of a source goes to standard error before it is read, so that what stops the script can be told.
"""

from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_DEEPEST = 8  # nested containers
_UNPACKED, _RATIO = 2**26, 100  # bytes of tensors: more that came of less are refused
# What training loops (PyTorch's tutorials, Lightning, timm, mmengine, fairseq, DeepSpeed, ...) keep the model under.
_MODEL = {
    "state_dict", "model_state_dict", "model_state", "model", "module", "net", "net_state_dict", "network", "params",
}  # fmt: skip
_TRAINING = re.compile(
    r"(^|_)(opt$|opt_|optim|lr_|sched|scaler|amp_|loss|metric|callback|loops$|history|rng)", re.IGNORECASE
)
_WRITABLE = re.compile(r"bool|u?int(8|16|32|64)|b?float(16|32|64)|float8_e(4m3fn|5m2|8m0fnu)")  # as safetensors
_AVERAGE = re.compile(r"(^|_)(ema|swa|averaged?)(_|$)", re.IGNORECASE)


def limit(memory: int, seconds: int) -> None:
    """Set limits on this process where the system has them."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def of_torch(value: Any) -> bool:
    """Whether it is a tensor; torch is imported here, after the limits of the script are set."""
    import torch

    return isinstance(value, torch.Tensor)


def found_tensors(
    value: Any, name: str, depth: int = 0, is_tensor: Callable[[Any], bool] = of_torch
) -> Iterator[tuple[str, Any]]:
    """Yield the tensors in nested mappings and lists with the names that lead to them."""
    if is_tensor(value):
        yield name, value.detach() if hasattr(value, "detach") else value
        return
    items: Any = ()
    if depth < _DEEPEST and isinstance(value, Mapping):
        items = value.items()
    elif depth < _DEEPEST and isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        items = enumerate(value)
    for key, item in items:
        yield from found_tensors(item, f"{name}.{key}" if name else str(key), depth + 1, is_tensor)


def lists_of_numbers(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield lists of whole numbers, such as the examples of each batch, in nested lists that hold nothing else."""
    import torch

    if depth >= _DEEPEST or not isinstance(value, (list, tuple)):
        return
    if value and all(type(item) is int and abs(item) < 2**63 for item in value):
        yield name or "0", torch.tensor(value)
        return
    for key, item in enumerate(value):
        yield from lists_of_numbers(item, f"{name}.{key}" if name else str(key), depth + 1)


def model_tensors(
    value: Any, name: str, left_out: dict[str, int], is_tensor: Callable[[Any], bool] = of_torch
) -> Iterator[tuple[str, Any]]:
    """Yield the tensors of the model in a checkpoint, and count in `left_out` those that belong to its training."""
    if not isinstance(value, Mapping):
        yield from found_tensors(value, name, 0, is_tensor)
        return
    counts = {key: sum(1 for _ in found_tensors(item, "", 0, is_tensor)) for key, item in value.items()}
    holders = [key for key, item in value.items() if isinstance(item, Mapping) and counts[key]]
    models = [key for key in holders if str(key).lower() in _MODEL]
    alone = not name and len(models) == 1
    kept = models if alone else _without_training(value, counts, is_tensor)
    for key, item in value.items():
        full = f"{name}.{key}" if name else str(key)
        if key not in kept:
            left_out |= {full: counts[key]} if counts[key] else {}
        elif key in models:
            yield from found_tensors(item, full, 0, is_tensor)
        else:
            yield from model_tensors(item, full, left_out, is_tensor)


def _without_training(
    value: Mapping[Any, Any], counts: Mapping[Any, int], is_tensor: Callable[[Any], bool]
) -> list[Any]:
    """Return the keys that may hold a model; only containers are told by their name, never a tensor of a state dict."""
    if _is_optimizer(value):
        return []
    containers = [key for key, item in value.items() if not is_tensor(item)]
    training = [key for key in containers if _TRAINING.search(str(key)) or _is_optimizer(value[key])]
    kept = [key for key in value if key not in training]
    plain = [key for key in kept if key not in containers or not _AVERAGE.search(str(key))]
    return plain if any(counts[key] for key in plain) else kept


def _is_optimizer(value: Any) -> bool:
    """Whether it is the state of one, whatever it is kept under."""
    return isinstance(value, Mapping) and {"state", "param_groups"} <= value.keys()


def main(memory: str, seconds: str, folder: str, *sources: str) -> None:
    """Convert each source to ``<number>.safetensors``."""
    limit(int(memory), int(seconds))
    for number, source in enumerate(sources):
        sys.stderr.write(f"{number}\n")
        sys.stderr.flush()
        convert(source, Path(folder) / f"{number}.safetensors")


def convert(source: str, target: Path) -> None:
    """Convert `source` to `target`, and list beside it the order of names, shared storage, and what was excluded."""
    import torch
    from safetensors.torch import save_file

    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=is_zip(source))
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused is None:
            raise
        sys.exit(f"it holds a pickled {refused[1]}: a whole module or another object, not tensors alone")
    unpacked, tensors = 0, dict[str, Any]()
    names: dict[Any, str] = {}
    facts: dict[str, Any] = {"order": [], "aliases": {}, "left_out": {}, "unread": {}}
    found = list(model_tensors(loaded, "", facts["left_out"])) or list(lists_of_numbers(loaded))
    for name, tensor in found:
        why = why_unread(tensor)
        key = name if why or not tensor.numel() else storage(tensor)
        if key in names:
            facts["aliases"].setdefault(names[key], []).append(name)
            continue
        names[key] = name
        facts["order"].append(name)
        if why:
            facts["unread"][name] = (list(tensor.shape), str(tensor.dtype).removeprefix("torch."), why)
        else:
            unpacked += tensor.numel() * tensor.element_size()
            if unpacked > _UNPACKED and unpacked > _RATIO * Path(source).stat().st_size:
                sys.exit(f"its tensors unpack to more than {_RATIO} times its size")
            tensors[name] = (tensor.dequantize() if tensor.is_quantized else tensor).contiguous().clone()
    if not names:
        left = ", ".join(facts["left_out"])
        sys.exit(f"it holds no tensors of a model, only {left}" if left else "it holds no tensors")
    if tensors:
        save_file(tensors, target)
    target.with_suffix(".json").write_text(json.dumps(facts))


def why_unread(tensor: Any) -> str:
    """Return why a tensor cannot be written as safetensors; empty where it can."""
    import torch

    if tensor.is_meta:
        return "on the meta device"
    if tensor.layout != torch.strided:
        return "sparse"
    stored = str(tensor.dtype).removeprefix("torch.")
    return "" if tensor.is_quantized or _WRITABLE.fullmatch(stored) else f"stored as {stored}"


def storage(tensor: Any) -> Any:
    """Return what two tensors share exactly when they are the same numbers in memory."""
    return (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)


def is_zip(source: str) -> bool:
    """Whether the file is of the format of today's ``torch.save``, which can be memory-mapped."""
    with Path(source).open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


if __name__ == "__main__":
    main(*sys.argv[1:])
