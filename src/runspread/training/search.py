"""Search spaces: from which distribution each hyperparameter of a run is drawn, and how that is written as text."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import msgspec
import numpy as np

from .._checks import check_choice
from ..errors import InputError

DISTRIBUTIONS = ("choice", "grid", "integer", "loguniform", "uniform")


class Distribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one hyperparameter's values come from.

    Attributes
    ----------
    kind : str
        ``uniform`` and ``loguniform`` take (low, high); ``integer`` takes (low, high), both included; ``choice``
        draws one of its values; ``grid`` walks through all of its values, crossed with the other grids.
    values : tuple
        The bounds, or the values.
    """

    kind: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        check_choice(self.kind, "distribution", DISTRIBUTIONS)
        if not self.values:
            raise InputError(f"got {self} without values", "at least one value")
        if self.kind in ("uniform", "loguniform", "integer"):
            self._check_bounds()

    def _check_bounds(self) -> None:
        numbers = [v for v in self.values if isinstance(v, (int, float)) and math.isfinite(v)]
        if len(self.values) != 2 or len(numbers) != 2:
            raise InputError(f"got {self}", "two finite numbers (low, high)")
        if numbers[0] > numbers[1]:
            raise InputError(f"got {self}", "the lower bound first")
        if self.kind == "loguniform" and numbers[0] <= 0:
            raise InputError(f"got {self}", "bounds above zero")

    def __str__(self) -> str:
        return f"{self.kind}({','.join(str(v) for v in self.values)})"

    def at(self, u: float) -> Any:
        """Return the value at quantile `u` in [0, 1): log-uniform is ``low * (high / low) ** u``."""
        if self.kind in ("choice", "grid"):
            return self.values[int(u * len(self.values))]
        low, high = self.values
        if self.kind == "loguniform":
            return float(low * (high / low) ** u)
        if self.kind == "integer":
            return int(low + math.floor(u * (high - low + 1)))
        return float(low + u * (high - low))


def parse_value(text: str) -> Any:
    """Return a number, boolean, None, list or string from what a user typed after ``name=``."""
    lowered = text.strip().lower()
    if lowered in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[lowered]
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()


def parse_assignment(text: str) -> tuple[str, str]:
    """Split ``name=value`` at the first equals sign."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip() or not value.strip():
        raise InputError(f"got {text!r}", "name=value, for example lr=0.1")
    return name.strip(), value.strip()


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Return overrides from ``("lr=0.1", "hidden=(128,64)")``: what ``--set`` gives.

    Raises
    ------
    InputError
        A text is not ``name=value``.
    """
    return {name: parse_value(value) for name, value in map(parse_assignment, texts)}


def parse_distribution(text: str) -> Distribution:
    """Return the distribution that ``"loguniform(1e-3,1e3)"`` names.

    Raises
    ------
    InputError
        No such distribution, or its bounds are not two ordered numbers.
    """
    match = re.fullmatch(r"\s*([a-z]+)\s*\((.*)\)\s*", text, re.DOTALL)
    if match is None or not match[2].strip():
        raise InputError(f"got search {text!r}", "a distribution such as loguniform(1e-3,1e3) or choice(0.1,0.3)")
    values = parse_value(f"({match[2]},)")
    if not isinstance(values, tuple):  # words such as choice(sgd,adam)
        values = tuple(parse_value(part) for part in match[2].split(","))
    return Distribution(match[1], values)


def parse_search(texts: Sequence[str]) -> dict[str, Distribution]:
    """Return a search space from ``("l2=loguniform(1e-3,1e3)",)``: what ``--search`` gives."""
    return {name: parse_distribution(value) for name, value in map(parse_assignment, texts)}


def as_search(search: Mapping[str, Any] | None) -> dict[str, Distribution]:
    """Return a search space whose values may be distributions, their texts, or lists (which become grids)."""
    return {name: _as_distribution(value) for name, value in (search or {}).items()}


def _as_distribution(value: Any) -> Distribution:
    if isinstance(value, Distribution):
        return value
    if isinstance(value, str):
        return parse_distribution(value)
    if isinstance(value, (list, tuple)):
        return Distribution("grid", tuple(value))
    raise InputError(f"got search over {value!r}", "a distribution, its text, or a list of values")


def sample(search: Mapping[str, Distribution], seed: int, index: int) -> dict[str, Any]:
    """Return the hyperparameters of run `index`: a function of the seed, the index and the search space alone.

    Grids are crossed and walked through by the index; each other distribution is drawn from its own stream, named by
    the seed, the index and the hyperparameter's name, so that adding one leaves the values of the rest as they are.
    """
    grids = {name: d.values for name, d in search.items() if d.kind == "grid"}
    cells = list(product(*grids.values()))
    chosen = dict(zip(grids, cells[index % len(cells)], strict=True))
    return {name: chosen[name] if name in chosen else d.at(_quantile(seed, index, name)) for name, d in search.items()}


def _quantile(seed: int, index: int, name: str) -> float:
    entropy = [seed, index, *name.encode()]
    return float(np.random.default_rng(np.random.SeedSequence(entropy)).random())
