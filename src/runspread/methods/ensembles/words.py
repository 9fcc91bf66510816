"""Losses in words."""

from __future__ import annotations

import math

NAMES = {"nll": "NLL", "brier": "Brier score", "error": "error rate"}


def loss_text(value: float) -> str:
    """Return a loss with four digits, or that it is infinite."""
    return f"{value:.4f}" if math.isfinite(value) else "infinite" if value > 0 else "unknown"
