"""Data sets by name. Each loader returns a `Dataset`: NumPy arrays of every split, and a digest of the contents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import InputError
from ..options import Entry

if TYPE_CHECKING:
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
