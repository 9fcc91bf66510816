"""Trains the runs of a study that are not there yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from .._optional import require
from .._results import to_plain
from ..errors import RunspreadError, StudyError
from ..studies.opening import create_study, open_study
from ..studies.study import Study
from .plan import PlannedRun, deal_runs
from .progress import TrainingProgress
from .recipes import Recipe, recipe_from_dict
from .recipes import recipe as make_recipe
from .search import as_search
from .seeding import base_seed

Progress = Callable[[TrainingProgress], None]


def train(
    recipe: str | Recipe,
    *,
    runs: int,
    out: str | os.PathLike[str],
    vary: str | Sequence[str] = ("init", "order", "augment"),
    seed: int = 0,
    search: Mapping[str, Any] | None = None,
    executor: str | Executor = "local",
    executor_options: Mapping[str, Any] | None = None,
    workers: int | None = None,
    stack: int | str = "auto",
    device: str = "auto",
    retries: int = 2,
    shard_timeout: float | None = None,
    progress: Progress | None = None,
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
        Hyperparameters that are drawn a run: ``{"l2": "loguniform(1e-3,1e3)", "lr": [0.1, 0.3]}``; a list is a grid.
    executor : {"local", "processes", "ray", "slurm"} or concurrent.futures.Executor
        Where shards are trained: in threads of this process, in processes of this machine, on a Ray cluster, through a
        Slurm queue. All but "local" write to the study's folder on their own, so it must be one that they share.
    executor_options : mapping, optional
        For "ray": ``address`` ("HOST:PORT"), ``cpus`` and ``gpus`` (fractions too) of a shard. For "slurm":
        ``folder``, ``cluster``, and what submitit takes (``slurm_partition``, ``timeout_min``, ``gpus_per_node``).
    workers : int, optional
        Shards that are trained at once; by default one a core, or one a GPU.
    stack : int or "auto"
        Runs that are trained in one program; "auto" measures.
    device : str
        "cpu", "cuda", "cuda:1", or "auto": a GPU where there is one.
    retries : int
        How often a shard is trained again whose worker was lost.
    shard_timeout : float, optional
        Seconds after which a shard counts as hanging: it is given up and named at the end.
    progress : callable, optional
        Called several times a second with a `TrainingProgress`.

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
    """
    require("torch", "training")
    chosen = make_recipe(recipe)
    space = as_search(search)
    vary, seed = (vary,) if isinstance(vary, str) else vary, base_seed(seed)
    plans = deal_runs(chosen, runs, vary=vary, seed=seed, search=space)
    design = {"vary": sorted(vary), "seed": seed, "search": {name: str(where) for name, where in space.items()}}
    return train_plans(
        chosen,
        plans,
        design,
        out=out,
        executor=executor,
        executor_options=executor_options,
        workers=workers,
        stack=stack,
        device=device,
        retries=retries,
        shard_timeout=shard_timeout,
        progress=progress,
    )


def train_plans(
    recipe: Recipe,
    plans: Sequence[PlannedRun],
    design: Mapping[str, Any],
    *,
    out: str | os.PathLike[str],
    executor: str | Executor = "local",
    executor_options: Mapping[str, Any] | None = None,
    workers: int | None = None,
    stack: int | str = "auto",
    device: str = "auto",
    retries: int = 2,
    shard_timeout: float | None = None,
    progress: Progress | None = None,
) -> Study:
    """Train the runs of a plan that are not in the study yet.

    Parameters
    ----------
    recipe, plans : Recipe, sequence of PlannedRun
        What to train.
    design : mapping
        What ``study.json`` says of the plan, besides the recipe and the digest of the data; a study of another design
        is refused.
    **options
        As for `train`.
    """
    from .driver import Driver

    recipe = _with_whole_paths(recipe)
    driver = Driver(
        recipe,
        plans,
        executor=executor,
        options=executor_options or {},
        workers=workers,
        stack=stack,
        device=device,
        retries=retries,
        timeout=shard_timeout,
        progress=progress,
    )
    driver.check_networks()
    facts = to_plain({**recipe.identity(), **design, "data_fingerprint": driver.task.fingerprint})
    study = open_or_create(Path(out), facts, driver.labels())
    driver.train_missing(study)
    study.refresh()
    return study


def _with_whole_paths(recipe: Recipe) -> Recipe:
    """Return the recipe with paths that a worker in another folder finds too; names on the hub stay as they are."""
    paths = {name: getattr(recipe, name) for name in ("data", "start_from")}
    found = {name: Path(path).expanduser() for name, path in paths.items() if path is not None}
    return recipe.replace(**{name: str(path.resolve()) for name, path in found.items() if path.exists()})


def open_or_create(path: Path, design: Mapping[str, Any], labels: Mapping[str, Any]) -> Study:
    """Open the study at `path` if its design is the same, create it if there is none."""
    if not (path / "study.json").exists():
        return create_study(path, splits=labels, recipe=design)
    study = open_study(path)
    theirs = _completed(study.recipe or {})
    differ = [key for key in {**theirs, **design} if theirs.get(key) != design.get(key)]
    if differ:
        listed = [f"{key} is {theirs.get(key)!r} there and {design.get(key)!r} here" for key in differ]
        more = f"; and {len(listed) - 3} more" if len(listed) > 3 else ""
        raise StudyError(
            f"{path} holds another study: {'; '.join(listed[:3])}{more}",
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
