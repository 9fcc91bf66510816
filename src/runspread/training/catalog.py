"""The recipes that runspread brings, by name, with the hyperparameters that were published for them.

Sources, named at each recipe: [H] Hu et al., Latent State Models of Training Dynamics (TMLR 2023) and its released
code; [J] Jordan, On the Variance of Neural Network Training (ICLR 2024); [W] Wenzel et al., Hyperparameter Ensembles
for Robustness and Uncertainty Quantification (NeurIPS 2020) and its released code; [C] the corpus of the 2020
predicting-generalisation contest, as used by Martin and Mahoney (2021). "Ours" marks what no source fixes.
"""

from __future__ import annotations

from typing import Any

_FLIP_CROP = ("flip", "crop:2")

# [W] 200 epochs, batch 512, Nesterov, peak 0.4, drops by 0.2 at 60, 120, 160, warm-up of one epoch, L2 of 2e-4.
_WENZEL_CIFAR: dict[str, Any] = {
    "dataset": "images",
    "optimizer": "sgd",
    "lr": 0.4,
    "momentum": 0.9,
    "nesterov": True,
    "l2": 2e-4,
    "l2_reference": 1.0,
    "schedule": "drops",
    "drops": (60, 120, 160),
    "drop_factor": 0.2,
    "warmup": 1,
    "epochs": 200,
    "batch_size": 512,
    "augment": _FLIP_CROP,
    "record": "10 epochs",
}

# [J] lr 0.5, momentum 0.9, weight decay 5e-4, batch 500, linear to 0, flip, 2-pixel translation, 12-pixel cutout.
_RESNET9: dict[str, Any] = {
    "dataset": "images",
    "model": "resnet9",
    "optimizer": "sgd",
    "lr": 0.5,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "schedule": "linear",
    "epochs": 64,
    "batch_size": 500,
    "augment": ("flip", "shift:2", "cutout:12"),
    "record": "4 epochs",
}

# [H] one-layer transformer on x + y mod 113, 30 % of the pairs, batch 2048, AdamW 1e-3, weight decay 1.
_MODULAR: dict[str, Any] = {
    "dataset": "modular-addition",
    "model": "modular-transformer",
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 1.0,
    "epochs": 10_000,
    "batch_size": 2048,
    "drop_last": False,
    "record": "25 epochs",  # [H] has 10, which costs more than a tenth of the training
    "weight_metrics": True,
}

# [H] MLP with 128 hidden units, batch 32 (32 steps an epoch of 1000), SGD 0.1, weight decay 0.01 (coupled), hinge loss.
_PARITY: dict[str, Any] = {
    "dataset": "sparse-parity",
    "model": "mlp",
    "model_options": {"hidden": (128,), "init": "xavier"},
    "loss": "hinge",
    "optimizer": "sgd",
    "lr": 0.1,
    "weight_decay": 0.01,
    "epochs": 1000,
    "batch_size": 32,
    "drop_last": False,
    "record": "10 epochs",
    "weight_metrics": True,
}

# [C] VGG-like, 3 blocks of (conv, conv, pool), dense layers of 128; optimiser as for the second task there.
_VGG: dict[str, Any] = {
    "dataset": "images",
    "model": "vgg",
    "optimizer": "sgd",
    "lr": 0.01,
    "momentum": 0.9,
    "schedule": "drops",
    "drops": (300, 600, 900),
    "drop_factor": 0.2,
    "epochs": 1200,
    "batch_size": 128,
    "record": "20 epochs",
}

# Ours: a small BERT-style encoder on characters; rates and decay as usual for BERT at this size.
_TEXT: dict[str, Any] = {
    "dataset": "text",
    "model": "masked-encoder",
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.01,
    "decay": "weights",
    "dropout": 0.1,
    "schedule": "linear",
    "warmup": 0.5,
    "epochs": 10,
    "batch_size": 128,
    "augment": ("mask:15",),
    "record": "1 epoch",
}

CATALOG: dict[str, dict[str, Any]] = {
    # [H] applied to digits: AdamW 1e-3, batch 128, 40 epochs.
    "digits-mlp": {
        "dataset": "digits",
        "model": "mlp",
        "model_options": {"hidden": (128,), "init": "xavier"},
        "optimizer": "adamw",
        "lr": 1e-3,
        "weight_decay": 0.01,
        "epochs": 40,
        "batch_size": 128,
        "record": "5 epochs",
    },
    # [H] 784-800-10, batch 256, 250 checkpoints of 20 steps; weight decay as the released code runs it.
    "mnist-mlp": {
        "dataset": "images",
        "model": "mlp",
        "model_options": {"hidden": (800,), "init": "xavier"},
        "optimizer": "adamw",
        "lr": 1e-3,
        "weight_decay": 0.01,
        "steps": 5000,
        "batch_size": 256,
        "record": "500 steps",
    },
    # Ours, after [J]: MNIST averaged to 14 x 14, shifts of a pixel, rate linear to 0.
    "mnist-mlp-small": {
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
    },
    # [W] names the network and the searched dropout and L2; the optimiser is ours.
    "mnist-lenet": {
        "dataset": "images",
        "model": "lenet",
        "optimizer": "adam",
        "lr": 1e-3,
        "schedule": "cosine",
        "epochs": 10,
        "batch_size": 128,
        "record": "1 epoch",
    },
    "cifar10-resnet9": _RESNET9,
    "cifar10-resnet9-small": _RESNET9
    | {
        "dataset_options": {"train_examples": 5000, "test_examples": 2000},
        "model_options": {"width": 8},
        "epochs": 8,
        "batch_size": 250,
        "record": "2 epochs",
    },
    "cifar10-resnet20": _WENZEL_CIFAR | {"model": "resnet20"},
    "cifar10-resnet20-small": _WENZEL_CIFAR
    | {
        "model": "resnet20",
        "dataset_options": {"train_examples": 5000, "test_examples": 2000},
        "model_options": {"blocks": 1, "width": 8},
        "lr": 0.1,
        "epochs": 10,
        "drops": (3, 6, 8),
        "batch_size": 128,
        "record": "2 epochs",
    },
    # [H] ResNet-18 with a 3x3 stem, AdamW 1e-3, batch 256, crop and flip; epochs are ours.
    "cifar10-resnet18": {
        "dataset": "images",
        "model": "resnet18",
        "optimizer": "adamw",
        "lr": 1e-3,
        "weight_decay": 0.01,
        "epochs": 30,
        "batch_size": 256,
        "augment": ("flip", "crop:4"),
        "record": "1 epoch",
    },
    "cifar10-wrn28x10": _WENZEL_CIFAR | {"model": "wide-resnet"},
    "cifar10-wrn28x10-small": _WENZEL_CIFAR
    | {
        "model": "wide-resnet",
        "dataset_options": {"train_examples": 2000, "test_examples": 1000},
        "model_options": {"depth": 10, "width": 1},
        "lr": 0.1,
        "epochs": 10,
        "drops": (3, 6, 8),
        "batch_size": 128,
        "record": "2 epochs",
    },
    "cifar10-vgg": _VGG,
    # Ours: 16 x 16 pixels, 2,000 images, narrow blocks.
    "cifar10-vgg-small": _VGG
    | {
        "dataset_options": {"pool": 2, "train_examples": 2000, "test_examples": 1000},
        "model_options": {"width": 16, "dense_width": 64},
        "epochs": 20,
        "drops": (10, 15),
        "batch_size": 64,
        "record": "2 epochs",
    },
    # Ours: 16 x 16 pixels, 4,000 images, perceptrons; the corpus on which scale and shape of weights are compared.
    "cifar10-mlp-small": {
        "dataset": "images",
        "dataset_options": {"pool": 2, "scale": "feature", "train_examples": 4000, "test_examples": 5000},
        "model": "mlp",
        "model_options": {"hidden": (256, 256), "init": "torch"},
        "optimizer": "sgd",
        "lr": 0.004,
        "momentum": 0.9,
        "epochs": 80,
        "batch_size": 64,
        "drop_last": False,
        "stop_loss": 0.01,
        "evaluate": ("train", "test"),
        "record": "1 epoch",
    },
    "modular-addition": _MODULAR,
    # Ours, after [H]: p = 31, half of the pairs, full batch, rate 3e-3, second beta 0.98.
    "modular-addition-small": _MODULAR
    | {
        "dataset_options": {"p": 31, "fraction": 0.5},
        "model_options": {"width": 48, "hidden": 192},
        "lr": 3e-3,
        "beta2": 0.98,
        "epochs": 6000,
        "batch_size": None,
        "record": "120 epochs",
    },
    # [H] layer norm after each residual sum, batch 256.
    "modular-addition-stable": _MODULAR
    | {"model_options": {"layer_norm": True}, "batch_size": 256, "epochs": 1000, "record": "10 epochs"},
    # Ours, after [H]: p = 53, 40 % of the pairs, batch 128, rate 3e-3, 200 epochs.
    "modular-addition-stable-small": _MODULAR
    | {
        "dataset_options": {"p": 53, "fraction": 0.4},
        "model_options": {"width": 64, "hidden": 256, "layer_norm": True},
        "lr": 3e-3,
        "epochs": 200,
        "batch_size": 128,
        "record": "5 epochs",
    },
    "sparse-parity": _PARITY,
    "sparse-parity-small": _PARITY | {"epochs": 300},
    "text-mlm": _TEXT | {"model_options": {"width": 256, "heads": 8, "depth": 4}},
    "text-mlm-small": _TEXT
    | {
        "dataset_options": {"length": 32},
        "model_options": {"width": 64, "heads": 4, "depth": 2},
        "epochs": 2,
    },
}
