"""``load_split``: the examples of one split of a recipe's data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .datasets import load_dataset
from .recipes import Recipe
from .recipes import recipe as make_recipe


def load_split(recipe: str | Recipe, split: str = "test") -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the examples of one split of a recipe's data: what an ensemble predicts on.

    Parameters
    ----------
    recipe : str or Recipe
        Recipe whose data set is read, with its subsets.
    split : str
        ``train``, ``test``, or ``validation`` where the recipe holds examples out.

    Returns
    -------
    inputs : ndarray [examples, ...]
        As in the data set, not scaled: uint8 images [examples, channels, height, width], float32, or int64 tokens.
    labels : ndarray of int64 [examples]
        True classes.

    Raises
    ------
    InputError
        No such split, or no data.

    Examples
    --------
    >>> import runspread as rs
    >>> inputs, labels = rs.training.load_split("digits-mlp")
    >>> inputs.shape, labels.shape
    ((360, 64), (360,))
    """
    found = load_dataset(make_recipe(recipe)).split(split)
    return found.inputs, found.labels
