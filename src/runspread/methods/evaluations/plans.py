"""What to buy next: trainings, items or samples, for a gap that is to be seen (evals 5)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .defaults import MOST_SAMPLES, MOST_SEEDS


class Spreads(NamedTuple):
    """Variances of one answer, of the difference of two models for items.

    Attributes
    ----------
    seed, item, inter, decode : float
        Of a training; of the true difference of an item; of a training on an item; of an answer.
    """

    seed: float
    item: float
    inter: float
    decode: float


class Costs(NamedTuple):
    """What a training, an item and an answer cost, in one currency."""

    training: float
    item: float
    sample: float


@dataclass(frozen=True)
class Design:
    """Trainings of each model, items, answers per training and item, what it costs, and the power it has."""

    seeds: int
    items: int
    samples: int
    cost: float
    power: float = math.nan


def variance_of(spreads: Spreads, seeds: float, items: float, samples: float) -> float:
    """Return the variance of the difference of two models of equal design."""
    inside = spreads.seed / seeds + spreads.inter / (seeds * items) + spreads.decode / (seeds * items * samples)
    return spreads.item / items + 2 * inside


def target_variance(gap: float, alpha: float, power: float) -> float:
    """Return the largest variance at which a gap is seen with this power (normal quantiles)."""
    from scipy.special import ndtri

    return (gap / float(ndtri(1 - alpha / 2) + ndtri(power))) ** 2


def cost_of(costs: Costs, seeds: int, items: int, samples: int) -> float:
    """Return what a design costs, for both models."""
    return 2 * seeds * costs.training + items * costs.item + 2 * seeds * items * samples * costs.sample


def designs(
    spreads: Spreads, costs: Costs, target: float, items_max: float, seeds: range | None = None
) -> Iterator[Design]:
    """Yield the least number of items for every number of trainings and of samples that can do it."""
    for s in range(2, MOST_SEEDS + 1) if seeds is None else seeds:
        left = target - 2 * spreads.seed / s
        if left <= 0:
            continue
        for d in range(1, MOST_SAMPLES + 1):
            need = spreads.item + 2 * spreads.inter / s + 2 * spreads.decode / (s * d)
            items = max(2, math.ceil(need / left))
            if items <= items_max:
                yield Design(s, items, d, cost_of(costs, s, items, d))


def cheapest(found: list[Design], most: int = 4) -> list[Design]:
    """Return the cheapest designs; ties go to fewer trainings, then to fewer samples."""
    return sorted(found, key=lambda one: (one.cost, one.seeds, one.samples))[:most]
