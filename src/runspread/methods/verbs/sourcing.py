"""`sources`: where the spread comes from, of runs on examples, or of graded answers to items."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

from numpy.typing import ArrayLike

from ..._checks import check_settings
from ..._reading.evaluations.arrays import as_answers
from ..._reading.evaluations.options import DEFAULTS as READING
from ..._reading.evaluations.options import EvaluationReading
from ..._reading.options import DEFAULTS, ReadingOptions
from ..evaluations.asking import evaluations
from ..evaluations.shares import EvaluationSources
from ..variance.components import SourceComponents, SourceGroups
from ..variance.components import sources as sources_of_outputs
from .answers import are_answers
from .settings import refuse

_OF_OUTPUTS = ("correct", "seeds", "roles", "reference", *DEFAULTS)


class SourceOptions(ReadingOptions, EvaluationReading, total=False):
    """Keywords of `sources`: how outputs or answers are read, and these.

    correct : array_like of 0/1, or mapping to such
        Of outputs, given instead of them: [runs, examples], or crossed [a, b, c, examples] or [a, b, examples].
    seeds : array_like [runs, roles]
        Of outputs: seed of each run by role.
    roles : sequence of str
        Of outputs: names of the roles.
    reference : str
        Of outputs: name of the group in which all sources vary.
    confidence_level : float
        Of intervals, for answers.
    """

    correct: Any
    seeds: ArrayLike
    roles: Sequence[str]
    reference: str
    confidence_level: float


def sources(
    source: Any = None, labels: Any = None, **options: Unpack[SourceOptions]
) -> SourceGroups | SourceComponents | EvaluationSources:
    """Return where the spread comes from: initialisation, data order, augmentation; or items, trainings and decoding.

    The former of outputs of runs, by their seeds (`methods.variance.sources`); the latter of graded answers
    (`evaluations`).

    Parameters
    ----------
    source : mapping, array_like, study, path, table or Answers, optional
        Outputs of runs, one source of randomness varied at a time or crossed; or graded answers: logs of evaluations,
        or a table with a row an answer.
    labels : array_like of int [examples], optional
        True classes, of outputs that bring none.
    **options : methods.verbs.SourceOptions
        How the evidence is read, and what only outputs know.

    Returns
    -------
    SourceGroups, SourceComponents or EvaluationSources

    Raises
    ------
    InputError
        Seeds that follow no design, or a keyword without effect on what there is.

    Examples
    --------
    >>> import runspread as rs
    >>> rows = [
    ...     {"item": i, "model": "a", "sample": k, "score": int((i + k) % 4 > 0)} for i in range(40) for k in range(3)
    ... ]
    >>> rs.sources(rows).models[0].cannot
    ('One training: its share is not known, and all shares are for this one.',)
    """
    check_settings(options, SourceOptions.__annotations__, sources)
    given: dict[str, Any] = {**options}
    files = isinstance(source, (list, tuple)) and all(isinstance(one, (str, os.PathLike)) for one in source)  # pyright: ignore[reportUnknownVariableType]
    if source is not None and are_answers(*(source if files and source else (source,))):
        refuse({**given, "labels": labels}, ("labels", *_OF_OUTPUTS), "answers of evaluations")
        level = {name: given.pop(name) for name in ("confidence_level",) if name in given}
        answers = as_answers(source, **given)
        found = evaluations(answers, **level)
        return replace(found.sources, excluded=found.excluded, warnings=answers.notes)
    refuse(given, (*READING, "confidence_level"), "outputs per example")
    return sources_of_outputs(source, labels, **given)
