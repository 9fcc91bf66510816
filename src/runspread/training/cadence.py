"""When to record, and how long a training is."""

from __future__ import annotations

import re

import numpy as np

from ..errors import InputError

_UNITS = {"step": "steps", "steps": "steps", "epoch": "epochs", "epochs": "epochs"}


def parse_cadence(text: str) -> tuple[str, float]:
    """Return ("none", 0), ("steps", n), ("epochs", n) or ("log", points) from what a recipe's `record` says."""
    words = text.split()
    if words == ["none"]:
        return "none", 0
    if len(words) == 1 and words[0] in _UNITS:
        words = ["1", *words]
    if len(words) == 2 and words[0] == "log" and re.fullmatch(r"[1-9]\d*", words[1]):
        return "log", int(words[1])
    if len(words) == 2 and words[1] in _UNITS and re.fullmatch(r"\d+(\.\d+)?", words[0]) and float(words[0]) > 0:
        return _UNITS[words[1]], float(words[0])
    raise InputError(f"got record={text!r}", "'none', '5 steps', '2 epochs' or 'log 20'")


def steps_per_epoch(n: int, batch_size: int | None, drop_last: bool) -> int:
    """Return optimiser steps an epoch of `n` training examples."""
    size = n if batch_size is None else batch_size
    if size > n:
        raise InputError(f"got batch_size={size} with {n} training examples", "no more than there are")
    return n // size if drop_last else -(-n // size)


def total_steps(epochs: float | None, steps: int | None, per_epoch: int) -> int:
    """Return the length of a training in steps."""
    return steps if steps is not None else round((epochs or 0) * per_epoch)


def record_steps(text: str, total: int, per_epoch: int) -> tuple[int, ...]:
    """Return the steps after which to record; the last step is always among them.

    A step's number counts the updates done: 0 is before training, `total` the end.
    """
    kind, number = parse_cadence(text)
    if kind == "none" or total == 0:
        return (total,)
    if kind == "log":
        points = np.unique(np.round(np.geomspace(1, total, int(number))).astype(int))
        return tuple(int(step) for step in points)
    every = max(1, round(number if kind == "steps" else number * per_epoch))
    return (*range(every, total, every), total)
