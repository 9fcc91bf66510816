"""Kernels of Keras, Flax and Haiku, whose last axes are inputs and outputs, turned into PyTorch's layout.

[k1, ..., in, out] becomes [out, in, k1, ...]; the heads of an attention projection become one axis; depthwise kernels
become [channels, 1, k1, ...]; gates that stand side by side in the columns become rows, where `parts_of` finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .companions import Change, Tensors
from .derived import Load
from .rule_book import Shape, calls_weights_by_name, owner_of, parts_of_name
from .tensors import WeightTensor

_KERNEL = re.compile(r"((recurrent|pointwise)_)?kernel")
_PLAIN = re.compile(r"w|W|weights")  # of Haiku and TF-Slim: their biases tell
_INTO_HEADS = re.compile(r"(.*[_.])?(query|key|value|q|k|v)(_proj|_proj_\d+)?", re.IGNORECASE)
_OUT_OF_HEADS = re.compile(r"(attention_)?(out|output)(put)?(_proj)?|o_proj|o", re.IGNORECASE)
_CONVOLUTION = re.compile(r".*(conv|cnn).*", re.IGNORECASE)
_GATES = (3, 4)


def channels_last(tensors: Tensors) -> Iterator[Change]:
    """Yield kernels in PyTorch's layout, with their kind where the layout decides it.

    Models that call their weights ``weight`` are PyTorch's, whatever else they call a kernel.

    Parameters
    ----------
    tensors : mapping of str to WeightTensor
        Of one model.
    """
    if calls_weights_by_name(tensors):
        return
    for name, tensor in tensors.items():
        last, bias = parts_of_name(name)[-1], _bias_of(name, tensors)
        found = None
        if last == "depthwise_kernel" and len(tensor.shape) > 2:
            found = _depthwise(tensor)
        elif _KERNEL.fullmatch(last):
            found = _kernel(tensor, bias, tensors)
        elif _PLAIN.fullmatch(last) and len(tensor.shape) > 2 and bias == tensor.shape[-1:] != tensor.shape[:1]:
            found = _turned(tensor)
        if found is not None:
            yield found, (name,)


def _bias_of(name: str, tensors: Tensors) -> Shape | None:
    last = parts_of_name(name)[-1]
    stem = name.removesuffix(last)
    names = (stem + re.sub("kernel", "bias", last), f"{stem}bias", f"{stem}b", f"{stem}biases")
    return next((tensors[one].shape for one in names if one in tensors and one != name), None)


def _kernel(tensor: WeightTensor, bias: Shape | None, tensors: Tensors) -> WeightTensor | None:
    shape = tensor.shape
    if _gates_of(tensor, tensors):
        return _moved(tensor, (shape[-1], shape[-2], *shape[:-2]), _last_first, "dense" if len(shape) == 2 else "conv")
    if len(shape) == 3:
        layer = parts_of_name(owner_of(tensor.name))[-1]
        if bias == shape[1:] or (bias is None and _INTO_HEADS.fullmatch(layer)):
            return _moved(tensor, (shape[0], shape[1] * shape[2]), None, "dense")
        if _OUT_OF_HEADS.fullmatch(layer) and bias in (None, shape[2:]) and _heads_beside(tensor, tensors):
            return _moved(tensor, (shape[0] * shape[1], shape[2]), None, "dense")
        if bias == (shape[0], shape[2]) or (bias is None and not _CONVOLUTION.fullmatch(layer)):
            return None  # one matrix per layer, or per expert
    return _turned(tensor) if len(shape) > 2 else None


def _heads_beside(tensor: WeightTensor, tensors: Tensors) -> bool:
    """Whether a projection into as many heads of that size stands beside one out of them."""
    block = owner_of(owner_of(tensor.name))
    return any(
        one.shape[1:] == tensor.shape[:2] and _INTO_HEADS.fullmatch(parts_of_name(owner_of(name))[-1])
        for name, one in tensors.items()
        if owner_of(owner_of(name)) == block
    )


def _gates_of(tensor: WeightTensor, tensors: Tensors) -> bool:
    """Whether the columns are those of the gates of a cell of Keras, as the recurrent kernel beside it says."""
    recurrent = tensors.get(f"{tensor.name.removesuffix(parts_of_name(tensor.name)[-1])}recurrent_kernel")
    if recurrent is None or len(recurrent.shape) < 2 or len(tensor.shape) != len(recurrent.shape):
        return False
    gates, rest = divmod(recurrent.shape[-1], recurrent.shape[-2])
    return rest == 0 and gates in _GATES and tensor.shape[-1] == recurrent.shape[-1]


def _turned(tensor: WeightTensor) -> WeightTensor:
    return _moved(tensor, (tensor.shape[-1], tensor.shape[-2], *tensor.shape[:-2]), _last_first, "conv")


def _depthwise(tensor: WeightTensor) -> WeightTensor:
    """Return [k1, ..., in, multiplier] as [in times multiplier, 1, k1, ...], one group a channel."""
    *sizes, channels, multiplier = tensor.shape
    found = _moved(tensor, (channels * multiplier, 1, *sizes), _channels_first, "conv")
    return replace(found, groups=channels)


def _moved(tensor: WeightTensor, shape: Shape, turn: Any, kind: str) -> WeightTensor:
    return replace(tensor, shape=shape, kind=kind, load=partial(_load, tensor.load, turn, shape))


def _load(load: Load, turn: Any, shape: Shape) -> NDArray[Any]:
    values = load()
    return (values if turn is None else turn(values)).reshape(shape)


def _last_first(values: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(values, (-1, -2), (0, 1))


def _channels_first(values: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(values, (-2, -1), (0, 1))
