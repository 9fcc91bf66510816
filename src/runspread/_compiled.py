"""Compiles hot loops where numba is installed; each has a plain twin for where it is not."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])


def can_compile() -> bool:
    """Return whether numba is installed and not told to run its functions uncompiled, which some of them cannot be."""
    return importlib.util.find_spec("numba") is not None and os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def compiled(function: _Function) -> _Function:
    """Compile; division by zero gives infinity, as in NumPy. What was compiled is kept on disk."""
    import numba

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return cast(_Function, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # nowhere to write the cache: compile anew in every process
        return cast(_Function, numba.njit(**options)(function))
