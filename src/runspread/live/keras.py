"""A callback for Keras."""

from __future__ import annotations

from typing import Any

from .following import Following


class KerasCallback(Following):
    """Records ``model.fit`` of Keras as a run of a study: metrics of every epoch, weights, predictions.

    Parameters
    ----------
    study : Study or path
        Where the run goes; a path is opened, or created.
    seeds : int, mapping or Seeds, optional
        Seeds by role: Keras does not keep the one that it was given.
    hyperparameters : mapping, optional
        What identifies the configuration, beside what ``fit`` was told.
    predictions : mapping of str to (inputs, labels), optional
        What the model is asked at the end.
    weight_metrics, keep_weights : bool
        Whether to log the weight metrics after each epoch, and to keep the final weights.

    Examples
    --------
    ::

        keras.utils.set_random_seed(3)
        recording = rs.live.KerasCallback("runs/mine", seeds=3, predictions={"test": (x_test, y_test)})
        model.fit(x, y, epochs=10, callbacks=[recording])
    """

    _base = ("keras.callbacks", "Callback")

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin the run."""
        del logs
        params: Any = getattr(self, "params", None) or {}
        self.run.begin(None, {name: params[name] for name in ("epochs", "steps") if name in params})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log the metrics of an epoch, and the weight metrics."""
        self.run.log(epoch, logs or {})
        self.run.model(epoch, self._model_of())

    def on_train_end(self, logs: Any = None) -> None:
        """Record predictions and weights, and publish the run."""
        del logs
        self.run.end(self._model_of())

    def _model_of(self) -> Any:
        return getattr(self, "model", None)
