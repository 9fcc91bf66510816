"""Equal values are equal on every processor: what is ranked is first rounded, far coarser than rounding errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRID_BITS = 36  # sums of thousands of terms err by 2^-40 of their size; no measurement has eleven digits


def snap(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values [n] rounded to 36 binary digits: of their own size, or of the median size where they are smaller.

    So 0.93 - 0.92 and 0.92 - 0.91 are equal, and a rest of 1e-17 is zero; one value of 1e12 takes no digits from the
    others. Order is kept, though values closer than the grid become ties.
    """
    sizes = np.abs(values)
    usual = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(usual):
        return values
    _, exponents = np.frexp(np.maximum(sizes, np.median(usual)))
    steps = np.ldexp(1.0, np.clip(exponents - GRID_BITS, -1000, 1000))
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(values), np.round(values / steps) * steps, values)
