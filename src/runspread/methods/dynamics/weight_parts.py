"""Which arrays of a network the weight metrics look at: names and shapes to matrices, filters and biases."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..._reading.weights.rule_book import calls_weights_by_name, ruling
from ..._reading.weights.sorting import layers_of_arrays, tensors_of_arrays
from ...errors import InputError

Named: TypeAlias = dict[str, NDArray[np.float64]]
ARCHITECTURES = ("mlp", "cnn", "transformer", "encoder")


@dataclass
class WeightParts:
    """What the metrics are computed from; every array has a leading axis of runs.

    Attributes
    ----------
    matrices : list of ndarray [runs, rows, columns]
    filters : list of ndarray [runs, outputs * inputs, kernel size]
        One entry a convolution.
    biases : list of ndarray [runs, n]
    """

    matrices: list[NDArray[np.float64]] = field(default_factory=list[NDArray[np.float64]])
    filters: list[NDArray[np.float64]] = field(default_factory=list[NDArray[np.float64]])
    biases: list[NDArray[np.float64]] = field(default_factory=list[NDArray[np.float64]])


def _ending(*names: str) -> re.Pattern[str]:
    """Match a parameter whose last path components are one of `names`, with or without ``.weight``."""
    return re.compile(rf"(^|[._])({'|'.join(names)})([._]weight)?$", re.IGNORECASE)


_KEY_QUERY_VALUE = _ending(r"w_?[kqv]", r"[kqv]_(proj|lin)", "key", "query", "value", r"to_[kqv]", "[kqv]")
_FUSED = _ending("in_proj", "qkv", "w_?qkv", "c_attn")
_ATTENTION_OUT = _ending(
    "w_?o", "out_proj", "o_proj", "out_lin", r"attention\.output\.dense", r"att[a-z]*\.(c_)?proj", r"to_out(\.0)?"
)
_MLP = _ending(
    "w_in", "w_out", r"intermediate\.dense", r"(?<!attention\.)output\.dense", "linear[12]", "fc[12]", "lin[12]",
    "c_fc", r"mlp\.c_proj", r"(up|gate|down)_proj", r"mlp\.[0-9]",
)  # fmt: skip
_NOT_COUNTED = re.compile(
    r"(^|[._])(un_?embed\w*|embed_out|lm_head|w_[eu]|w_pos|downsample|shortcut)([._]|$)", re.IGNORECASE
)
_HEADS = ("num_heads", "n_heads", "n_head", "num_attention_heads", "heads")


def named_arrays(source: Any, stacked: bool) -> Named:
    """Return parameter name to float64 array with a leading axis of runs."""
    if hasattr(source, "named_parameters"):  # buffers too: masks of pruned weights; what no layer uses drops out later
        both = (*source.named_parameters(), *source.named_buffers())
        pairs = [(name, _from_tensor(value)) for name, value in both]
    elif isinstance(source, Mapping):
        pairs = [(str(name), _from_tensor(value)) for name, value in source.items()]
    else:
        pairs = [(f"array {index}", _from_tensor(value)) for index, value in enumerate(source)]
    if not pairs:
        raise InputError("there are no weights", "at least one array")
    named = {name: (value if stacked else value[None]) for name, value in pairs if value is not None}
    runs = {value.shape[:1] for value in named.values()}
    if len(runs) > 1 or () in runs:
        raise InputError(f"got stacked weights with leading axes {sorted(runs)}", "one number of runs in front of each")
    return _as_used(named)


def _as_used(named: Named) -> Named:
    """Put pruned and normalised weights in the place of their parts (see the rules of the spectra)."""
    first = tensors_of_arrays({name: value[0] for name, value in named.items() if len(value)})
    made = {tensor.name for tensor in first if tensor.made_of}
    if not made:
        return named
    runs = len(next(iter(named.values())))
    found: defaultdict[str, list[NDArray[Any]]] = defaultdict(list)
    for run in range(runs):
        for layer in layers_of_arrays({name: value[run] for name, value in named.items()}):
            if layer.name in made:
                found[layer.name].append(layer.load())
    gone = {name for tensor in first for name in tensor.made_of}
    return {name: value for name, value in named.items() if name not in gone} | {
        name: np.stack(values) for name, values in found.items()
    }


def _from_tensor(value: Any) -> NDArray[np.float64] | None:
    """Return an array or a torch tensor as float64; None for whole-number buffers such as a batch counter."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.double().numpy() if value.is_floating_point() else value.numpy()
    array = np.asarray(value)
    return None if array.dtype.kind in "iub" and array.ndim == 0 else array.astype(np.float64)


def head_count(source: Any) -> int | None:
    """Return the number of attention heads that a module or one of its parts declares, if they agree."""
    parts = source.modules() if hasattr(source, "modules") else ()
    found = {
        int(getattr(part, name)) for part in parts for name in _HEADS if isinstance(getattr(part, name, None), int)
    }
    return found.pop() if len(found) == 1 else None


def kinds_of(named: Named, source: Any) -> dict[str, str]:
    """Return what each array is: what the layers of a module say, else what the rule book of the spectra reads.

    Parameters
    ----------
    named : mapping of str to ndarray [runs, ...]
        The arrays.
    source : module or mapping
        Where they come from.
    """
    shapes = {name: value.shape[1:] for name, value in named.items()}
    strict = calls_weights_by_name(shapes)
    kinds = {name: ruling(name, shape, shapes, strict=strict).kind for name, shape in shapes.items()}
    if hasattr(source, "named_buffers"):
        kinds |= {name: "buffer" for name, _ in source.named_buffers() if name in kinds}
    for path, part in source.named_modules() if hasattr(source, "named_modules") else ():
        name = f"{path}.weight" if path else "weight"
        if hasattr(part, "num_embeddings") or "Embedding" in type(part).__name__:
            kinds[name] = "embedding"
        elif hasattr(part, "in_features") and len(shapes.get(name, ())) == 2:
            kinds[name] = "dense"
    return kinds


def guess_architecture(named: Named) -> str:
    """Return the architecture that names and shapes suggest."""
    if any(_KEY_QUERY_VALUE.search(name) or _FUSED.search(name) for name in named):
        return "encoder" if any(".attention.self." in name for name in named) else "transformer"
    return "cnn" if any(value.ndim > 3 for value in named.values()) else "mlp"


def weight_parts(named: Named, architecture: str, heads: int | None, kinds: Mapping[str, str]) -> WeightParts:
    """Sort named arrays into the parts that count for an architecture (section 2.2 of the method).

    Parameters
    ----------
    named : mapping of str to ndarray [runs, ...]
        The arrays.
    architecture : str
        One of `ARCHITECTURES`.
    heads : int, optional
        Number of attention heads.
    kinds : mapping of str to str
        What each array is (`kinds_of`).
    """
    counted = {name: array for name, array in named.items() if kinds[name] not in ("embedding", "buffer")}
    if architecture in ("transformer", "encoder"):
        parts = _attention_parts(counted, heads if architecture == "transformer" else None)
    else:
        parts = _layer_parts(counted, kinds)
    if not parts.matrices and not parts.filters:
        raise InputError(
            f"there are no {architecture} weights among {', '.join(list(named)[:8])}",
            "names that say what each array is (W_K, W_in, fc1.weight, query.weight, ...)",
            "Pass a list of the weight matrices instead.",
        )
    return parts


def plain_parts(arrays: Iterable[NDArray[np.float64]]) -> WeightParts:
    """Sort unnamed arrays by their number of axes: bias, matrix, convolution."""
    parts = WeightParts()
    for array in arrays:
        if array.ndim == 2:
            parts.biases.append(array)
        else:
            _add_weight(parts, array)
    return parts


def _add_weight(parts: WeightParts, array: NDArray[np.float64]) -> None:
    if array.ndim == 3:
        parts.matrices.append(array)
    elif array.ndim > 3:
        parts.filters.append(array.reshape(len(array), array.shape[1] * array.shape[2], -1))


def _layer_parts(named: Named, kinds: Mapping[str, str]) -> WeightParts:
    """Every linear layer, its bias, every convolution, every expert of a stack; what is no layer's weight drops out."""
    parts = WeightParts()
    for name, array in named.items():
        if array.ndim < 3 or _NOT_COUNTED.search(name) or kinds[name] == "vector":
            continue
        if kinds[name] == "stack":
            parts.matrices += list(np.moveaxis(array, 1, 0))
            continue
        _add_weight(parts, array)
        bias = _bias_of(name, named)
        if bias is not None and array.ndim == 3:
            parts.biases.append(bias)
    return parts


def _attention_parts(named: Named, heads: int | None) -> WeightParts:
    parts = WeightParts()
    for name, array in named.items():
        if _FUSED.search(name):
            array = np.swapaxes(array, 1, 2) if array.shape[2] == 3 * array.shape[1] else array
            parts.matrices += [m for third in np.split(array, 3, axis=1) for m in _split_heads(name, third, heads)]
        elif _KEY_QUERY_VALUE.search(name) and array.ndim > 2:
            parts.matrices += _split_heads(name, array, heads)
        elif array.ndim == 3 and _ATTENTION_OUT.search(name):
            parts.matrices.append(array)
        elif array.ndim == 3 and _MLP.search(name):
            parts.matrices.append(array)
            bias = _bias_of(name, named)
            parts.biases += [] if bias is None else [bias]
    return parts


def _split_heads(name: str, array: NDArray[np.float64], heads: int | None) -> list[NDArray[np.float64]]:
    """Return one matrix [runs, head size, model size] a head; a matrix that is not split when heads are unknown."""
    if array.ndim == 4:
        return list(np.moveaxis(array, 1, 0))
    if heads and array.shape[1] % heads:
        raise InputError(f"{name} has {array.shape[1]} rows", f"a multiple of {heads} heads")
    return np.split(array, heads or 1, axis=1)


def _bias_of(name: str, named: Named) -> NDArray[np.float64] | None:
    """Return the bias that belongs to a weight: ``fc.bias`` to ``fc.weight``, ``b1`` to ``W1``."""
    candidates = (re.sub("weight$", "bias", name), re.sub(r"(^|[._])W(?=[^a-z]|$)", r"\1b", name))
    found = (named[candidate] for candidate in candidates if candidate != name and candidate in named)
    bias = next(found, None)
    return bias if bias is not None and bias.ndim == 2 else None
