"""What a data set is once it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_labels
from ...errors import InputError


@dataclass(frozen=True, eq=False)
class Split:
    """Inputs and labels of one split.

    Attributes
    ----------
    inputs : ndarray [examples, ...]
        uint8 images [examples, channels, height, width], float32 features, or int64 tokens.
    labels : ndarray of int64 [examples] or [examples, positions]
        Classes; -1 at positions that do not count.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.inputs)

    def first(self, n: int, seed: int = 0) -> Split:
        """Return the first `n` examples, all of them when `n` is 0; with a seed, of an order drawn from it."""
        if n > len(self):
            raise InputError(f"{n} examples were asked for", f"at most the {len(self)} that are there")
        if seed:
            chosen = np.random.RandomState(seed).permutation(len(self))[: n or None]
            return Split(self.inputs[chosen], self.labels[chosen])
        return Split(self.inputs[:n], self.labels[:n]) if n else self


@dataclass(frozen=True, eq=False)
class Dataset:
    """Splits by name, and how inputs are scaled.

    Attributes
    ----------
    splits : mapping of str to Split
        ``train``, ``test`` and, where asked for, ``validation``.
    n_classes : int
        Number of outputs that a network needs.
    mean, std : ndarray of float32
        Subtracted from and divided into the inputs, broadcast over all but the first axis of an example.
    fingerprint : str
        Digest of contents, split and scaling: the same data give the same fingerprint on every machine.
    """

    splits: Mapping[str, Split]
    n_classes: int
    mean: NDArray[np.float32] = field(default_factory=lambda: np.zeros(1, np.float32))
    std: NDArray[np.float32] = field(default_factory=lambda: np.ones(1, np.float32))
    fingerprint: str = ""

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.splits["train"].inputs.shape[1:]

    def split(self, name: str) -> Split:
        """Return a split, or say which there are."""
        if name not in self.splits:
            hint = "Hold examples out: validation=NUMBER in the recipe, or --set validation=NUMBER."
            expected = f"one of {', '.join(self.splits)}"
            raise InputError(f"there is no split {name!r}", expected, hint if name == "validation" else "")
        return self.splits[name]


def make_dataset(train: Split, test: Split, n_classes: int, *, subset: Mapping[str, Any], **scaling: Any) -> Dataset:
    """Return a data set cut down as the options in `subset` say (see `DATASETS`)."""
    for split in (train, test):
        check_labels(split.labels, n_classes)
    seed = subset["split_seed"]
    train, test = train.first(subset["train_examples"], seed), test.first(subset["test_examples"], seed)
    splits = {"train": train, "test": test}
    held_out = subset["validation"]
    if not 0 <= held_out < len(train):
        raise InputError(
            f"got validation={held_out} of {len(train)} training examples", "fewer than there are, not negative"
        )
    if held_out:
        cut = len(train) - held_out
        splits["train"] = Split(train.inputs[:cut], train.labels[:cut])
        splits["validation"] = Split(train.inputs[cut:], train.labels[cut:])
    return with_fingerprint(Dataset(splits, n_classes, **scaling))


def with_fingerprint(dataset: Dataset) -> Dataset:
    """Return the data set with the digest of its contents."""
    state = hashlib.sha256()
    for name, split in dataset.splits.items():
        state.update(name.encode())
        for array in (split.inputs, split.labels):
            state.update(f"{array.dtype.str}{array.shape}".encode())
            state.update(np.ascontiguousarray(array).data)
    state.update(dataset.mean.tobytes() + dataset.std.tobytes())
    return replace(dataset, fingerprint=state.hexdigest()[:16])
