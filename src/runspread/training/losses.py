"""Losses of a stack: one mean per run, and the gradient with respect to the network's outputs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

IGNORED = -1  # label of a position that does not count


class LossValue(NamedTuple):
    """Loss [runs], its gradient [runs, ...outputs], and accuracy [runs]."""

    loss: Tensor
    gradient: Tensor
    accuracy: Tensor


def loss_of_one(loss: str, outputs: Tensor, targets: Tensor, smoothing: Tensor) -> Tensor:
    """Return the mean loss of one run: outputs [..., classes], targets [...], smoothing a scalar tensor."""
    if loss == "hinge":
        return torch.relu(1 - outputs.squeeze(-1) * (2 * targets - 1)).mean()
    counted = targets != IGNORED
    log_p = torch.log_softmax(outputs, dim=-1)
    right = log_p.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    per_position = (smoothing - 1) * right - smoothing * log_p.mean(dim=-1)
    return (per_position * counted).sum() / counted.sum().clamp(min=1)


def accuracy_of_one(loss: str, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of right answers of one run (a tie with the right class counts)."""
    if loss == "hinge":
        return (outputs.squeeze(-1) * (2 * targets - 1) > 0).float().mean()
    counted = targets != IGNORED
    right = outputs.gather(-1, targets.clamp(min=0).unsqueeze(-1)) >= outputs.amax(dim=-1, keepdim=True)
    return (right.squeeze(-1) & counted).sum() / counted.sum().clamp(min=1)


def loss_of_stack(loss: str, outputs: Tensor, targets: Tensor, smoothing: Tensor) -> LossValue:
    """Return loss and analytic gradient for outputs [runs, classes, batch], targets [runs, batch], smoothing [runs]."""
    return (_hinge if loss == "hinge" else _cross_entropy)(outputs, targets, smoothing)


def _hinge(outputs: Tensor, targets: Tensor, smoothing: Tensor) -> LossValue:
    del smoothing  # a margin loss has no distribution over classes to smooth
    sign = (2 * targets - 1).to(outputs.dtype).unsqueeze(1)
    margin = 1 - outputs * sign
    inside = (margin > 0).to(outputs.dtype)
    gradient = inside.mul_(sign).mul_(-1 / outputs.shape[2])
    return LossValue(margin.clamp(min=0).mean(dim=(1, 2)), gradient, (margin < 1).float().mean(dim=(1, 2)))


def _cross_entropy(outputs: Tensor, targets: Tensor, smoothing: Tensor) -> LossValue:
    classes, batch = outputs.shape[1:]
    smoothing = smoothing.to(outputs.dtype)
    index = targets.unsqueeze(1)
    log_p = torch.log_softmax(outputs, dim=1)
    right = log_p.gather(1, index)
    loss = (smoothing - 1) * right.mean(dim=(1, 2)) - smoothing * log_p.mean(dim=(1, 2))
    accuracy = (right >= log_p.amax(dim=1, keepdim=True)).float().mean(dim=(1, 2))
    weight = smoothing.view(-1, 1, 1)
    gradient = log_p.exp_().sub_(weight / classes)
    gradient.scatter_add_(1, index, (weight - 1).expand(index.shape))
    return LossValue(loss, gradient.div_(batch), accuracy)


def to_logits(loss: str, outputs: Tensor) -> Tensor:
    """Return logits [..., classes]: a margin f becomes (-f / 2, f / 2), whose difference is f."""
    return torch.cat([-outputs / 2, outputs / 2], dim=-1) if loss == "hinge" else outputs


def evaluate_logits(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return summed negative log-likelihood [runs] and right answers [runs] of logits [runs, examples, classes]."""
    by_class = logits.transpose(1, 2).double().contiguous()
    right = torch.log_softmax(by_class, dim=1).gather(1, targets.expand(logits.shape[:2]).unsqueeze(1))
    return -right.sum(dim=(1, 2)), (logits.argmax(dim=-1) == targets).sum(dim=1)
