"""SGD, Adam and AdamW on a stack: the arithmetic of ``torch.optim``, with coefficients that may differ by run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .._checks import check_choice

OPTIMIZERS = ("sgd", "adam", "adamw")
_KERNELS: Any = torch  # those of torch.optim's ``fused=True``: one pass over memory; torch has no stubs for them
_BLOCK = 2**16  # numbers that are updated at once: several tensors of this size stay in a core's cache
_SMALLEST_RATE = 1e-20  # a rate of 0 is taken as this, which moves no float32 weight and divides nothing by zero


@dataclass(frozen=True)
class Segment:
    """Consecutive parameters that share their coefficients.

    Attributes
    ----------
    start, stop : int
        Numbers of one run before its begin and before its end.
    lr, decay, coupled : Tensor, [] where all runs share it, or [runs, 1]
        Base learning rate; coefficient of decoupled decay (times the learning rate); coefficient of the weights in
        the gradient.
    """

    start: int
    stop: int
    lr: Tensor
    decay: Tensor
    coupled: Tensor

    @property
    def by_run(self) -> bool:
        """Whether a coefficient differs between runs: the segment is then one parameter, and is seen as [runs, n]."""
        return max(self.lr.ndim, self.decay.ndim, self.coupled.ndim) > 0


class StackOptimizer:
    """Updates the parameters of a stack in place.

    Parameters
    ----------
    kind : {"sgd", "adam", "adamw"}
        AdamW is Adam whose segments carry `decay` instead of `coupled`.
    values, gradients : Tensor [runs * parameters]
        Parameters, and the gradients that are read at each step (and overwritten by it); one block a parameter, which
        holds that parameter of all runs.
    runs : int
        How many runs.
    segments : list of Segment
        Together all parameters.
    momentum : Tensor, [] or [runs, 1]
        Momentum of SGD; [] where a segment is of several parameters.
    options : mapping
        ``nesterov``, ``beta1``, ``beta2``, ``eps``.
    """

    def __init__(
        self,
        kind: str,
        values: Tensor,
        gradients: Tensor,
        runs: int,
        segments: list[Segment],
        *,
        momentum: Tensor,
        options: Mapping[str, float],
    ) -> None:
        check_choice(kind, "optimizer", OPTIMIZERS)
        self.adaptive = kind != "sgd"
        self.values, self.gradients, self.runs = values, gradients, runs
        self.momentum, self.options, self.steps = momentum, options, 0
        needs_first = self.adaptive or bool((momentum != 0).any())
        self.first = torch.zeros_like(values) if needs_first else values.new_empty(0)
        self.second = torch.zeros_like(values) if self.adaptive else values.new_empty(0)
        self._updates = [self._update(segment) for segment in segments]

    def step(self, factor: float) -> None:
        """Do one update with every run's base learning rate times `factor`."""
        self.steps += 1
        for update in self._updates:
            update(factor)

    def _update(self, segment: Segment) -> Callable[[float], None]:
        """Return the call that updates a segment: torch's own kernel, unless it cannot know what the runs differ in."""
        decays, coupled = (bool((c != 0).any()) for c in (segment.decay, segment.coupled))
        if segment.lr.ndim or segment.decay.ndim or self.momentum.ndim or (decays and not self.adaptive):
            return partial(self._written_out, segment, decays, coupled)
        if segment.coupled.ndim or (decays and coupled):
            return self._penalised(segment, self._update(replace(segment, coupled=torch.zeros_like(segment.lr))))
        return self._fused_adam(segment, decays) if self.adaptive else self._fused_sgd(segment)

    def _penalised(self, segment: Segment, update: Callable[[float], None]) -> Callable[[float], None]:
        """Return the call that adds each run's own multiple of the weights to its gradient, then updates."""
        span, shape = slice(self.runs * segment.start, self.runs * segment.stop), (self.runs, -1)
        if not segment.by_run:
            shape = (-1,)
        value, gradient = self.values[span].view(shape), self.gradients[span].view(shape)

        def step(factor: float) -> None:
            gradient.addcmul_(value, segment.coupled)
            update(factor)

        return step

    def _fused_sgd(self, segment: Segment) -> Callable[[float], None]:
        span = slice(self.runs * segment.start, self.runs * segment.stop)
        velocity = [self.first[span]] if len(self.first) else []
        update = partial(
            _KERNELS._fused_sgd_,
            [self.values[span]],
            [self.gradients[span]],
            velocity,
            momentum=float(self.momentum),
            weight_decay=float(segment.coupled),
            nesterov=bool(self.options["nesterov"] and velocity),
            dampening=0.0,
            maximize=False,
            is_first_step=False,  # the velocity starts at 0, which comes to the same
        )
        rate = float(segment.lr)
        return lambda factor: update(lr=rate * factor)

    def _fused_adam(self, segment: Segment, decoupled: bool) -> Callable[[float], None]:
        span = slice(self.runs * segment.start, self.runs * segment.stop)
        moments = [self.values, self.gradients, self.first, self.second]
        count = torch.zeros((), device=self.values.device)
        update = partial(
            _KERNELS._fused_adamw_ if decoupled else _KERNELS._fused_adam_,
            *([tensor[span]] for tensor in moments),
            [],
            [count],
            weight_decay=float(segment.decay if decoupled else segment.coupled),
            **{name: self.options[name] for name in ("beta1", "beta2", "eps")},
            amsgrad=False,
            maximize=False,
        )
        rate = float(segment.lr)

        def step(factor: float) -> None:
            count.add_(1)
            update(lr=rate * factor)

        return step

    def _written_out(self, segment: Segment, decays: bool, coupled: bool, factor: float) -> None:
        rate = segment.lr * factor
        for value, gradient, first, second in self._blocks(segment):
            if coupled:
                gradient.addcmul_(value, segment.coupled)
            if decays:
                value.mul_(1 - rate * segment.decay)
            if self.adaptive:
                self._adam(value, gradient, first, second, rate)
            else:
                self._sgd(value, gradient, first, rate)

    def _blocks(self, segment: Segment) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield values, gradients and both moments of a segment, block by block."""
        tensors = (self.values, self.gradients, self.first, self.second)
        start, stop = self.runs * segment.start, self.runs * segment.stop
        size = segment.stop - segment.start
        shape, width = (-1,), _BLOCK if self.values.device.type == "cpu" else self.runs * size
        if segment.by_run or self.momentum.ndim:
            shape, width = (self.runs, size), max(1, width // self.runs)
        whole = [tensor[start:stop].view(shape) if len(tensor) else tensor for tensor in tensors]
        for at in range(0, whole[0].shape[-1], width):
            values, gradients, first, second = (tensor[..., at : at + width] for tensor in whole)
            yield values, gradients, first, second

    def _sgd(self, value: Tensor, gradient: Tensor, velocity: Tensor, rate: Tensor) -> None:
        if not len(self.first):
            value.addcmul_(gradient, rate, value=-1)
            return
        velocity.mul_(self.momentum).add_(gradient)
        if self.options["nesterov"]:
            velocity = gradient.addcmul_(velocity, self.momentum)
        value.addcmul_(velocity, rate, value=-1)

    def _adam(self, value: Tensor, gradient: Tensor, first: Tensor, second: Tensor, rate: Tensor) -> None:
        """Move by ``-rate / c1 * m / (sqrt(v) / sqrt(c2) + eps)``, the rate folded into the denominator."""
        beta1, beta2, eps = (self.options[name] for name in ("beta1", "beta2", "eps"))
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        inverse = (beta1**self.steps - 1) / rate.clamp(min=_SMALLEST_RATE)
        denominator = torch.sqrt(second, out=gradient)
        denominator.mul_(inverse / (1 - beta2**self.steps) ** 0.5).add_(inverse * eps)
        value.addcdiv_(first, denominator)
