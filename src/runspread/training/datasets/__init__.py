"""Data sets by name. Each loader returns a `Dataset`: NumPy arrays of every split, and a digest of the contents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..options import Entry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..recipes import Recipe
    from .base import Dataset

# Options that every data set of images takes: how many examples to use (the first ones), how many training examples to
# hold out for validation (the last ones), and the seed of the order that "first" and "last" mean (0: as stored).
_SUBSET = {"train_examples": 0, "test_examples": 0, "validation": 0, "split_seed": 0}
_READS = {"reads": True}  # takes data=, where the files are

DATASETS = {
    "digits": Entry("datasets.digits:load_digits", _SUBSET),
    "images": Entry("datasets.images:load_images", {**_SUBSET, "pool": 1, "scale": "standard"}, _READS),
    "modular-addition": Entry("datasets.synthetic:load_modular_addition", {"p": 113, "fraction": 0.3, "data_seed": 0}),
    "text": Entry("datasets.text:load_text", {"length": 64, "test_share": 0.1, "mask_percent": 15}, _READS),
    "sparse-parity": Entry(
        "datasets.synthetic:load_sparse_parity",
        {"bits": 40, "subset": 3, "train_examples": 1000, "test_examples": 100, "data_seed": 0},
    ),
}


def load_dataset(recipe: Recipe) -> Dataset:
    """Return the data of a recipe."""
    entry = DATASETS[recipe.dataset]
    if recipe.data is not None and not entry.traits.get("reads"):
        raise InputError(f"data={recipe.data!r} for data set {recipe.dataset!r}, which reads no files", "no data")
    dataset: Dataset = entry.build(recipe.data, **recipe.dataset_options)
    return dataset


def load_split(recipe: str | Recipe, split: str = "test") -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the examples of one split of a recipe's data: what an ensemble predicts on.

    Parameters
    ----------
    recipe : str or Recipe
        Whose data, with its subsets.
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
    """
    from ..recipes import recipe as make_recipe

    found = load_dataset(make_recipe(recipe)).split(split)
    return found.inputs, found.labels
