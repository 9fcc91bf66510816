"""The formats that are read, in the order in which they are looked for."""

from __future__ import annotations

from . import (
    dvclive,
    huggingface,
    keras,
    lightning,
    mlflow_files,
    mlflow_sqlite,
    neptune,
    sacred,
    tabular,
    tensorboard,
    text_logs,
    trackio,
    wandb,
)
from .formats import Format

FORMATS: tuple[Format, ...] = (
    wandb.FORMAT,
    mlflow_sqlite.FORMAT,
    trackio.FORMAT,
    mlflow_files.FORMAT,
    sacred.FORMAT,
    huggingface.FORMAT,
    lightning.FORMAT,
    dvclive.FORMAT,
    tensorboard.FORMAT,
    keras.FORMAT,
    neptune.FORMAT,
)
PROPOSED: tuple[Format, ...] = (tabular.FORMAT, text_logs.FORMAT)  # read only where they are asked for
