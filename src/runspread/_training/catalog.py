"""The recipes that runspread brings, by name, with the hyperparameters that were published for them."""

from __future__ import annotations

from typing import Any

# Hu et al., Latent State Models of Training Dynamics (TMLR 2023), section 4 and appendix: MLP with AdamW, 1e-3.
_DIGITS_MLP: dict[str, Any] = {
    "dataset": "digits",
    "model": "mlp",
    "model_options": {"hidden": (128,), "init": "xavier"},
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.01,
    "epochs": 40,
    "batch_size": 128,
    "record": "5 epochs",
}

# The same source: MNIST with 784-800-10, batch 256, 250 checkpoints of 20 steps (weight decay as in the released code).
_MNIST_MLP: dict[str, Any] = {
    "dataset": "images",
    "model": "mlp",
    "model_options": {"hidden": (800,), "init": "xavier"},
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.01,
    "steps": 5000,
    "batch_size": 256,
    "record": "500 steps",
}

# A small network on MNIST averaged to 14 x 14, after the set-up in which Jordan (ICLR 2024) is re-created on a CPU.
_MNIST_MLP_SMALL: dict[str, Any] = {
    "dataset": "images",
    "dataset_options": {"pool": 2, "scale": "unit"},
    "model": "mlp",
    "model_options": {"hidden": (64, 64), "init": "he"},
    "optimizer": "sgd",
    "lr": 0.1,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "decay": "weights",
    "schedule": "linear",
    "epochs": 10,
    "batch_size": 100,
    "augment": ("shift:1",),
    "record": "1 epoch",
}

CATALOG: dict[str, dict[str, Any]] = {
    "digits-mlp": _DIGITS_MLP,
    "mnist-mlp": _MNIST_MLP,
    "mnist-mlp-small": _MNIST_MLP_SMALL,
}
