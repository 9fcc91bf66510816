"""Trains until a question is answered: more runs at each look, at an error rate that holds for all looks together."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from .._methods.variance.stopping import Look, stopping_rule
from .._study.study import Study, open_study
from .recipes import Recipe
from .train import train


class TrainedUntil(NamedTuple):
    """A study that was trained until its question was answered.

    Attributes
    ----------
    study : Study
        The study.
    look : Look
        What the last look said.
    """

    study: Study
    look: Look


def train_until(
    recipe: str | Recipe,
    *,
    until: str,
    max_runs: int,
    out: str | os.PathLike[str],
    against: Study | str | os.PathLike[str] | None = None,
    split: str = "test",
    alpha: float = 0.05,
    **options: Any,
) -> TrainedUntil:
    """Train more runs until a question is answered, or `max_runs` are there; see `stopping_rule` for the questions.

    The numbers of runs at which it looks are fixed beforehand, so a training that was interrupted goes on the same way.
    Runs that diverged have no accuracy and do not count.

    Parameters
    ----------
    recipe : str or Recipe
        What to train.
    until : str
        ``"se=0.02"``, ``"gap=0.1"``: in percentage points.
    max_runs : int
        Runs after which to stop in any case.
    out : path
        Folder of the study; created, or gone on with.
    against : Study or path, optional
        A baseline on the same examples: a gap is then one to it.
    split : str
        Whose accuracy the question is about.
    alpha : float
        Chance of stopping with a wrong claim, over all looks.
    **options
        As for `train`.

    Returns
    -------
    TrainedUntil
        The study, and the last look.
    """
    baseline = (
        None if against is None else _accuracies(against if isinstance(against, Study) else open_study(against), split)
    )
    rule = stopping_rule(until, max_runs=max_runs, against=len(baseline or ()), alpha=alpha)
    for runs in rule.looks:
        study = train(recipe, runs=runs, out=out, **options)
        values = _accuracies(study, split)[:max_runs]
        if len(values) < rule.looks[0] and runs < max_runs:
            continue
        look = rule.look(values, baseline)
        if look.answered or runs == max_runs:
            return TrainedUntil(study, look)
    raise AssertionError("the last look is at max_runs")


def _accuracies(study: Study, split: str) -> list[float]:
    """Return the accuracy of each completed run, in the study's order."""
    return [run.accuracy[split] for run in study.runs if run.status == "completed" and split in run.accuracy]
