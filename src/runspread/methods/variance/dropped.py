"""Examples that are excluded because a run lacks them: how many, which, and what difference it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import to_numpy
from ...errors import InputError

_NAMED = 3


def dropped_examples(outcomes: Any) -> tuple[str, ...]:
    """Return what to say of the examples that `outcomes` (see `as_outcomes`) exclude, if any."""
    keep = getattr(outcomes, "examples", None)
    if keep is None or keep.all():
        return ()
    return dropped_note([outcomes.correct[outcomes.keep]], keep)


def dropped_note(
    correct: Sequence[NDArray[Any]], keep: NDArray[np.bool_], names: Sequence[str] = ("",)
) -> tuple[str, ...]:
    """Return what to say of the examples that are not kept [examples], of one configuration or several, with names.

    `correct` [runs, examples] of each holds NaN or a mask where a run was not evaluated.
    """
    gone = np.flatnonzero(~keep)
    if not len(gone):
        return ()
    which = ", ".join(str(at) for at in gone[:_NAMED])
    more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    one = len(gone) == 1
    means = [_means(np.ma.masked_invalid(array.astype(np.float64)), keep) for array in correct]
    moved = "; ".join(
        f"the mean accuracy{name and f' of {name}'} is {kept:.2%} on those kept, {every:.2%} on all that were evaluated"
        for name, (kept, every) in zip(names, means, strict=True)
    )
    return (
        f"{len(gone)} of {len(keep)} examples {'was' if one else 'were'} excluded because a run lacks "
        f"{'it' if one else 'them'} (example{'' if one else 's'} {which}{more}): {moved}.",
    )


def _means(array: Any, keep: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the mean over examples of the mean over the runs that have them: of those kept, and of all."""
    by_example = array.mean(axis=0)
    return float(by_example[keep].mean()), float(by_example.mean())


def for_kept(values: ArrayLike, outcomes: Any, n_examples: int, name: str) -> ArrayLike:
    """Return what belongs to the `n_examples` that `outcomes` keep, from values of those or of all examples."""
    keep = getattr(outcomes, "examples", None)
    found = to_numpy(values)
    array: NDArray[Any] = found if isinstance(found, np.ndarray) else np.asarray(found)
    if keep is None or len(keep) == n_examples or array.shape == (n_examples,):
        return values
    if array.shape != keep.shape:
        raise InputError(
            f"got {name} of shape {array.shape}", f"one value per example, ({len(keep)},), dropped ones included"
        )
    return array[keep]
