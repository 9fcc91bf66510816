"""Reads a file of test vectors and remembers which keys a test has looked at.

The folder is named by the environment variable RUNSPREAD_VECTORS (default: tests/data/vectors). Tests take every case,
shape and parameter from the file, so that another file of the same layout runs through the same tests unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

DEFAULT_FOLDER = Path(__file__).parents[1] / "data" / "vectors"


class Vectors:
    """The arrays of ``<name>.npz``; ``vectors[key]`` reads one and notes that it was read."""

    def __init__(self, name: str) -> None:
        folder = Path(os.environ.get("RUNSPREAD_VECTORS", DEFAULT_FOLDER))
        candidates = [folder / f"{name}.npz", *sorted(folder.glob(f"{name}_*.npz"))]
        path = next((path for path in candidates if path.is_file()), None)
        if path is None:
            pytest.skip(f"no {name}.npz in {folder}", allow_module_level=True)
        self._arrays = np.load(path, allow_pickle=False)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> np.ndarray:
        self.read.add(key)
        return self._arrays[key]

    def __contains__(self, key: str) -> bool:
        return key in self._arrays.files

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays.files)

    def unread(self) -> set[str]:
        """Return the keys that no test has read so far."""
        return set(self._arrays.files) - self.read
