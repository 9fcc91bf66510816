"""The processor's cores: how many there are for us, and how many of them one product of matrices may take.

Processes or threads that share the cores must each hold BLAS to their share: threads of several products that outnumber
the cores wait for each other, and a product takes many times as long.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

_PREFIXES = ("scipy_openblas", "openblas")
_SUFFIXES = ("64_", "_64", "")
_PACKAGES = ("numpy", "scipy")  # each brings an OpenBLAS of its own


class _Threads(NamedTuple):
    """A library's functions that read and set its number of threads."""

    read: Callable[[], int]
    write: Callable[[int], None]


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def blas_threads(count: int) -> Generator[None]:
    """Let the OpenBLAS of NumPy and SciPy use `count` threads inside the block, and as many as before after it.

    Where they come with another BLAS nothing changes: set its own variable (``MKL_NUM_THREADS``) before starting.
    """
    before = [(library, library.read()) for library in _libraries()]
    set_blas_threads(count)
    try:
        yield
    finally:
        for library, threads in before:
            library.write(threads)


def set_blas_threads(count: int) -> None:
    """Let the OpenBLAS of NumPy and SciPy use `count` threads from here on, in this process."""
    for library in _libraries():
        library.write(count)


def _libraries() -> list[_Threads]:
    found = (_threads_of(package) for package in _PACKAGES if package in sys.modules)
    return [library for library in found if library is not None]


def blas_kernel() -> str | None:
    """Return for which processor the OpenBLAS of NumPy computes ("Haswell"); None where it comes with another BLAS."""
    for library in _openblas_of("numpy"):
        for name in _names("get_corename"):
            read = getattr(library, name, None)
            if read is not None:
                read.restype = ctypes.c_char_p
                return read().decode()
    return None


@functools.cache
def _threads_of(package: str) -> _Threads | None:
    for library in _openblas_of(package):
        for reading, writing in zip(_names("get_num_threads"), _names("set_num_threads"), strict=True):
            read, write = getattr(library, reading, None), getattr(library, writing, None)
            if read is not None and write is not None:
                return _Threads(read, write)
    return None


def _names(function: str) -> list[str]:
    """Return what a function of OpenBLAS may be called."""
    return [f"{prefix}_{function}{suffix}" for prefix in _PREFIXES for suffix in _SUFFIXES]


def _openblas_of(package: str) -> Iterator[Any]:
    """Yield the OpenBLAS libraries that come with a package."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return
    root = Path(spec.origin).parent
    for path in sorted([*root.parent.glob(f"{package}.libs/*openblas*"), *root.glob(".dylibs/*openblas*")]):
        try:
            yield ctypes.CDLL(str(path))
        except OSError:
            continue
