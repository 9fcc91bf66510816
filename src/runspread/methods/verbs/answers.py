"""Graded answers of evaluations, where a verb that takes outputs and scores is given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._reading.evaluations.options import DEFAULTS as READING
from ..._reading.evaluations.telling import holds_answers
from ...errors import InputError
from ..evaluations.asking import SETTINGS, evaluations
from ..evaluations.budget import EvaluationPlan, plan_evals
from ..evaluations.result import Evaluations
from .settings import refuse

_KNOWN = (*READING, *(SETTINGS.keys() - {"split"}), "baseline", "on", "not_worse", "equivalent")


def are_answers(*sources: Any) -> bool:
    """Whether all that was given are graded answers."""
    return all(holds_answers(one) for one in sources)


def evaluated(sources: Sequence[Any], given: Mapping[str, Any]) -> Evaluations:
    """Return the comparison of the models in one source, or in several files of one kind."""
    _refuse_others(given, _KNOWN)
    return evaluations(_one(sources), **{name: one for name, one in given.items() if one is not None})


def planned(source: Any, gap: float | None, given: Mapping[str, Any]) -> EvaluationPlan:
    """Return the plan that a pilot of answers gives."""
    known = (*READING, "alpha", "power", "on")
    _refuse_others(given, known)
    return plan_evals(source, gap, **{name: one for name, one in given.items() if one is not None})


def _one(sources: Sequence[Any]) -> Any:
    if len(sources) == 1:
        return sources[0]
    if not all(isinstance(one, str) or hasattr(one, "__fspath__") for one in sources):
        raise InputError("two sources of answers", "one with both models, or paths", "Put both in one table.")
    return list(sources)


def _refuse_others(given: Mapping[str, Any], known: Sequence[str]) -> None:
    refuse(given, [name for name in given if name not in known], "answers of evaluations")
