"""Batch and hyper-batch ensembles made from a user's network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypedDict, Unpack, cast

import torch
from torch import Tensor, nn

from .._checks import check_keywords
from ..errors import InputError
from ._bounds import Hyperparameter, LogUniformBounds
from ._dropout import DROPOUTS, RowDropout
from ._functional import Convolution, by_member, tile
from ._layers import NORMAL, BatchLayer, FactorInit, HyperBatchLayer

REFERENCE = 45_000.0
_OPAQUE = (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)  # they use their parts' weights without calling them


class BatchEnsemble(nn.Module):
    """Several members in one network: shared kernels, rank-one factors and biases of each member's own.

    Made by `batch_ensemble`. Batch normalisation is shared: one set of statistics over the rows of all members.

    Attributes
    ----------
    network : nn.Module
        The converted network; takes and returns rows of all members, member-major.
    members : int
        Number of members.
    layers : dict of str to BatchLayer
        Converted layers by their names in the network.
    """

    def __init__(self, network: nn.Module, members: int, layers: dict[str, BatchLayer]) -> None:
        super().__init__()
        self.network, self.members = network, members
        self._names = tuple(layers)

    @property
    def layers(self) -> dict[str, BatchLayer]:
        """Converted layers by name."""
        return {name: cast(BatchLayer, self.network.get_submodule(name)) for name in self._names}

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the parameters that all members share besides the kernels (batch normalisation, for example)."""
        owned = tuple(f"{name}." if name else "" for name in self._names)
        return tuple(name for name, _ in self.network.named_parameters() if not name.startswith(owned))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of every member [members, examples, ...] for examples [examples, ...]."""
        return by_member(self.network(tile(x, self.members)), self.members)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the averaged class probabilities [examples, classes]; call ``eval()`` first."""
        return self(x).softmax(dim=-1).mean(dim=0)


class HyperBatchEnsemble(BatchEnsemble):
    """A batch ensemble whose members also learn the distributions of their hyperparameters.

    Made by `hyper_batch_ensemble`, trained by `train_ensemble`.

    Attributes
    ----------
    hyperparameters : tuple of Hyperparameter
        The coordinates.
    bounds : LogUniformBounds
        Each member's distribution.
    reference : float
        What L2 coefficients are divided by: the number of training examples they are meant for.
    fast_l2 : bool
        Whether the penalty acts on the members' modulated kernels.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: dict[str, BatchLayer],
        bounds: LogUniformBounds,
        hyperparameters: tuple[Hyperparameter, ...],
        *,
        reference: float = REFERENCE,
        fast_l2: bool = True,
    ) -> None:
        super().__init__(network, bounds.members, layers)
        self.bounds, self.hyperparameters = bounds, hyperparameters
        self.reference, self.fast_l2 = reference, fast_l2
        dropouts = [name for name, module in network.named_modules() if isinstance(module, RowDropout)]
        self._dropout = {name: self._coordinate(name, ("dropout",)) for name in dropouts}
        self._kernel_l2 = {name: self._coordinate(name, ("l2", "l2_kernel")) for name in layers}
        self._bias_l2 = {name: self._coordinate(name, ("l2", "l2_bias")) for name in layers}
        self._smoothing = self._coordinate("", ("label_smoothing",))
        self._refuse_idle()

    def _coordinate(self, name: str, roles: tuple[str, ...]) -> int | None:
        """Return which coordinate plays one of `roles` for the module `name`."""
        found = [
            index
            for index, h in enumerate(self.hyperparameters)
            if h.role in roles and any(fnmatchcase(name, pattern) for pattern in h.layers)
        ]
        if len(found) > 1:
            names = " and ".join(self.hyperparameters[index].name for index in found)
            raise InputError(f"{names} both act on {name or 'the loss'} as {roles[0]}", "one of them")
        return found[0] if found else None

    def _refuse_idle(self) -> None:
        acting = {*self._dropout.values(), *self._kernel_l2.values(), *self._bias_l2.values(), self._smoothing}
        for index, h in enumerate(self.hyperparameters):
            if index not in acting:
                raise InputError(
                    f"hyperparameter {h.name} ({h.role}) acts on no layer",
                    f"patterns that match one of {', '.join([*self._names, *self._dropout])}",
                )

    def _set(self, values: Tensor) -> None:
        z = self.bounds.normalise(values)
        for layer in self.layers.values():
            cast(HyperBatchLayer, layer).condition(z)
        for name, index in self._dropout.items():
            if index is not None:
                cast(RowDropout, self.network.get_submodule(name)).rates = values[..., index].detach().flatten()

    def forward(self, x: Tensor, values: Tensor | None = None) -> Tensor:
        """Return the outputs of every member [members, examples, ...].

        Parameters
        ----------
        x : Tensor [examples, ...]
            Examples.
        values : Tensor [members, examples or 1, coordinates], optional
            Hyperparameters of each row; by default the mean of each member's distribution, as at test time.
        """
        if values is None:
            values = self.bounds.mean()[:, None]
        if any(self.network.get_submodule(name).training for name in self._dropout):
            values = values.expand(-1, len(x), -1)  # dropout needs a rate for every row
        self._set(values)
        return super().forward(x)

    def penalty(self, values: Tensor) -> Tensor:
        """Return the L2 penalty averaged over rows and divided by `reference`, for the `values` of the last forward."""
        total = values.new_zeros(())
        for name, layer in self.layers.items():
            kernel, bias = (_column(values, index[name]) for index in (self._kernel_l2, self._bias_l2))
            total = total + cast(HyperBatchLayer, layer).penalty(kernel, bias, fast=self.fast_l2)
        return total / self.reference

    def tunes(self, role: str) -> bool:
        """Whether one of the hyperparameters plays `role`."""
        return any(h.role == role for h in self.hyperparameters)

    def smoothing(self, values: Tensor) -> Tensor | None:
        """Return each row's label smoothing [members, rows], or None where it is not tuned."""
        return _column(values, self._smoothing)

    @torch.no_grad()
    def predict(self, x: Tensor, *, samples: int = 0, generator: torch.Generator | None = None) -> Tensor:
        """Return the averaged class probabilities [examples, classes]; call ``eval()`` first.

        Parameters
        ----------
        x : Tensor [examples, ...]
            Examples.
        samples : int
            Draws of each member's hyperparameters to average over, besides their mean.
        generator : torch.Generator, optional
            Source of the draws.
        """
        draws = [self.bounds.sample(1, generator=generator) for _ in range(samples)]
        outputs = [self(x, values).softmax(dim=-1).mean(dim=0) for values in (None, *draws)]
        return torch.stack(outputs).mean(dim=0)


def _column(values: Tensor, index: int | None) -> Tensor | None:
    return None if index is None else values[..., index]


def batch_ensemble(
    network: nn.Module, members: int, *, factors: FactorInit = NORMAL, generator: torch.Generator | None = None
) -> BatchEnsemble:
    """Turn a network into a batch ensemble; the network itself is left as it is.

    Every ``nn.Linear`` and ``nn.Conv2d`` becomes a batch-ensemble layer with the same kernel, and the bias copied for
    each member. All other parameters are shared (`BatchEnsemble.shared` names them).

    Parameters
    ----------
    network : nn.Module
        Takes examples along the first axis and keeps them there.
    members : int
        Number of members.
    factors : tuple
        Start of the rank-one factors: ``("normal", sd)`` for N(1, sd), ``("signs", p)`` for +1 with probability p.
    generator : torch.Generator, optional
        For the factors.

    Raises
    ------
    InputError
        Nothing to convert, or a module that cannot be (attention, recurrent layers).

    References
    ----------
    Wen et al. (2020), arXiv 2002.06715.

    Examples
    --------
    >>> import runspread as rs
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    >>> rs.nn.batch_ensemble(network, 3)(torch.randn(5, 8)).shape  # members, examples, classes
    torch.Size([3, 5, 4])
    """

    def make(old: nn.Linear | nn.Conv2d) -> BatchLayer:
        return BatchLayer(
            tuple(old.weight.shape),
            _inputs(old),
            members,
            bias=old.bias is not None,
            factors=factors,
            conv=_convolution(old),
            generator=generator,
        )

    return BatchEnsemble(*_convert(network, members, make))


class HyperBatchOptions(TypedDict, total=False):
    """Optional keywords of `hyper_batch_ensemble`.

    Attributes
    ----------
    tied : bool
        One pair of factors for both kernels (the published ResNets) instead of two (the default).
    hidden : int or None
        Tanh units of the embeddings (default 64); None for linear ones.
    factors : tuple
        Start of the rank-one factors, as in `batch_ensemble`.
    start : {"decade", "full", "published"}
        Start of the bounds (default "decade"), see `LogUniformBounds`.
    width : float
        Width of the ``"published"`` start, in the hyperparameters' own units (default 0.2; published for CIFAR-10:
        1.0).
    reference : float
        What L2 coefficients are divided by (default 45,000). Keep it fixed for small data: a range up to 1e3 divided by
        a few hundred examples kills the network.
    fast_l2 : bool
        Penalise the members' modulated kernels (the default); False for the shared kernels alone (the published
        ResNets).
    """

    tied: bool
    hidden: int | None
    factors: FactorInit
    start: str
    width: float
    reference: float
    fast_l2: bool


@dataclass(frozen=True, kw_only=True)
class _Options:
    """`HyperBatchOptions` with their defaults."""

    tied: bool = False
    hidden: int | None = 64
    factors: FactorInit = NORMAL
    start: str = "decade"
    width: float = 0.2
    reference: float = REFERENCE
    fast_l2: bool = True


def hyper_batch_ensemble(
    network: nn.Module,
    members: int,
    hyperparameters: Sequence[Hyperparameter] | None = None,
    *,
    generator: torch.Generator | None = None,
    **options: Unpack[HyperBatchOptions],
) -> HyperBatchEnsemble:
    """Turn a network into a hyper-batch ensemble; the network itself is left as it is.

    Parameters
    ----------
    network : nn.Module
        Takes examples along the first axis and keeps them there.
    members : int
        Number of members.
    hyperparameters : sequence of Hyperparameter, optional
        What to tune; `layer_hyperparameters` of the network by default (L2 and dropout of every layer).
    generator : torch.Generator, optional
        For factors, second kernels, embeddings and bounds.
    **options
        How layers are made and where the bounds start, as `HyperBatchOptions` says.

    Raises
    ------
    InputError
        Nothing to convert, or a hyperparameter that acts on no layer.

    References
    ----------
    Wenzel et al. (2020), arXiv 2006.13570, section 4.

    Examples
    --------
    >>> import runspread as rs
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    >>> ensemble = rs.nn.hyper_batch_ensemble(network, 2).eval()
    >>> ensemble(torch.randn(5, 8)).shape  # members, examples, classes
    torch.Size([2, 5, 4])
    """
    check_keywords(options, HyperBatchOptions.__annotations__, "conversion")
    how = _Options(**options)
    chosen = tuple(layer_hyperparameters(network) if hyperparameters is None else hyperparameters)
    if not chosen:
        raise InputError("there are no hyperparameters", "at least one to tune")

    def make(old: nn.Linear | nn.Conv2d) -> HyperBatchLayer:
        return HyperBatchLayer(
            tuple(old.weight.shape),
            _inputs(old),
            members,
            len(chosen),
            bias=old.bias is not None,
            tied=how.tied,
            hidden=how.hidden,
            factors=how.factors,
            conv=_convolution(old),
            generator=generator,
        )

    converted, members, layers = _convert(network, members, make)
    _replace(converted, {name: RowDropout(m.p, spatial=type(m) is not nn.Dropout) for name, m in _dropouts(converted)})
    low, high = [h.low for h in chosen], [h.high for h in chosen]
    bounds = LogUniformBounds(low, high, members, start=how.start, width=how.width, generator=generator)
    return HyperBatchEnsemble(converted, layers, bounds, chosen, reference=how.reference, fast_l2=how.fast_l2)


def layer_hyperparameters(
    network: nn.Module, *, l2: tuple[float, float] = (1e-3, 1e3), dropout: tuple[float, float] = (1e-3, 0.9)
) -> tuple[Hyperparameter, ...]:
    """Return an L2 coefficient for every dense and convolutional layer and a rate for every dropout layer.

    Parameters
    ----------
    network : nn.Module
        Before conversion.
    l2, dropout : tuple of float
        Ranges; those of the paper's small networks by default.

    Examples
    --------
    >>> import runspread as rs
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    >>> [one.name for one in rs.nn.layer_hyperparameters(network)][:2]
    ['l2 0', 'l2 2']
    """
    kernels = [name for name, module in network.named_modules() if type(module) in (nn.Linear, nn.Conv2d)]
    return (
        *(Hyperparameter(f"l2 {name}", *l2, "l2", (name,)) for name in kernels),
        *(Hyperparameter(f"dropout {name}", *dropout, "dropout", (name,)) for name, _ in _dropouts(network)),
    )


def _dropouts(network: nn.Module) -> list[tuple[str, nn.Dropout]]:
    return [
        (name, cast(nn.Dropout, module)) for name, module in network.named_modules() if isinstance(module, DROPOUTS)
    ]


def _convolution(old: nn.Linear | nn.Conv2d) -> Convolution | None:
    if isinstance(old, nn.Linear):
        return None
    if old.padding_mode != "zeros":
        raise InputError(f"got a convolution with padding mode {old.padding_mode!r}", "zeros")
    padding = old.padding if isinstance(old.padding, str) else (old.padding[0], old.padding[1])
    return Convolution((old.stride[0], old.stride[1]), padding, (old.dilation[0], old.dilation[1]), old.groups)


def _inputs(old: nn.Linear | nn.Conv2d) -> int:
    return old.in_features if isinstance(old, nn.Linear) else old.in_channels


def _convert(
    network: nn.Module, members: int, make: Callable[[nn.Linear | nn.Conv2d], BatchLayer]
) -> tuple[nn.Module, int, dict[str, BatchLayer]]:
    """Return a copy of the network with every dense and convolutional layer replaced, and the new layers by name."""
    network = copy.deepcopy(network)
    found = dict(network.named_modules())
    opaque = [name for name, module in found.items() if isinstance(module, _OPAQUE)]
    if opaque:
        raise InputError(
            f"got {type(found[opaque[0]]).__name__} at {opaque[0]!r}",
            "dense and convolutional layers",
            "Attention and recurrent modules use their weights in ways that cannot be given factors.",
        )
    layers: dict[str, BatchLayer] = {}
    for name, old in found.items():
        if type(old) is nn.Linear or type(old) is nn.Conv2d:
            layers[name] = _with_values_of(old, make(old))
    if not layers:
        raise InputError("got a network without nn.Linear or nn.Conv2d", "at least one layer to convert")
    return _replace(network, layers), members, layers


@torch.no_grad()
def _with_values_of(old: nn.Linear | nn.Conv2d, new: BatchLayer) -> BatchLayer:
    new.to(old.weight.device, old.weight.dtype)
    new.weight.copy_(old.weight)
    if old.bias is not None and new.bias is not None:
        new.bias.copy_(old.bias.expand_as(new.bias))
    return new


def _replace(network: nn.Module, modules: Mapping[str, nn.Module]) -> nn.Module:
    """Put `modules` in the places of the network's; one that is used under several names is replaced in all."""
    old = dict(network.named_modules())
    by_identity = {id(old[name]): module for name, module in modules.items()}
    if id(network) in by_identity:
        return by_identity[id(network)]
    for parent in list(old.values()):
        for name, child in list(parent._modules.items()):  # named_children() excludes second uses
            if id(child) in by_identity:
                setattr(parent, name, by_identity[id(child)])
    return network
