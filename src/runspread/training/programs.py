"""One training step of a stack, three ways: dense layers written out, ``vmap`` of the gradient, run after run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from .hashing import mix, random_bits
from .losses import accuracy_of_one, loss_of_one, loss_of_stack
from .models.mlp import MLP
from .modules import dropout_layers
from .stack import Stack


class StepResult(NamedTuple):
    """Mean loss [runs] and accuracy [runs] of one batch."""

    loss: Tensor
    accuracy: Tensor


class Program(Protocol):
    """How gradients and outputs of a stack are computed; inputs [runs, batch, ...], or [1, batch, ...] if shared."""

    def gradients(self, stack: Stack, inputs: Tensor, targets: Tensor, smoothing: Tensor) -> StepResult:
        """Write the gradients into the stack, update its buffers, and return losses and accuracies."""
        ...

    def outputs(self, stack: Stack, inputs: Tensor) -> Tensor:
        """Return the outputs [runs, batch, ...] in evaluation mode for inputs [batch, ...] that all runs share."""
        ...


class _ModuleProgram:
    """What the programs over an ``nn.Module`` share: the module is a skeleton whose own weights are never used."""

    def __init__(self, module: nn.Module, loss: str) -> None:
        self.module, self.loss = module, loss

    def _loss(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor, smoothing: Tensor
    ) -> tuple[Tensor, tuple[Tensor, dict[str, Tensor]]]:
        buffers = {name: buffer.clone() for name, buffer in buffers.items()}  # batch norm updates them in place
        outputs = self._forward(parameters, buffers, x)
        accuracy = accuracy_of_one(self.loss, outputs.detach(), y)
        return loss_of_one(self.loss, outputs, y, smoothing), (accuracy, buffers)

    def _forward(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(self.module, (parameters, buffers), (x,))


class VmapProgram(_ModuleProgram):
    """``vmap`` of the gradient: any module that ``torch.func`` can handle."""

    def gradients(self, stack: Stack, inputs: Tensor, targets: Tensor, smoothing: Tensor) -> StepResult:
        """See `Program`."""
        self.module.train()
        shared = len(inputs) == 1 and len(stack) > 1
        if shared:
            inputs, targets = inputs[0], targets[0]
        axis = None if shared else 0
        step: Any = vmap(grad_and_value(self._loss, has_aux=True), in_dims=(0, 0, axis, axis, 0))
        gradients, (losses, found) = step(stack.parameters, stack.buffers, inputs, targets, smoothing)
        accuracies, stack.buffers = found
        for name, gradient in gradients.items():
            stack.gradient_views[name].copy_(gradient)
        return StepResult(losses, accuracies)

    def outputs(self, stack: Stack, inputs: Tensor) -> Tensor:
        """See `Program`."""
        self.module.eval()
        forward: Any = vmap(self._forward, in_dims=(0, 0, None))
        with torch.no_grad():
            return forward(stack.parameters, stack.buffers, inputs)


class LoopProgram(_ModuleProgram):
    """One run after another; only the update is stacked. For modules that cannot be stacked, or do not gain by it."""

    def gradients(self, stack: Stack, inputs: Tensor, targets: Tensor, smoothing: Tensor) -> StepResult:
        """See `Program`."""
        self.module.train()
        parameters = stack.parameters
        arrange = _arrangement(inputs[0])
        losses: list[Tensor] = []
        accuracies: list[Tensor] = []
        for run in range(len(stack)):
            own = {name: arrange(value[run].detach()).requires_grad_() for name, value in parameters.items()}
            at = run if len(inputs) > 1 else 0
            buffers = {name: value[run] for name, value in stack.buffers.items()}  # views: updated in place
            outputs = self._forward(own, buffers, arrange(inputs[at]))
            loss = loss_of_one(self.loss, outputs, targets[at], smoothing[run])
            found = torch.autograd.grad(loss, list(own.values()), allow_unused=True, materialize_grads=True)
            for name, gradient in zip(own, found, strict=True):
                stack.gradient_views[name][run].copy_(gradient)
            losses.append(loss.detach())
            accuracies.append(accuracy_of_one(self.loss, outputs.detach(), targets[at]))
        return StepResult(torch.stack(losses), torch.stack(accuracies))

    def outputs(self, stack: Stack, inputs: Tensor) -> Tensor:
        """See `Program`."""
        self.module.eval()
        arrange = _arrangement(inputs)
        inputs = arrange(inputs)
        with torch.no_grad():
            return torch.stack([self._outputs_of(stack, run, inputs, arrange) for run in range(len(stack))])

    def _outputs_of(self, stack: Stack, run: int, inputs: Tensor, arrange: Callable[[Tensor], Tensor]) -> Tensor:
        parameters = {name: arrange(value[run]) for name, value in stack.parameters.items()}
        return self._forward(parameters, {name: value[run] for name, value in stack.buffers.items()}, inputs)


def _arrangement(images: Tensor) -> Callable[[Tensor], Tensor]:
    """Return how tensors are laid out in memory: images and kernels with channels innermost.

    On a CPU convolutions take a fifth less time that way.
    """
    if images.ndim != 4 or images.device.type != "cpu":
        return lambda tensor: tensor
    # ``to``: ``contiguous`` takes a tensor of one channel for channels-last as it is, and the layers behind it do not
    return lambda tensor: tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


_pass_where_positive: Any = torch.ops.aten.threshold_backward.grad_input  # one pass, where a mask would take three


class DenseProgram:
    """Multilayer perceptrons with gradients written out in batched matrix products; buffers are reused between steps.

    Outputs are kept class by class, [runs, classes, batch]: a softmax over few classes is many times faster that way.

    Parameters
    ----------
    module : MLP
        Gives the sizes.
    loss : str
        Name of the loss.
    """

    def __init__(self, module: MLP, loss: str) -> None:
        self.loss = loss
        self.depth = len(module.layers)
        self.widths = [layer.out_features for layer in module.layers if isinstance(layer, nn.Linear)]
        self._scratch: dict[tuple[Any, ...], Tensor] = {}

    def gradients(self, stack: Stack, inputs: Tensor, targets: Tensor, smoothing: Tensor) -> StepResult:
        """See `Program`."""
        x = inputs.flatten(2).expand(len(stack), -1, -1)
        activations, masks = self._forward(stack, x)
        found = loss_of_stack(self.loss, activations[-1], targets.expand(len(stack), -1), smoothing)
        self._backward(stack, x, activations, masks, found.gradient.transpose(1, 2))
        return StepResult(found.loss, found.accuracy)

    def outputs(self, stack: Stack, inputs: Tensor) -> Tensor:
        """See `Program`."""
        x = inputs.flatten(1).expand(len(stack), -1, -1)
        for layer in range(self.depth):
            weight, bias = self._layer(stack, layer)
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
            x = x.relu_() if layer < self.depth - 1 else x
        return x

    def _forward(self, stack: Stack, x: Tensor) -> tuple[list[Tensor], list[Tensor | None]]:
        """Return the layers' outputs ([runs, batch, width], the last [runs, classes, batch]), and dropout masks."""
        activations: list[Tensor] = []
        masks: list[Tensor | None] = []
        for layer, width in enumerate(self.widths[:-1]):
            z = self._buffer("z", layer, (len(stack), x.shape[1], width), x)
            weight, bias = self._layer(stack, layer)
            torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2), out=z)
            masks.append(self._dropout(stack, layer, z.relu_()))
            activations.append(z)
            x = z
        weight, bias = self._layer(stack, self.depth - 1)
        activations.append(torch.baddbmm(bias.unsqueeze(2), weight, x.transpose(1, 2)))
        return activations, masks

    def _layer(self, stack: Stack, layer: int) -> tuple[Tensor, Tensor]:
        return stack.parameters[f"layers.{layer}.weight"], stack.parameters[f"layers.{layer}.bias"]

    def _dropout(self, stack: Stack, layer: int, z: Tensor) -> Tensor | None:
        """Apply dropout in place; return what the gradient is multiplied by, None where no run drops anything."""
        if not stack.drops:
            return None
        rate = stack.buffers[f"dropouts.{layer}.rate"].view(-1, 1)
        counters = torch.arange(z[0].numel(), dtype=torch.int32, device=z.device)
        bits = random_bits(stack.buffers[f"dropouts.{layer}.key"].view(-1, 1), counters)
        mask = (bits.float() >= rate * 2.0**31).view(z.shape) / (1 - rate).unsqueeze(-1)
        z.mul_(mask)
        return mask

    def _backward(
        self, stack: Stack, x: Tensor, activations: list[Tensor], masks: list[Tensor | None], delta: Tensor
    ) -> None:
        parameters, gradients = stack.parameters, stack.gradient_views
        for layer in range(self.depth - 1, -1, -1):
            below = activations[layer - 1] if layer else x
            torch.bmm(delta.transpose(1, 2), below, out=gradients[f"layers.{layer}.weight"])
            torch.sum(delta, dim=1, out=gradients[f"layers.{layer}.bias"])
            if not layer:
                return
            upper = self._buffer("d", layer, below.shape, x)
            delta = torch.bmm(delta, parameters[f"layers.{layer}.weight"], out=upper)
            mask = masks[layer - 1]
            if mask is not None:
                delta.mul_(mask)
            _pass_where_positive(delta, below, 0, grad_input=delta)  # a dropped unit is 0 below too

    def _buffer(self, kind: str, layer: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
        key = (kind, layer, tuple(shape))
        if key not in self._scratch:
            self._scratch[key] = torch.empty(shape, dtype=like.dtype, device=like.device)
        return self._scratch[key]


PROGRAMS = ("dense", "vmap", "loop")


def make_program(name: str, module: nn.Module, loss: str) -> Program:
    """Return the program `name` over a prepared module."""
    if name == "dense":
        assert isinstance(module, MLP)
        return DenseProgram(module, loss)
    return VmapProgram(module, loss) if name == "vmap" else LoopProgram(module, loss)


def candidate_programs(module: nn.Module) -> tuple[str, ...]:
    """Return the programs that may train a module: the written-out one where there is one, which always wins."""
    return ("dense",) if isinstance(module, MLP) else ("vmap", "loop")


def set_dropout_keys(stack: Stack, module: nn.Module, run_keys: Tensor, step: int) -> None:
    """Give every dropout layer the keys [runs] of this step: from the augmentation seeds, the step and the layer."""
    names = dropout_layers(module)
    for number, name in enumerate(names):
        word = torch.tensor((step * len(names) + number) % 2**31, dtype=torch.int32, device=run_keys.device)
        stack.buffers[f"{name}.key"] = mix(run_keys ^ mix(word))
