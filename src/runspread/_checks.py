"""Checks of arrays that users hand in. Each returns the array in the form the methods use, or says what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._words import RENAMED_KEYWORDS, count
from .errors import InputError


def _first(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the index of the first True."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def _at(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else str(index)


def to_numpy(value: Any) -> Any:
    """Return a torch tensor (any device, any float type) or a bfloat16 array as a NumPy array; all else as it is."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float32) if value.dtype.name == "bfloat16" else value
    if isinstance(value, (list, tuple)):
        items: list[Any] = list(value)
        return np.stack([to_numpy(item) for item in items]) if items and hasattr(items[0], "detach") else items
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # NumPy has no such type
        tensor = tensor.float()
    return tensor.numpy()


def check_integers(values: ArrayLike, name: str, low: int, high: int | None) -> NDArray[np.int64]:
    """Return `values` as int64 if each is a whole number in ``low..high`` (no upper limit when None).

    Raises
    ------
    InputError
        Names the first offender and how many there are.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iubf":
        raise InputError(f"the dtype of {name} is {array.dtype}", "whole numbers")
    bad = array < low if high is None else (array < low) | (array > high)
    if array.dtype.kind == "f":
        bad = bad | ~np.isfinite(array) | (array != np.floor(array))
    if bad.any():
        limits = f"from {low}" + ("" if high is None else f" to {high}")
        if not array.ndim:
            raise InputError(f"{name} is {array}", f"a whole number {limits}")
        index = _first(bad)
        raise InputError(
            f"{count(int(bad.sum()), f'value of {name} is', f'values of {name} are')} out of range, the first is "
            f"{array[index]} at {_at(index)}",
            f"whole numbers {limits}",
        )
    return array.astype(np.int64)


def check_numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return values as float64; an InputError where they are no numbers, or rows of different lengths."""
    try:
        return np.asarray(to_numpy(values), np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} are of type {type(values).__name__} and hold no numbers", "numbers") from error


def check_workers(workers: int | None) -> int | None:
    """Return a number of threads, or None for as many as there are processors."""
    return None if workers is None else int(check_integers(workers, "workers", 1, None))


def check_confidence_level(value: float) -> float:
    """Return a confidence level if it lies between 0 and 1."""
    if not 0 < value < 1:
        raise InputError(f"got confidence_level={value}", "a number between 0 and 1, such as 0.95")
    return value


def check_alpha_and_power(alpha: float, power: float) -> None:
    """Raise an InputError unless the level of a test and the power that is planned for are levels, in that order."""
    if not (0 < alpha < 1 and alpha < power < 1):
        raise InputError(f"got alpha={alpha} and power={power}", "0 < alpha < power < 1")


def check_seed(seed: Any) -> Any:
    """Return a seed of random numbers: a whole number from 0, a Generator, or None where chance may decide."""
    if seed is None or isinstance(seed, (np.random.Generator, np.random.SeedSequence)):
        return seed
    if isinstance(seed, int) and seed >= 0:
        return seed
    if np.ndim(seed):
        raise InputError(f"the seed is an array of {count(np.ndim(seed), 'axis', 'axes')}", "one whole number from 0")
    return int(check_integers(seed, "seed", 0, None))


def check_labels(labels: ArrayLike, n_classes: int | None = None) -> NDArray[np.int64]:
    """Return labels as int64 of shape [examples], each in ``0..n_classes-1``."""
    array = np.asarray(to_numpy(labels))
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"labels have shape {array.shape}", "one axis [examples], not empty")
    return check_integers(array, "labels", 0, None if n_classes is None else n_classes - 1)


def check_logits(logits: ArrayLike, *, shape: tuple[int | None, ...], name: str = "logits") -> NDArray[Any]:
    """Return logits as a floating array of the given shape without NaN.

    Parameters
    ----------
    logits : array_like
        Logits or probabilities; the last axis is classes.
    shape : tuple
        Expected length of every axis, None where any length will do.
    name : str
        How to call the array in the error.

    Raises
    ------
    InputError
        Wrong number of axes or lengths, not numbers, or NaN (the first one and the count are named).
    """
    array = np.asarray(to_numpy(logits))
    fits = array.ndim == len(shape) and all(e is None or a == e for a, e in zip(array.shape, shape, strict=False))
    if not fits:
        expected = "(" + ", ".join("any" if e is None else str(e) for e in shape) + ")"
        raise InputError(
            f"{name} have shape {array.shape}",
            f"shape {expected}",
            "The axes are [examples, classes] for one run, [runs, examples, classes] for several.",
        )
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise InputError(f"{name} have dtype {array.dtype}", "floating-point numbers")
    bad = np.isnan(array)
    if bad.any():
        raise InputError(
            f"{name} hold {int(bad.sum())} NaN, the first at {_at(_first(bad))}",
            "numbers",
            "A run whose outputs are NaN has diverged: exclude it. In a study, call run.diverged(reason) instead of "
            "run.predictions(...); the run is then kept and named.",
        )
    return array


def check_choice(value: Any, name: str, choices: Collection[str], renamed: Mapping[str, str] | None = None) -> str:
    """Return `value` if it is one of `choices`; else raise an InputError that suggests its new name, or the nearest."""
    if getattr(value, "__hash__", None) and value in choices:
        return value
    now = (renamed or {}).get(value) if isinstance(value, str) else None
    hint = f"Did you mean {now!r}?" if now in choices else ""  # else the nearest
    raise InputError(f"unknown {name} {value!r}", f"one of {', '.join(sorted(choices))}", hint)


def check_mapping(value: Any, name: str) -> Mapping[Any, Any]:
    """Return `value` if it is a mapping, an empty one for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{name} has type {type(value).__name__}", "a mapping of names to values")
    return value


def check_keywords(given: Collection[str], known: Collection[str], what: str) -> None:
    """Raise an InputError for the first of `given` that is not in `known`."""
    for name in given:
        check_choice(name, f"{what} keyword", known, RENAMED_KEYWORDS)


def check_settings(given: Collection[str], known: Collection[str], verb: Callable[..., Any]) -> None:
    """Raise an InputError for the first of `given` that is no setting of a verb; it names the nearest of its keywords.

    Parameters
    ----------
    given : collection of str
        What came in through ``**settings``.
    known : collection of str
        The settings that the verb takes so, ``XSettings.__annotations__``.
    verb : callable
        The verb; its other keywords are suggested too.
    """
    named = [each.name for each in inspect.signature(verb).parameters.values() if each.kind is each.KEYWORD_ONLY]
    check_keywords(given, (*named, *known), verb.__name__)
