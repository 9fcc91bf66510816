"""Batch and hyper-batch ensembles of a recipe's network, trained on its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from ..._checks import check_integers, check_keywords
from ..._reading.outputs import ArrayOutputs
from ..._results import Result, Table, json_safe, to_plain
from ...errors import InputError, RunspreadError
from ...methods.ensembles.proper_scores import Scores, ensemble_scores
from ...nn import (
    BatchEnsemble,
    EnsembleTraining,
    HyperBatchEnsemble,
    HyperBatchOptions,
    TrainingSettings,
    batch_ensemble,
    hyper_batch_ensemble,
    layer_hyperparameters,
    train_ensemble,
)
from ...studies.records import Seeds
from ..augment import Augmenter
from ..augmentations import parse_augmentation
from ..build import plain_network
from ..cadence import steps_per_epoch, total_steps
from ..checkpoints import read_checkpoint, start_from
from ..datasets import load_dataset
from ..datasets.base import Dataset, Split
from ..engine import choose_device
from ..hyperparameters import set_dropout_rates
from ..plan import PlannedRun
from ..recipes import Recipe
from ..recipes import recipe as make_recipe
from ..seeding import base_seed
from ..stack import build_seeded
from .artifact import Ensemble, EnsembleMetadata
from .conversion import conversion_of
from .members import EnsembleModule

_TAKEN_OVER = (
    "drop_last", "optimizer", "lr", "momentum", "nesterov", "beta1", "beta2", "eps", "schedule", "warmup", "drops",
    "drop_factor",
)  # fmt: skip


class BatchEnsembleSettings(TrainingSettings, total=False):
    """Optional keywords of `train_batch_ensemble`, besides those of `runspread.nn.TrainingSettings`.

    Attributes
    ----------
    conversion : mapping or None
        Options of `runspread.nn.batch_ensemble` (``factors``) or of `runspread.nn.HyperBatchOptions`.
    ranges : mapping or None
        Ranges of what a hyper-batch ensemble tunes: ``{"l2": (0.1, 100), "dropout": (1e-3, 0.5)}``; those of
        `runspread.nn.layer_hyperparameters` by default.
    split, report_split : str
        Splits that tune and that are reported (default "validation", "test").
    device : str
        "cpu", "cuda", "cuda:1" or "auto" (the default); the ensemble itself comes back on the CPU.
    progress : callable or None
        Called after every step with the steps done and those in all.
    """

    conversion: Mapping[str, Any] | None
    ranges: Mapping[str, Sequence[float]] | None
    split: str
    report_split: str
    device: str
    progress: Callable[[int, int], None] | None


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
        Scores of the ensemble and of its members on the report split.
    report_split : str
        Which split that is.
    """

    picture = ".plots:plot_trained_batch"

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
    seed: int = 0,
    **settings: Unpack[BatchEnsembleSettings],
) -> TrainedBatchEnsemble:
    """Train a recipe's network as one batch or hyper-batch ensemble.

    Data, network, checkpoint to start from, optimiser, learning rate, schedule, length, batches, augmentation and label
    smoothing come from the recipe. So do weight decay, L2 and dropout for a batch ensemble; a hyper-batch ensemble
    learns the distributions of L2 and dropout instead and has no weight decay. What the recipe says of recording has no
    meaning here.

    Parameters
    ----------
    recipe : str or Recipe
        What to train; a hyper-batch ensemble needs its split that tunes (for example ``validation=600``).
    members : int
        Number of members.
    hyper : bool
        Whether the members learn their hyperparameters (hyper-batch) or share the recipe's (batch).
    seed : int
        Seed of initial weights, data order, dropout and hyperparameters.
    **settings
        As `BatchEnsembleSettings` says, instead of what the recipe says: ``tuning_rate``, ``tau``, ``ranges``, ...

    Returns
    -------
    TrainedBatchEnsemble
        The ensemble, its log, its scores.

    Raises
    ------
    InputError
        A recipe with a hinge loss, masked tokens or an end at a loss, which this trainer does not have; a missing
        split; an unknown keyword.
    TrainingError
        The loss is no longer finite.

    References
    ----------
    Wen et al. (2020), arXiv 2002.06715; Wenzel et al. (2020), arXiv 2006.13570.

    Examples
    --------
    >>> import runspread as rs
    >>> small = rs.recipe("digits-mlp", epochs=1, hidden=(8,), validation=300, evaluate=("test", "validation"))
    >>> found = rs.training.train_batch_ensemble(small, members=2, hyper=False)
    >>> found.scores.n_examples
    360
    """
    own, training = _divided(settings)
    chosen = make_recipe(recipe)
    _refuse(chosen)
    members, seed = int(check_integers(members, "members", 1, None)), base_seed(seed)
    dataset = load_dataset(chosen)
    reported = dataset.split(own.report_split)
    network = build_seeded(lambda: _network(chosen, tuple(dataset.example_shape), dataset.n_classes), seed)
    conversion = {**_tuned(network, hyper, own.ranges), **(own.conversion or {})}
    core = _converted(network, members, hyper, conversion, seed)
    log, described = _trained(core, chosen, dataset, own, training, seed)
    facts = EnsembleMetadata(
        members=tuple({"id": f"member {k}", "weight": 1 / members} for k in range(members)),
        conversion=conversion_of(core),
        recipe=chosen.identity(),
        shape=tuple(dataset.example_shape),
        n_classes=dataset.n_classes,
        training=described,
    )
    scaling = (torch.from_numpy(dataset.mean), torch.from_numpy(dataset.std))
    ensemble = Ensemble(EnsembleModule(core, [1 / members] * members, scaling), facts, log)
    return TrainedBatchEnsemble(
        kind="hyper-batch" if hyper else "batch",
        ensemble=ensemble,
        log=log,
        scores=_scores(ensemble, reported),
        report_split=own.report_split,
        warnings=log.warnings,
    )


@dataclass(frozen=True, kw_only=True)
class _Own:
    """The settings that are not those of the training itself, with their defaults."""

    conversion: Mapping[str, Any] | None = None
    ranges: Mapping[str, Sequence[float]] | None = None
    split: str = "validation"
    report_split: str = "test"
    device: str = "auto"
    progress: Callable[[int, int], None] | None = None


def _divided(settings: Mapping[str, Any]) -> tuple[_Own, dict[str, Any]]:
    """Return the settings that are not of the training, and those that are."""
    check_keywords(settings, BatchEnsembleSettings.__annotations__, "training")
    training = {name: value for name, value in settings.items() if name in TrainingSettings.__annotations__}
    return _Own(**{name: value for name, value in settings.items() if name not in training}), training


def _trained(
    core: BatchEnsemble, recipe: Recipe, dataset: Dataset, own: _Own, training: Mapping[str, Any], seed: int
) -> tuple[EnsembleTraining, dict[str, Any]]:
    """Train the ensemble in place; return its log, and how it was trained as plain values."""
    place, hyper = torch.device(choose_device(own.device)), isinstance(core, HyperBatchEnsemble)
    inputs, labels = _tensors(dataset, "train", place)
    settings: dict[str, Any] = {**_settings(recipe, core, len(labels)), **training}
    if "epochs" in training and "steps" not in training:
        del settings["steps"]
    tuning = _tensors(dataset, own.split, place) if hyper else None
    options: dict[str, Any] = {"augment": _augmentation(recipe, seed, labels), **settings}
    core.to(place)
    log = train_ensemble(core, inputs, labels, validation=tuning, seed=seed, progress=own.progress, **options)
    core.cpu()
    return log, {
        "seed": seed,
        "tuned_on": own.split if hyper else None,
        "device": str(place),
        "conversion": _plain(own.conversion or {}),
        "settings": _plain(settings),
    }


def _scores(ensemble: Ensemble, split: Split) -> Scores:
    probabilities = ensemble.member_probabilities(split.inputs)
    outputs = ArrayOutputs(probabilities, split.labels, (), ensemble.member_ids)
    return ensemble_scores(outputs, kind="probabilities")


def _refuse(recipe: Recipe) -> None:
    masks = any(parse_augmentation(text)[0] == "mask" for text in recipe.augment)
    lacking = {
        "masked tokens": masks,
        "a hinge loss": recipe.loss == "hinge",
        f"stop_loss={recipe.stop_loss}": recipe.stop_loss is not None,
    }
    for what, wanted in lacking.items():
        if wanted:
            raise InputError(
                f"got a recipe with {what}",
                "cross-entropy on whole examples, for a fixed number of steps",
                "Convert the network with runspread.nn and train it in a loop of your own.",
            )


def _network(recipe: Recipe, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return the recipe's network as a run starts from it."""
    network = plain_network(recipe, shape, classes)
    if recipe.start_from is not None:
        start_from(network, read_checkpoint(recipe.start_from, recipe.fresh))
    return set_dropout_rates(network, recipe, PlannedRun("", Seeds(), {}))


def _tuned(network: nn.Module, hyper: bool, ranges: Mapping[str, Sequence[float]] | None) -> dict[str, Any]:
    """Return the hyperparameters that the ranges stand for, as an option of the converter."""
    if not ranges:
        return {}
    if not hyper:
        raise InputError("a batch ensemble tunes nothing, so ranges= has no meaning", "hyper=True, or no ranges")
    check_keywords(ranges, ("l2", "dropout"), "ranges")
    pairs: dict[str, Any] = {}
    for name, pair in ranges.items():
        numbers: list[Any] = list(pair) if isinstance(pair, (tuple, list)) else []
        if len(numbers) != 2 or not all(isinstance(v, (int, float)) for v in numbers):
            raise InputError(f"got range {pair!r} of {name}", "two numbers, the lower one first")
        pairs[name] = tuple(numbers)
    return {"hyperparameters": layer_hyperparameters(network, **pairs)}


def _converted(
    network: nn.Module, members: int, hyper: bool, options: Mapping[str, Any], seed: int
) -> BatchEnsemble | HyperBatchEnsemble:
    convert: Callable[..., BatchEnsemble] = hyper_batch_ensemble if hyper else batch_ensemble
    known = ("hyperparameters", *HyperBatchOptions.__annotations__) if hyper else ("factors",)
    check_keywords(options, known, "conversion")
    try:
        return convert(network, members, generator=torch.Generator().manual_seed(seed), **options)
    except RunspreadError:
        raise
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"conversion {dict(options)} that does not fit ({error})", f"options as runspread.nn.{convert.__name__} has"
        ) from error


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of some options that JSON can hold; what is called is omitted."""
    return json_safe({name: to_plain(value) for name, value in values.items() if not callable(value)})


def _augmentation(recipe: Recipe, seed: int, labels: Tensor) -> Callable[[Tensor, Tensor, int], Tensor] | None:
    """Return the recipe's augmentation of a batch that all members see."""
    augmenter = Augmenter(recipe.augment, [seed], labels.device)
    if not augmenter:
        return None
    return lambda x, rows, epoch: augmenter(x[None], labels[rows][None], rows[None], epoch)[0][0]


def _settings(recipe: Recipe, core: BatchEnsemble, examples: int) -> dict[str, Any]:
    """Return the recipe's part of `train_ensemble`'s arguments, without what a hyper-batch ensemble learns."""
    per_epoch = steps_per_epoch(examples, recipe.batch_size, recipe.drop_last)
    settings = {
        "steps": max(1, total_steps(recipe.epochs, recipe.steps, per_epoch)),
        "batch_size": recipe.batch_size or examples,
        **{name: getattr(recipe, name) for name in _TAKEN_OVER},
    }
    if isinstance(core, HyperBatchEnsemble):
        smoothing = 0.0 if core.tunes("label_smoothing") else recipe.label_smoothing
        return {**settings, "label_smoothing": smoothing}
    l2 = recipe.l2 / recipe.l2_reference
    penalties = {"weight_decay": recipe.weight_decay, "decay": recipe.decay, "l2": l2, "shared_l2": l2}
    return {**settings, **penalties, "label_smoothing": recipe.label_smoothing}


def _tensors(dataset: Dataset, split: str, device: torch.device) -> tuple[Tensor, Tensor]:
    rows = dataset.split(split)
    inputs = (torch.tensor(rows.inputs).float() - torch.from_numpy(dataset.mean)) / torch.from_numpy(dataset.std)
    return inputs.to(device), torch.tensor(rows.labels).to(device)
