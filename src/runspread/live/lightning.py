"""A callback and a logger for Lightning."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..importers.seeds import find_seeds
from ..studies.study import Study
from .following import Following, torch_seed


class LightningCallback(Following):
    """Records a training of ``lightning.Trainer`` as a run of a study: metrics, weights, predictions, and its failure.

    Hyperparameters are those that the module saved; a seed among them, or else the one that torch was given
    (``seed_everything``), is the seed of all roles.

    Parameters
    ----------
    study : Study or path
        Where the run goes; a path is opened, or created.
    predictions : mapping of str to data, optional
        For each split a data loader, or ``(inputs, labels)``, that the module is asked at the end.
    seeds, hyperparameters : optional
        Instead of, and beside, those that are found.
    weight_metrics, keep_weights : bool
        Whether to log the weight metrics after each epoch, and to keep the final weights.

    Examples
    --------
    ::

        recording = rs.live.LightningCallback("runs/mine", predictions={"test": test_loader})
        trainer = lightning.Trainer(max_epochs=10, callbacks=[recording])
        trainer.fit(module, train_loader, validation_loader)
    """

    _base = ("lightning.pytorch", "Callback")

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the run."""
        del trainer
        values = dict(getattr(pl_module, "hparams", None) or {})
        found = find_seeds(values, {}, {})
        plain = {name: value for name, value in values.items() if name not in found.taken}
        self.run.begin(dict(found.seeds) or torch_seed(), plain)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Log the metrics of the epoch, and the weight metrics."""
        step = int(trainer.global_step)
        self.run.log(step, dict(trainer.callback_metrics))
        self.run.model(step, pl_module)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Log the metrics of a validation."""
        del pl_module
        if not trainer.sanity_checking:
            self.run.log(int(trainer.global_step), dict(trainer.callback_metrics))

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Record predictions and weights, and publish the run."""
        del trainer
        self.run.end(pl_module)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Publish the run as failed."""
        del trainer, pl_module
        self.run.fail(exception)


class LightningLogger(Following):
    """Records what is logged in a training of ``lightning.Trainer`` as a run of a study, where a logger is wanted.

    It sees metrics and hyperparameters alone; `LightningCallback` records weights and predictions too.

    Parameters
    ----------
    study : Study or path
        Where the run goes; a path is opened, or created.
    seeds, hyperparameters : optional
        Instead of, and beside, those that are found.
    """

    _base = ("lightning.pytorch.loggers", "Logger")

    def __init__(
        self,
        study: Study | str | os.PathLike[str],
        *,
        seeds: Any = None,
        hyperparameters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(study, seeds=seeds, hyperparameters=hyperparameters)
        self._values: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """Name of the study's folder."""
        return self.run.study.path.name

    @property
    def version(self) -> str:
        """Id of the run, once it has begun."""
        return self.run.id or "0"

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Take the hyperparameters that a module saved."""
        del args, kwargs
        self._values |= dict(params if isinstance(params, Mapping) else vars(params))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics at a step."""
        found = find_seeds(self._values, {}, {})
        plain = {name: value for name, value in self._values.items() if name not in found.taken}
        self.run.begin(dict(found.seeds) or torch_seed(), plain)
        self.run.log(int(step or 0), {name: value for name, value in metrics.items() if name != "epoch"})

    def finalize(self, status: str) -> None:
        """Publish the run, as failed where the training was."""
        if status == "success":
            self.run.end()
        elif status in ("failed", "interrupted"):
            self.run.fail(RuntimeError(f"the training ended as {status}"))
