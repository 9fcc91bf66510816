"""A torch module as a function of its weights, for measures that change weights and look at what comes out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import to_numpy
from .._optional import require
from .._reading.weights.rule_book import owner_of
from ..errors import InputError


class TorchNetwork:
    """Evaluate a ``torch.nn.Module`` with weights given as arrays, one network or many batched.

    Parameters
    ----------
    module : torch.nn.Module
        The architecture; its own weights stay as they are, evaluation mode is used.
    batch : int
        Examples at a time.
    device : str, optional
        Where to compute; the module's own device when None.

    Examples
    --------
    >>> network = rs.training.TorchNetwork(model)                                        # doctest: +SKIP
    >>> accuracy = rs.methods.spectra.accuracy_of(network, x_train, y_train)                    # doctest: +SKIP
    >>> print(rs.methods.spectra.svd_smoothing(network.weights, accuracy))                      # doctest: +SKIP
    """

    def __init__(self, module: Any, *, batch: int = 1024, device: str | None = None) -> None:
        self._torch = require("torch", "evaluating a torch module")
        self._module, self._batch = module, batch
        first = next(iter(module.state_dict().values()), None)
        self._shared = shared_names(module)
        self._device = device or (first.device if first is not None else "cpu")

    @property
    def weights(self) -> dict[str, NDArray[Any]]:
        """The module's parameters and buffers by name, as arrays; tensors that layers share stand there once."""
        state = {name: to_numpy(value) for name, value in self._module.state_dict().items()}
        return self._without_twins(state)

    def logits(
        self, weights: Mapping[str, NDArray[Any]], inputs: NDArray[Any], *, stacked: bool = False
    ) -> NDArray[Any]:
        """Return the outputs [examples, ...] for `weights`; [runs, examples, ...] where they are `stacked`.

        Parameters
        ----------
        weights : mapping of str to ndarray
            All or some of the parameters and buffers; the module's own for the rest.
        inputs : ndarray [examples, ...]
            Converted to the type of the weights where both are floating-point.
        stacked : bool
            Whether weights have a leading run axis.
        """
        torch = self._torch
        state = self._state(weights)
        call = self._call_stack if stacked else self._call
        with torch.no_grad(), self._evaluating():
            pieces = [
                call(state, self._as_input(inputs[start : start + self._batch], state))
                for start in range(0, len(inputs), self._batch)
            ]
        return np.concatenate([to_numpy(piece) for piece in pieces], axis=1 if stacked else 0)

    def gradient(
        self, weights: Mapping[str, NDArray[Any]], inputs: NDArray[Any], labels: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """Return the gradient of the mean cross-entropy with respect to the floating-point weights.

        Parameters
        ----------
        weights : mapping of str to ndarray
            As in `logits`.
        inputs : ndarray [examples, ...]
            One batch.
        labels : ndarray of int [examples]
            Its classes.
        """
        torch = self._torch
        state = self._state(weights)
        trained = {name: value for name, value in state.items() if value.is_floating_point()}
        fixed = {name: value for name, value in state.items() if name not in trained}
        target = torch.as_tensor(np.asarray(labels), device=self._device)

        def loss(changing: dict[str, Any]) -> Any:
            out = self._call({**fixed, **changing}, self._as_input(inputs, state))
            return torch.nn.functional.cross_entropy(out, target)

        with self._evaluating():
            return {name: to_numpy(value) for name, value in torch.func.grad(loss)(trained).items()}

    def jacobian_norm(self, weights: Mapping[str, NDArray[Any]], inputs: NDArray[Any]) -> float:
        """Return the mean squared derivative of the logits with respect to a layer's input, averaged over layers.

        A baseline of the PGDL contest (2020). Layers are those with a weight matrix or kernel and a continuous input.

        Parameters
        ----------
        weights : mapping of str to ndarray
            As in `logits`.
        inputs : ndarray [examples, ...]
            One batch; 512 training examples in the contest.
        """
        torch, found = self._torch, list[Any]()

        def watch(module: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
            first = arguments[0]
            if not first.is_floating_point():
                return arguments
            found.append(first if first.requires_grad else first.requires_grad_())
            return (found[-1], *arguments[1:])

        state = self._state(weights)
        with self._evaluating(), _hooked(self._module, watch):
            logits = self._call(state, self._as_input(inputs, state))
        columns = [logits[:, k].sum() for k in range(logits.shape[1])]
        slopes = [torch.autograd.grad(column, found, retain_graph=True) for column in columns]
        means = [torch.stack([slope[k].square().mean() for slope in slopes]).mean() for k in range(len(found))]
        return float(torch.stack(means).mean())

    def _without_twins(self, weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return weights in which a tensor that layers share stands under its first name only."""
        found = dict(weights)
        for names in self._shared:
            there = [name for name in names if name in found]
            for other in there[1:]:
                if not np.array_equal(found[there[0]], found[other], equal_nan=found[other].dtype.kind == "f"):
                    raise InputError(f"{other} differs from {there[0]}, to which it is tied", "equal values of both")
                del found[other]
        return found

    def _state(self, weights: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        arrays = {name: np.ascontiguousarray(weight) for name, weight in self._without_twins(weights).items()}
        return {name: self._torch.tensor(array, device=self._device) for name, array in arrays.items()}

    def _call(self, state: dict[str, Any], inputs: Any) -> Any:
        return self._torch.func.functional_call(self._module, state, (inputs,))

    def _call_stack(self, state: dict[str, Any], inputs: Any) -> Any:
        """Return the outputs of a stack of networks: in one pass, or one by one where a layer has no batching rule."""
        from .modules import refusing_slow_stacks

        try:
            with refusing_slow_stacks():
                return self._torch.vmap(self._call, in_dims=(0, None))(state, inputs)
        except (RuntimeError, UserWarning):
            runs = len(next(iter(state.values())))
            return self._torch.stack(
                [self._call({name: value[k] for name, value in state.items()}, inputs) for k in range(runs)]
            )

    def _as_input(self, inputs: NDArray[Any], state: Mapping[str, Any]) -> Any:
        tensor = self._torch.as_tensor(np.ascontiguousarray(inputs), device=self._device)
        kinds = [value.dtype for value in state.values() if value.is_floating_point()]
        return tensor.to(kinds[0]) if kinds and tensor.is_floating_point() else tensor

    @contextmanager
    def _evaluating(self) -> Generator[None]:
        """Put the module in evaluation mode inside the block."""
        modes = [(module, module.training) for module in self._module.modules()]
        self._module.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training


def shared_names(module: Any) -> list[list[str]]:
    """Return the names, in the module's order, of each parameter or buffer that layers share."""
    names: dict[int, list[str]] = {}
    for tensors in (module.named_parameters, module.named_buffers):
        for name, value in tensors(remove_duplicate=False):
            names.setdefault(id(value), []).append(name)
    return [group for group in names.values() if len(group) > 1]


@contextmanager
def _hooked(module: Any, watch: Callable[..., Any]) -> Generator[None]:
    """Call `watch` with the input of every layer that has a weight matrix or kernel, inside the block."""
    from .._reading.weights.torch_files import tensors_of_module

    tensors = [one for one in tensors_of_module(module) if not one.status and one.kind not in ("vector", "embedding")]
    owners = {owner_of(one.name) for one in tensors}
    layers = [one for path, one in module.named_modules() if path in owners]
    handles = [layer.register_forward_pre_hook(watch) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def fold_batch_norm(module: Any) -> Any:
    """Return a copy of a module in which each batch normalisation is folded into the layer before it.

    Norm measures are taken of the folded network. Works for modules that ``torch.fx`` can trace.

    Parameters
    ----------
    module : torch.nn.Module
        In any mode; the copy is in evaluation mode.

    Returns
    -------
    torch.fx.GraphModule
        Computes the same outputs in evaluation mode.

    Examples
    --------
    >>> import runspread as rs
    >>> import torch
    >>> module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4)).eval()
    >>> folded = rs.training.fold_batch_norm(module)
    >>> torch.allclose(folded(torch.ones(1, 1, 8, 8)), module(torch.ones(1, 1, 8, 8)), atol=1e-5)
    True
    """
    torch = require("torch", "folding batch normalisation")
    fusion = require("torch.nn.utils.fusion", "folding batch normalisation")
    traced = require("torch.fx", "folding batch normalisation").symbolic_trace(copy.deepcopy(module).eval())
    layers = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        norm = layers.get(node.target) if node.op == "call_module" else None
        if norm is None or not isinstance(norm, torch.nn.modules.batchnorm._BatchNorm) or norm.running_mean is None:
            continue
        before = node.args[0]
        layer = layers.get(before.target) if before.op == "call_module" and len(before.users) == 1 else None
        if not isinstance(layer, (torch.nn.modules.conv._ConvNd, torch.nn.Linear)):
            continue
        fuse = fusion.fuse_linear_bn_eval if isinstance(layer, torch.nn.Linear) else fusion.fuse_conv_bn_eval
        traced.set_submodule(before.target, fuse(layer, norm))
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced
