"""Batch and hyper-batch ensembles of a recipe's network, trained on its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..._checks import check_integers
from ..._errors import InputError
from ..._methods._sources import ArrayOutputs
from ..._methods.scores import Scores, scores
from ..._results import Result, Table
from ..._study.records import Seeds
from ...nn import EnsembleTraining, batch_ensemble, hyper_batch_ensemble, train_ensemble
from ..augment import Augmenter
from ..augmentations import parse_augmentation
from ..build import plain_network
from ..cadence import steps_per_epoch, total_steps
from ..datasets import load_dataset
from ..datasets.base import Dataset
from ..hyperparameters import set_dropout_rates
from ..plan import RunPlan
from ..recipes import Recipe
from ..recipes import recipe as make_recipe
from ..stack import build_seeded
from .artifact import Ensemble, EnsembleFacts
from .conversion import conversion_of
from .members import EnsembleModule


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedBatchEnsemble(Result):
    """A batch or hyper-batch ensemble with its log and scores.

    Attributes
    ----------
    kind : {"batch", "hyper-batch"}
        Which.
    ensemble : Ensemble
        Ready to predict and to ship.
    log : EnsembleTraining
        Losses, and the way of the bounds.
    scores : Scores
        Of the ensemble and its members on the report split.
    report_split : str
        Which split that is.
    """

    kind: str
    ensemble: Ensemble
    log: EnsembleTraining
    scores: Scores
    report_split: str

    def table(self) -> Table:
        """Return the scores of the ensemble and of each member."""
        return self.scores.table()

    def sentence(self) -> str:
        """Return what was trained and what it reaches."""
        return (
            f"A {self.kind} ensemble of {len(self.ensemble)} members in one network, on split {self.report_split!r}: "
            f"{self.scores.sentence()} {self.log.sentence()}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values, without the network."""
        return {
            "kind": self.kind,
            "members": len(self.ensemble),
            "report_split": self.report_split,
            "scores": self.scores.to_dict(),
            "log": self.log.to_dict(),
            "warnings": list(self.warnings),
        }


def train_batch_ensemble(
    recipe: str | Recipe,
    *,
    members: int = 4,
    hyper: bool = True,
    conversion: dict[str, Any] | None = None,
    split: str = "validation",
    report_split: str = "test",
    seed: int = 0,
    **training: Any,
) -> TrainedBatchEnsemble:
    """Train a recipe's network as one batch or hyper-batch ensemble.

    Data, network, optimiser, rate, schedule, length and batch size come from the recipe; L2 and dropout too for a batch
    ensemble, while a hyper-batch ensemble learns their distributions.

    Parameters
    ----------
    recipe : str or Recipe
        What to train; a hyper-batch ensemble needs its split that tunes (for example ``validation=600``).
    members : int
        Number of members.
    hyper : bool
        Whether the members learn their hyperparameters (hyper-batch) or share the recipe's (batch).
    conversion : dict, optional
        Options of `runspread.nn.batch_ensemble` or `runspread.nn.hyper_batch_ensemble`.
    split, report_split : str
        Splits that tune and that are reported.
    seed : int
        Seed of initial weights, data order, dropout and hyperparameters.
    **training
        As for `runspread.nn.train_ensemble`, instead of what the recipe says.

    Returns
    -------
    TrainedBatchEnsemble
        The ensemble, its log, its scores.

    Raises
    ------
    InputError
        A recipe with a hinge loss or with masked tokens, which this trainer does not have; a missing split.
    TrainingError
        The loss is no longer finite.

    References
    ----------
    Wen et al. (2020), arXiv 2002.06715; Wenzel et al. (2020), arXiv 2006.13570.
    """
    chosen = make_recipe(recipe)
    _refuse(chosen)
    members = int(check_integers(members, "members", 1, None))
    dataset = load_dataset(chosen)
    shape, classes = tuple(dataset.example_shape), dataset.n_classes
    network = build_seeded(lambda: plain_network(chosen, shape, classes), seed)
    set_dropout_rates(network, chosen, RunPlan("", Seeds(), {}))
    generator = torch.Generator().manual_seed(seed)
    convert = hyper_batch_ensemble if hyper else batch_ensemble
    core = convert(network, members, generator=generator, **(conversion or {}))
    inputs, labels = _tensors(dataset, "train")
    settings: dict[str, Any] = {
        **_settings(chosen, hyper, len(labels)),
        "augment": _augmentation(chosen, seed, labels),
        **training,
    }
    tuning = _tensors(dataset, split) if hyper else None
    log = train_ensemble(core, inputs, labels, validation=tuning, seed=seed, **settings)
    scaling = (torch.from_numpy(dataset.mean), torch.from_numpy(dataset.std))
    facts = EnsembleFacts(
        members=tuple({"id": f"member {k}", "weight": 1 / members} for k in range(members)),
        conversion=conversion_of(core),
        recipe=chosen.identity(),
        shape=shape,
        n_classes=classes,
    )
    ensemble = Ensemble(EnsembleModule(core, [1 / members] * members, scaling), facts)
    reported = dataset.split(report_split)
    probabilities = ensemble.member_probabilities(reported.inputs)
    scored = scores(ArrayOutputs(probabilities, reported.labels, (), ensemble.member_ids), kind="probabilities")
    kind = "hyper-batch" if hyper else "batch"
    return TrainedBatchEnsemble(
        kind=kind, ensemble=ensemble, log=log, scores=scored, report_split=report_split, warnings=log.warnings
    )


def _refuse(recipe: Recipe) -> None:
    masks = any(parse_augmentation(text)[0] == "mask" for text in recipe.augment)
    for what, wanted in {"masked tokens": masks, "a hinge loss": recipe.loss == "hinge"}.items():
        if wanted:
            raise InputError(
                f"a recipe with {what}",
                "cross-entropy on whole examples",
                "Convert the network with runspread.nn and train it in a loop of your own.",
            )


def _augmentation(recipe: Recipe, seed: int, labels: Tensor) -> Callable[[Tensor, Tensor, int], Tensor] | None:
    """Return the recipe's augmentation of a batch that all members see."""
    augmenter = Augmenter(recipe.augment, [seed], labels.device)
    if not augmenter:
        return None
    return lambda x, rows, epoch: augmenter(x[None], labels[rows][None], rows[None], epoch)[0][0]


def _settings(recipe: Recipe, hyper: bool, examples: int) -> dict[str, Any]:
    """Return the recipe's part of `train_ensemble`'s arguments."""
    batch_size = recipe.batch_size or examples
    shared = {
        "steps": max(1, total_steps(recipe.epochs, recipe.steps, steps_per_epoch(examples, batch_size, False))),
        "batch_size": batch_size,
        "optimizer": recipe.optimizer,
        "lr": recipe.lr,
        "momentum": recipe.momentum,
        "schedule": recipe.schedule,
        "warmup": recipe.warmup,
        "drops": recipe.drops,
        "drop_factor": recipe.drop_factor,
    }
    if hyper:
        return shared
    return {**shared, "weight_decay": recipe.weight_decay, "l2": recipe.l2 / recipe.l2_reference}


def _tensors(dataset: Dataset, split: str) -> tuple[Tensor, Tensor]:
    rows = dataset.split(split)
    inputs = (torch.tensor(rows.inputs).float() - torch.from_numpy(dataset.mean)) / torch.from_numpy(dataset.std)
    return inputs, torch.tensor(rows.labels)
