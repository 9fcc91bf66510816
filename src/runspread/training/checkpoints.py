"""Starts runs from a checkpoint: the transfer-learning set-up, with a fresh head drawn by each run's init seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from ..errors import InputError


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights that every run starts from.

    Attributes
    ----------
    tensors : mapping of str to Tensor
        Parameters and buffers by name.
    digest : str
        Digest of the file's contents.
    """

    tensors: Mapping[str, Tensor]
    digest: str


def read_checkpoint(path: str, fresh: tuple[str, ...]) -> Checkpoint:
    """Read a safetensors file, excluding what lies in a module that `fresh` names."""
    try:
        data = Path(path).expanduser().read_bytes()
        tensors = load(data)
    except (OSError, SafetensorError) as error:
        raise InputError(f"checkpoint {path!r} cannot be read ({error})", "a safetensors file") from error
    kept = {name: tensor for name, tensor in tensors.items() if not any(_within(name, part) for part in fresh)}
    return Checkpoint(kept, hashlib.sha256(data).hexdigest()[:16])


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def start_from(module: nn.Module, checkpoint: Checkpoint) -> None:
    """Copy the checkpoint into a module; what the checkpoint lacks stays as the init seed drew it.

    Raises
    ------
    InputError
        No name is shared, or a shape differs.
    """
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    shared = own.keys() & checkpoint.tensors.keys()
    if not shared:
        raise InputError(
            f"got a checkpoint with {', '.join(list(checkpoint.tensors)[:4]) or 'nothing left'}",
            f"names of the network, such as {', '.join(list(own)[:4])}",
        )
    with torch.no_grad():
        for name in shared:
            if own[name].shape != checkpoint.tensors[name].shape:
                raise InputError(
                    f"got {name} of shape {tuple(checkpoint.tensors[name].shape)} in the checkpoint",
                    f"{tuple(own[name].shape)}",
                    f"Name its module in fresh=, for example fresh=({name.rpartition('.')[0]!r},).",
                )
            own[name].copy_(checkpoint.tensors[name])
