"""Trains until a question is answered: more runs at each look, at an error rate that holds for all looks together."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np

from .._checks import check_keywords
from .._reading.plain_files import UnfitJsonError, parse_json, read_whole, seal_holds
from .._reading.scores.studies import values_of
from .._reading.scores.words import MOST_OF_FRACTION, is_share
from .._reading.study_folders import refuse_url
from ..errors import InputError, StudyError
from ..methods.audit.auditing import audit_warnings
from ..methods.variance.stopping import InterimLook, StoppingRule, stopping_rule
from ..studies.files import json_bytes, storage_errors
from ..studies.layout import PLAN_OF_LOOKS
from ..studies.opening import open_study
from ..studies.publishing import publish_file
from ..studies.study import Study
from .execution import Execution
from .recipes import Recipe
from .train import train


class TrainingDesign(Execution, total=False):
    """Keywords that `train_until` hands on to `train`: the design of its runs, and where they are trained."""

    vary: str | Sequence[str]
    seed: int
    search: Mapping[str, Any] | None


class TrainedUntil(NamedTuple):
    """A study that was trained until its question was answered.

    Attributes
    ----------
    study : Study
        The study.
    look : InterimLook
        What the last look said.
    """

    study: Study
    look: InterimLook


def train_until(
    recipe: str | Recipe,
    *,
    until: str,
    max_runs: int,
    out: str | os.PathLike[str],
    against: Study | str | os.PathLike[str] | None = None,
    split: str = "test",
    alpha: float = 0.05,
    failures: float = 0.0,
    metric: str | None = None,
    lower_is_better: bool | None = None,
    **options: Unpack[TrainingDesign],
) -> TrainedUntil:
    """Train more runs until a question is answered, or `max_runs` are there; see `stopping_rule` for the questions.

    The numbers of runs at which it looks are fixed beforehand, and kept in the study (``until.json``): a training that
    was interrupted goes on the same way, and another plan over the same runs, whose looks would add up to more errors
    than either promises, is refused. Runs that diverged have no accuracy and do not count.
    A verdict of `compare` on the same runs knows nothing of these looks and errs more often than it says.

    Parameters
    ----------
    recipe : str or Recipe
        What to train.
    until : str
        ``"se=0.02"``, ``"gap=0.1"``: in percentage points, or in the unit of a metric that is no share.
    max_runs : int
        Runs after which to stop in any case.
    out : path
        Folder of the study; created, or gone on with.
    against : Study or path, optional
        A baseline on the same examples, three runs or more: a gap is then one to it.
    split : str
        Split whose accuracy the question is about, unless a metric is named.
    alpha : float
        Chance of stopping with a wrong claim, over all looks, where accuracies are normal over runs.
    failures : float
        Share of failing runs to guard against, such as 0.1: alpha then holds where so many or more fail, and nothing
        is known before 36 runs. Not with a baseline.
    metric : str, optional
        A logged metric that the question is about, by its last value in each run.
    lower_is_better : bool, optional
        Its direction, where its name does not tell.
    **options
        As for `train`: ``vary``, ``seed``, ``search``, and where the runs are trained (`Execution`).

    Returns
    -------
    TrainedUntil
        The study, and the last look, which warns of what the audit finds in the study or the baseline.

    Raises
    ------
    InputError
        The baseline has too few accuracies on `split`, other examples, or is this very study.
    StudyError
        The study was trained under another plan of looks. Also what `train` raises.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> small = rs.recipe("digits-mlp", epochs=1, hidden=(8,))
    >>> found = rs.train_until(small, until="se=5", max_runs=6, out=mkdtemp() + "/digits", workers=1)
    >>> found.look.verdict
    'known'
    """
    check_keywords(options, TrainingDesign.__annotations__, "train_until")
    refuse_url(out, "train until a question is answered")
    other = against if against is None or isinstance(against, Study) else open_study(against)
    asked = _Asked(split, metric)
    baseline = None if other is None else _baseline(other, Path(out), asked)
    rule = stopping_rule(
        until,
        max_runs=max_runs,
        against=len(baseline or ()),
        alpha=alpha,
        failures=failures,
        metric=metric or "",
        lower_is_better=lower_is_better,
    )
    plan = _plan(rule, baseline, split)
    _check_plan(Path(out), plan)
    for runs in rule.looks:
        study = train(recipe, runs=runs, out=out, **options)
        _keep_plan(study.path, plan)
        if other is not None and metric is None:
            _check_same_examples(study, other, split)
        values = _values(study, asked)[:max_runs]
        if len(values) < rule.looks[0] and runs < max_runs:
            continue
        look = rule.look(values, baseline)
        if look.answered or runs == max_runs:
            return TrainedUntil(study, replace(look, warnings=(*_warnings(study, other), *look.warnings)))
    raise AssertionError("the last look is at max_runs")


class _Asked(NamedTuple):
    """What a question is about: the accuracy on a split, or a logged metric."""

    split: str
    metric: str | None


def _values(study: Study, asked: _Asked) -> list[float]:
    """Return the accuracy, or the last value of the metric, of each completed run, in the study's order.

    A share in percent becomes a fraction, as accuracies are.
    """
    done = [run for run in study.runs if run.status == "completed"]
    if asked.metric is None:
        return [run.accuracy[asked.split] for run in done if asked.split in run.accuracy]
    last = {run: points[-1][1] for run, points in values_of(study, asked.metric, asked.split).items()}
    values = [last[run.id] for run in done if last.get(run.id) is not None and math.isfinite(last[run.id])]
    percent = is_share(asked.metric) and max(values, default=0.0) > MOST_OF_FRACTION
    return [value / 100 for value in values] if percent else values


def _baseline(study: Study, out: Path, asked: _Asked) -> list[float]:
    """Return the baseline's accuracies, or its values of the metric."""
    if study.path.resolve() == out.resolve():
        raise InputError(f"got the study {out} as its own baseline", "another study", "Train into another folder.")
    values = _values(study, asked)
    if not values:
        known = sorted({name for run in study.runs for name in run.accuracy})
        what = f"accuracies on split {asked.split!r}" if asked.metric is None else f"values of {asked.metric}"
        raise InputError(
            f"the baseline {study.path} has no {what}",
            f"one of {', '.join(known)}" if known and asked.metric is None else "completed runs that have them",
        )
    return values


def _plan(rule: StoppingRule, baseline: list[float] | None, split: str) -> dict[str, Any]:
    """Return what the promise on errors rests on: the question, the looks, and the runs of the baseline."""
    digest = None if baseline is None else hashlib.sha256(np.array(baseline).tobytes()).hexdigest()[:16]
    question = f"{rule.kind}={rule.scale * rule.value:g}"
    return {
        "question": question,
        "split": split,
        "looks": list(rule.looks),
        "alpha": rule.alpha,
        "baseline_runs": rule.against,
        "baseline": digest,
    } | {name: value for name, value in (("failures", rule.failures), ("metric", rule.metric)) if value}


def _check_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Raise a StudyError when the study was looked at under another plan."""
    path = folder / PLAN_OF_LOOKS
    if not path.exists():
        return
    try:
        with storage_errors(f"reading {path}"):
            data = read_whole(path)
        kept: dict[str, Any] = parse_json(data, dict[str, Any])
        if seal_holds(data) is False or ("version" in kept and seal_holds(data) is None):
            raise UnfitJsonError("it differs from the sum that it holds of itself")
        kept = {key: value for key, value in kept.items() if key not in ("version", "crc32")}
    except UnfitJsonError as error:
        raise StudyError(f"{path} cannot be read ({error})", "the plan of looks of an earlier training") from error
    differ = [
        f"{key} {kept.get(key)} there, {plan.get(key)} here"
        for key in dict.fromkeys((*kept, *plan))
        if kept.get(key) != plan.get(key)
    ]
    if differ:
        raise StudyError(
            f"{folder} was looked at under another plan ({'; '.join(differ)})",
            "the same question, max_runs, alpha and baseline: looks of two plans together err more than each promises",
            "Train into another folder with another base seed, or go on with rs.train and a number of runs that is "
            "fixed before looking.",
        )


def _keep_plan(folder: Path, plan: dict[str, Any]) -> None:
    if not (folder / PLAN_OF_LOOKS).exists():
        with storage_errors(f"writing {folder / PLAN_OF_LOOKS}"):
            publish_file(folder / PLAN_OF_LOOKS, json_bytes({"version": 2, **plan}))


def _check_same_examples(study: Study, baseline: Study, split: str) -> None:
    ours, theirs = (reader.predictions(split).labels for reader in (study, baseline))
    if not np.array_equal(ours, theirs):
        raise InputError(
            f"a baseline on {len(theirs)} examples of split {split!r}, which are not the study's {len(ours)}",
            "the same examples in the same order",
            "Give a baseline that was evaluated on the same data.",
        )


def _warnings(study: Study, baseline: Study | None) -> tuple[str, ...]:
    own = audit_warnings(study)
    return own if baseline is None else (*own, *(f"baseline: {note}" for note in audit_warnings(baseline)))
