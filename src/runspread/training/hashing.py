"""A counter-based hash in torch: random bits that hang on (key, counter) alone, so on no generator's state.

The mixer is the finaliser of MurmurHash3 (32 bits, public domain), which a stack of runs evaluates for all of its
examples or activations at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BITS = 31
_MULTIPLIERS = (0x85EBCA6B - 2**32, 0xC2B2AE35 - 2**32)


def mix(x: Tensor) -> Tensor:
    """Return int32 `x` scrambled (a bijection of 32 bits)."""
    x = x ^ ((x >> 16) & 0xFFFF)
    x = x * _MULTIPLIERS[0]
    x = x ^ ((x >> 13) & 0x7FFFF)
    x = x * _MULTIPLIERS[1]
    return x ^ ((x >> 16) & 0xFFFF)


def random_bits(keys: Tensor, counters: Tensor) -> Tensor:
    """Return 31 random bits for int32 keys and counters, broadcast against each other."""
    return mix(mix(counters) ^ keys) & 0x7FFFFFFF


def random_integers(keys: Tensor, counters: Tensor, n: int) -> Tensor:
    """Return whole numbers in ``0..n-1`` (n small against 2**31, so that the bias is below n / 2**31)."""
    return random_bits(keys, counters).long() * n >> _BITS


def keep_mask(key: Tensor, shape: torch.Size | tuple[int, ...], rate: Tensor) -> Tensor:
    """Return booleans that are True with probability ``1 - rate``, for a scalar key and rate."""
    n = int(torch.Size(shape).numel())
    bits = random_bits(key, torch.arange(n, dtype=torch.int32, device=key.device))
    return (bits.float() >= rate * 2.0**_BITS).view(shape)
