"""Where arrays that took long to make are kept, and how they get there in one piece."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WRITE_BITS = 0o222


def user_cache() -> Path:
    """Return the user's cache folder: ``$RUNSPREAD_CACHE``, else ``$XDG_CACHE_HOME/runspread``, else below home."""
    if named := os.environ.get("RUNSPREAD_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runspread"


def cache_folder(data: Path) -> Path:
    """Return ``.runspread-cache`` beside the data where that can be written, else the user's cache folder.

    A folder whose permission bits forbid writing is left alone even where the user (root) could override them.
    """
    beside = data / ".runspread-cache"
    if beside.is_dir() or (data.stat().st_mode & _WRITE_BITS and os.access(data, os.W_OK)):
        return beside
    return user_cache() / "images"


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write `array` as ``.npy``; readers see the whole file or none."""
    write_atomically(path, lambda file: np.save(file, array, allow_pickle=False))


def write_atomically(path: Path, write: Any) -> None:
    """Call ``write(file)`` on a temporary sibling of `path` and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
