"""How outputs of runs are read: the keywords that methods share, ``variance(x, labels, kind="probabilities")``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypedDict

from .._checks import check_keywords

DEFAULTS = {"split": "test", "kind": "auto", "nan": "exclude"}
DEFAULTS_OF_OUTCOMES = {**DEFAULTS, "missing": "raise"}


class ReadingOptions(TypedDict, total=False):
    """Keywords of every method that reads outputs of runs.

    split : str
        Split of a study to read; default ``"test"``.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the outputs are, where neither they nor their source tell; default ``"auto"``.
    nan : {"exclude", "raise", "abstain"}
        What outputs with NaN, a positive infinity or a row without a finite entry mean: a run to exclude and name
        (default), an error, or, where correctness is all that is needed, no prediction on those examples.
    """

    split: str
    kind: str
    nan: str


class OutcomeOptions(ReadingOptions, total=False):
    """Keywords of methods that read which predictions are correct: `ReadingOptions` and one more.

    missing : {"raise", "intersect", "drop_run"}
        What missing correctness means: an error (default), an example to exclude for all runs, or a run to exclude.
    """

    missing: str


def reading_of(given: Mapping[str, Any], verb: str, also: Collection[str] = ()) -> dict[str, Any]:
    """Return `ReadingOptions` with their defaults; an unknown keyword is refused in the name of `verb`.

    `also` names the verb's other keywords, so that the error can suggest them.
    """
    return _filled(given, DEFAULTS, verb, also)


def outcome_reading_of(given: Mapping[str, Any], verb: str, also: Collection[str] = ()) -> dict[str, Any]:
    """Return `OutcomeOptions` with their defaults; an unknown keyword is refused in the name of `verb`."""
    return _filled(given, DEFAULTS_OF_OUTCOMES, verb, also)


def divided(
    verb: Callable[..., Any], given: Mapping[str, Any], reading: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a verb's reading options and its settings, each with these defaults; unknown keywords are refused."""
    known = {**reading, **settings}
    if not given.keys() <= known.keys():
        named = [name for name, one in inspect.signature(verb).parameters.items() if one.kind is not one.VAR_KEYWORD]
        check_keywords([name for name in given if name not in known], (*known, *named), verb.__name__)
    of_reading = {name: given.get(name, usual) for name, usual in reading.items()}
    return of_reading, {name: given.get(name, usual) for name, usual in settings.items()}


def _filled(given: Mapping[str, Any], defaults: Mapping[str, str], verb: str, also: Collection[str]) -> dict[str, Any]:
    check_keywords([name for name in given if name not in defaults], (*defaults, *also), verb)
    return {name: given.get(name, default) for name, default in defaults.items()}
