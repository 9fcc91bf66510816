"""Chooses the compiled recursions where numba is installed, the plain ones elsewhere."""

from __future__ import annotations

import importlib
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..._compiled import can_compile
from .parameters import Array, Mask


class Kernels(Protocol):
    """What both implementations offer (documented in ``kernels_numpy``)."""

    BLOCK: int

    def gaussian(self, white: Array, constant: Array, out: Array) -> None: ...
    def relative(self, log_b: Array) -> tuple[Array, Array]: ...
    def smooth(
        self, b: Array, offsets: NDArray[np.int64], start: Array, trans: Array
    ) -> tuple[Array, Array, Array, Mask]: ...
    def forward_log(self, log_b: Array, log_start: Array, log_trans: Array) -> Array: ...
    def smooth_log(self, log_b: Array, log_start: Array, log_trans: Array) -> tuple[Array, Array, float]: ...
    def viterbi(self, log_b: Array, log_start: Array, log_trans: Array) -> tuple[NDArray[np.int64], float]: ...


def load_kernels(*, compiled: bool | None = None) -> Kernels:
    """Return the recursions, compiled ones when `compiled` or, by default, when numba is there."""
    use = can_compile() if compiled is None else compiled
    name = "kernels_numba" if use else "kernels_numpy"
    return cast(Kernels, importlib.import_module(f"{__package__}.{name}"))
