"""What a checkpoint holds beside its model: the state of an optimiser, averages of the weights, the other twin."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rule_book import Shape, Shapes, parts_of_name

_OPTIMIZER = re.compile(
    r"(\w+_)?optimi[sz]ers?(_\w+)?|optim(_states?(_dict)?)?|exp_avg(_sq)?|max_exp_avg_sq|momentum_buffer|master_params"
    r"|grad_scaler|lr_schedulers?",
    re.IGNORECASE,
)
_AVERAGE = re.compile(r"(.*_)?(ema|swa|averaged?|shadow)(_.*|\d*)", re.IGNORECASE)
_WRAPPERS = ("model", "module", "_orig_mod", "state", "checkpoint", "state_dict")
# A word in the name of a copy -> words that stand in its place in the name of the network that is trained.
_TWINS = {
    "teacher": ("student", "online"),
    "target": ("online", "policy", "context", "main", "q", ""),
    "momentum": ("base", "online", "query", ""),
    "ema": ("online", "student", ""), "swa": ("",), "averaged": ("",), "shadow": ("",),
}  # fmt: skip
_PAIRS = {"encoder_k": "encoder_q", "key_encoder": "query_encoder", "model_k": "model_q", "net_k": "net_q"}
# Words in the names of copies whose original may be called anything: its numbers have to be like theirs.
_COPY_WORD = re.compile(
    r"polyak|avg|averaged?|mean|ema|swa|shadow|slow|fast|lagged|lookahead|old|prev(ious)?|best|backup|snapshot|copy"
    r"|frozen|ref(erence)?|target|momentum|teacher|init(ial)?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ALIKE = 0.3  # correlation from which on numbers are those of a copy; independent trainings have 0.0 to 0.1
Trees = dict[str, dict[str, Shape]]


def copies_of_training(shapes: Shapes, numbers: Callable[[str], NDArray[Any]] | None = None) -> dict[str, str]:
    """Return the tensors that belong to the training and not to the model, with what each is.

    A name decides only where tensors without it remain: a model that is called after an average is the model where
    there is no other. A twin (teacher, target network, momentum encoder) is excluded where what it copies stands
    beside it.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        All tensors of a source.
    numbers : callable, optional
        Returns a tensor by name. With it, copies are also found beside an original of any name.
    """
    found = {name: "state of an optimiser" for name in shapes if _any(_OPTIMIZER, _path(name))}
    rest = {name: shape for name, shape in shapes.items() if name not in found}
    averages = {name: "a moving average of the weights" for name in rest if _is_average(_path(name))}
    likes = {} if numbers is None else _likes(rest, numbers)
    twins = {name: f"of {copy}, a copy of {of}" for copy, of, names in _twins(rest) for name in names}
    for candidates in (averages, twins, likes):
        if any(len(shape) > 1 for name, shape in rest.items() if name not in candidates):
            found |= candidates
            rest = {name: shape for name, shape in rest.items() if name not in candidates}
    return found if rest else {}


def _path(name: str) -> list[str]:
    return parts_of_name(name)[:-1]


def _any(pattern: re.Pattern[str], parts: list[str]) -> bool:
    return any(pattern.fullmatch(part) for part in parts)


def _is_average(path: list[str]) -> bool:
    """Whether a tensor lies in an average at the top; deeper down, the name may be that of a layer."""
    top = [part for part in path if part.lower() not in _WRAPPERS][:1]
    return _any(_AVERAGE, top)


def _twins(shapes: Shapes) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each copy, what it copies, and the names of its tensors."""
    trees = _trees(shapes)
    for prefix, tree in trees.items():
        parent, _, last = prefix.rpartition(".")
        for other in _trained(last):
            twin = f"{parent}.{other}" if parent else other
            if twin in trees and ("teacher" in last.lower() or _same(tree, trees[twin])):
                yield prefix, twin, [f"{prefix}.{rest}" for rest in tree]
                break


def _likes(shapes: Shapes, numbers: Callable[[str], NDArray[Any]]) -> dict[str, str]:
    """Return the tensors of containers that are called copies and stand beside one with the same layers and numbers."""
    trees, found = _trees(shapes), dict[str, str]()
    beside: defaultdict[str, list[str]] = defaultdict(list)
    for prefix in trees:
        beside[prefix.rpartition(".")[0]].append(prefix)
    for parent, prefixes in beside.items():
        copies = [one for one in prefixes if _called_copy(one.removeprefix(f"{parent}."))]
        originals = [one for one in prefixes if one not in copies]
        for copy in copies:
            other = next((one for one in originals if _same(trees[copy], trees[one]) and len(trees[one]) > 0), None)
            if other is not None and _correlated(copy, other, trees[copy], numbers):
                found |= {f"{copy}.{rest}": f"of {copy}, a copy of {other}" for rest in trees[copy]}
    return found


def _called_copy(last: str) -> bool:
    return any(_COPY_WORD.fullmatch(word) for word in _WORD.findall(last))


def _correlated(copy: str, other: str, tree: dict[str, Shape], numbers: Callable[[str], NDArray[Any]]) -> bool:
    """Whether the largest matrix of two containers has much the same numbers."""
    rest = max((name for name, shape in tree.items() if len(shape) > 1), key=lambda name: np.prod(tree[name]))
    first, second = (numbers(f"{prefix}.{rest}").astype(np.float64).ravel() for prefix in (copy, other))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return False
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return size > 0 and float((first * second).sum()) > _ALIKE * size


def _trees(shapes: Shapes) -> Trees:
    """Return the tensors under each container whose name can be that of a copy or of what it copies."""
    trees: defaultdict[str, dict[str, Shape]] = defaultdict(dict)
    for name, shape in shapes.items():
        parts = name.split(".")
        for depth in range(1, len(parts)):
            trees[".".join(parts[:depth])][".".join(parts[depth:])] = shape
    return dict(trees)


def _trained(last: str) -> Iterator[str]:
    """Yield the names that the original of a copy may have."""
    if last in _PAIRS:
        yield _PAIRS[last]
    words = last.split("_")
    for k, word in enumerate(words):
        for other in _TWINS.get(word.lower(), ()):
            name = "_".join(part for part in (*words[:k], other, *words[k + 1 :]) if part)
            if name:
                yield name


def _same(copy: dict[str, Shape], original: dict[str, Shape]) -> bool:
    matrices = {rest: shape for rest, shape in copy.items() if len(shape) > 1}
    return bool(matrices) and all(original.get(rest) == shape for rest, shape in matrices.items())
