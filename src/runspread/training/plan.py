"""Which runs a training consists of, and how they are dealt to shards and stacks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from .._checks import check_choice, check_integers
from ..errors import InputError
from ..studies.records import SEED_ROLES, Seeds, run_id
from .recipes import GROUPED, PER_RUN, Recipe
from .search import Distribution, sample
from .seeding import run_seeds


class PlannedRun(msgspec.Struct, frozen=True):
    """One run that is to be trained: its id follows from its seeds and hyperparameters."""

    id: str
    seeds: Seeds
    hyperparameters: dict[str, Any]

    def hyperparameter(self, recipe: Recipe, name: str) -> Any:
        """Return the run's own value where it has one, else the recipe's; "l2.head" falls back on "l2"."""
        if name in self.hyperparameters:
            return self.hyperparameters[name]
        return self.hyperparameter(recipe, name.partition(".")[0]) if "." in name else getattr(recipe, name)


def own_values(recipe: Recipe, names: Collection[str]) -> dict[str, Any]:
    """Return the recipe's own values of hyperparameters, fields or options; those that it leaves open are omitted."""
    known = {**recipe.to_dict(), **recipe.dataset_options, **recipe.model_options}
    values = {name: known[name.partition(".")[0]] for name in names}
    return {name: value for name, value in values.items() if value is not None}


def deal_runs(
    recipe: Recipe, runs: int, *, vary: Collection[str], seed: int, search: Mapping[str, Distribution]
) -> list[PlannedRun]:
    """Return `runs` plans: run i is the same however many there are.

    Raises
    ------
    InputError
        No runs, an unknown role, a hyperparameter that no recipe has, or runs that would coincide (nothing varies).
    """
    runs = int(check_integers(runs, "runs", 1, None))
    for role in vary:
        check_choice(role, "seed role", SEED_ROLES)
    for name in search:
        check_searchable(recipe, name)
    plans = [_plan(run_seeds(seed, index, vary), sample(search, seed, index)) for index in range(runs)]
    unused = _unused_roles(recipe, search)
    used = [role for role in SEED_ROLES if role not in unused]
    if len({repr(([getattr(plan.seeds, role) for role in used], plan.hyperparameters)) for plan in plans}) < runs:
        idle = [f" {why}." for role, why in unused.items() if role in vary]
        raise InputError(
            f"some of the {runs} planned runs are the same",
            "runs that differ",
            f"Vary a seed role, or search a hyperparameter.{''.join(idle)}",
        )
    return plans


def _unused_roles(recipe: Recipe, search: Mapping[str, Distribution]) -> dict[str, str]:
    """Return the seed roles that the recipe draws nothing from, and why."""
    searched = {name.partition(".")[0] for name in search}
    augments = recipe.augment or "augment" in searched
    unused: dict[str, str] = {}
    if ":" in recipe.model:  # a network of the user's own may draw what we do not know of
        return unused
    if not augments and recipe.batch_size is None and "batch_size" not in searched:
        unused["order"] = "The order seed changes nothing where every step takes the whole training set"
    if not augments and not recipe.dropout and "dropout" not in searched:
        unused["augment"] = "The augment seed changes nothing without augmentation or dropout"
    return unused


def _plan(seeds: Seeds, hyperparameters: dict[str, Any]) -> PlannedRun:
    return PlannedRun(run_id(seeds, hyperparameters), seeds, hyperparameters)


def check_searchable(recipe: Recipe, name: str) -> None:
    """Raise unless `name` is a hyperparameter of the recipe, of a part of its network, or an option."""
    options = {*recipe.model_options, *recipe.dataset_options}
    known = {*Recipe.__struct_fields__, *options} - {"name", "dataset", "data", "dataset_options", "model_options"}
    base, dot, _ = name.partition(".")
    check_choice(base if dot else name, "hyperparameter", GROUPED if dot else known)
    if name == "momentum" and recipe.optimizer != "sgd":
        raise InputError(f"got a search over momentum with {recipe.optimizer}", "optimizer='sgd', which alone has it")
    if name == "label_smoothing" and recipe.loss == "hinge":
        raise InputError("got a search over label_smoothing with a hinge loss", "loss='cross_entropy'")


def structural(plan: PlannedRun) -> dict[str, Any]:
    """Return the hyperparameters that runs of one stack must share: those that are not per-run tensors."""
    return {k: v for k, v in plan.hyperparameters.items() if k.partition(".")[0] not in PER_RUN}


def deal_shards(plans: Sequence[PlannedRun], largest: int, workers: int) -> list[list[PlannedRun]]:
    """Return the plans in shards: of one structure each, at most `largest` runs, all workers busy.

    Runs with and without a value of their own for a hyperparameter never share a shard: a stack takes every coefficient
    from its runs, or from the recipe.

    The deal hangs on what is planned, not on what is already there, so that a training that was interrupted goes on
    with the same shards.
    """
    groups: dict[str, list[PlannedRun]] = {}
    for plan in plans:
        key = (sorted(structural(plan).items()), sorted(plan.hyperparameters))
        groups.setdefault(repr(key), []).append(plan)
    shards: list[list[PlannedRun]] = []
    for group in groups.values():
        share = len(group) / len(plans) * workers  # what this group may occupy
        count = max(1, math.ceil(len(group) / largest), round(share))
        count = min(len(group), math.ceil(count / max(1, round(share))) * max(1, round(share)))
        bounds = [round(k * len(group) / count) for k in range(count + 1)]
        shards += [group[a:b] for a, b in itertools.pairwise(bounds)]
    return shards
