"""Weights that a source holds in parts: pruned, normalised, parametrised, and the updates of low-rank adapters.

What a layer multiplies with is computed from its parts where they say how. Parts alone are never layers: the factors of
``B A`` can be exchanged for ``B M`` and ``M^-1 A`` without a change of the network.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .companions import Change, Tensors
from .rule_book import Shape, parts_of_name
from .tensors import WeightTensor

Floats = NDArray[np.float64]

Load = Callable[[], NDArray[Any]]
# Name of the layer, of the adapter ("" for one without), and rank, to the factor on B A; None where it is not known.
Scaling = Callable[[str, str, int], float | None]
_LORA = re.compile(
    r"(?P<stem>.*?)[._]?(?P<family>lora(_embedding)?)[._](?P<side>A|B|a|b|down|up)(\.(?!weight$)(?P<adapter>[^.]+))?(\.weight)?"
)
_ADAPTER = re.compile(
    r"(hada|lokr|loha|lora|oft|boft|vera|ia3|glora|dora)(_.*|\d*)|.*_lora(_.*)?", re.IGNORECASE
)  # fmt: skip
_NORMALISED = re.compile(r".*(weight|bias|kernel).*")  # what weight_norm is put on
_PARAMETRISED = re.compile(r"(?P<owner>(.*\.)?)parametrizations\.(?P<name>[^.]+)\.(?P<part>.+)")


def _part(tensor: WeightTensor, status: str, detail: str) -> Change:
    return replace(tensor, kind="vector", status=status, detail=detail), (tensor.name,)


def _whole(name: str, shape: Shape, of: list[WeightTensor], load: Load, detail: str, **facts: Any) -> Change:
    """Return a weight that is computed from others."""
    stored = next((one.stored for one in of if len(one.shape) > 1), of[0].stored)
    names = tuple(one.name for one in of)
    return WeightTensor(
        name=name, shape=shape, stored=stored, load=load, detail=detail, made_of=names, **facts
    ), names  # fmt: skip


# ---- pruning, weight normalisation, spectral normalisation


def factored_weights(tensors: Tensors) -> Iterator[Change]:
    """Yield pruned and normalised weights as the layer uses them.

    ``_orig`` times ``_mask`` (torch.nn.utils.prune); ``_g v / ||v||`` (weight_norm); ``_orig / (u^T W v)``
    (spectral_norm).
    """
    for name, tensor in tensors.items():
        base, _, ending = name.rpartition("_")
        other = {"orig": ("mask", "u"), "v": ("g",)}.get(ending, ())
        for part in other:
            beside = tensors.get(f"{base}_{part}")
            change = None if beside is None else _factored(base, part, tensor, beside, tensors)
            if change is not None:
                yield change


def _factored(
    base: str, part: str, tensor: WeightTensor, beside: WeightTensor, tensors: Tensors
) -> Change | None:  # fmt: skip
    if part == "mask" and beside.shape == tensor.shape:
        load = partial(_product, tensor.load, beside.load)
        return _whole(base, tensor.shape, [tensor, beside], load, "pruned: the original times its mask")
    if part == "g" and _NORMALISED.fullmatch(parts_of_name(base)[-1]) and _gains_fit(beside.shape, tensor.shape):
        load = partial(_normalised, beside.load, tensor.load)
        return _whole(base, tensor.shape, [beside, tensor], load, "weight normalisation: g v / ||v||")
    right = tensors.get(f"{base}_v")
    if part == "u" and right is not None and _vectors_fit(beside.shape, right.shape, tensor.shape):
        load = partial(_over_spectral_norm, tensor.load, beside.load, right.load)
        return _whole(base, tensor.shape, [tensor, beside, right], load, "spectral normalisation: over u^T W v")
    return None


def _gains_fit(gains: Shape, shape: Shape) -> bool:
    """Whether there is one gain for all, or one for each index along one axis."""
    if np.prod(gains, dtype=object) == 1:
        return True
    along = [axis for axis, length in enumerate(gains) if length > 1]
    return len(gains) == len(shape) and len(along) == 1 and gains[along[0]] == shape[along[0]]


def _vectors_fit(left: Shape, right: Shape, shape: Shape) -> bool:
    """Whether u and v are singular vectors of a weight that is unfolded along axis 0, or along axis 1."""
    if len(left) != 1 or len(right) != 1 or len(shape) < 2:
        return False
    return left[0] in shape[:2] and left[0] * right[0] == int(np.prod(shape))


def _product(first: Load, second: Load) -> Floats:
    return first().astype(np.float64) * second()


def _normalised(gains: Load, direction: Load) -> Floats:
    """Return ``g v / ||v||``, the norm over every axis along which there is one gain."""
    g, v = gains().astype(np.float64), direction().astype(np.float64)
    g = g.reshape((1,) * v.ndim) if g.size == 1 else g
    axes = tuple(axis for axis, length in enumerate(g.shape) if length == 1 or v.shape[axis] == 1)
    return g * v / np.sqrt(np.sum(v**2, axis=axes, keepdims=True))


def _over_spectral_norm(weight: Load, left: Load, right: Load) -> Floats:
    """Return a weight over its spectral norm, which PyTorch stores by singular vectors along axis 0 (or 1, as u is)."""
    w, u, v = (load().astype(np.float64) for load in (weight, left, right))
    turned = w if w.shape[0] == u.size else np.swapaxes(w, 0, 1)
    return w / float(u @ (turned.reshape(u.size, -1) @ v))


# ---- torch.nn.utils.parametrize


def parametrised_weights(tensors: Tensors, effective: Mapping[str, tuple[Shape, Load]]) -> Iterator[Change]:
    """Yield weights that a parametrisation computes, where the parts say how or the live module does.

    Parameters
    ----------
    tensors : mapping of str to WeightTensor
        Of one model.
    effective : mapping of str to (shape, callable)
        Of a live module: name of a parametrised weight to what returns it.
    """
    groups: defaultdict[str, dict[str, WeightTensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        found = _PARAMETRISED.fullmatch(name)
        if found is not None:
            groups[f"{found['owner']}{found['name']}"][found["part"]] = tensor
    for base, parts in groups.items():
        change = _computed(base, parts)
        if change is None and base in effective:
            shape, load = effective[base]
            change = _whole(base, shape, [*parts.values()], load, "as the module computes it")
        if change is not None:
            yield change
            continue
        for tensor in parts.values():
            yield _part(tensor, "parametrised", f"{base} is a function of it that is not in the file")


def _computed(base: str, parts: dict[str, WeightTensor]) -> Change | None:
    if parts.keys() == {"original0", "original1"} and _gains_fit(parts["original0"].shape, parts["original1"].shape):
        gains, direction = parts["original0"], parts["original1"]
        load = partial(_normalised, gains.load, direction.load)
        return _whole(base, direction.shape, [gains, direction], load, "weight normalisation: g v / ||v||")
    if parts.keys() == {"original", "0._u", "0._v"}:
        weight, left, right = (parts[name] for name in ("original", "0._u", "0._v"))
        if not _vectors_fit(left.shape, right.shape, weight.shape):
            return None
        load = partial(_over_spectral_norm, weight.load, left.load, right.load)
        return _whole(base, weight.shape, [weight, left, right], load, "spectral normalisation: over u^T W v")
    return None


# ---- low-rank adapters


def adapter_updates(tensors: Tensors, scaling: Scaling) -> Iterator[Change]:
    """Yield the update ``s B A`` of each low-rank adapter, and a status for factors that are not understood.

    Parameters
    ----------
    tensors : mapping of str to WeightTensor
        Of one model.
    scaling : callable
        Returns s of an adapter by the name of its layer and its rank, or None.
    """
    pairs: defaultdict[tuple[str, str, str], dict[str, WeightTensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        found = _LORA.fullmatch(name)
        if found is not None:
            side = {"a": "A", "b": "B", "down": "A", "up": "B"}.get(found["side"], found["side"])
            pairs[found["stem"], found["family"], found["adapter"] or ""][side] = tensor
    done: set[str] = set()
    stretched = {name.partition(".lora_magnitude_vector")[0] for name in tensors if "lora_magnitude_vector" in name}
    for (stem, family, adapter), sides in pairs.items():
        if stem in stretched or sides.keys() != {"A", "B"}:
            continue  # DoRA sets the length of every column of base and update together
        alpha = tensors.get(f"{stem}.alpha")
        change = _update(stem, family, adapter, sides, alpha, scaling)
        if change is not None:
            done |= set(change[1])
            yield change
    for name, tensor in tensors.items():
        if name not in done and any(_ADAPTER.fullmatch(part) for part in parts_of_name(name)):
            yield _part(tensor, "adapter", "a factor of an adapter whose update cannot be formed from it")


def _update(
    stem: str, family: str, adapter: str, sides: dict[str, WeightTensor], alpha: WeightTensor | None, scaling: Scaling
) -> Change | None:
    down, up = sides["A"], sides["B"]
    product = _shape_of_product(down.shape, up.shape)
    if product is None:
        return None
    shape, rank = product
    factor = scaling(stem, adapter, rank)
    if factor is None and alpha is not None:
        factor = float(np.asarray(alpha.load()).reshape(-1)[0]) / rank
    parts = [down, up] if alpha is None else [down, up, alpha]
    detail = f"B A of rank {rank}" + (f" times {factor:g}" if factor is not None else ", up to an unknown scaling")
    load = partial(_multiplied, down.load, up.load, 1.0 if factor is None else factor)
    name = ".".join(part for part in (stem, "lora_BA", adapter) if part)
    kind = "embedding" if family.endswith("embedding") else "update"
    change, names = _whole(name, shape, parts, load, detail, kind=kind, scaled=factor is not None)
    return replace(change, stored="float64"), names  # rounding of the factors adds no rank


def _shape_of_product(down: Shape, up: Shape) -> tuple[Shape, int] | None:
    """Return the shape of the update and its rank; None where the factors do not fit.

    A [r, in, ...] and B [out, r, ...], as most libraries keep them, or [in, r] and [r, out]; where both fit, the
    smaller number is the rank. Stacks of them have leading axes.
    """
    if len(down) > 2 and len(down) == len(up) and set(up[2:]) == {1} and up[1] == down[0]:
        return (up[0], *down[1:]), down[0]
    if len(down) != len(up) or len(down) not in (2, 3) or down[:-2] != up[:-2]:
        return None
    *stack, above, across = list(down)
    *_, rows, inner = list(up)
    usual, other = inner == above, across == rows
    if usual and (not other or above <= across):
        return (*stack, rows, across), above
    return ((*stack, above, inner), across) if other else None


def _multiplied(down: Load, up: Load, factor: float) -> Floats:
    a, b = down().astype(np.float64), up().astype(np.float64)
    if a.ndim > 2 and set(b.shape[2:]) == {1} and b.shape[1] == a.shape[0]:
        return factor * np.tensordot(b.reshape(b.shape[:2]), a, axes=1)
    usual = b.shape[-1] == a.shape[-2] and (a.shape[-1] != b.shape[-2] or a.shape[-2] <= a.shape[-1])
    return factor * (b @ a if usual else a @ b)
