"""From one weight tensor to its eigenvalues: which matrices it holds, their spectrum, and what rounding can explain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._results import Result, Table
from ...errors import InputError
from .tails import Floats

CONV_MODES = ("slices", "unfold", "fft")
LAYOUTS = ("auto", "dense", "conv", "conv_transposed", "stack")
# Unit round-off of the types that weights are stored in; half the distance from 1 to the next larger number.
UNIT_ROUNDOFF = {
    "float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8,
    "float8_e4m3": 2.0**-4, "float8_e5m2": 2.0**-3,
}  # fmt: skip
_FLOOR_FACTOR = 4.0  # rounding noise was seen up to 2.7 times its expected edge
Solver = Callable[[NDArray[Any]], NDArray[np.float64]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Spectrum(Result):
    """Eigenvalues of ``W^T W``, pooled over the matrices that a weight tensor holds.

    Attributes
    ----------
    eigenvalues : ndarray [n]
        Ascending.
    N, M : int
        Larger and smaller dimension of each matrix.
    blocks : int
        Number of matrices.
    receptive_field : int
        Number of spatial positions of a kernel; 1 for a matrix.
    groups : int
        Groups of a convolution.
    floor : float
        Eigenvalues at or below are within rounding noise of the stored type.
    stored : str
        Type that the weights are stored in.
    conv_mode : {"slices", "unfold", "fft"}
        How a kernel was turned into matrices.
    block_eigenvalues : ndarray [blocks, M]
        The same eigenvalues by matrix, ascending in each.
    """

    picture = ".plots:plot_spectrum"

    eigenvalues: NDArray[np.float64]
    N: int
    M: int
    blocks: int
    receptive_field: int
    groups: int
    floor: float
    stored: str
    conv_mode: str
    block_eigenvalues: NDArray[np.float64]

    @property
    def n(self) -> int:
        """Number of eigenvalues."""
        return len(self.eigenvalues)

    @property
    def rank(self) -> int:
        """Number of eigenvalues above the floor."""
        return int(np.sum(self.eigenvalues > self.floor))

    def tail_values(self) -> NDArray[np.float64]:
        """Return the eigenvalues above the floor, which a power law may be fitted to."""
        return self.eigenvalues[self.eigenvalues > self.floor]

    def table(self) -> Table:
        """Return one row: sizes, scale, rank."""
        return Table(
            {
                "N": [self.N], "M": [self.M], "matrices": [self.blocks], "eigenvalues": [self.n], "rank": [self.rank],
                "sum": [float(np.sum(self.eigenvalues))], "largest": [float(self.eigenvalues[-1])],
            }
        )  # fmt: skip

    def sentence(self) -> str:
        """Say how large the spectrum is and how much of it rounding can explain."""
        return (
            f"{self.n} eigenvalues of {self.blocks} {'matrix' if self.blocks == 1 else 'matrices'} "
            f"({self.N} x {self.M}), from {self.eigenvalues[0]:.3g} to "
            f"{self.eigenvalues[-1]:.3g}; {self.rank} lie above what rounding to {self.stored} can explain."
        )


def spectrum(
    weight: ArrayLike,
    *,
    layout: Literal["auto", "dense", "conv", "conv_transposed", "stack"] = "auto",
    groups: int = 1,
    conv_mode: Literal["slices", "unfold", "fft"] = "slices",
    input_size: tuple[int, ...] | None = None,
    scale: float = 1.0,
    stored: str | None = None,
    method: Literal["gram", "svd"] = "gram",
    solver: Solver | None = None,
) -> Spectrum:
    """Return the eigenvalues of ``W^T W`` of a weight tensor.

    Parameters
    ----------
    weight : array_like
        ``[out, in]``, a kernel ``[out, in/groups, k1, ..., kd]`` of any number of axes, a transposed kernel
        ``[in, out/groups, k1, ..., kd]``, or a stack of matrices ``[matrices, rows, columns]``.
    layout : {"auto", "dense", "conv", "conv_transposed", "stack"}
        Which of these; "auto" is dense for two axes and conv for more.
    groups : int
        Groups of a convolution.
    conv_mode : {"slices", "unfold", "fft"}
        One matrix per spatial position and group (pooled), one matrix ``[out, in k1...kd]`` per group, or the exact
        singular values of the convolution on a grid of `input_size` with circular padding.
    input_size : tuple of int, optional
        Grid of the input, for "fft".
    scale : float
        Factor on the weights (WeightWatcher multiplies kernels by ``sqrt(1/2)``).
    stored : str, optional
        Type that the weights are stored in, where it differs from the array's ("bfloat16", "float8_e4m3", ...).
    method : {"gram", "svd"}
        Eigenvalues of the smaller Gram matrix (fast; absolute error near ``2e-16`` of the largest), or squared
        singular values (where the smallest matter).
    solver : callable, optional
        Eigenvalues [blocks, M] ascending of symmetric matrices [blocks, M, M], in place of LAPACK through NumPy.

    Returns
    -------
    Spectrum

    Raises
    ------
    InputError
        The tensor holds no matrix, or numbers that are not finite.

    Notes
    -----
    Arithmetic is in float64. There is no division by N. The floor is the larger of the round-off of the computation
    and four times the edge of the spectrum of rounding noise, ``(u^2/3) mean(w^2) (sqrt(N)+sqrt(M))^2``.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> len(rs.methods.spectra.spectrum(weight).eigenvalues)
    100
    """
    check_choice(layout, "layout", LAYOUTS)
    check_choice(conv_mode, "conv_mode", CONV_MODES)
    check_choice(method, "method", ("gram", "svd"))
    array = np.asarray(weight)
    kind = stored or str(array.dtype)
    blocks = matrices_of(array, layout=layout, groups=groups, conv_mode=conv_mode, input_size=input_size) * scale
    if not np.isfinite(blocks).all():
        raise InputError(f"{int(np.sum(~np.isfinite(array)))} weights that are not finite", "numbers")
    rows, columns = blocks.shape[1:]
    eigenvalues = _squared_singular(blocks) if method == "svd" else gram_eigenvalues(blocks, solver)
    pooled = np.sort(eigenvalues, axis=None)
    return Spectrum(
        eigenvalues=pooled,
        N=max(rows, columns),
        M=min(rows, columns),
        blocks=len(blocks),
        receptive_field=_receptive_field(array, layout),
        groups=groups,
        floor=rounding_floor(blocks, float(pooled[-1]), kind, gram=method == "gram"),
        stored=kind,
        conv_mode=conv_mode,
        block_eigenvalues=eigenvalues,
    )


def _receptive_field(array: NDArray[Any], layout: str) -> int:
    return 1 if layout == "stack" else int(np.prod(array.shape[2:]))


def matrices_of(
    weight: NDArray[Any],
    *,
    layout: str = "auto",
    groups: int = 1,
    conv_mode: str = "slices",
    input_size: tuple[int, ...] | None = None,
) -> NDArray[Any]:
    """Return the matrices [blocks, rows, columns] that a weight tensor holds, float64 (complex for "fft").

    Blocks of kernels are in the order of groups, then of positions in row-major order.
    """
    if weight.ndim < 2 or 0 in weight.shape or weight.dtype.kind not in "fiub":
        raise InputError(
            f"got a weight of shape {weight.shape} and dtype {weight.dtype}", "at least two axes of numbers"
        )
    array = weight.astype(np.float64)
    if layout == "stack":
        return array.reshape(-1, *array.shape[-2:])
    if weight.ndim == 2:
        return array[None]
    grouped = _grouped(array, groups, transposed=layout == "conv_transposed")
    if conv_mode == "unfold":
        return grouped.reshape(groups, grouped.shape[1], -1)
    if conv_mode == "fft":
        grouped = _transfer(grouped, input_size)
    flat = grouped.reshape(*grouped.shape[:3], -1)
    return np.moveaxis(flat, 3, 1).reshape(-1, *flat.shape[1:3])


def tensor_of_matrices(
    blocks: NDArray[Any], *, shape: tuple[int, ...], layout: str = "auto", groups: int = 1
) -> NDArray[Any]:
    """Return the tensor of `shape` whose `matrices_of` (as slices) are `blocks`."""
    if layout == "stack" or len(shape) == 2:
        return blocks.reshape(shape)
    grouped = np.moveaxis(blocks.reshape(groups, -1, *blocks.shape[1:]), 1, 3)
    if layout == "conv_transposed":
        grouped = np.swapaxes(grouped, 1, 2)
    return grouped.reshape(shape)


def _grouped(kernel: Floats, groups: int, *, transposed: bool) -> Floats:
    """Return a kernel as [groups, out/groups, in/groups, k1, ..., kd]."""
    if groups < 1 or kernel.shape[0] % groups:
        raise InputError(f"got {kernel.shape[0]} channels in {groups} groups", "a divisor of the first axis")
    split = kernel.reshape(groups, kernel.shape[0] // groups, *kernel.shape[1:])
    return np.swapaxes(split, 1, 2) if transposed else split


def _transfer(grouped: Floats, input_size: tuple[int, ...] | None) -> NDArray[Any]:
    """Return the transfer matrix of every spatial frequency (Sedghi, Gupta and Long, 2019)."""
    kernel = grouped.shape[3:]
    if input_size is None or len(input_size) != len(kernel) or any(np.less(input_size, kernel)):
        raise InputError(
            f"got input_size {input_size} for a kernel {kernel}",
            "the grid of the layer's input, at least the kernel",
            "conv_mode='slices' needs none.",
        )
    return np.fft.fftn(grouped, s=input_size, axes=tuple(range(3, grouped.ndim)))


def gram_eigenvalues(blocks: NDArray[Any], solver: Solver | None = None) -> Floats:
    """Return the eigenvalues [blocks, M] of the smaller Gram matrix of each block, ascending, not negative."""
    conjugate = blocks.conj() if np.iscomplexobj(blocks) else blocks  # a view of one array lets matmul halve its work
    adjoint = np.swapaxes(conjugate, 1, 2)
    with np.errstate(over="ignore", invalid="ignore"):
        gram = blocks @ adjoint if blocks.shape[1] < blocks.shape[2] else adjoint @ blocks
    if not np.isfinite(gram).all():
        raise InputError(f"weights of up to {np.abs(blocks).max():.3g}, whose squares are no numbers", "smaller ones")
    return np.maximum((solver or np.linalg.eigvalsh)(gram), 0.0)


def _squared_singular(blocks: NDArray[Any]) -> Floats:
    return np.linalg.svd(blocks, compute_uv=False)[:, ::-1] ** 2


def rounding_floor(blocks: NDArray[Any], largest: float, stored: str, *, gram: bool) -> float:
    """Return the eigenvalue that rounding, of the stored weights and of the computation, can explain."""
    small, large = sorted(blocks.shape[1:])
    roundoff = UNIT_ROUNDOFF.get(stored.removesuffix("fn").removesuffix("fnuz").removesuffix("uz"), 0.0)
    mean_square = float(np.mean(np.abs(blocks) ** 2)) if roundoff else 0.0
    noise = roundoff**2 / 3 * mean_square * (np.sqrt(large) + np.sqrt(small)) ** 2
    computed = large * 2.0**-52
    return max((computed if gram else computed**2) * largest, _FLOOR_FACTOR * noise)
