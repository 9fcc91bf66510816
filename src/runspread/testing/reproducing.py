"""Assertions about seeds: the same seed gives the same run, in fresh interpreters, and another seed gives another."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from .._checks import to_numpy
from ..errors import InputError

Run = Callable[[int], Any]


def assert_reproducible(run: Run, seed: int = 0, *, equal: str | float = "bits", fresh: bool = True) -> None:
    """Fail unless a seed gives the same run twice, and another seed another one.

    Parameters
    ----------
    run : callable
        From a seed to what is compared: a number, an array (a curve has its steps on the first axis), or a mapping of
        names to those, such as losses and weights.
    seed : int
        The seed.
    equal : "bits" or float
        Whether every bit must agree, or a relative tolerance.
    fresh : bool
        Whether each run has an interpreter of its own, so that nothing of an earlier run is left; `run` is then a
        function of a module. False: all runs in this one.

    Raises
    ------
    AssertionError
        Two runs with one seed differ (the first place is named), or two seeds give one run.
    InputError
        `run` cannot be handed to a fresh interpreter.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> def curve(seed):
    ...     return np.random.default_rng(seed).normal(size=5).cumsum()
    >>> rs.testing.assert_reproducible(curve, seed=3, fresh=False)
    >>> rs.testing.assert_reproducible(lambda seed: 0.5, fresh=False)
    Traceback (most recent call last):
        ...
    AssertionError: runs with seeds 0 and 1 are equal: the seed is not used
    """
    first, second, other = _ran(run, [seed, seed, seed + 1], fresh)
    if where := difference_of(first, second, equal):
        raise AssertionError(f"two runs with seed {seed} differ: {where}")
    if not difference_of(first, other, "bits"):
        raise AssertionError(f"runs with seeds {seed} and {seed + 1} are equal: the seed is not used")


def assert_seeds_differ(run: Run, seeds: Sequence[int] = (0, 1)) -> None:
    """Fail if runs with different seeds are equal to the last digit.

    Parameters
    ----------
    run : callable
        From a seed to a number, an array, or a mapping of names to those.
    seeds : sequence of int
        Two or more.

    Raises
    ------
    AssertionError
        Two runs are equal.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.testing.assert_seeds_differ(lambda seed: 1 / (seed + 1))
    >>> rs.testing.assert_seeds_differ(lambda seed: 0.5)
    Traceback (most recent call last):
        ...
    AssertionError: ...
    """
    if len(set(seeds)) < 2:
        raise InputError(f"the seeds are {list(seeds)}", "two that differ")
    found = [run(seed) for seed in seeds]
    for at, one in enumerate(found):
        for later in range(at + 1, len(found)):
            if not difference_of(one, found[later], "bits"):
                raise AssertionError(f"runs with seeds {seeds[at]} and {seeds[later]} are equal: the seed is not used")


def _ran(run: Run, seeds: list[int], fresh: bool) -> list[Any]:
    if not fresh:
        return [run(seed) for seed in seeds]
    try:
        pickle.dumps(run)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"{getattr(run, '__name__', run)} cannot be handed to a fresh interpreter",
            "a function of a module",
            "Move it to the top of the test's file, or pass fresh=False.",
        ) from error
    results = list[Any]()
    for seed in seeds:  # an interpreter each
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            results.append(pool.submit(run, seed).result())
    return results


def difference_of(first: Any, second: Any, equal: str | float) -> str:
    """Return where two runs first differ, or nothing.

    Parameters
    ----------
    first, second : number, array or mapping
        What two runs returned.
    equal : "bits" or float
        Whether every bit must agree, or a relative tolerance.
    """
    if isinstance(first, Mapping) or isinstance(second, Mapping):
        return _of_mappings(first, second, equal)
    one, two = np.asarray(to_numpy(first)), np.asarray(to_numpy(second))
    if one.shape != two.shape:
        return f"shape {one.shape} and {two.shape}"
    bits = equal == "bits" or one.dtype.kind not in "fc"
    same = _equal(one, two) if bits else np.isclose(one, two, float(equal), 0, equal_nan=True)
    if np.all(same):
        return ""
    at = tuple(int(i) for i in np.unravel_index(int(np.argmin(same)), one.shape))
    where = f"at {at if len(at) != 1 else at[0]}, " if at else ""
    return f"{where}{one[at]!r} and {two[at]!r}, {int(np.sum(~same))} of {one.size} values"


def _equal(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return where two arrays hold the same, NaN in both too."""
    return (one == two) | ((one != one) & (two != two))


def _of_mappings(first: Any, second: Any, equal: str | float) -> str:
    if not (isinstance(first, Mapping) and isinstance(second, Mapping)) or list(first) != list(second):
        return "they have other names"
    places = ((name, difference_of(first[name], second[name], equal)) for name in first)
    return next((f"{name} {where}" for name, where in places if where), "")
