"""Tasks made from arithmetic: modular addition and sparse parity."""

from __future__ import annotations

import numpy as np

from ...errors import InputError
from .base import Dataset, Split, with_fingerprint


def load_modular_addition(data: str | None, *, p: int, fraction: float, data_seed: int) -> Dataset:
    """Return all pairs (x, y) below `p` with label ``(x + y) mod p``, a share `fraction` of them for training.

    Hu et al. (2023), section 4: p = 113 and 30 % give 3,830 training and 8,939 test examples.
    """
    if p < 2 or not 0 < fraction < 1:
        raise InputError(f"got p={p}, fraction={fraction}", "p of at least 2 and a fraction between 0 and 1")
    pairs = np.stack(np.divmod(np.arange(p * p), p), axis=1)
    pairs = pairs[np.random.default_rng(data_seed).permutation(p * p)]
    labels = pairs.sum(axis=1) % p
    cut = int(fraction * p * p)
    if not 0 < cut < p * p:
        raise InputError(
            f"got fraction={fraction} of {p * p} pairs", "at least one pair for training and one for testing"
        )
    splits = {"train": Split(pairs[:cut], labels[:cut]), "test": Split(pairs[cut:], labels[cut:])}
    return with_fingerprint(Dataset(splits, p + 1))  # the vocabulary: p numbers and the "=" token, never an answer


def load_sparse_parity(
    data: str | None, *, bits: int, subset: int, train_examples: int, test_examples: int, data_seed: int
) -> Dataset:
    """Return inputs uniform in {-1, 1}^bits; class 1 where the product of the first `subset` entries is 1, else 0.

    Hu et al. (2023), section 4 (the text says AND; their code, and the task's name, are parity).
    """
    if not 1 <= subset <= bits or min(train_examples, test_examples) < 1:
        raise InputError(
            f"got subset={subset} of bits={bits}, examples {train_examples} and {test_examples}", "all positive"
        )
    generator = np.random.default_rng(data_seed)
    inputs = generator.choice(np.array([-1, 1], np.float32), size=(train_examples + test_examples, bits))
    labels = (inputs[:, :subset].prod(axis=1) > 0).astype(np.int64)
    train = Split(inputs[:train_examples], labels[:train_examples])
    test = Split(inputs[train_examples:], labels[train_examples:])
    return with_fingerprint(Dataset({"train": train, "test": test}, 2))
