"""A whole source counted in one pass: `run_statistics`, and what the verbs of this family call for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from numpy.typing import ArrayLike

from ..._reading.correctness import Outcomes, as_outcomes
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS, divided
from ...errors import InputError
from .counting_parts import count_all
from .defaults import COUNTING, CountingOptions
from .dropped import for_kept
from .statistics import RunStatistics

_ASKED_FOR_NOTHING = {"kind": "auto", "nan": "exclude", "missing": "raise"}


@opens("source")
def run_statistics(source: Any, labels: Any = None, **options: Unpack[CountingOptions]) -> RunStatistics:
    """Return the `RunStatistics` of a whole source: an array, a memory map, a file, a study or its reader.

    Parameters
    ----------
    source, labels
        As for `variance`.
    **options
        How outputs are read (``split``, ``kind``, ``nan``), and what is counted, as in `RunStatistics` (``groups``,
        ``first_half``, ``votes``, ``keep_bits``, ``keep_confusion``, ``n_classes``).

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> counts = rs.methods.variance.run_statistics(logits, labels)
    >>> counts.n_runs
    8
    """
    reading, settings = divided(run_statistics, options, DEFAULTS, COUNTING)
    outcomes = as_outcomes(source, labels, n_classes=settings["n_classes"], **reading)
    return count_all(outcomes, {k: v for k, v in settings.items() if k in options})


def counted(
    source: Any, labels: ArrayLike | None, settings: Mapping[str, Any], **reading: Any
) -> tuple[RunStatistics, Outcomes | None]:
    """Return the statistics of a source and its outcomes; statistics are their own, without outcomes.

    `settings` go to `RunStatistics`, `reading` to `as_outcomes`.
    """
    if isinstance(source, RunStatistics):
        if labels is not None or reading.get("correct") is not None:
            raise InputError("got statistics with labels or correctness beside them", "one source")
        asked = [f"{name}={value!r}" for name, value in reading.items() if value != _ASKED_FOR_NOTHING.get(name, value)]
        if asked:
            raise InputError(
                f"got {' and '.join(asked)} with RunStatistics", "neither", "Give it where the outputs are counted."
            )
        source.require_complete()
        return source, None
    outcomes = as_outcomes(source, labels, **reading)
    half = settings.get("first_half")
    if half is not None:
        settings = {**settings, "first_half": for_kept(half, outcomes, outcomes.shape[1], "first_half")}
    return count_all(outcomes, settings), outcomes
