"""Arrays that an open study read: each is compared with its quick sum once, and small ones are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._reading.safetensors import TensorFile
from ..errors import CorruptShardError
from .layout import SHARD, fits_name, labels_key

if TYPE_CHECKING:
    from .shards import ShardRows

_KEPT_BYTES, _SMALL = 2**26, 2**17  # of small arrays that an open study keeps, and of one


class Arrays:
    """Arrays of a study that were read since it was opened: small ones are kept, and none is checked twice.

    Parameters
    ----------
    check : bool
        Whether arrays are compared with their quick sums when they are first read.
    fetch : callable, optional
        Called with folder, shard and file before a file is read, to bring it here.
    """

    def __init__(self, check: bool = True, fetch: Callable[[str, str, str], None] | None = None) -> None:
        self.check, self.fetch = check, fetch
        self._kept: dict[tuple[str, str, str], NDArray[Any]] = {}
        self._checked: set[tuple[str, str, str]] = set()
        self._left = _KEPT_BYTES

    def of(self, part: ShardRows, file: str, key: str, held: TensorFile | None = None) -> NDArray[Any]:
        """Return an array of a shard.

        Raises
        ------
        CorruptShardError
            The file cannot be read, lacks the array, or holds another one than was written.
        """
        at = part.name, file, key
        if at in self._kept:
            return self._kept[at]
        held = held or TensorFile(part.file(file))
        if key not in held.entries:
            raise CorruptShardError(
                f"{part.folder} lacks {key}, which its {SHARD} lists", hint=_verify_hint(part.folder)
            )
        if self.check and at not in self._checked:
            _compare(held, part, file, key)
            self._checked.add(at)
        array = held[key]
        if not fits_name(key, array):
            found = f"{part.folder / file} has {key} of type {array.dtype} and shape {array.shape}"
            raise CorruptShardError(found, "what its name stands for", _verify_hint(part.folder))
        if array.nbytes <= min(_SMALL, self._left):
            self._left -= array.nbytes
            self._kept[at] = array = np.array(array)
            array.flags.writeable = False
        return array


def _compare(held: TensorFile, part: ShardRows, file: str, key: str) -> None:
    known = part.facts.sums.get(file)  # of shards that older versions wrote there are none
    wrong = known and _differs(held, known.split(), key)
    if wrong:
        raise CorruptShardError(
            f"{part.folder / file} differs from what was written ({wrong})",
            "the file as written",
            _verify_hint(part.folder),
        )
    if not key.startswith((labels_key(""), "steps/")):
        runs = held.entries[key].shape[:1]
        if runs != (len(part.facts.runs),):
            raise CorruptShardError(
                f"{part.folder / file} has {key} of {runs[0] if runs else 'no'} runs, where its {SHARD} lists "
                f"{len(part.facts.runs)}",
                hint=_verify_hint(part.folder),
            )


def _differs(held: TensorFile, known: list[str], key: str) -> str:
    """Return which of a file's header and one of its arrays is not what its quick sums say; empty where both are."""
    if held.sum_of("") != known[0] or len(known) != 1 + len(held.entries):
        return "its header"
    return key if held.sum_of(key) != known[1 + [*held.entries].index(key)] else ""


def _verify_hint(folder: Path) -> str:
    return f"Check the study: runspread verify {folder.parent.parent}"
