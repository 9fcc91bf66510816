"""Outputs of a trained model on named examples, whichever library it is of."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import to_numpy
from ..errors import InputError

_LABELS = ("labels", "label", "targets", "y")
_AT_ONCE = 1024  # examples of arrays that are handed in whole


def outputs_of(model: Any, source: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return a model's outputs [examples, columns] and the labels [examples].

    Parameters
    ----------
    model : module of torch, Keras model, or callable
        In training mode or not; it is left as it was.
    source : (inputs, labels), or iterable of batches
        A batch is ``(inputs, labels)`` or a mapping with ``labels``, as data loaders give them.
    """
    if hasattr(model, "predict") and not hasattr(model, "state_dict"):
        inputs, labels = _pair(source)
        return np.asarray(model.predict(inputs, verbose=0)), np.asarray(to_numpy(labels)).astype(np.int64)
    outputs: list[NDArray[Any]] = []
    classes: list[NDArray[Any]] = []
    with _evaluating(model):
        for inputs, labels in _batches(source):
            outputs.append(np.asarray(to_numpy(_logits(_called(model, inputs)))))
            classes.append(np.asarray(to_numpy(labels)))
    if not outputs:
        raise InputError("there are no examples to predict", "at least one batch")
    return np.concatenate(outputs), np.concatenate(classes).astype(np.int64)


def _pair(source: Any) -> tuple[Any, Any]:
    if isinstance(source, tuple) and len(source) == 2:
        return source
    raise InputError(f"the examples are a {type(source).__name__}", "(inputs, labels)")


def _batches(source: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(source, tuple) and len(source) == 2 and hasattr(source[0], "shape"):
        inputs, labels = source
        for start in range(0, len(labels), _AT_ONCE):
            yield inputs[start : start + _AT_ONCE], labels[start : start + _AT_ONCE]
        return
    for batch in source:
        if isinstance(batch, Mapping):
            name = next((name for name in _LABELS if name in batch), None)
            if name is None:
                raise InputError(f"a batch has {', '.join(map(str, batch))}", "labels among them")
            yield {key: value for key, value in batch.items() if key != name}, batch[name]
        else:
            yield batch[0], batch[1]


def _called(model: Any, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return model(**{key: _on_device(model, value) for key, value in inputs.items()})
    return model(_on_device(model, inputs))


def _on_device(model: Any, value: Any) -> Any:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(model, "parameters"):
        return value
    first = next(iter(model.parameters()), None)
    tensor = torch.as_tensor(value)
    return tensor if first is None else tensor.to(first.device)


def _logits(outputs: Any) -> Any:
    found = getattr(outputs, "logits", None)
    if found is not None:
        return found
    return outputs[0] if isinstance(outputs, (tuple, list)) else outputs


class _evaluating:
    """Puts a module into evaluation mode without gradients, and back."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.was = getattr(model, "training", None)
        self.torch = sys.modules.get("torch") if hasattr(model, "parameters") else None

    def __enter__(self) -> None:
        if self.was is not None and hasattr(self.model, "eval"):
            self.model.eval()
        if self.torch is not None:
            self.guard = self.torch.no_grad()
            self.guard.__enter__()

    def __exit__(self, *problem: Any) -> None:
        if self.torch is not None:
            self.guard.__exit__(*problem)
        if self.was:
            self.model.train()
