"""A text file as sequences of characters, for masked language modelling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .base import Dataset, Split, with_fingerprint

_TEST_MASK_SEED = 0


def load_text(data: str | None, *, length: int, test_share: float, mask_percent: int) -> Dataset:
    """Return a text cut into sequences of `length` characters; the last share is the test set.

    Parameters
    ----------
    data : str
        A UTF-8 text file, or a folder with one ``.txt`` file.
    length : int
        Characters a sequence.
    test_share : float
        Share of the sequences, from the end of the text, that is held out.
    mask_percent : int
        Percentage of test characters that are hidden, once and for all runs; the training characters are hidden
        anew in every epoch by the augmentation "mask".

    Returns
    -------
    Dataset
        Tokens int64 [sequences, length]: characters of the text in order of code point, then the mask token. Labels of
        the test set are -1 at positions that are not hidden; those of the training set are all -1 until it is masked.
    """
    text = _read(data)
    alphabet, codes = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32), return_inverse=True)
    sequences = codes[: len(codes) // length * length].reshape(-1, length).astype(np.int64)
    cut = len(sequences) - round(test_share * len(sequences))
    if not 0 < cut < len(sequences) or not 0 < mask_percent < 100:
        raise InputError(
            f"got {len(sequences)} sequences of {length} characters, test_share={test_share} and "
            f"mask_percent={mask_percent}",
            "sequences for training and for testing, some positions hidden and some not",
        )
    mask = len(alphabet)
    train = Split(sequences[:cut], np.full_like(sequences[:cut], -1))
    return with_fingerprint(Dataset({"train": train, "test": _masked(sequences[cut:], mask, mask_percent)}, mask + 1))


def _read(data: str | None) -> str:
    if data is None:
        raise InputError("no text for a recipe that needs some", "data=FILE.txt")
    path = Path(data).expanduser()
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if len(files) != 1 or not files[0].is_file():
        raise InputError(f"{len(files)} text files at {data}" if path.is_dir() else f"no file {data}", "one text file")
    try:
        return files[0].read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{files[0]} is not UTF-8 ({error})", "a text file in UTF-8") from error


def _masked(tokens: NDArray[np.int64], mask: int, percent: int) -> Split:
    """Return test sequences: of the chosen positions all show the mask token."""
    chosen = np.random.default_rng(_TEST_MASK_SEED).random(tokens.shape) < percent / 100
    return Split(np.where(chosen, mask, tokens), np.where(chosen, tokens, -1))
