"""How a batch or hyper-batch ensemble is trained: the settings, their defaults, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from torch import Tensor

from .._checks import check_choice, check_integers, check_keywords
from ..errors import InputError
from ._ensembles import BatchEnsemble, HyperBatchEnsemble

Augment = Callable[[Tensor, Tensor, int], Tensor]
OPTIMIZERS = ("adam", "adamw", "sgd")
DECAYS = ("all", "weights")
_UNIT = ("momentum", "beta1", "beta2", "label_smoothing")  # from 0 to 1
_NOT_NEGATIVE = ("lr", "factor_rate", "tuning_rate", "weight_decay", "eps", "shared_l2", "tau", "tuning_warmup")


class TrainingSettings(TypedDict, total=False):
    """Settings of `train_ensemble`, all of them optional keywords; those that a recipe has are called as there.

    Attributes
    ----------
    epochs, steps : int, int or None
        Length of the training (default 20 epochs); `steps`, where given, instead of `epochs`.
    batch_size : int
        Examples per step, the same for every member (default 128).
    drop_last : bool
        Whether the last, smaller batch of an epoch is omitted (default False).
    augment : callable or None
        Called with a batch's inputs, the positions of its examples in the training set [batch] and the epoch; returns
        the inputs to train on.
    optimizer : {"adam", "adamw", "sgd"}
        For the weights (default "adam").
    lr : float
        Base learning rate (default 1e-3).
    momentum, nesterov : float, bool
        Momentum of SGD, and whether it is Nesterov's (0.9, True).
    beta1, beta2, eps : float
        Coefficients of Adam and AdamW (0.9, 0.999, 1e-8).
    weight_decay : float
        The optimiser's weight decay, on all weights but the factors (default 0).
    decay : {"all", "weights"}
        Whether `weight_decay`, `l2` and `shared_l2` act on all parameters but the factors (the default), or only on
        those that have two axes or more in a single network: not on biases and batch normalisation.
    label_smoothing : float
        Share of the target that is spread over all classes (default 0); for a hyper-batch ensemble only where it does
        not tune that itself.
    schedule : {"constant", "linear", "cosine", "drops"}
        Learning-rate schedule (default "constant").
    warmup : float
        Epochs of linear warm-up (default 0).
    drops, drop_factor : tuple of float, float
        Epochs at which ``"drops"`` multiplies the learning rate by `drop_factor` (default and published: 0.2).
    factor_rate : float
        Learning rate of the rank-one factors relative to the others (default 0.5).
    l2 : float or mapping
        Coefficient of the summed squares of kernels and biases, or one for each pattern of layer names (default 0); for
        batch ensembles (a hyper-batch ensemble brings its own penalty).
    shared_l2 : float
        Coefficient of the summed squares of the parameters that all members share besides the kernels
        (`BatchEnsemble.shared`), such as those of batch normalisation (default 0). Published for hyper-batch ensembles:
        15, divided by the number of training examples.
    tuning_every : int
        Training steps per tuning step (default 3).
    tuning_rate : float
        Adam's learning rate for the bounds, in log units (default 1e-3, as published for many thousand tuning steps;
        0.01 to 0.03 for a few hundred). Where it is too fast, the weights do not follow, and an alarm says that the
        tuning loss rises.
    tuning_warmup : int
        Training steps before the first tuning step (default 0).
    tau : float
        Weight of the mean entropy (default 1e-3).
    """

    epochs: int
    steps: int | None
    batch_size: int
    drop_last: bool
    augment: Augment | None
    optimizer: str
    lr: float
    momentum: float
    nesterov: bool
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decay: str
    label_smoothing: float
    schedule: str
    warmup: float
    drops: tuple[float, ...]
    drop_factor: float
    factor_rate: float
    l2: float | Mapping[str, float]
    shared_l2: float
    tuning_every: int
    tuning_rate: float
    tuning_warmup: int
    tau: float


@dataclass(frozen=True, kw_only=True)
class CheckedSettings:
    """`TrainingSettings` with their defaults, checked."""

    epochs: int = 20
    steps: int | None = None
    batch_size: int = 128
    drop_last: bool = False
    augment: Augment | None = None
    optimizer: str = "adam"
    lr: float = 1e-3
    momentum: float = 0.9
    nesterov: bool = True
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    decay: str = "all"
    label_smoothing: float = 0.0
    schedule: str = "constant"
    warmup: float = 0.0
    drops: tuple[float, ...] = ()
    drop_factor: float = 0.2
    factor_rate: float = 0.5
    l2: float | Mapping[str, float] = 0.0
    shared_l2: float = 0.0
    tuning_every: int = 3
    tuning_rate: float = 1e-3
    tuning_warmup: int = 0
    tau: float = 1e-3

    def __post_init__(self) -> None:
        check_choice(self.optimizer, "optimizer", OPTIMIZERS)
        check_choice(self.decay, "decay", DECAYS)
        for name in (*_NOT_NEGATIVE, *_UNIT):
            value, high = getattr(self, name), 1.0 if name in _UNIT else math.inf
            if not isinstance(value, (int, float)) or not 0 <= value <= high or math.isinf(value):
                raise InputError(f"got {name}={value!r}", f"a number from 0{'' if math.isinf(high) else ' to 1'}")
        check_integers(self.tuning_every, "tuning_every", 1, None)
        check_integers(self.batch_size, "batch_size", 1, None)

    @property
    def kernels_only(self) -> bool:
        """Whether penalties act on kernels alone."""
        return self.decay == "weights"

    def steps_per_epoch(self, examples: int) -> int:
        """Return how many batches the training set has."""
        if self.drop_last and self.batch_size > examples:
            raise InputError(
                f"got batch_size={self.batch_size} with {examples} examples and drop_last", "no more than there are"
            )
        return examples // self.batch_size if self.drop_last else -(-examples // self.batch_size)

    def total_steps(self, per_epoch: int) -> int:
        """Return the length of the training."""
        epochs = int(check_integers(self.epochs, "epochs", 1, None))
        total = epochs * per_epoch if self.steps is None else self.steps
        check_integers(total, "steps", 1, None)
        return total

    def refuse_untuned(self, ensemble: BatchEnsemble) -> None:
        """Refuse a fixed value of what a hyper-batch ensemble learns."""
        if not isinstance(ensemble, HyperBatchEnsemble):
            return
        if self.l2 != 0.0:
            raise InputError("got l2 for a hyper-batch ensemble", "an l2 hyperparameter, which it learns")
        if self.label_smoothing and ensemble.tunes("label_smoothing"):
            raise InputError(
                f"got label_smoothing={self.label_smoothing} for an ensemble that tunes it", "one of the two"
            )


def settled(given: Mapping[str, Any]) -> CheckedSettings:
    """Return the settings that were given, with the defaults of the others."""
    check_keywords(given, TrainingSettings.__annotations__, "training")
    return CheckedSettings(**given)
