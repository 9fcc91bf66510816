"""Augmentation of a stack's batches. What happens to example e in epoch j hangs on (augmentation seed, e, j) alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .augmentations import parse_augmentation
from .hashing import random_integers
from .losses import IGNORED
from .seeding import fold_seed


class Augmenter:
    """Applies a recipe's augmentations to batches: images [runs, batch, channels, height, width], or tokens.

    Parameters
    ----------
    names : sequence of str
        Such as ("flip", "crop:2", "cutout:12"), applied in this order.
    seeds : sequence of int
        Augmentation seed of each run.
    device : torch.device
        Where the batches are.
    vocabulary : int
        Number of tokens, the mask token (the last) included, where the inputs are tokens.
    """

    def __init__(self, names: Sequence[str], seeds: Sequence[int], device: torch.device, vocabulary: int = 0) -> None:
        self.vocabulary = vocabulary
        self.steps = [parse_augmentation(name) for name in names]
        self.seeds, self.device = seeds, device
        self._epoch, self._keys = -1, torch.empty(0)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __call__(self, inputs: Tensor, targets: Tensor, examples: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Return the augmented batch; `examples` [runs, batch] says which example each input is."""
        if not self.steps:
            return inputs, targets
        if epoch != self._epoch:
            self._epoch, self._keys = epoch, self._draw_keys(epoch)
        counters = examples.to(torch.int32)
        for number, (name, size) in enumerate(self.steps):
            keys = self._keys[:, 2 * number : 2 * number + 2]
            if name == "mask":
                inputs, targets = mask_tokens(inputs, keys, counters, size / 100, self.vocabulary)
            else:
                inputs = _APPLY[name](inputs, keys, counters, size)
        return inputs, targets

    def _draw_keys(self, epoch: int) -> Tensor:
        """Return keys [runs, 2 * augmentations]: two streams for each."""
        words = range(2 * len(self.steps))
        keys = {seed: [fold_seed(seed, epoch, word) for word in words] for seed in set(self.seeds)}
        return torch.tensor([keys[seed] for seed in self.seeds], dtype=torch.int32, device=self.device)


def _flip(images: Tensor, keys: Tensor, counters: Tensor, size: int) -> Tensor:
    flipped = random_integers(keys[:, :1], counters, 2).bool()
    return torch.where(flipped[:, :, None, None, None], images.flip(-1), images)


def _shift(images: Tensor, keys: Tensor, counters: Tensor, size: int) -> Tensor:
    """Move by dy, dx in -size..size, zeros moving in: the same as padding and cropping at random."""
    height, width = images.shape[-2:]
    dy, dx = (random_integers(keys[:, k : k + 1], counters, 2 * size + 1) - size for k in (0, 1))
    rows, rows_in = _shifted(dy, height)
    columns, columns_in = _shifted(dx, width)
    index = (rows.unsqueeze(-1) * width + columns.unsqueeze(-2)).flatten(2).unsqueeze(2)
    moved = images.flatten(3).gather(3, index.expand(-1, -1, images.shape[2], -1)).view(images.shape)
    inside = (rows_in.unsqueeze(-1) & columns_in.unsqueeze(-2)).unsqueeze(2)
    return moved * inside


def _shifted(offset: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return source positions [runs, batch, size] under a shift, clamped, and whether they lie inside."""
    source = torch.arange(size, device=offset.device) + offset.unsqueeze(-1)
    return source.clamp(0, size - 1), (source >= 0) & (source < size)


def _cutout(images: Tensor, keys: Tensor, counters: Tensor, size: int) -> Tensor:
    """Blank a size x size square that lies wholly inside the image."""
    height, width = images.shape[-2:]
    top = random_integers(keys[:, :1], counters, height - min(size, height) + 1).unsqueeze(-1)
    left = random_integers(keys[:, 1:], counters, width - min(size, width) + 1).unsqueeze(-1)
    y, x = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    in_rows, in_columns = (y >= top) & (y < top + size), (x >= left) & (x < left + size)
    return images * ~(in_rows.unsqueeze(-1) & in_columns.unsqueeze(-2)).unsqueeze(2)


def mask_tokens(tokens: Tensor, keys: Tensor, counters: Tensor, share: float, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Return tokens with a share hidden, and as targets the tokens at those positions, -1 at the others.

    Of the chosen positions 80 % show the mask token, 10 % a random token, 10 % the token itself (Devlin et al., 2019).
    """
    length = tokens.shape[-1]
    position = counters.unsqueeze(-1) * length + torch.arange(length, dtype=torch.int32, device=tokens.device)
    chance = random_integers(keys[:, :1, None], position, 10_000)
    fate = random_integers(keys[:, 1:, None], position, 10 * vocabulary)
    chosen = chance < round(share * 10_000)
    shown = torch.where(
        fate < 8 * vocabulary, vocabulary - 1, torch.where(fate < 9 * vocabulary, fate % vocabulary, tokens)
    )
    return torch.where(chosen, shown, tokens), torch.where(chosen, tokens, IGNORED)


_APPLY = {"flip": _flip, "crop": _shift, "shift": _shift, "cutout": _cutout}
