"""Run as a script: read one checkpoint with ``weights_only=True`` under limits and write its tensors as safetensors.

Arguments: source, target, limit of the address space in bytes, limit of the processor time in seconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_DEEPEST = 8  # nested containers


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


def main(source: str, target: str, memory: str, seconds: str) -> None:
    """Convert `source` to `target`, and list names of shared storage beside it."""
    import torch
    from safetensors.torch import save_file

    limit(int(memory), int(seconds))
    loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=is_zip(source))
    tensors: dict[str, Any] = {}
    names: dict[Any, str] = {}
    aliases: dict[str, list[str]] = {}
    for name, tensor in found_tensors(loaded, ""):
        plain = tensor.dequantize() if tensor.is_quantized else tensor
        key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype) if tensor.numel() else name
        if key in names:
            aliases.setdefault(names[key], []).append(name)
        else:
            names[key] = name
            tensors[name] = plain.contiguous().clone()
    if not tensors:
        raise ValueError("it holds no tensors")
    save_file(tensors, target)
    Path(target).with_suffix(".aliases.json").write_text(json.dumps(aliases))


def is_zip(source: str) -> bool:
    """Whether the file is of the format of today's ``torch.save``, which can be memory-mapped."""
    with Path(source).open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


if __name__ == "__main__":
    main(*sys.argv[1:])
