"""Run as a script: read one checkpoint with ``weights_only=True`` under limits and write its model as safetensors.

Arguments: source, target, limit of the address space in bytes, limit of the processor time in seconds.
"""

from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_DEEPEST = 8  # nested containers
# What training loops (PyTorch's tutorials, Lightning, timm, mmengine, fairseq, DeepSpeed, ...) keep the model under.
_MODEL = {
    "state_dict", "model_state_dict", "model_state", "model", "module", "net", "net_state_dict", "network", "params",
}  # fmt: skip
_TRAINING = re.compile(
    r"(^|_)(opt$|opt_|optim|lr_|sched|scaler|amp_|loss|metric|callback|loops$|history|rng)", re.IGNORECASE
)
_AVERAGE = re.compile(r"(^|_)(ema|swa|averaged?)(_|$)", re.IGNORECASE)


def limit(memory: int, seconds: int) -> None:
    """Set limits on this process where the system has them."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def found_tensors(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the strided tensors in nested mappings and lists with the names that lead to them."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.layout == torch.strided and not value.is_meta:
            yield name, value.detach()
        return
    items: Any = ()
    if depth < _DEEPEST and isinstance(value, Mapping):
        items = value.items()
    elif depth < _DEEPEST and isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        items = enumerate(value)
    for key, item in items:
        yield from found_tensors(item, f"{name}.{key}" if name else str(key), depth + 1)


def model_tensors(value: Any, name: str, left_out: dict[str, int]) -> Iterator[tuple[str, Any]]:
    """Yield the tensors of the model in a checkpoint, and count in `left_out` those that belong to its training."""
    if not isinstance(value, Mapping):
        yield from found_tensors(value, name)
        return
    counts = {key: sum(1 for _ in found_tensors(item, "")) for key, item in value.items()}
    holders = [key for key, item in value.items() if isinstance(item, Mapping) and counts[key]]
    models = [key for key in holders if str(key).lower() in _MODEL]
    alone = not name and len(models) == 1
    kept = models if alone else _without_training(value, counts)
    for key, item in value.items():
        full = f"{name}.{key}" if name else str(key)
        if key not in kept:
            left_out |= {full: counts[key]} if counts[key] else {}
        elif key in models:
            yield from found_tensors(item, full)
        else:
            yield from model_tensors(item, full, left_out)


def _without_training(value: Mapping[Any, Any], counts: Mapping[Any, int]) -> list[Any]:
    """Return the keys that may hold a model; only containers are told by their name, never a tensor of a state dict."""
    import torch

    if _is_optimizer(value):
        return []
    containers = [key for key, item in value.items() if not isinstance(item, torch.Tensor)]
    training = [key for key in containers if _TRAINING.search(str(key)) or _is_optimizer(value[key])]
    kept = [key for key in value if key not in training]
    plain = [key for key in kept if key not in containers or not _AVERAGE.search(str(key))]
    return plain if any(counts[key] for key in plain) else kept


def _is_optimizer(value: Any) -> bool:
    """Whether it is the state of one, whatever it is kept under."""
    return isinstance(value, Mapping) and {"state", "param_groups"} <= value.keys()


def main(source: str, target: str, memory: str, seconds: str) -> None:
    """Convert `source` to `target`, and list beside it the names of shared storage and what was left out."""
    import torch
    from safetensors.torch import save_file

    limit(int(memory), int(seconds))
    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=is_zip(source))
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused is None:
            raise
        sys.exit(f"it holds a pickled {refused[1]}: a whole module or another object, not tensors alone")
    tensors: dict[str, Any] = {}
    names: dict[Any, str] = {}
    aliases: dict[str, list[str]] = {}
    left_out: dict[str, int] = {}
    for name, tensor in model_tensors(loaded, "", left_out):
        plain = tensor.dequantize() if tensor.is_quantized else tensor
        key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype) if tensor.numel() else name
        if key in names:
            aliases.setdefault(names[key], []).append(name)
        else:
            names[key] = name
            tensors[name] = plain.contiguous().clone()
    if not tensors:
        sys.exit(f"it holds no tensors of a model, only {', '.join(left_out)}" if left_out else "it holds no tensors")
    save_file(tensors, target)
    Path(target).with_suffix(".json").write_text(json.dumps({"aliases": aliases, "left_out": left_out}))


def is_zip(source: str) -> bool:
    """Whether the file is of the format of today's ``torch.save``, which can be memory-mapped."""
    with Path(source).open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


if __name__ == "__main__":
    main(*sys.argv[1:])
