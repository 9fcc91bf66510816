"""Trains the runs of a study that are not there yet."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from .._optional import require
from .._results import to_plain
from ..errors import RunspreadError, StudyError
from ..studies.homes import home_at
from ..studies.opening import create_study, open_study
from ..studies.study import Study
from .execution import Execution, execution_plan
from .plan import PlannedRun, deal_runs
from .recipes import Recipe, recipe_from_dict
from .recipes import recipe as make_recipe
from .search import as_search
from .seeding import base_seed


def train(
    recipe: str | Recipe,
    *,
    runs: int,
    out: str | os.PathLike[str],
    vary: str | Sequence[str] = ("init", "order", "augment"),
    seed: int = 0,
    search: Mapping[str, Any] | None = None,
    **execution: Unpack[Execution],
) -> Study:
    """Train a recipe many times; complete what is missing when called again.

    Parameters
    ----------
    recipe : str or Recipe
        What to train: see `recipe`.
    runs : int
        How many runs the study shall hold. Run i is the same however many there are.
    out : path
        Folder of the study; created, or gone on with.
    vary : str or sequence of {"init", "order", "augment"}
        Roles whose seed differs between the runs; the others' is the same in all.
    seed : int
        Base seed, from which all seeds and searched hyperparameters follow.
    search : mapping of str to distribution, optional
        Hyperparameters that are drawn per run: ``{"l2": "loguniform(1e-3,1e3)", "lr": [0.1, 0.3]}``; a list is a grid.
    **execution
        Where and how, as `Execution` says: ``executor``, ``executor_options``, ``workers``, ``stack``, ``device``,
        ``retries``, ``shard_timeout``, ``progress``.

    Returns
    -------
    Study
        The study, with all runs.

    Raises
    ------
    InputError
        Unknown recipe, role or hyperparameter; an argument out of range, or one that would be ignored; no data where
        the recipe needs some; a network that does not fit the data.
    StudyError
        The folder holds a study of another recipe or plan; the message says what differs.
    TrainingError
        Some shards could not be trained; the others are in the study, and the message names those that are not.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> small = rs.recipe("digits-mlp", epochs=1, hidden=(8,))
    >>> study = rs.train(small, runs=2, out=mkdtemp() + "/digits", workers=1)
    >>> study.runs.count("completed")
    2
    """
    require("torch", "training")
    chosen = make_recipe(recipe)
    space = as_search(search)
    vary, seed = (vary,) if isinstance(vary, str) else vary, base_seed(seed)
    plans = deal_runs(chosen, runs, vary=vary, seed=seed, search=space)
    design = {"vary": sorted(vary), "seed": seed, "search": {name: str(where) for name, where in space.items()}}
    return train_plans(chosen, plans, design, out=out, **execution)


def train_plans(
    recipe: Recipe,
    plans: Sequence[PlannedRun],
    design: Mapping[str, Any],
    *,
    out: str | os.PathLike[str],
    **execution: Unpack[Execution],
) -> Study:
    """Train the runs of a plan that are not in the study yet.

    Parameters
    ----------
    recipe, plans : Recipe, sequence of PlannedRun
        What to train.
    design : mapping
        What ``study.json`` says of the plan, besides the recipe and the digest of the data; a study of another design
        is refused.
    out, **execution
        As for `train`.
    """
    from .driver import Driver

    where = execution_plan(execution, "train")
    recipe = _with_whole_paths(recipe)
    driver = Driver(recipe, plans, where)
    driver.check_networks()
    facts = to_plain({**recipe.identity(), **design, "data_fingerprint": driver.task.fingerprint})
    study = open_or_create(out, facts, driver.labels())
    driver.train_missing(study)
    study.refresh()
    return study


def _with_whole_paths(recipe: Recipe) -> Recipe:
    """Return the recipe with paths that a worker in another folder finds too; names on the hub stay as they are."""
    paths = {name: getattr(recipe, name) for name in ("data", "start_from")}
    found = {name: Path(path).expanduser() for name, path in paths.items() if path is not None}
    return recipe.replace(**{name: str(path.resolve()) for name, path in found.items() if path.exists()})


def open_or_create(path: str | os.PathLike[str], design: Mapping[str, Any], labels: Mapping[str, Any]) -> Study:
    """Open the study at `path` if its design is the same, create it if there is none."""
    if not home_at(path).has_plan():
        return create_study(path, splits=labels, recipe=design)
    study = open_study(path)
    theirs = _completed(study.recipe or {})
    differ = [key for key in {**theirs, **design} if theirs.get(key) != design.get(key)]
    if differ:
        listed = [f"{key} is {theirs.get(key)!r} there and {design.get(key)!r} here" for key in differ]
        more = f"; and {len(listed) - 3} more" if len(listed) > 3 else ""
        raise StudyError(
            f"{path} holds a study of another design: {'; '.join(listed[:3])}{more}",
            hint="Choose another folder, or give what the study was made with.",
        )
    return study


def _completed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's design with what newer versions added to recipes, at its defaults: it is the same training."""
    fields = {name: value for name, value in facts.items() if name in Recipe.__struct_fields__}
    try:
        return {**facts, **to_plain(recipe_from_dict(fields).identity())}
    except RunspreadError:  # recorded by a loop of somebody's own: the caller finds where it differs
        return dict(facts)
