"""Batch-ensemble and hyper-batch layers as modules; weights have torch's layout, rows are member-major."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .._checks import check_choice
from ..errors import InputError
from ._functional import Convolution, Factors, batch_layer, bias_penalty, hyper_batch_layer, kernel_penalty, moments

FactorInit = tuple[str, float]
NORMAL: FactorInit = ("normal", 0.5)
HEAD_SPREAD = 1e-4  # standard deviation of an embedding's head: the response to hyperparameters starts near zero


def draw_factors(shape: tuple[int, ...], init: FactorInit, generator: torch.Generator | None = None) -> Tensor:
    """Draw rank-one factors.

    Parameters
    ----------
    shape : tuple of int
        ``(members, channels)``.
    init : tuple
        ``("normal", sd)`` for N(1, sd), ``("signs", p)`` for +1 with probability p, else -1.
    generator : torch.Generator, optional
        Source of the draws.
    """
    kind, value = init
    if check_choice(kind, "kind of factors", ("normal", "signs")) == "normal":
        return 1 + value * torch.randn(shape, generator=generator)
    return torch.where(torch.rand(shape, generator=generator) < value, 1.0, -1.0)


class BatchLayer(nn.Module):
    """A layer whose kernel all members share, each with rank-one factors and a bias of its own.

    Build one with `BatchLinear`, `BatchConv2d`, or convert a network with `batch_ensemble`.
    """

    def __init__(
        self,
        weight_shape: tuple[int, ...],
        in_channels: int,
        members: int,
        *,
        bias: bool,
        factors: FactorInit,
        conv: Convolution | None,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        if members < 1:
            raise InputError(f"got {members} members", "at least one")
        self.members, self.conv, out = members, conv, weight_shape[0]
        self.weight = he_normal(weight_shape, generator)
        self.input_factor = nn.Parameter(draw_factors((members, in_channels), factors, generator))
        self.output_factor = nn.Parameter(draw_factors((members, out), factors, generator))
        self.bias = nn.Parameter(torch.zeros(members, out)) if bias else None

    @property
    def factors(self) -> Factors:
        """``r`` [members, in] and ``s`` [members, out]."""
        return Factors(self.input_factor, self.output_factor)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for rows of all members, member-major."""
        return batch_layer(x, self.weight, self.factors, self.bias, self.conv)

    def extra_repr(self) -> str:
        """Return the sizes, for ``print(network)``."""
        shape = "x".join(str(n) for n in self.weight.shape)
        return f"members={self.members}, weight={shape}, bias={self.bias is not None}"


class HyperBatchLayer(BatchLayer):
    """A batch-ensemble layer whose kernel and bias also respond to each row's hyperparameters.

    Call `condition` with the hyperparameters before `forward`; an ensemble made with `hyper_batch_ensemble` does that.
    """

    def __init__(
        self,
        weight_shape: tuple[int, ...],
        in_channels: int,
        members: int,
        coordinates: int,
        *,
        bias: bool,
        tied: bool,
        hidden: int | None,
        factors: FactorInit,
        conv: Convolution | None,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(weight_shape, in_channels, members, bias=bias, factors=factors, conv=conv, generator=generator)
        out = weight_shape[0]
        self.response = he_normal(weight_shape, generator)
        self.response_bias = nn.Parameter(torch.zeros(members, out)) if bias else None
        self.response_input_factor = self.response_output_factor = None
        if not tied:
            self.response_input_factor = nn.Parameter(draw_factors((members, in_channels), factors, generator))
            self.response_output_factor = nn.Parameter(draw_factors((members, out), factors, generator))
        self.embedding = make_embedding(coordinates, 2 * out if bias else out, hidden, generator)
        self._e: Tensor | None = None

    @property
    def response_factors(self) -> Factors:
        """``u`` and ``v``; those of the first kernel in the tied form."""
        if self.response_input_factor is None or self.response_output_factor is None:
            return self.factors
        return Factors(self.response_input_factor, self.response_output_factor)

    def condition(self, z: Tensor | None) -> None:
        """Set the hyperparameters of the rows to come: [members, rows or 1, coordinates], normalised to 0..1."""
        self._e = None if z is None else self.embedding(z)

    def _embeddings(self) -> tuple[Tensor, Tensor | None]:
        if self._e is None:
            raise InputError("got a hyper-batch layer without hyperparameters", "condition(z) before forward(x)")
        out = len(self.weight)
        return (self._e[..., :out], self._e[..., out:]) if self.bias is not None else (self._e, None)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for rows of all members, member-major."""
        e1, e2 = self._embeddings()
        return hyper_batch_layer(
            x,
            self.weight,
            self.factors,
            self.response,
            self.response_factors,
            e1,
            bias=self.bias,
            response_bias=self.response_bias,
            e2=e2,
            conv=self.conv,
        )

    def penalty(self, kernel: Tensor | None, bias: Tensor | None, *, fast: bool = True) -> Tensor:
        """Return the L2 penalty of the effective weights at the present hyperparameters, averaged over the rows.

        Parameters
        ----------
        kernel, bias : Tensor [members, rows], optional
            Coefficients of each row; None leaves that part out.
        fast : bool
            Penalise the members' modulated kernels; False for the shared kernels alone (the ResNet setting).
        """
        e1, e2 = self._embeddings()
        total = self.weight.new_zeros(())
        if kernel is not None:
            pairs = (self.factors, self.response_factors) if fast else (None, None)
            groups = self.conv.groups if self.conv else 1
            total = total + kernel_penalty(self.weight, self.response, moments(kernel, e1), *pairs, groups)
        if bias is not None and self.bias is not None and self.response_bias is not None and e2 is not None:
            total = total + bias_penalty(self.bias, self.response_bias, moments(bias, e2))
        return total


def he_normal(shape: tuple[int, ...], generator: torch.Generator | None) -> nn.Parameter:
    """Draw a kernel [out, in, ...] from N(0, 2 / fan-in)."""
    return nn.Parameter(torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:])))


def make_embedding(coordinates: int, out: int, hidden: int | None, generator: torch.Generator | None) -> nn.Module:
    """Return the network from hyperparameters to embeddings: linear, or one layer of `hidden` tanh units."""
    head = nn.Linear(coordinates if hidden is None else hidden, out, bias=False)
    _draw(head.weight, HEAD_SPREAD, generator)
    if hidden is None:
        return head
    first = nn.Linear(coordinates, hidden)
    _draw(first.weight, math.sqrt(1 / coordinates), generator)
    nn.init.zeros_(first.bias)
    return nn.Sequential(first, nn.Tanh(), head)


@torch.no_grad()
def _draw(weight: Tensor, spread: float, generator: torch.Generator | None) -> None:
    weight.copy_(torch.randn(weight.shape, generator=generator) * spread)


class BatchLinear(BatchLayer):
    """Dense batch-ensemble layer.

    Parameters
    ----------
    in_features, out_features, members : int
        Sizes.
    bias : bool
        Whether each member has a bias.
    factors : tuple
        ``("normal", sd)`` or ``("signs", probability of +1)``.
    generator : torch.Generator, optional
        For the initial values.

    Examples
    --------
    >>> import runspread as rs, torch
    >>> layer = rs.nn.BatchLinear(5, 4, members=3)
    >>> layer(rs.nn.tile(torch.zeros(2, 5), 3)).shape
    torch.Size([6, 4])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        members: int,
        *,
        bias: bool = True,
        factors: FactorInit = NORMAL,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            (out_features, in_features),
            in_features,
            members,
            bias=bias,
            factors=factors,
            conv=None,
            generator=generator,
        )


class BatchConv2d(BatchLayer):
    """Convolutional batch-ensemble layer; the factors act on channels.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, members : int
        Sizes.
    stride, padding, dilation, groups
        As in ``torch.nn.Conv2d``.
    bias, factors, generator
        As in `BatchLinear`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        members: int,
        *,
        bias: bool = True,
        factors: FactorInit = NORMAL,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        shape, conv = _conv_shape(in_channels, out_channels, kernel_size, options)
        super().__init__(shape, in_channels, members, bias=bias, factors=factors, conv=conv, generator=generator)


class HyperBatchLinear(HyperBatchLayer):
    """Dense hyper-batch layer.

    Parameters
    ----------
    in_features, out_features, members, bias, factors, generator
        As in `BatchLinear`.
    coordinates : int
        Number of hyperparameters.
    tied : bool
        Use the same factors for both kernels.
    hidden : int or None
        Tanh units of the embedding; None for a linear one without bias.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        members: int,
        coordinates: int,
        *,
        bias: bool = True,
        tied: bool = False,
        hidden: int | None = 64,
        factors: FactorInit = NORMAL,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            (out_features, in_features),
            in_features,
            members,
            coordinates,
            bias=bias,
            tied=tied,
            hidden=hidden,
            factors=factors,
            conv=None,
            generator=generator,
        )


class HyperBatchConv2d(HyperBatchLayer):
    """Convolutional hyper-batch layer.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, factors, generator
        As in `BatchConv2d`.
    members, coordinates, tied, hidden
        As in `HyperBatchLinear`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        members: int,
        coordinates: int,
        *,
        bias: bool = True,
        tied: bool = False,
        hidden: int | None = 64,
        factors: FactorInit = NORMAL,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        shape, conv = _conv_shape(in_channels, out_channels, kernel_size, options)
        super().__init__(
            shape,
            in_channels,
            members,
            coordinates,
            bias=bias,
            tied=tied,
            hidden=hidden,
            factors=factors,
            conv=conv,
            generator=generator,
        )


def _conv_shape(
    in_channels: int, out_channels: int, kernel_size: int | tuple[int, int], options: dict[str, Any]
) -> tuple[tuple[int, ...], Convolution]:
    for name in options:
        check_choice(name, "option of the convolution", Convolution._fields)
    stride, dilation = _pair(options.get("stride", 1)), _pair(options.get("dilation", 1))
    conv = Convolution(stride, _pair(options.get("padding", 0)), dilation, options.get("groups", 1))
    return (out_channels, in_channels // conv.groups, *_pair(kernel_size)), conv


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else value
