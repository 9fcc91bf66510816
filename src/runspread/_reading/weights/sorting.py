"""Every tensor of a model gets its place: a layer's weight, a part of one, or a reason why it is neither."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from .companions import Change, Tensors, float8_weights, packed_weights
from .derived import Load, adapter_updates, factored_weights, parametrised_weights
from .layouts import channels_last
from .rule_book import Ruling, Shape, calls_weights_by_name, owner_of, parts_of_name, ruling
from .tensors import WeightTensor, storage_key
from .training_copies import copies_of_training

KINDS = ("dense", "embedding", "update", "conv", "conv_transposed", "stack", "vector")
_FLOATS = ("float", "bfloat")
_SAID = {"buffer": "a buffer of the module, not a parameter", "normalisation": "gains of a normalisation"}
_HEADS = re.compile("head|out|logit|decoder|classif|predict", re.IGNORECASE)
_COMPARED = ("float64", "float32", "float16", "bfloat16")
_PACKABLE = ("int8", "uint8", "int16", "uint16", "int32", "uint32")


def _unknown_scaling(layer: str, adapter: str, rank: int) -> None:
    return None


@dataclass(frozen=True)
class Knowledge:
    """What is known of a model beside its tensors.

    Attributes
    ----------
    scaling : callable
        Name of a layer, of an adapter, and rank, to the factor on the adapter's update, or None.
    block : tuple of int
        Rows and columns that share a factor in float8 weights.
    must_scale : bool
        Whether float8 weights without scales are incomplete.
    vocabulary : int
        Number of rows of the table of tokens; 0 where it is not known.
    known : mapping of str to (str, int)
        Of a live module: what it says of a tensor, a kind or "buffer" or "normalisation", and the groups of a kernel.
    effective : mapping of str to (shape, callable)
        Of a live module: parametrised weights as it computes them.
    """

    scaling: Callable[[str, str, int], float | None] = _unknown_scaling
    block: tuple[int, ...] = ()
    must_scale: bool = False
    vocabulary: int = 0
    known: Mapping[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    effective: Mapping[str, tuple[Shape, Load]] = field(default_factory=dict[str, tuple[Shape, Load]])


def sorted_tensors(
    tensors: Iterable[WeightTensor], kinds: Mapping[str, str] | None = None, knowledge: Knowledge | None = None
) -> list[WeightTensor]:
    """Return the tensors of a model with their kinds, parts put together, and a status where one is no layer.

    Parameters
    ----------
    tensors : iterable of WeightTensor
        As a source holds them, kinds empty.
    kinds : mapping of str to str, optional
        Kind by name, where the caller says it; rules do not touch such a tensor.
    knowledge : Knowledge, optional
        Of the configuration beside a file, or of a live module.
    """
    told, known = kinds or {}, knowledge or Knowledge()
    rows = {tensor.name: tensor for tensor in tensors}
    shapes = {name: tensor.shape for name, tensor in _open(rows, told).items()}
    copies = copies_of_training(shapes, lambda name: rows[name].load())
    _apply(rows, [_left(rows[name], "training_state", reason) for name, reason in copies.items()])
    stages: Sequence[Callable[[Tensors], Iterable[Change]]] = (
        channels_last,
        lambda found: float8_weights(found, block=known.block, must_scale=known.must_scale),
        packed_weights,
        factored_weights,
        lambda found: parametrised_weights(found, known.effective),
        lambda found: adapter_updates(found, known.scaling),
    )
    for stage in stages:
        _apply(rows, [*stage(_open(rows, told))])
    shapes = {name: tensor.shape for name, tensor in rows.items()}
    strict = calls_weights_by_name(rows)
    return _tied([_placed(tensor, told, shapes, strict, known) for tensor in rows.values()])


def _tied(tensors: list[WeightTensor]) -> list[WeightTensor]:
    """Put an output layer with the numbers of a table of embeddings under the table's name: tied weights, kept twice.

    Of float8 the scales would have to be equal too, so that they are not compared.
    """
    tables = [one for one in tensors if one.kind == "embedding" and one.stored in _COMPARED and not one.status]
    twins: dict[str, str] = {}
    for table in tables:
        for one in tensors:
            alike = one.kind == "dense" and (one.shape, one.stored, one.status) == (table.shape, table.stored, "")
            if alike and one.name not in twins and _HEADS.search(_layer(one.name)) and _equal(table, one):
                twins[one.name] = table.name
    names: dict[str, tuple[str, ...]] = {}
    for twin, name in twins.items():
        names[name] = (*names.get(name, ()), twin)
    return [replace(one, aliases=(*one.aliases, *names.get(one.name, ()))) for one in tensors if one.name not in twins]


def _equal(first: WeightTensor, second: WeightTensor) -> bool:
    if first.made_of or second.made_of:
        return False
    a, b = first.load(), second.load()
    return bool(a.any()) and np.array_equal(a[:1], b[:1]) and np.array_equal(a, b)


def _open(rows: Tensors, told: Mapping[str, str]) -> dict[str, WeightTensor]:
    """Return the tensors whose place is not known yet."""
    return {name: one for name, one in rows.items() if name not in told and not (one.status or one.made_of)}


def _left(tensor: WeightTensor, status: str, detail: str) -> Change:
    return replace(tensor, kind="vector", status=status, detail=detail), (tensor.name,)


def _apply(rows: dict[str, WeightTensor], changes: Iterable[Change]) -> None:
    """Put each changed tensor where the first of those stood that it replaces."""
    places = {of[0]: tensor for tensor, of in changes}
    gone = {name for _, of in changes for name in of}
    if not gone:
        return
    kept = [places.get(name) if name in gone else tensor for name, tensor in rows.items()]
    rows.clear()
    rows.update((tensor.name, tensor) for tensor in kept if tensor is not None)


def _placed(
    tensor: WeightTensor, told: Mapping[str, str], shapes: Mapping[str, Shape], strict: bool, known: Knowledge
) -> WeightTensor:
    """Return a tensor with its kind, and its status where it is no layer's weight."""
    if tensor.name in told:
        kind, _, groups = told[tensor.name].partition("/")
        return _readable(replace(tensor, kind=check_choice(kind, "kind", KINDS), groups=int(groups or 1)))
    if tensor.status and tensor.kind:
        return tensor
    if len(tensor.shape) < 2 or 0 in tensor.shape:
        return replace(tensor, kind="vector")
    if tensor.kind:
        return _readable(tensor)
    found = _ruled(tensor, shapes, strict, known)
    if found.kind == "vector" and not tensor.status:
        return replace(tensor, kind="vector", status="not_a_layer", detail=found.reason)
    one = replace(tensor, kind=found.kind, groups=found.groups)
    return _readable(one)


def _ruled(tensor: WeightTensor, shapes: Mapping[str, Shape], strict: bool, known: Knowledge) -> Ruling:
    """Return what a tensor is: by the module where it says so, by the rule book otherwise; a tied table is a table."""
    names = (tensor.name, *tensor.aliases)
    said = [known.known[name] for name in names if name in known.known]
    if said:
        kind, groups = next((one for one in said if one[0] == "embedding"), said[0])
        reason = _SAID.get(kind, "")
        return Ruling("vector", reason) if reason else Ruling(kind, groups=groups)
    if tensor.stored in ("bool", "int64", "uint64"):
        return Ruling("vector", f"indices or marks, stored as {tensor.stored}")
    found = [ruling(name, tensor.shape, shapes, strict=strict) for name in names]
    table = next((one for one in found if one.kind == "embedding"), found[0])
    rows = table.kind == "dense" and tensor.shape[0] == known.vocabulary
    return Ruling("embedding") if rows and not _is_head(tensor.name, shapes) else table


def _is_head(name: str, shapes: Mapping[str, Shape]) -> bool:
    """Whether a matrix with one row per token makes logits, and is not the table that tokens are looked up in."""
    return f"{owner_of(name)}.bias" in shapes or _HEADS.search(_layer(name)) is not None


def _layer(name: str) -> str:
    """Return the last part of the path of the layer that a tensor belongs to."""
    return parts_of_name(owner_of(name))[-1]


def _readable(tensor: WeightTensor) -> WeightTensor:
    """Give a status to a matrix in a type that holds no weights."""
    if tensor.status or tensor.kind == "vector" or tensor.stored.startswith(_FLOATS):
        return tensor
    status = "quantised" if tensor.stored in (*_PACKABLE, "int64") else "unsupported"
    return replace(tensor, status=status, detail=tensor.detail or f"stored as {tensor.stored}")


# ---- mappings of arrays


def tensors_of_arrays(arrays: Mapping[str, Any], kinds: Mapping[str, str] | None = None) -> list[WeightTensor]:
    """Return the arrays of a mapping as tensors; names of one storage become aliases of the first."""
    found: dict[Any, WeightTensor] = {}
    for name, array in arrays.items():
        key = storage_key(array, name)
        if key in found:
            found[key] = replace(found[key], aliases=(*found[key].aliases, name))
            continue
        found[key] = tensor_of_array(name, np.asarray(array))
    return sorted_tensors(found.values(), kinds)


def layers_of_arrays(arrays: Mapping[str, Any], kinds: Mapping[str, str] | None = None) -> list[WeightTensor]:
    """Return the weights of layers in a mapping of arrays, and nothing else that it holds."""
    return [one for one in tensors_of_arrays(arrays, kinds) if not one.status and one.kind != "vector"]


def tensor_of_array(name: str, array: NDArray[Any]) -> WeightTensor:
    """Return an array as a tensor whose kind is not known yet; of ml_dtypes, the float types are widened."""
    stored = str(array.dtype)
    if array.dtype.kind == "V" and stored.startswith(_FLOATS):
        return WeightTensor(name=name, shape=array.shape, stored=stored, load=lambda: array.astype(np.float32))
    return WeightTensor(name=name, shape=array.shape, stored=stored, load=lambda: array)
