"""How the members of a saved ensemble lie in the network, and how it is built again from plain data."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import torch
from torch import Tensor, nn

from ...errors import InputError
from ...nn import BatchEnsemble, HyperBatchEnsemble, Hyperparameter, batch_ensemble, hyper_batch_ensemble
from ...nn._layers import HyperBatchLayer
from ..torch_network import shared_names
from .members import MemberStack

_FREE = ("rate", "key")  # state of dropout in training, which prediction does not need


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """How members lie in the network.

    Attributes
    ----------
    kind : {"stack", "batch", "hyper-batch"}
        Networks side by side, or all members in one network.
    options : dict
        What the converter of `runspread.nn` was given.
    """

    kind: str = "stack"
    options: dict[str, Any] = {}


def conversion_of(core: nn.Module) -> Conversion:
    """Return the description of a module of several members."""
    if isinstance(core, HyperBatchEnsemble):
        layer = cast(HyperBatchLayer, next(iter(core.layers.values())))
        embedding = layer.embedding
        hidden = None if isinstance(embedding, nn.Linear) else int(cast(Any, embedding)[0].out_features)
        options = {
            "hyperparameters": [msgspec.to_builtins(h) for h in core.hyperparameters],
            "tied": layer.response_input_factor is None,
            "hidden": hidden,
            "reference": core.reference,
            "fast_l2": core.fast_l2,
        }
        return Conversion(kind="hyper-batch", options=options)
    return Conversion(kind="batch" if isinstance(core, BatchEnsemble) else "stack")


def rebuild(conversion: Conversion, networks: Sequence[nn.Module], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return the module of all members with its weights, from a network of each member's architecture."""
    if conversion.kind == "stack":
        return MemberStack([filled(copy.deepcopy(one), _member(tensors, k)) for k, one in enumerate(networks)])
    network, members = networks[0], len(networks)
    if conversion.kind == "batch":
        return filled(batch_ensemble(network, members), tensors)
    if conversion.kind == "hyper-batch":
        options = dict(conversion.options)
        space = [msgspec.convert(h, Hyperparameter) for h in options.pop("hyperparameters")]
        return filled(hyper_batch_ensemble(network, members, space, **options), tensors)
    raise InputError(f"got an ensemble of kind {conversion.kind!r}", "stack, batch or hyper-batch")


def _member(tensors: Mapping[str, Tensor], k: int) -> dict[str, Tensor]:
    stacked = {name.partition("/")[2]: value[k] for name, value in tensors.items() if name.startswith("stacked/")}
    return stacked or {n.partition("/")[2]: value for n, value in tensors.items() if n.partition("/")[0] == str(k)}


@torch.no_grad()
def filled(network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Load weights; what is missing may only be dropout's state."""
    try:
        keys = network.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        raise InputError(f"weights that do not fit: {error}", "a network of the same architecture") from error
    tied = _tied_names(network)
    missing = [name for name in keys.missing_keys if not tied.get(name, set()) & state.keys()]
    wrong = [name for name in (*missing, *keys.unexpected_keys) if name.rpartition(".")[2] not in _FREE]
    if wrong:
        raise InputError(
            f"weights that do not fit: {', '.join(wrong[:3])} on one side only", "a network of the same architecture"
        )
    apart = [name for name, value in network.state_dict().items() if name in state and not _equal(value, state[name])]
    if apart:
        raise InputError(
            f"{apart[0]} has other values than {', '.join(sorted(tied.get(apart[0], set())))}, to which it is tied",
            "a network whose layers are tied as those that were trained",
        )
    return network.eval()


def _tied_names(network: nn.Module) -> dict[str, set[str]]:
    """Return the names of tensors that other names share, and those others: a study keeps a shared one once."""
    return {name: set(group) - {name} for group in shared_names(network) for name in group}


def _equal(loaded: Tensor, given: Tensor) -> bool:
    return torch.equal(loaded.nan_to_num(), given.to(loaded).view_as(loaded).nan_to_num())
