"""`summary`: what the runs of each arm are. From one number per run, which may be the accuracy of its outputs."""

from __future__ import annotations

from typing import Any, Unpack

from ..._reading.evidence import OUTPUTS, Outputs, evidence
from ..scores.defaults import LEVEL
from ..scores.summary import DESCRIBING, RunScores, run_scores
from .ranking import accuracies, without_outputs
from .scores import direction_given, read, resting
from .settings import SUMMARIES, SummarisingOptions, check, refuse, some


def summary(
    source: Any,
    labels: Any = None,
    *,
    target: float | None = None,
    confidence_level: float = LEVEL,
    **options: Unpack[SummarisingOptions],
) -> RunScores:
    """Return mean, spread, intervals, the best of N, groups and outliers of the runs of each arm.

    Parameters
    ----------
    source : sequence, table, mapping, study, outputs or path
        One number per run, of one arm or of several; outputs are summed up by their accuracies, as are studies without
        ``metric=``.
    labels : array_like of int [examples], optional
        True classes, for outputs.
    target : float, optional
        A number to compare the runs with, in the unit of the metric: a paper's value.
    confidence_level : float
        Of intervals.
    **options : methods.verbs.SummarisingOptions
        How the evidence is read.

    Raises
    ------
    InputError
        An ambiguous table, or a target with an unknown direction.

    Examples
    --------
    >>> import runspread as rs
    >>> print(rs.summary([3.2772, 3.2794, 3.2781], metric="val_loss").sentence()[:38])
    The mean validation loss is 3.2782 (95
    """
    check(options, SUMMARIES, "summary", ("labels", "target", "confidence_level"))
    given: dict[str, Any] = dict(options)
    held = evidence((source,), given)
    if isinstance(held, Outputs):
        held, given = accuracies(held, labels, given), without_outputs(given)
    elif labels is not None:
        refuse({"labels": labels}, ("labels",), "one number per run")
    table = read(held, given, one_arm=True)
    own = {**some(given, DESCRIBING), **({} if target is None else {"target": target})}
    found = run_scores(table, confidence_level=confidence_level, **own, **direction_given(given, table))
    return resting(found, "summary", outputs=held.origin == OUTPUTS)
