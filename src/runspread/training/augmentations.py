"""Names of augmentations; what they do to a batch is in ``augment``, which needs torch."""

from __future__ import annotations

from .._checks import check_choice
from ..errors import InputError

# Name to the meaning of its number; None where it takes none.
AUGMENTATIONS: dict[str, str | None] = {
    "flip": None,
    "crop": "pixels of zero padding on each side before a random crop to the old size",
    "shift": "largest shift in pixels, along each axis, zeros moving in",
    "cutout": "side of the square that is blanked",
    "mask": "percentage of tokens that are to be guessed, as for BERT",
}


def parse_augmentation(text: str) -> tuple[str, int]:
    """Return (name, number) from "crop:2"; the number is 0 where the name takes none.

    "crop" and "shift" draw an offset from -n..n along each axis: the same operation under its two usual names.
    """
    name, _, number = text.partition(":")
    check_choice(name, "augmentation", AUGMENTATIONS)
    if AUGMENTATIONS[name] is None and not number:
        return name, 0
    if AUGMENTATIONS[name] is None or not number.isdigit() or int(number) < 1:
        raise InputError(f"got augmentation {text!r}", f"'{name}'" if AUGMENTATIONS[name] is None else f"'{name}:4'")
    return name, int(number)
