"""What an ensemble costs against one member: parameters and latency."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..._results import Result, Table, json_safe
from ...nn._layers import BatchLayer
from .members import EnsembleModule, MemberStack


@dataclass(frozen=True, eq=False, kw_only=True)
class EnsembleCost(Result):
    """Parameters and time of a prediction, of the ensemble and of one plain member.

    Attributes
    ----------
    kind : {"stack", "batch", "hyper-batch"}
        How the members lie in the network.
    members : int
        Number of members.
    parameters, single_parameters : int
        Parameters of the ensemble, and of one network of the members' architecture without factors.
    seconds : float
        Shortest prediction of the whole batch, one member after the other (or the one network).
    stacked_seconds : float
        The same in one vectorised pass; equal to `seconds` where there is only one network.
    single_seconds : float
        Shortest prediction by one member; NaN where a plain member does not exist.
    examples : int
        Size of the batch.
    """

    picture = ".plots:plot_cost"

    kind: str
    members: int
    parameters: int
    single_parameters: int
    seconds: float
    stacked_seconds: float
    single_seconds: float
    examples: int

    def facts(self) -> dict[str, Any]:
        """Return the numbers that a saved ensemble keeps, as plain values; a time that was not measured is None."""
        return json_safe(
            {name: value for name, value in self.to_dict().items() if name not in ("excluded", "warnings")}
        )

    def table(self) -> Table:
        """Return parameters and milliseconds, absolute and relative to a single network."""
        rows = {
            "single": (self.single_parameters, self.single_seconds),
            "ensemble": (self.parameters, self.seconds),
            "ensemble, one vectorised pass": (self.parameters, self.stacked_seconds),
        }
        return Table(
            {
                "predictor": list(rows),
                "parameters": [parameters for parameters, _ in rows.values()],
                "ms per batch": [1000 * seconds for _, seconds in rows.values()],
                "parameters, relative": [parameters / self.single_parameters for parameters, _ in rows.values()],
                "time, relative": [seconds / self.single_seconds for _, seconds in rows.values()],
            },
            formats={"ms per batch": ".2f", "parameters, relative": ".2f", "time, relative": ".2f"},
        )

    def sentence(self) -> str:
        """Return the cost in words."""
        best = min(self.seconds, self.stacked_seconds)
        known = self.single_seconds == self.single_seconds  # NaN is not
        times = (
            f"{best / self.single_seconds:.1f} times the time ({1000 * best:.2f} ms)"
            if known
            else f"{1000 * best:.2f} ms"
        )
        return (
            f"The ensemble of {self.members} ({self.kind}) has {self.parameters / self.single_parameters:.2f} times "
            f"the parameters of a single network ({self.parameters:,} against {self.single_parameters:,}) and predicts "
            f"{self.examples} examples in {times}, on this machine as it was loaded."
        )


@torch.no_grad()
def measure_cost(
    module: EnsembleModule, x: Tensor, repeats: int, single: nn.Module | None, *, kind: str
) -> EnsembleCost:
    """Time the ways to predict, in turns; the smallest time of each counts."""
    core = module.core
    if single is None and isinstance(core, MemberStack):
        single = core.networks[0]
    scaled = (x.to(module.mean.dtype) - module.mean) / module.std
    ways: dict[str, Callable[[], Any]] = {"loop": lambda: module(x)}
    if isinstance(core, MemberStack):
        ways["stacked"] = lambda: module.member_probabilities(x, module.one_pass())
    if single is not None:
        plain = single.eval()
        ways["single"] = lambda: plain(scaled).softmax(dim=-1)
    best = _shortest(ways, repeats)
    counted = count_parameters(core)
    return EnsembleCost(
        kind=kind,
        members=len(module.weights),
        parameters=counted["parameters"],
        single_parameters=counted["single_parameters"],
        seconds=best["loop"],
        stacked_seconds=best.get("stacked", best["loop"]),
        single_seconds=best.get("single", float("nan")),
        examples=len(x),
    )


def count_parameters(core: nn.Module) -> dict[str, int]:
    """Return the parameters of the ensemble and of a single network."""
    whole = sum(p.numel() for p in core.parameters())
    return {"parameters": whole, "single_parameters": _single_parameters(core)}


def _shortest(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    best = dict.fromkeys(ways, float("inf"))
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if repeat:  # the first warms up
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def _single_parameters(core: nn.Module) -> int:
    """Return the size of one network without factors, responses, embeddings and extra biases."""
    if isinstance(core, MemberStack):
        return sum(p.numel() for p in core.networks[0].parameters())
    layers = [module for module in core.modules() if isinstance(module, BatchLayer)]
    ours = {id(p) for layer in layers for p in layer.parameters()}
    bounds = getattr(core, "bounds", None)
    ours |= {id(p) for p in bounds.parameters()} if bounds is not None else set()
    plain = sum(layer.weight.numel() + (0 if layer.bias is None else layer.bias.shape[1]) for layer in layers)
    return plain + sum(p.numel() for p in core.parameters() if id(p) not in ours)
