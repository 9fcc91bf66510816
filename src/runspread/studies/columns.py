"""When digest columns stand beside a shard's outputs, and how they are called there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._reading.digest_columns import can_be_digested, digest_columns
from .layout import column_key, labels_key

_LARGE, _COLUMN_BYTES = 2**20, 12  # of a shard's outputs, and of the columns of one run and example


def worth_a_digest(stored: NDArray[Any]) -> bool:
    """Whether outputs are so large that columns beside them are worth their bytes: small ones are as quick to read."""
    return stored.nbytes >= _LARGE and stored[:1, :1].nbytes >= 2 * _COLUMN_BYTES


def columns_beside(stored: NDArray[Any], labels: NDArray[Any], split: str, kind: str | None) -> dict[str, NDArray[Any]]:
    """Return the digest columns of final outputs by name, with the labels; nothing where they have none."""
    if not can_be_digested(stored, kind):
        return {}
    columns = digest_columns(stored, labels.astype(np.int64), kind)
    return {column_key(name, split): array for name, array in columns.items()} | {labels_key(split): labels}
