"""Where randomness comes from: seeds of runs by role, data orders, and a counter-based hash for augmentation.

Every draw is a function of (seed of its role, what it is for): nothing depends on what was drawn before, on the other
runs of a stack, or on where a training was resumed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_seed
from ..errors import InputError
from ..studies.records import SEED_ROLES, Seeds

_ROLE = {role: number for number, role in enumerate(SEED_ROLES, start=1)}
_ORDER_STREAM = 101


def base_seed(seed: Any) -> int:
    """Return the base seed of a training, from which all others follow: a whole number from 0, never chance."""
    checked = check_seed(seed)
    if not isinstance(checked, int):
        raise InputError(f"got seed={seed!r}", "a whole number from 0", "All seeds of a training follow from it.")
    return checked


def derive_seed(seed: int, role: str, index: int) -> int:
    """Return the 48-bit seed of `role` for run `index` of a plan with base seed `seed`."""
    words = np.random.SeedSequence([seed, _ROLE[role], index]).generate_state(2, np.uint32)
    return int(words[0]) << 16 | int(words[1]) >> 16


def run_seeds(seed: int, index: int, vary: Collection[str]) -> Seeds:
    """Return the seeds of run `index`: roles in `vary` get their own, the others the one of run 0."""
    return Seeds(**{role: derive_seed(seed, role, index if role in vary else 0) for role in SEED_ROLES})


def epoch_order(order_seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    """Return the order in which the `n` training examples are shown in `epoch`."""
    generator = np.random.default_rng(np.random.SeedSequence([_ORDER_STREAM, order_seed, epoch]))
    return generator.permutation(n)


def fold_seed(seed: int, *words: int) -> int:
    """Return 31 bits that name (seed, words): the key of one stream of the hash in ``hashing``."""
    return int(np.random.SeedSequence([seed, *words]).generate_state(1, np.uint32)[0] >> 1)
