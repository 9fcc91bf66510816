"""What the spectra read: named tensors that are loaded one at a time, and the layers that each of them holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rule_book import parts_of_name

_RECURRENT = re.compile(r"weight_(ih|hh)(_l\d+)?(_reverse)?(_raw)?")
_GATES = {1: ("",), 3: ("reset", "update", "new"), 4: ("input", "forget", "cell", "output")}
_KERAS_GATES = {**_GATES, 3: ("update", "reset", "new")}


@dataclass(frozen=True, kw_only=True)
class WeightTensor:
    """One tensor of a model, not yet loaded.

    Attributes
    ----------
    name : str
        As in the source.
    shape : tuple of int
        Of the tensor.
    stored : str
        Type it is stored in.
    load : callable
        Returns the array, in a type that NumPy has.
    kind : str
        "dense", "embedding", "update" (of an adapter), "conv", "conv_transposed", "stack", or "vector" for what is no
        layer's matrix; empty until the rules have been applied (`sorted_tensors`).
    groups : int
        Groups of a convolution.
    aliases : tuple of str
        Other names of the same storage.
    status : str
        Why it cannot be analysed, where that is known already; else empty.
    detail : str
        More on that.
    made_of : tuple of str
        Tensors of the source that it is computed from, where it is not one itself: a pruned weight of ``weight_orig``
        and ``weight_mask``, a float8 weight of numbers and scales.
    scaled : bool
        False where it is known up to a positive factor.
    """

    name: str
    shape: tuple[int, ...]
    stored: str
    load: Callable[[], NDArray[Any]]
    kind: str = ""
    groups: int = 1
    aliases: tuple[str, ...] = ()
    status: str = ""
    detail: str = ""
    made_of: tuple[str, ...] = ()
    scaled: bool = True


@dataclass(frozen=True)
class LayerSlice:
    """One layer inside a tensor: its name and where it lies."""

    name: str
    rows: slice
    shape: tuple[int, ...]


def parts_of(tensor: WeightTensor, shapes: Mapping[str, Sequence[int]], *, fused: bool = False) -> list[LayerSlice]:
    """Return the layers that a tensor holds: query, key and value, the gates of a recurrent cell, or itself.

    Parameters
    ----------
    tensor : WeightTensor
        The tensor.
    shapes : mapping of str to shape
        Shapes of all tensors of the model; the number of gates follows from ``weight_hh``.
    fused : bool
        Keep fused tensors whole.
    """
    names: Sequence[str] = ("",)
    if not fused and len(tensor.shape) >= 2:
        names = _names_of_parts(tensor, shapes)
    rows = tensor.shape[0] // len(names) if tensor.shape else 0
    if len(names) == 1:
        return [LayerSlice(tensor.name, slice(None), tensor.shape)]
    return [
        LayerSlice(f"{tensor.name}[{name}]", slice(k * rows, (k + 1) * rows), (rows, *tensor.shape[1:]))
        for k, name in enumerate(names)
    ]


def _names_of_parts(tensor: WeightTensor, shapes: Mapping[str, Sequence[int]]) -> Sequence[str]:
    rows, columns = tensor.shape[:2]
    last = parts_of_name(tensor.name)[-1]
    if last in ("kernel", "recurrent_kernel"):  # of Keras, with the gates as rows (`layouts.py`)
        recurrent = shapes.get(f"{tensor.name.removesuffix(last)}recurrent_kernel")
        gates = 1 if recurrent is None or recurrent[0] != rows else rows // recurrent[1]
        return _KERAS_GATES.get(gates, ("",)) if rows % gates == 0 else ("",)
    if len(tensor.shape) > 2:
        return ("",)
    if tensor.name.endswith("in_proj_weight") and rows == 3 * columns:
        return ("query", "key", "value")
    if not _RECURRENT.fullmatch(last):
        return ("",)
    hidden = shapes.get(re.sub("weight_ih", "weight_hh", tensor.name))
    projection = shapes.get(re.sub("weight_(ih|hh)", "weight_hr", tensor.name))
    if hidden is None:
        return ("",)  # nothing says how wide a gate is
    size = projection[1] if projection is not None else hidden[1]
    gates, rest = divmod(rows, size)
    return _GATES.get(gates, ("",)) if rest == 0 else ("",)


def is_depthwise(tensor: WeightTensor) -> bool:
    """Whether each group of a convolution sees one channel, so that its blocks are single numbers or vectors."""
    if tensor.kind not in ("conv", "conv_transposed") or len(tensor.shape) < 3:
        return False
    first, second = tensor.shape[:2]
    per_group = (first // max(1, tensor.groups), second)
    return second == 1 and first > 1 and (tensor.groups in (1, first) or min(per_group) == 1)


def storage_key(array: Any, name: str) -> Any:
    """Return what two names share exactly when they name the same numbers in memory."""
    if not isinstance(array, np.ndarray) or array.size == 0:
        return name
    facts = array.__array_interface__
    return (facts["data"][0], array.shape, array.strides, array.dtype.str)
