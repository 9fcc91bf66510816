"""Batch-ensemble and hyper-batch layers as functions of tensors.

Rows are member-major: rows ``k*B .. (k+1)*B - 1`` belong to member k. `r`, `u` [members, in] scale the inputs, `s`, `v`
[members, out] the outputs; `e1`, `e2` [members, B or 1, out] are the embeddings of each row's hyperparameters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError


class Convolution(NamedTuple):
    """How a kernel slides; None in its place means a dense layer."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] | str = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


class Factors(NamedTuple):
    """Rank-one factors of the members: `input` [members, in] and `output` [members, out]."""

    input: Tensor
    output: Tensor


def tile(x: Tensor, members: int) -> Tensor:
    """Repeat a batch for every member, member-major: [B, ...] to [members * B, ...].

    Examples
    --------
    >>> import runspread as rs
    >>> import torch
    >>> rs.nn.tile(torch.zeros(5, 8), 3).shape
    torch.Size([15, 8])
    """
    return x.repeat(members, *[1] * (x.ndim - 1))


def by_member(x: Tensor, members: int) -> Tensor:
    """Return rows [members * B, ...] as [members, B, ...].

    Raises
    ------
    InputError
        The number of rows is not a multiple of the number of members.
    """
    if x.shape[0] % members:
        raise InputError(
            f"got {x.shape[0]} rows for {members} members",
            "the same examples for every member, one member after the other",
            "Repeat the batch with runspread.nn.tile.",
        )
    return x.reshape(members, -1, *x.shape[1:])


def batch_layer(
    x: Tensor, weight: Tensor, factors: Factors, bias: Tensor | None = None, conv: Convolution | None = None
) -> Tensor:
    """Apply a shared kernel with each member's factors: ``s_k * (W (r_k * x)) + b_k``.

    Parameters
    ----------
    x : Tensor [members * B, ..., in] or [members * B, in, height, width]
        Inputs, member-major.
    weight : Tensor [out, in] or [out, in / groups, kernel, kernel]
        Kernel of all members.
    factors : Factors
        ``r`` and ``s``.
    bias : Tensor [members, out], optional
        Bias of each member.
    conv : Convolution, optional
        Makes it a convolution.

    References
    ----------
    Wen et al. (2020), arXiv 2002.06715.
    """
    members = len(factors.input)
    rows = by_member(x, members)
    scaled = (rows * along_channels(factors.input[:, None], rows, conv)).flatten(0, 1)
    y = F.linear(scaled, weight) if conv is None else _convolve(scaled, weight, conv)
    y = by_member(y, members)
    y = y * along_channels(factors.output[:, None], y, conv)
    if bias is not None:
        y = y + along_channels(bias[:, None], y, conv)
    return y.flatten(0, 1)


def _convolve(x: Tensor, weight: Tensor, conv: Convolution) -> Tensor:
    padding: Any = conv.padding  # a pair or a word, which torch's stubs list as two functions
    return F.conv2d(x, weight, None, conv.stride, padding, conv.dilation, conv.groups)


def hyper_batch_layer(
    x: Tensor,
    weight: Tensor,
    factors: Factors,
    response: Tensor,
    response_factors: Factors,
    e1: Tensor,
    *,
    bias: Tensor | None = None,
    response_bias: Tensor | None = None,
    e2: Tensor | None = None,
    conv: Convolution | None = None,
) -> Tensor:
    """Apply a kernel that responds to each row's hyperparameters.

    ``s_k * (W (r_k * x)) + e1 * v_k * (D (u_k * x)) + b_k + e2 * d_k``, with ``D`` the `response` kernel.

    Parameters
    ----------
    x, weight, factors, bias, conv
        As in `batch_layer`.
    response : Tensor
        Second kernel, of the shape of `weight`.
    response_factors : Factors
        ``u`` and ``v``; the tied form passes `factors` again.
    e1, e2 : Tensor [members, B or 1, out]
        Embeddings of the hyperparameters, for the kernel and for the bias.
    response_bias : Tensor [members, out], optional
        ``d``.

    References
    ----------
    Wenzel et al. (2020), arXiv 2006.13570, section 4.1.
    """
    members = len(factors.input)
    y = by_member(batch_layer(x, weight, factors, bias, conv), members)
    turned = by_member(batch_layer(x, response, response_factors, None, conv), members)
    y = y + along_channels(e1, y, conv) * turned
    if response_bias is not None:
        assert e2 is not None, "a response bias needs its embedding"
        y = y + along_channels(e2 * response_bias[:, None], y, conv)
    return y.flatten(0, 1)


def along_channels(values: Tensor, like: Tensor, conv: Convolution | None) -> Tensor:
    """Return `values` [members, B or 1, channels] in a shape that broadcasts over `like` [members, B, ...]."""
    ones = [1] * (like.ndim - 3)
    head, channels = values.shape[:2], values.shape[2]
    return values.reshape(*head, channels, *ones) if conv is not None else values.reshape(*head, *ones, channels)


class Moments(NamedTuple):
    """Averages over rows of a coefficient `h`: of ``h`` [members, 1], ``h e`` and ``h e^2`` [members, out]."""

    zero: Tensor
    one: Tensor
    two: Tensor


def moments(coefficients: Tensor, e: Tensor) -> Moments:
    """Average coefficients [members, B] times powers of embeddings [members, B or 1, out] over the rows."""
    h = coefficients.unsqueeze(-1)
    return Moments(h.mean(1), (h * e).mean(1), (h * e * e).mean(1))


def kernel_penalty(
    weight: Tensor,
    response: Tensor,
    averages: Moments,
    factors: Factors | None = None,
    response_factors: Factors | None = None,
    groups: int = 1,
) -> Tensor:
    """Return the mean over rows of ``h_i || A_k + D_k diag(e_i) ||^2`` without building any member's kernel.

    Parameters
    ----------
    weight, response : Tensor [out, in / groups, ...]
        The two kernels.
    averages : Moments
        Moments of the rows' coefficients with their embeddings.
    factors, response_factors : Factors, optional
        ``r, s`` and ``u, v``; None penalises the shared kernels alone ("slow weights only").
    groups : int
        Groups of a convolution.
    """
    products = [_window_sum(a * b) for a, b in ((weight, weight), (weight, response), (response, response))]
    if factors is None or response_factors is None:
        columns = [product.sum(1) for product in products]
    else:
        r, s, u, v = *factors, *response_factors
        inputs, outputs = (r * r, r * u, u * u), (s * s, s * v, v * v)
        columns = [
            _grouped_product(i, product, groups) * o for i, product, o in zip(inputs, products, outputs, strict=True)
        ]
    return _weigh(columns, averages)


def bias_penalty(bias: Tensor, response_bias: Tensor, averages: Moments) -> Tensor:
    """Return the mean over rows of ``h_i || b_k + e_i * d_k ||^2``."""
    return _weigh([bias * bias, bias * response_bias, response_bias * response_bias], averages)


def _weigh(columns: list[Tensor], averages: Moments) -> Tensor:
    aa, ad, dd = columns
    return (aa * averages.zero + 2 * ad * averages.one + dd * averages.two).sum(1).mean()


def _window_sum(kernel: Tensor) -> Tensor:
    return kernel.flatten(2).sum(2) if kernel.ndim > 2 else kernel


def _grouped_product(inputs: Tensor, kernel: Tensor, groups: int) -> Tensor:
    """Return ``sum_i inputs[k, i] kernel[o, i]`` [members, out], i running over the group of o."""
    split = inputs.reshape(len(inputs), groups, -1)
    return torch.einsum("kgi,goi->kgo", split, kernel.reshape(groups, -1, kernel.shape[1])).flatten(1)
