"""Quantised weights and the scales that stand beside them: which belong together, and what can be computed of them.

Float8 numbers times their scales are computed. Integers packed into words are not: how they are packed is not in the
file. They and their companions get the status "quantised" with the name of the format, never an exponent.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rule_book import Shape, called_no_layer, called_weight, owner_of, parts_of_name
from .tensors import WeightTensor

Tensors = Mapping[str, WeightTensor]
Change = tuple[WeightTensor, tuple[str, ...]]  # a tensor, and the names of those that it stands for

# ---- float8: names of scales, as projects write them. All of them multiply the numbers stored, whatever the name says.
_AFTER_NAME = ("_scale_inv", "_scale", "_scales", "_scaling_factor", ".scale_inv", ".scale", ".scales", "._scale")
_BESIDE_WEIGHT = (  # DeepSeek's own files, ComfyUI, Mistral, TensorRT-LLM
    "scale_inv", "scale", "scales", "scale_weight", "qscale_weight", "weights_scaling_factor", "weight_scaling_factor",
)  # fmt: skip
_OF_ACTIVATIONS = re.compile(
    r"(.*_)?(input|output|act|activation|kv|k|v|q|prob|softmax)_?\w*scal\w*|q?scal\w*_(input|output|act|activation)\w*"
)
_MAY_SCALE = re.compile(r".*(scal|zero|absmax|amax|quant).*", re.IGNORECASE)
_FLOAT_SCALES = {"float64", "float32", "float16", "bfloat16", "float8_e8m0", "float8_e4m3", "float8_e5m2"}
_BLOCKS = (128, 64, 32, 16)  # rows or columns that share a factor in block-scaled formats

# ---- packed integers: last part of the name of the packed tensor
_PACKED = re.compile(
    r"weight|qweight|weight_packed|packed_weight|W_q|q_weight|_data|_?weight_qdata|qdata|int_data|quantized_weight"
    r"|codes|Qidxs(_\d)?|trellis|blocks|(?P<stem>\w+)_blocks"
)
_WORDS = re.compile(r"u?int(8|16|32)|float[46]_e.*|F4|F6_E.*")
_FORMATS = (  # what beside the packed tensor gives the format away
    ("scales_and_zeros", "torchao, 4 bits"), ("weight_scale_2", "NVFP4 of ModelOpt"),
    ("weight_global_scale", "NVFP4 of compressed-tensors"), ("weight_packed", "compressed-tensors"),
    ("SCB", "bitsandbytes, 8 bits"), ("absmax", "bitsandbytes, 4 bits"), ("W_q", "HQQ"), ("codebooks", "AQLM"),
    ("Qidxs", "QuIP#"), ("trellis", "EXL3"), ("q_weight", "EXL2"), ("_data", "Quanto"), ("_weight_qdata", "torchao"),
    ("qdata", "torchao"), ("weight_scales", "EETQ"), ("qweight", "GPTQ or AWQ"), ("blocks", "MXFP4"),
    ("biases", "MLX"),
)  # fmt: skip


def is_float8(tensor: WeightTensor) -> bool:
    """Whether a tensor is stored in one of the float8 types for numbers (not for scales)."""
    return tensor.stored.startswith(("float8_e4m3", "float8_e5m2"))


def float8_weights(tensors: Tensors, *, block: tuple[int, ...] = (), must_scale: bool = False) -> Iterator[Change]:
    """Yield float8 weights with their scales applied, or with the reason why that cannot be done.

    Parameters
    ----------
    tensors : mapping of str to WeightTensor
        Of one model.
    block : tuple of int
        Rows and columns that share a factor, where the model's configuration says so.
    must_scale : bool
        Whether the configuration says that float8 weights have scales; without one they are plain numbers otherwise.
    """
    weights = [
        name for name, tensor in tensors.items()
        if is_float8(tensor) and len(tensor.shape) > 1 and not _MAY_SCALE.fullmatch(parts_of_name(name)[-1])
    ]  # fmt: skip
    if not weights:
        return
    family, afar = _families(tensors), _scales_afar(tensors)
    for name in weights:
        tensor = tensors[name]
        scales, others = _scales_of(name, tensors, family)
        if not scales and not others:
            others = afar.get(_words_of(name), [])
        reason = ""
        if others or len(scales) > 1:
            may = [*scales, *others]
            reason = f"several tensors may scale it: {', '.join(may)}" if len(may) > 1 else f"{may[0]} may scale it"
        elif not scales and must_scale:
            reason = "config.json says that float8 weights have scales, and this one has none"
        elif scales:
            reason = _why_unfit(tensor, tensors[scales[0]], block)
        if reason:
            for one in (name, *scales):
                yield replace(tensors[one], status="quantised", detail=reason), (one,)
        elif scales:
            load = partial(_scaled, tensor.load, tensors[scales[0]].load, block)
            yield replace(tensor, load=load, made_of=(name, *scales), detail=f"times {scales[0]}"), (name, *scales)


def _families(tensors: Tensors) -> dict[str, list[str]]:
    """Return the names of the tensors of each module."""
    family: defaultdict[str, list[str]] = defaultdict(list)
    for name in tensors:
        family[owner_of(name)].append(name)
    return dict(family)


def _scales_of(name: str, tensors: Tensors, family: Mapping[str, list[str]]) -> tuple[list[str], list[str]]:
    """Return the names of a tensor's scales, and of tensors beside it that may scale it in a way not known."""
    owner, last = owner_of(name), parts_of_name(name)[-1]
    beside = f"{owner}." if owner else ""
    expected = [name + suffix for suffix in _AFTER_NAME]
    if last == "weight":
        expected += [f"{beside}{suffix}" for suffix in _BESIDE_WEIGHT]
    found = [one for one in dict.fromkeys(expected) if one in tensors]
    stems = (beside,) if last == "weight" else (f"{name}_", f"{name}.")
    shape = tensors[name].shape
    others = [
        one
        for one in (*family.get(owner, ()), *family.get(name, ()))
        if one.startswith(stems) and one not in found and one != name
        and (_MAY_SCALE.fullmatch(parts_of_name(one)[-1]) or (not found and _like_scales(tensors[one], shape)))
        and not _OF_ACTIVATIONS.fullmatch(parts_of_name(one)[-1]) and not is_marker(tensors[one])
    ]  # fmt: skip
    return found, others


def _like_scales(tensor: WeightTensor, shape: Shape) -> bool:
    """Whether a tensor of another name, no bias and no other float8 weight, has one number for every block of one."""
    last = parts_of_name(tensor.name)[-1]
    if is_float8(tensor) or tensor.stored not in _FLOAT_SCALES or re.search("bias|lora", last, re.IGNORECASE):
        return False
    return last not in ("b", "beta", "gamma") and aligned(tensor.shape, shape) is not None


def _scales_afar(tensors: Tensors) -> dict[frozenset[str], list[str]]:
    """Return the tensors that are called scales, by the other words of their paths: ``scales.l``, ``l_scale``."""
    found: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for name, tensor in tensors.items():
        of_activations = _OF_ACTIVATIONS.fullmatch(parts_of_name(name)[-1])
        if re.search("scal|amax", name, re.IGNORECASE) and not of_activations and not is_marker(tensor):
            found[_words_of(name)].append(name)
    return found


def _words_of(name: str) -> frozenset[str]:
    """Return the words of a path that tell which layer it belongs to."""
    words = re.split(r"[._/]+", name)
    return frozenset(one for one in words if not re.match("scal|amax|inv$|weights?$|model$", one, re.IGNORECASE))


def is_marker(tensor: WeightTensor) -> bool:
    """Whether a tensor holds no factor: a format's name as bytes, an empty tensor that says that scales exist."""
    return 0 in tensor.shape or (tensor.stored == "uint8" and len(tensor.shape) == 1)


def _why_unfit(weight: WeightTensor, scale: WeightTensor, block: tuple[int, ...]) -> str:
    if scale.stored not in _FLOAT_SCALES:
        return f"its scales are stored as {scale.stored}"
    if aligned(scale.shape, weight.shape, block) is None:
        return f"scales of shape {scale.shape} for a tensor of shape {weight.shape}"
    return ""


def aligned(scale: Shape, shape: Shape, block: tuple[int, ...] = ()) -> Shape | None:
    """Return a scale's shape with one axis for each axis of its tensor; None where they do not fit together.

    One factor for all; one for each row (or each leading index), as ``[out]``, ``[out, 1]`` or ``[experts, 1, out]``;
    one for each block, as ``[blocks, blocks]`` or ``[blocks, 1, blocks, 1]``.
    """
    if np.prod(scale, dtype=object) == 1:
        return (1,) * len(shape)
    if len(scale) > len(shape):
        scale = tuple(length for length in scale if length != 1)
    if len(scale) < len(shape):
        scale = (*scale, *(1,) * (len(shape) - len(scale))) if scale == shape[: len(scale)] else ()
    if len(scale) != len(shape):
        return None
    sizes = (0,) * (len(shape) - len(block)) + block
    return scale if all(map(_rows_a_factor, scale, shape, sizes)) else None


def _rows_a_factor(factors: int, length: int, block: int = 0) -> int:
    """Return how many neighbours share a factor: as told, 128 as is usual, or an equal split; 0 where none can be."""
    if factors in (1, length):
        return length // factors if factors else 0
    likely = [size for size in (block, *_BLOCKS) if size and factors == -(-length // size)]
    if likely and likely[0] in (block, _BLOCKS[0]):
        return likely[0]
    if length % factors == 0:
        return length // factors
    return likely[0] if likely else 0


def _scaled(
    weight: Callable[[], NDArray[Any]], scale: Callable[[], NDArray[Any]], block: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return a tensor times its scales."""
    values = weight().astype(np.float64)
    factors = scale().astype(np.float64)
    shape = aligned(factors.shape, values.shape, block)
    assert shape is not None  # checked before the weight was listed
    factors = factors.reshape(shape)
    sizes = (0,) * (values.ndim - len(block)) + block
    for axis, (length, size) in enumerate(zip(values.shape, sizes, strict=True)):
        if shape[axis] > 1:
            repeats = _rows_a_factor(shape[axis], length, size)
            factors = np.repeat(factors, repeats, axis=axis).take(range(length), axis=axis)
    values *= factors
    return values


def packed_weights(tensors: Tensors) -> Iterator[Change]:
    """Yield weights that are stored as packed integers, and their companions, with the status "quantised"."""
    family = _families(tensors)
    for name, tensor in tensors.items():
        if not _WORDS.fullmatch(tensor.stored) or len(tensor.shape) < 2:
            continue
        packed = _PACKED.fullmatch(parts_of_name(name)[-1])
        beside = [one for one in family[owner_of(name)] + family.get(name, []) if one != name]
        if packed is None and not _packed_by_company(name, beside, tensors):
            continue
        if packed is not None and packed["stem"]:
            stem = name.removesuffix("_blocks")
            beside = [one for one in beside if one.startswith((f"{stem}_", f"{stem}."))]
        companions = [one for one in beside if not parts_of_name(one)[-1].endswith("bias")]
        format_ = _format(name, companions)
        kind = (
            "stack" if packed is not None and packed["stem"] is not None else "dense"
        )  # the shape is that of the words
        detail = f"packed as {tensor.stored} ({format_})"
        yield replace(tensor, kind=kind, status="quantised", detail=detail), (name,)
        for one in companions:
            if not _PACKED.fullmatch(parts_of_name(one)[-1]):
                detail = f"belongs to {name}, which is packed as {tensor.stored} ({format_})"
                yield replace(tensors[one], kind="vector", status="quantised", detail=detail), (one,)


def _packed_by_company(name: str, beside: list[str], tensors: Tensors) -> bool:
    """Whether a matrix of integers of any name is a layer's weight: small factors stand beside it, and no weight."""
    if called_no_layer(name) or any(called_weight(one) for one in beside):
        return False
    floats = [tensors[one] for one in beside if tensors[one].stored in _FLOAT_SCALES and not one.endswith("bias")]
    most = math.prod(tensors[name].shape) / 2
    return bool(floats) and all(math.prod(one.shape) <= most for one in floats)


def _format(name: str, companions: list[str]) -> str:
    names = [parts_of_name(one)[-1] for one in (*companions, name)]
    signs = product(_FORMATS, names)
    return next((title for (sign, title), last in signs if last == sign or last.endswith(f"_{sign}")), "integers")
