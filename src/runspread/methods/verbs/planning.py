"""`plan`: how many runs a question takes, from outputs per example, from one number per run, or from neither."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

from ..._reading.evidence import Outputs, Scores, evidence
from ..._reading.options import DEFAULTS_OF_OUTCOMES
from ..._reading.scores.table import ScoreTable
from ..._reading.scores.words import FRACTION, PERCENT
from ..._results import Result
from ..._words import listed
from ...errors import InputError
from ..evaluations.budget import EvaluationPlan
from ..scores.basis import error_floor
from ..scores.comparison import ScoreComparison
from ..scores.planning import PLANNING, ScorePlan, plan_scores
from ..variance.defaults import PLAN
from ..variance.plan_results import GapPlan, RunPlan
from ..variance.planning import plan as plan_outputs
from .answers import are_answers, planned
from .scores import margins, odd_spreads, pilot_of, read, resting
from .settings import OF_TABLES, PLANS, PlanningOptions, check, refuse, some

_OF_SPREAD = ("sd", "like", "superior")
_ONLY_SCORES = (
    *OF_TABLES,
    *_OF_SPREAD,
    "spread",
    "n_old",
    "not_worse",
    "equivalent",
    "diverged",
    "at",
    "lower_is_better",
)
_OF_VARIANCE = ("variance", "variance_b", "error", "tau2", "correct", "clusters")


def plan(
    source: Any = None, *, gap: float | None = None, runs: int | None = None, **options: Unpack[PlanningOptions]
) -> RunPlan | GapPlan | ScorePlan | EvaluationPlan:
    """Return how many runs of each configuration a question takes, or the gap that a number of runs can show.

    Parameters
    ----------
    source : study, outputs, table, sequence, path or result, optional
        A pilot: runs from which the spread is estimated. Without it `error` and `n_examples` (or `variance`) say it,
        or the spread of scores: `sd`, or `like` with an entry of ``methods.scores.atlas``.
    gap : float, optional
        True difference that is to be shown, in the unit of the data: 0.001 of fractions is a tenth of a percentage
        point. Not the difference that a pilot happened to show.
    runs : int, optional
        Runs of each configuration. Exactly one of `gap` and `runs` is given; neither with a margin.
    **options : methods.verbs.PlanningOptions
        What is known of the spread, the margin, and how the pilot is read.

    Returns
    -------
    RunPlan, GapPlan, ScorePlan, or EvaluationPlan from answers of evaluations

    Raises
    ------
    InputError
        Both or neither of `gap` and `runs`, or nothing that says how large the spread is.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.plan(gap=0.001, error=0.05, n_examples=10_000).runs_needed
    41
    >>> int(rs.plan([90.1, 92.4, 88.7, 91.0, 93.9], gap=2.0).runs_plugin)
    17
    """
    check(options, PLANS, "plan", ("gap", "runs"))
    if isinstance(source, ScoreComparison):
        source = {name: source.new if at == "new" else source.old for at, name in source.names.items()}
    if source is not None and are_answers(source):
        refuse({"runs": runs}, ("runs",), "answers of evaluations")
        return planned(source, gap, options)
    margin = options.get("not_worse") is not None or options.get("equivalent") is not None
    known = any(options.get(name) is not None for name in _OF_SPREAD)
    held = None if source is None or isinstance(source, Result) else evidence((source,), options)
    if isinstance(held, Scores) or (source is None and (known or margin)):
        return _of_scores(held if isinstance(held, Scores) else None, gap, runs, options)
    refuse(options, _ONLY_SCORES, "outputs per example")
    given = some(options, {*DEFAULTS_OF_OUTCOMES, *PLAN})
    return plan_outputs(_one_arm(held, options) if held is not None else source, gap=gap, runs=runs, **given)


def _one_arm(held: Outputs, options: Mapping[str, Any]) -> Any:
    """Return the arm whose outputs are the pilot."""
    if options.get("baseline") is not None:
        return held.arms[str(options["baseline"])]
    if len(held.arms) > 1:
        raise InputError(f"there are {len(held.arms)} arms", "one pilot", "Name one with baseline=.")
    return next(iter(held.arms.values()))


def _of_scores(held: Scores | None, gap: float | None, runs: int | None, options: Mapping[str, Any]) -> ScorePlan:
    """Plan from what is known of the spread of one number per run."""
    refuse(options, _OF_VARIANCE, "one number per run")
    given: dict[str, Any] = some(options, {*PLANNING} - {"pilot", "runs"})
    if held is None:
        refuse(options, ("n_examples", "metric", "by"), "a plan without runs")
        return _asked(gap, runs, given)
    table = read(held, options, one_arm=True)
    metric = _one_metric(table)
    pilot = pilot_of(table, options.get("baseline"))
    if given.get("sd") is None and max(map(len, pilot.values())) < 2:
        raise InputError("no arm of the pilot has two runs", "two or more, to know a spread", "Pass sd= or like=.")
    points = bool(options.get("points"))
    amounts = margins(
        {"gap": gap, "not_worse": given.pop("not_worse", None), "equivalent": given.pop("equivalent", None)},
        table,
        points=points,
    )
    given |= {name: value for name, value in amounts.items() if name != "gap"}
    found = _asked(amounts.get("gap"), runs, {**given, "pilot": list(pilot.values())})
    notes = (*table.warnings, *odd_spreads(pilot))
    found = replace(found, metric=metric, unit=table.units[metric], excluded=table.excluded, warnings=notes)
    return resting(_on_examples(found, pilot, table, options), "plan")


def _one_metric(table: ScoreTable) -> str:
    first, *others = table.metrics
    if others:
        raise InputError(
            f"there are {len(table.metrics)} metrics, {listed(table.metrics, 6)}", "one", "Name it: metric=."
        )
    return first


def _asked(gap: float | None, runs: int | None, given: dict[str, Any]) -> ScorePlan:
    """Return the plan for a gap, a margin, or a number of runs."""
    margin = any(given.get(name) is not None for name in ("not_worse", "equivalent", "superior"))
    if gap is not None and runs is not None:
        raise InputError("both gap= and runs= are given", "one of them")
    if gap is None and runs is None and not margin:
        hint = "gap= asks for the runs it needs, runs= for the gap they can show."
        raise InputError("neither gap= nor runs= is given", "one of them", hint)
    if margin and runs is not None:
        raise InputError("runs= is given beside a margin", "a margin alone", "Leave runs= out.")
    return plan_scores(gap, **given, **({} if runs is None else {"runs": runs}))


def _on_examples(
    found: ScorePlan, pilot: Mapping[str, list[float]], table: ScoreTable, options: Mapping[str, Any]
) -> ScorePlan:
    """Return the plan on a test set of known size, whose noise more runs do not reduce."""
    given = [int(options[name]) for name in ("examples", "n_examples") if options.get(name) is not None]
    if not given:
        return found
    import numpy as np

    metric, examples = table.metrics[0], given[0]
    unit = table.units[metric]
    floor = error_floor(np.array([value for arm in pilot.values() for value in arm]), examples, unit, metric)
    if unit not in (FRACTION, PERCENT) or found.solved_for == "gap":
        reach = _reach(found) * math.sqrt(2) * floor
        return replace(found, examples=examples, gap=max(found.gap, reach))
    if not floor or found.runs_assurance <= (found.sd / floor) ** 2:
        return replace(found, examples=examples)
    distance = found.gap + (found.margin or 0.0) if found.question != "equivalent" else (found.margin or 0.0)
    needed = math.ceil(examples * 2 * (_reach(found) * floor / distance) ** 2)
    if needed <= examples:
        return replace(found, examples=examples)
    none = {"runs_plugin": math.inf, "runs_assurance": math.inf, "runs_upper": math.inf}
    return replace(found, examples=examples, examples_needed=needed, **none)


def _reach(found: ScorePlan) -> float:
    """Return how many standard errors a difference has to be, to be shown so often."""
    from scipy.special import ndtri

    sides = 2 if found.question == "better" else 1
    return float(ndtri(1 - found.alpha / sides) + ndtri(found.power))
