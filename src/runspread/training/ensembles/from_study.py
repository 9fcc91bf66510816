"""Makes an ensemble of runs whose weights a study holds."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from ..._checks import check_choice
from ..._reading.opening import opened_studies, opens
from ...errors import InputError, MissingDataError
from ...methods.ensembles.selection import EnsembleSelection, select_ensemble
from ...studies.layout import RunMetadata
from ...studies.study import Study
from ..build import is_unsized, materialised
from ..datasets import load_dataset
from ..recipes import Recipe
from ..study_networks import own_network, recipe_of
from .artifact import Ensemble, EnsembleMetadata
from .conversion import filled
from .members import EnsembleModule, MemberStack


@opens("study", by=opened_studies)
def make_ensemble(
    study: Study,
    chosen: EnsembleSelection | Sequence[str],
    *,
    network: nn.Module | None = None,
    recipe: str | Recipe | None = None,
    data: str | os.PathLike[str] | None = None,
) -> Ensemble:
    """Make an ensemble of runs whose weights the study holds.

    Parameters
    ----------
    study : Study or path
        Where the weights are.
    chosen : EnsembleSelection or sequence of str
        What `select_ensemble` returned, with its weights; or ids of runs, with equal weights.
    network : nn.Module, optional
        A network of the runs' architecture. Not needed where runspread trained the study with one of its own models.
    recipe : str or Recipe, optional
        The recipe of the runs, where their network is code of yours: a study's own mention of code is never followed.
    data : path, optional
        Where the recipe's data set lies, for the scaling of the inputs.

    Returns
    -------
    Ensemble
        With ``predict``, ``save``, ``module``, ``to_onnx``, ``cost``.

    Raises
    ------
    InputError
        A network is needed, or the one given does not fit.
    MissingDataError
        A run's weights were not recorded.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> small = rs.recipe("digits-mlp", epochs=1, hidden=(8,), validation=300, evaluate=("test", "validation"))
    >>> study = rs.train(small, runs=2, out=mkdtemp() + "/digits", workers=1)
    >>> made = rs.training.make_ensemble(study, [run.id for run in study.runs])
    >>> made.predict(rs.training.load_split(small)[0]).shape
    (360, 10)
    """
    selection = chosen if isinstance(chosen, EnsembleSelection) else None
    return weighted_ensemble(study, _weights_by_run(chosen), selection, network=network, recipe=recipe, data=data)


@opens("study", by=opened_studies)
def ensemble(
    study: Study,
    *,
    size: int = 5,
    split: str = "validation",
    network: nn.Module | None = None,
    recipe: str | Recipe | None = None,
    data: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Ensemble:
    """Choose the best ensemble from a study's runs, and make it: `select_ensemble`, then `make_ensemble`.

    Parameters
    ----------
    study : Study or path
        With predictions on `split`, and with weights.
    size : int
        Distinct members, at most.
    split : str
        Split that chooses the members; report on another one.
    network, recipe, data
        As in `training.make_ensemble`.
    **options
        As in `methods.ensembles.select_ensemble`.

    Returns
    -------
    Ensemble
        With ``predict``, ``save``, ``module``, ``to_onnx``, ``cost``.

    Raises
    ------
    MissingDataError
        Predictions on `split`, or weights of a member, were not recorded.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> small = rs.recipe("digits-mlp", epochs=1, hidden=(8,), validation=300, evaluate=("test", "validation"))
    >>> study = rs.train(small, runs=3, out=mkdtemp() + "/digits", workers=1)
    >>> made = rs.ensemble(study, size=2)
    >>> made.predict(rs.training.load_split(small, "test")[0]).shape
    (360, 10)
    """
    chosen = select_ensemble(study, size=size, split=split, **options)
    return make_ensemble(study, chosen, network=network, recipe=recipe, data=data)


def weighted_ensemble(
    study: Study,
    weights: Mapping[str, float],
    selection: EnsembleSelection | None,
    *,
    network: nn.Module | None = None,
    recipe: str | Recipe | None = None,
    data: str | os.PathLike[str] | None = None,
) -> Ensemble:
    """Make an ensemble of runs with given weights; `make_ensemble` says the rest."""
    for name in weights:
        check_choice(name, "run", study.runs.ids)
    runs = [study.runs[name] for name in weights]
    facts = EnsembleMetadata(
        members=tuple(_member(run, weights[run.id]) for run in runs), selection=_selection_facts(selection)
    )
    described = recipe_of(study, data, recipe) if network is None else None
    if described is None:
        if network is None:
            raise InputError(
                "This study was not trained by rs.train, so its networks cannot be rebuilt",
                "network=, a module of the runs' architecture",
            )
        network = materialised(network, _example_shape(study, network, data))
        members = [_load(study, run, copy.deepcopy(network)) for run in runs]
        return Ensemble(EnsembleModule(MemberStack(members), list(weights.values())), facts)
    return _from_recipe(study, runs, described, facts)


def _example_shape(study: Study, network: nn.Module, data: str | os.PathLike[str] | None) -> tuple[int, ...] | None:
    """Return the shape of one input, for a given network whose lazy layers need it; None where it is not known."""
    if not is_unsized(network):
        return None
    described = recipe_of(study, data, network=False)
    return None if described is None else tuple(load_dataset(described).example_shape)


def _from_recipe(study: Study, runs: Sequence[RunMetadata], recipe: Recipe, facts: EnsembleMetadata) -> Ensemble:
    dataset = load_dataset(recipe)
    shape, classes = tuple(dataset.example_shape), dataset.n_classes
    members = [_rebuilt(study, run, recipe, shape, classes) for run in runs]
    scaling = (torch.from_numpy(dataset.mean), torch.from_numpy(dataset.std))
    weights = [member["weight"] for member in facts.members]
    module = EnsembleModule(MemberStack(members), weights, scaling, margin=recipe.loss == "hinge")
    described = EnsembleMetadata(
        members=facts.members,
        selection=facts.selection,
        recipe=recipe.identity(),
        shape=shape,
        n_classes=classes,
    )
    return Ensemble(module, described)


def _rebuilt(study: Study, run: RunMetadata, recipe: Recipe, shape: tuple[int, ...], classes: int) -> nn.Module:
    held = [value.size for value in _weights_of(study, run).values()]
    return _load(study, run, own_network(recipe, run, shape, classes, held))


def _load(study: Study, run: RunMetadata, network: nn.Module) -> nn.Module:
    return filled(network, {name: torch.tensor(value) for name, value in _weights_of(study, run).items()})


def _weights_of(study: Study, run: RunMetadata) -> dict[str, NDArray[Any]]:
    try:
        return study.weights(run)
    except MissingDataError as error:
        raise MissingDataError(
            f"there are no weights of {run.id}", "runs recorded with their weights", "Record with keep_weights=True."
        ) from error


def _weights_by_run(chosen: EnsembleSelection | Sequence[str]) -> dict[str, float]:
    if isinstance(chosen, EnsembleSelection):
        return {chosen.run_ids[i]: float(chosen.weights[i]) for i in chosen.members}
    if isinstance(chosen, str) or not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"got members {chosen!r}", "a selection, or a list of different run ids")
    return {name: 1 / len(chosen) for name in chosen}


def _member(run: RunMetadata, weight: float) -> dict[str, Any]:
    return {"id": run.id, "weight": weight, "seeds": run.seeds.to_dict(), "hyperparameters": run.hyperparameters}


def _selection_facts(chosen: EnsembleSelection | None) -> dict[str, Any]:
    if chosen is None:
        return {}
    checked = chosen.cross_validation
    return {
        "objective": chosen.objective,
        "score": chosen.score,
        "best_single_score": chosen.best_single_score,
        "held_out_score": None if checked is None else checked.held_out,
        "optimism": None if checked is None else checked.optimism,
        "n_candidates": chosen.n_candidates,
        "n_examples": chosen.n_examples,
        "stop_reason": chosen.stop_reason,
    }
