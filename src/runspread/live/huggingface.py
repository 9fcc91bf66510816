"""A callback for Hugging Face's Trainer."""

from __future__ import annotations

from typing import Any

from ..importers.huggingface import TOLD
from .following import Following


class RunspreadCallback(Following):
    """Records a training of ``transformers.Trainer`` as a run of a study.

    Seeds and hyperparameters are those of the training arguments; metrics are what the Trainer logs. A training that
    stops without its end is kept as failed, with what it had logged.

    Parameters
    ----------
    study : Study or path
        Where the run goes; a path is opened, or created.
    predictions : mapping of str to data, optional
        For each split a data loader, or batches with ``labels``, that the model is asked at the end.
    hyperparameters : mapping, optional
        Beside those of the training arguments.
    weight_metrics, keep_weights : bool
        Whether to log the weight metrics whenever the Trainer logs, and to keep the final weights.

    Examples
    --------
    ::

        trainer = Trainer(model, args, train_dataset=train)
        trainer.add_callback(rs.live.RunspreadCallback("runs/mine", predictions={"test": test_loader}))
        trainer.train()
    """

    _base = ("transformers", "TrainerCallback")

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Begin the run with the seeds and hyperparameters of the arguments."""
        del state, control, others
        values = {name: getattr(args, name) for name in TOLD if hasattr(args, name)}
        plain = {name: getattr(value, "value", value) for name, value in values.items()}
        order = args.data_seed if getattr(args, "data_seed", None) is not None else args.seed
        self.run.begin({"init": args.seed, "order": order, "augment": args.seed}, plain)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **others: Any) -> None:
        """Log what the Trainer logs, and the weight metrics."""
        del args, control, others
        step = int(state.global_step)
        self.run.log(step, {name: value for name, value in (logs or {}).items() if name != "epoch"})
        if model is not None:
            self.run.model(step, model)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Record predictions and weights, and publish the run."""
        del args, state, control, others
        self.run.end(model)
