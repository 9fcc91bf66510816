"""The 8 x 8 handwritten digits that scikit-learn ships: 1,797 examples, ten classes, no download."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._optional import require
from .base import Dataset, Split, make_dataset

TEST_EXAMPLES = 360


def load_digits(data: str | None, **options: Any) -> Dataset:
    """Return 1,437 training and 360 test examples of 64 pixels in [0, 1].

    The split is fixed: examples in the order ``numpy.random.RandomState(split_seed).permutation(1797)``, whose stream
    NumPy has frozen; the last 360 are the test set, or more where `test_examples` asks for them.
    """
    bunch: Any = require("sklearn.datasets", "the digits data set").load_digits()
    order = np.random.RandomState(options["split_seed"]).permutation(len(bunch.target))
    inputs = (bunch.data / 16).astype(np.float32)[order]
    labels = bunch.target.astype(np.int64)[order]
    cut = max(1, len(order) - max(TEST_EXAMPLES, options["test_examples"]))
    train, test = Split(inputs[:cut], labels[:cut]), Split(inputs[cut:], labels[cut:])
    return make_dataset(train, test, 10, subset=options | {"split_seed": 0})  # the order is drawn already
