"""Data sets, networks and search spaces of the study of ensembles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import runspread as rs
from runspread.training import Recipe

KAPPA, SIZES = 50, (3, 5)
L2, DROPOUT = "loguniform(1e-3,1e3)", "loguniform(1e-3,0.9)"  # L2 is divided by 45,000
PARTS = {
    "mlp": (("layers.0", "layers.1", "layers.2"), ("dropouts.0", "dropouts.1")),
    "lenet": (("conv1", "conv2", "dense1", "dense2", "head"), ("drop1", "drop2")),
}
# The recipe's own configuration, candidate 0 of each search, is the middle of both ranges on a log scale.
COMMON: dict[str, Any] = {
    "optimizer": "adam",
    "schedule": "cosine",
    "l2": 1.0,
    "dropout": 0.03,
    "weight_decay": 0.0,
    "record": "none",
    "logits_dtype": "float32",
}


@dataclass(frozen=True, eq=False)
class Task:
    """One data set with one network.

    Attributes
    ----------
    name, base, fields : str, str, dict
        Name here; recipe that it starts from, and what it changes.
    repeats, batch_repeats, corrupted_repeats : int
        Repeats in all; with batch and hyper-batch ensembles; with corrupted images.
    data : str
        Which folder: "mnist", "cifar10", or none.
    published : dict of str to tuple
        Mean test NLL at K = 3 and 5 of the prototype that the specification reports (its 9.2).
    """

    name: str
    base: str
    fields: dict[str, Any]
    repeats: int
    batch_repeats: int = 0
    corrupted_repeats: int = 0
    data: str = ""
    published: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])

    @property
    def network(self) -> str:
        return rs.recipe(self.base, **self.fields).model

    @property
    def pool(self) -> int:
        return int(self.fields.get("pool", 1))

    @property
    def space(self) -> dict[str, str]:
        """L2 of every layer and rate of every dropout layer."""
        layers, dropouts = PARTS[self.network]
        return {**{f"l2.{name}": L2 for name in layers}, **{f"dropout.{name}": DROPOUT for name in dropouts}}

    def recipe(self, repeat: int, folders: dict[str, str]) -> Recipe:
        """Return the recipe of a repeat: each has a split of its own."""
        data = {"data": folders[self.data]} if self.data else {}
        return rs.recipe(self.base, **COMMON, **self.fields, **data, split_seed=repeat)


def _published(*rows: tuple[float, float]) -> dict[str, tuple[float, float]]:
    names = ("single", "deep", "fixed-init hyper", "hyper", "same-budget hyper", "hyper-deep", "top-K")
    return dict(zip(names, rows, strict=True))


_MNIST = {"train_examples": 3000, "validation": 1500, "test_examples": 5000, "batch_size": 75, "lr": 1e-3}
_CIFAR = {"train_examples": 6000, "validation": 2000, "test_examples": 5000, "batch_size": 100, "lr": 1e-3, "pool": 2}
_MLP = {"model": "mlp", "hidden": (100, 100), "init": "he"}
TASKS = (
    Task(
        "digits",
        "digits-mlp",
        {
            "hidden": (64, 64), "init": "he", "epochs": 40, "batch_size": 50, "lr": 2e-3,
            "train_examples": 1200, "validation": 600, "test_examples": 597,
        },
        repeats=20,
        batch_repeats=5,
        published=_published(
            (0.1326, 0.1301), (0.1167, 0.1126), (0.1305, 0.1304), (0.1057, 0.1036), (0.1056, 0.1038),
            (0.1153, 0.1113), (0.1052, 0.1035),
        ),
    ),
    Task(
        "mnist",
        "mnist-lenet",
        {**_MLP, **_MNIST, "epochs": 25},
        repeats=10,
        batch_repeats=5,
        corrupted_repeats=3,
        data="mnist",
        published=_published(
            (0.2827, 0.2823), (0.2687, 0.2650), (0.2809, 0.2799), (0.2625, 0.2546), (0.2631, 0.2552),
            (0.2664, 0.2613), (0.2634, 0.2602),
        ),
    ),
    Task(
        "cifar-16",
        "mnist-lenet",
        {**_MLP, **_CIFAR, "epochs": 20},
        repeats=8,
        batch_repeats=3,
        corrupted_repeats=3,
        data="cifar10",
        published=_published(
            (1.6267, 1.6249), (1.5925, 1.5842), (1.6068, 1.6023), (1.5826, 1.5741), (1.5827, 1.5735),
            (1.5884, 1.5763), (1.5871, 1.5805),
        ),
    ),
    Task(
        "mnist-lenet",
        "mnist-lenet",
        {**_MNIST, "epochs": 5},
        repeats=5,
        batch_repeats=2,
        corrupted_repeats=1,
        data="mnist",
    ),
    Task(
        "cifar-16-lenet",
        "mnist-lenet",
        {**_CIFAR, "epochs": 4},
        repeats=2,
        batch_repeats=1,
        corrupted_repeats=1,
        data="cifar10",
    ),
)  # fmt: skip
