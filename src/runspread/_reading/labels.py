"""Labels beside outputs: one for each example, and words for what may have been mistaken for what."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_labels, to_numpy
from ..errors import InputError
from .kinds import count_classes


def labels_of(shape: tuple[int, ...], labels: ArrayLike, said: str | None = None) -> NDArray[np.int64]:
    """Return labels that fit outputs of a shape; else say what may have been mistaken for what."""
    count = np.asarray(to_numpy(labels))
    check_label_count(count, shape)
    limit = count_classes(said, shape[2], count) if len(shape) == 3 else None
    return check_labels(count, limit)


def check_label_count(labels: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise an InputError unless there is one label for each example of outputs of a shape."""
    if labels.shape == (shape[1],):
        return
    if labels.ndim != 1:
        raise InputError(
            f"the labels have shape {labels.shape} for {shape[1]} examples", "one label per example: [examples]"
        )
    hint = ""
    if len(labels) == shape[0]:
        turned = "x.T" if len(shape) == 2 else "x.transpose(1, 0, 2)"
        one = "If this is one run of that many examples, pass x[None]. " if len(shape) == 2 else ""
        hint = f"The first axis is runs, and it is as long as the labels. {one}If examples come first, pass {turned}."
    raise InputError(
        f"there are {len(labels)} labels for {shape[1]} examples (outputs of shape {shape})",
        "one label per example",
        hint,
    )


def refuse_square(shape: tuple[int, ...]) -> None:
    """Raise an InputError for numbers on two axes as long as the labels, of which either may be the examples."""
    if shape[0] == shape[1]:
        raise InputError(
            f"the outputs have shape {shape} with {shape[1]} labels: they may be one run of {shape[1]} classes, or "
            f"{shape[0]} runs",
            hint="For one run pass x[None]; for one log-odds per run and example pass x[..., None].",
        )
