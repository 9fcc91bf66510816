"""Recipes: what is trained, as one frozen record that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from .._checks import check_choice, check_keywords
from ..errors import InputError
from .augmentations import parse_augmentation
from .cadence import parse_cadence
from .catalog import CATALOG
from .datasets import DATASETS
from .models import MODELS
from .options import complete_options
from .user_code import load_object

# Hyperparameters that may differ between the runs of one stack; any other one that is searched starts a new stack.
PER_RUN = ("lr", "momentum", "weight_decay", "l2", "label_smoothing", "dropout")
GROUPED = ("lr", "weight_decay", "l2", "dropout")  # may be given for a part of the network: "l2.head"
# Where files lie is no part of what is trained; what is in them is told by the data's fingerprint.
_NOT_IDENTITY = ("data", "start_from")


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is trained: data set, model, optimiser, schedule, and what is recorded.

    Made by `recipe`; every field can be given to it as a keyword, and so can each option of the data set and the model.

    Attributes
    ----------
    name : str
        Name of the recipe that this one started from.
    dataset, dataset_options, data : str, dict, str or None
        Data set, its options, and where it is: a folder, a file, or the name of a hub data set.
    model, model_options : str, dict
        Network and its options. A model of the user's own is ``"file.py:function"``, called with the input shape, the
        number of outputs and the options.
    loss : {"cross_entropy", "hinge"}
        Mean over the examples of a batch.
    optimizer : {"sgd", "adam", "adamw"}
        As in ``torch.optim``; `weight_decay` is decoupled with "adamw" and added to the gradient with the other two.
    lr, momentum, nesterov, beta1, beta2, eps, weight_decay : float
        Hyperparameters of the optimiser. `lr` is the peak of the schedule.
    l2, l2_reference : float
        The loss gets ``l2 / l2_reference * sum(w ** 2)`` (no factor 1/2), with any optimiser.
    decay : {"all", "weights"}
        Whether `weight_decay` and `l2` act on all parameters or only on those with two axes or more.
    label_smoothing, dropout : float
        Share of the target that is spread over all classes; dropout rate of the network's dropout layers.
    schedule, warmup, drops, drop_factor : str, float, tuple of float, float
        "constant", "linear" (to 0), "cosine" (to 0) or "drops" (times `drop_factor` at each epoch of `drops`), after a
        linear warm-up from 0 over `warmup` epochs.
    epochs, steps : float or None, int or None
        Length of a training: one of the two.
    batch_size : int or None
        Examples per step; None is the whole training set.
    drop_last : bool
        Whether the last, smaller batch of an epoch is omitted.
    augment : tuple of str
        "flip", "crop:2", "shift:1", "cutout:12", in the order in which they are applied.
    stop_loss : float or None
        A run ends at the first recorded point where its loss on all training examples, in evaluation mode, is below
        this; "train" has to be evaluated.
    evaluate : tuple of str
        Splits that are evaluated while recording and whose predictions are kept at the end. With "train" among them,
        ``train_loss`` and ``train_accuracy`` are of that evaluation, else means over the batches since the last point.
    record : str
        How often: "none" (only at the end), "5 steps", "2 epochs", or "log 20" (20 log-spaced steps).
    weight_metrics : bool
        Whether the 14 metrics of the weights are recorded with the losses.
    predict_at, checkpoint_at : tuple of int
        Steps after which predictions and weights are kept besides the final ones.
    keep_weights : bool
        Whether the final weights are kept.
    logits_dtype : {"float16", "float32"}
        Type of recorded logits.
    start_from : str or None
        A safetensors file that every run starts from; what the file lacks or `fresh` names is drawn by the init seed.
    fresh : tuple of str
        Names of modules that `start_from` does not fill, such as the head.
    """

    name: str
    dataset: str
    dataset_options: dict[str, Any] = {}
    data: str | None = None
    model: str
    model_options: dict[str, Any] = {}
    loss: Literal["cross_entropy", "hinge"] = "cross_entropy"
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    l2: float = 0.0
    l2_reference: float = 45_000.0
    decay: Literal["all", "weights"] = "all"
    label_smoothing: float = 0.0
    dropout: float = 0.0
    schedule: Literal["constant", "linear", "cosine", "drops"] = "constant"
    warmup: float = 0.0
    drops: tuple[float, ...] = ()
    drop_factor: float = 0.1
    epochs: float | None = None
    steps: int | None = None
    stop_loss: float | None = None
    batch_size: int | None = None
    drop_last: bool = True
    augment: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ("test",)
    record: str = "none"
    weight_metrics: bool = False
    predict_at: tuple[int, ...] = ()
    checkpoint_at: tuple[int, ...] = ()
    keep_weights: bool = True
    logits_dtype: Literal["float16", "float32"] = "float16"
    start_from: str | None = None
    fresh: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice(self.dataset, "dataset", DATASETS)
        if ":" not in self.model:
            check_choice(self.model, "model", MODELS)
        if (self.epochs is None) == (self.steps is None):
            raise InputError(f"got epochs={self.epochs} and steps={self.steps}", "one of the two")
        parse_cadence(self.record)
        for text in self.augment:
            parse_augmentation(text)
        if self.loss == "hinge" and self.label_smoothing:
            raise InputError(
                f"got label_smoothing={self.label_smoothing} with a hinge loss", "0", "It has no distribution."
            )
        if self.stop_loss is not None and "train" not in self.evaluate:
            raise InputError(f"got stop_loss={self.stop_loss} and evaluate={self.evaluate}", "'train' among them")
        self._check_ranges()

    def _check_ranges(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"got {name}={value}", f"a number from {low} to {high}")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values that JSON can hold."""
        return msgspec.to_builtins(self)

    def identity(self) -> dict[str, Any]:
        """Return what makes this training what it is: all fields but where the data lie."""
        return {name: value for name, value in self.to_dict().items() if name not in _NOT_IDENTITY}

    def replace(self, **overrides: Any) -> Recipe:
        """Return a recipe with other values: fields, options of the model, options of the data set.

        Raises
        ------
        InputError
            Unknown keyword (the nearest name is suggested), or a value that the field does not take.
        """
        fields = dict(overrides)
        if "epochs" in fields or "steps" in fields:  # giving one withdraws the other
            fields = {"epochs": None, "steps": None} | fields
        for part in ("model", "dataset"):
            if fields.get(part, getattr(self, part)) != getattr(self, part):  # another one has other options
                fields = {f"{part}_options": {}} | fields
        base = self.to_dict() | {name: fields.pop(name) for name in list(fields) if name in self.__struct_fields__}
        return _complete(base, fields)


_RANGES: dict[str, tuple[float, float]] = {
    "lr": (0, 1e6),
    "momentum": (0, 1),
    "beta1": (0, 1),
    "beta2": (0, 1),
    "weight_decay": (0, 1e6),
    "l2": (0, 1e9),
    "l2_reference": (1e-9, 1e12),
    "label_smoothing": (0, 1),
    "dropout": (0, 0.999),
    "warmup": (0, 1e6),
    "drop_factor": (0, 1),
    "epochs": (0, 1e6),
    "steps": (0, 1e9),
    "stop_loss": (0, 1e6),
    "batch_size": (1, 1e7),
}


def recipe(name: str | Recipe, **overrides: Any) -> Recipe:
    """Return a recipe by name, with overrides.

    Parameters
    ----------
    name : str or Recipe
        One of the recipes that runspread brings (`recipe_names`), ``"my_recipe.py:recipe"`` for a recipe (or a function
        that returns one) in a file of yours, or a recipe.
    **overrides
        Fields of `Recipe`, options of its model (``hidden=(128,)``) and of its data set (``train_examples=2000``).

    Returns
    -------
    Recipe
        Frozen; ``to_dict()`` is plain JSON.

    Raises
    ------
    InputError
        Unknown recipe or keyword (with the nearest name), or a value that does not fit.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.recipe("digits-mlp", epochs=10, hidden=(128,)).epochs
    10.0
    """
    if isinstance(name, Recipe):
        return name.replace(**overrides)
    if ":" in name:
        return _own_recipe(name).replace(**overrides)
    check_choice(name, "recipe", CATALOG)
    return _complete({"name": name, **CATALOG[name]}, {}).replace(**overrides)


def _own_recipe(location: str) -> Recipe:
    """Return the recipe at ``file.py:name``: a `Recipe`, or a function without arguments that returns one."""
    found = load_object(location)
    made = found() if callable(found) else found
    if not isinstance(made, Recipe):
        raise InputError(f"{location} is a {type(made).__name__}", "a recipe, as rs.recipe returns it")
    return made


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that runspread brings.

    Examples
    --------
    >>> import runspread as rs
    >>> "digits-mlp" in rs.training.recipe_names()
    True
    """
    return tuple(sorted(CATALOG))


def recipe_from_dict(fields: Mapping[str, Any]) -> Recipe:
    """Return the recipe that `Recipe.to_dict` described."""
    return _complete(dict(fields), {})


def _complete(fields: dict[str, Any], options: Mapping[str, Any]) -> Recipe:
    """Return a recipe whose options are all there and of the right type; `options` go to the model or the data set."""
    dataset, model = fields.get("dataset", ""), fields.get("model", "")
    check_choice(dataset, "dataset", DATASETS)
    dataset_known = DATASETS[dataset].options
    own_model = ":" in model
    if not own_model:
        check_choice(model, "model", MODELS)
        known = {*Recipe.__struct_fields__, *MODELS[model].options, *dataset_known}
        check_keywords(options, known, "recipe")
    for_data = {name: value for name, value in options.items() if name in dataset_known}
    for_model = {name: value for name, value in options.items() if name not in dataset_known}
    data_options, model_options = fields.get("dataset_options", {}), fields.get("model_options", {})
    fields["dataset_options"] = complete_options(DATASETS, dataset, data_options | for_data, "dataset")
    merged = model_options | for_model
    fields["model_options"] = merged if own_model else complete_options(MODELS, model, merged, "model")
    try:
        return msgspec.convert(_tupled(fields), Recipe)
    except msgspec.ValidationError as error:
        raise InputError(f"a recipe that does not fit: {error}", "the types that the Recipe docstring names") from error


def _tupled(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with a lone value or a list where the record has a tuple turned into one."""
    tuples = ("drops", "augment", "evaluate", "predict_at", "checkpoint_at", "fresh")
    return {
        name: (value,) if name in tuples and not isinstance(value, (list, tuple)) else value
        for name, value in fields.items()
    }
