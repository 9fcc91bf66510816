"""SGD, Adam and AdamW on a stack: the arithmetic of ``torch.optim``, with coefficients that may differ by run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import check_choice

OPTIMIZERS = ("sgd", "adam", "adamw")
_BLOCK = 2**16  # elements that are updated at once: several tensors of this size stay in a core's cache
_SMALLEST_RATE = 1e-20  # a rate of 0 is taken as this, which moves no float32 weight and divides nothing by zero


@dataclass(frozen=True)
class Segment:
    """Consecutive parameters that share their coefficients.

    Attributes
    ----------
    start, stop : int
        Columns of the stack.
    lr, decay, coupled : Tensor [runs, 1]
        Base rate; coefficient of decoupled decay (times the rate); coefficient of the weights in the gradient.
    """

    start: int
    stop: int
    lr: Tensor
    decay: Tensor
    coupled: Tensor


class StackOptimizer:
    """Updates rows of parameters in place.

    Parameters
    ----------
    kind : {"sgd", "adam", "adamw"}
        AdamW is Adam whose segments carry `decay` instead of `coupled`.
    values, gradients : Tensor [runs, parameters]
        Parameters, and the gradients that are read at each step (and overwritten by it).
    segments : list of Segment
        Together all columns.
    momentum : Tensor [runs, 1]
        Momentum of SGD.
    options : mapping
        ``nesterov``, ``beta1``, ``beta2``, ``eps``.
    """

    def __init__(
        self,
        kind: str,
        values: Tensor,
        gradients: Tensor,
        segments: list[Segment],
        *,
        momentum: Tensor,
        options: Mapping[str, float],
    ) -> None:
        check_choice(kind, "optimizer", OPTIMIZERS)
        self.adaptive = kind != "sgd"
        self.values, self.gradients, self.segments = values, gradients, segments
        self._decays = [bool((segment.decay != 0).any()) for segment in segments]
        self._coupled = [bool((segment.coupled != 0).any()) for segment in segments]
        self.momentum, self.options, self.steps = momentum, options, 0
        needs_first = self.adaptive or bool((momentum != 0).any())
        self.first = torch.zeros_like(values) if needs_first else None
        self.second = torch.zeros_like(values) if self.adaptive else None

    def step(self, factor: float) -> None:
        """Do one update with every run's base rate times `factor`."""
        self.steps += 1
        for segment, decays, coupled in zip(self.segments, self._decays, self._coupled, strict=True):
            rate = segment.lr * factor
            for columns in _blocks(segment, len(self.values)):
                value, gradient = self.values[:, columns], self.gradients[:, columns]
                if coupled:
                    gradient.addcmul_(value, segment.coupled)
                if decays:
                    value.mul_(1 - rate * segment.decay)
                (self._adam if self.adaptive else self._sgd)(value, gradient, columns, rate)

    def _sgd(self, value: Tensor, gradient: Tensor, columns: slice, rate: Tensor) -> None:
        if self.first is None:
            value.addcmul_(gradient, rate, value=-1)
            return
        velocity = self.first[:, columns]
        velocity.mul_(self.momentum).add_(gradient)
        if self.options["nesterov"]:
            velocity = gradient.addcmul_(velocity, self.momentum)
        value.addcmul_(velocity, rate, value=-1)

    def _adam(self, value: Tensor, gradient: Tensor, columns: slice, rate: Tensor) -> None:
        """Move by ``-rate / c1 * m / (sqrt(v) / sqrt(c2) + eps)``, the rate folded into the denominator."""
        assert self.first is not None
        assert self.second is not None
        beta1, beta2, eps = (self.options[name] for name in ("beta1", "beta2", "eps"))
        first, second = self.first[:, columns], self.second[:, columns]
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        inverse = (beta1**self.steps - 1) / rate.clamp(min=_SMALLEST_RATE)
        denominator = torch.sqrt(second, out=gradient)
        denominator.mul_(inverse / (1 - beta2**self.steps) ** 0.5).add_(inverse * eps)
        value.addcdiv_(first, denominator)


def _blocks(segment: Segment, runs: int) -> Iterator[slice]:
    width = max(1, _BLOCK // runs)
    for start in range(segment.start, segment.stop, width):
        yield slice(start, min(start + width, segment.stop))
