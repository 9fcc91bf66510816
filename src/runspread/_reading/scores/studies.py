"""Scalars of a study, one per run: the last value of a logged metric, or the accuracy on a split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..._results import Table
from ...errors import InputError
from .columns import NAMES, as_names, plain

ACCURACY = "accuracy"
_KNOWN = frozenset(word for words in NAMES.values() for word in words.split())


def has_outputs(study: Any) -> bool:
    """Whether a run of a study has outputs, on any split; one that cannot tell is taken to have."""
    runs = list(study.runs)
    return not runs or any(getattr(run, "predictions", True) for run in runs)


def only_metric(studies: Mapping[str, Any]) -> str:
    """Return the one metric that was logged; raise where there is none, or a choice."""
    names = sorted({name for study in studies.values() for name in study.metrics()})
    if len(names) == 1:
        return names[0]
    logged = f"logged were {', '.join(names)}" if names else "no metric was logged either"
    raise InputError(
        f"the runs have no outputs; {logged}", "outputs, or one metric", f"Pass metric={names[0]!r}." if names else ""
    )


def arms_of_study(studies: Mapping[str, Any], by: Any) -> dict[str, Any]:
    """Return the arms: studies as they are, or one of them divided by hyperparameters (``by="lr"``: ``lr=0.1``)."""
    names = as_names(by)
    if not names:
        return dict(studies)
    if len(studies) > 1:
        raise InputError(f"by={by!r} with {len(studies)} studies", "one study to divide", "Pass one, or leave by out.")
    arms: dict[str, Any] = {"": next(iter(studies.values()))}
    for name in names:
        arms = {
            ", ".join(filter(None, (arm, f"{name}={value}"))): part
            for arm, study in arms.items()
            for value, part in study.by(name).items()
        }
    return arms


def scores_of(studies: Mapping[str, Any], metrics: Sequence[str], split: str, at: str | int) -> Table:
    """Return a row for each arm, run and metric (and step, unless the last is meant)."""
    rows = [row for arm, study in studies.items() for row in _rows(arm, study, metrics, split, at)]
    names = dict.fromkeys(name for row in rows for name in row)
    return Table({name: [row.get(name) for row in rows] for name in names})


def _rows(arm: str, study: Any, metrics: Sequence[str], split: str, at: str | int) -> Iterator[dict[str, Any]]:
    seeds = [_seed(run) for run in study.runs]
    if len(set(seeds)) < len(seeds):  # one seed under several settings: the run's id says which run it is
        seeds = [None] * len(seeds)
    for metric in metrics:
        values = values_of(study, metric, split, at)
        for run, seed in zip(study.runs, seeds, strict=True):
            facts = {"arm": arm, "metric": metric, "seed": seed, "run": run.id}
            settings = {_other(name): _text(value) for name, value in run.hyperparameters.items()}
            points = values.get(run.id, [(None, None)])
            if run.status != "completed":
                points = [(points[-1][0], float("nan") if run.status == "diverged" else None)]
            for step, value in points:
                yield {**facts, "value": value, **({} if at == "last" else {"step": step}), **settings}


def values_of(study: Any, metric: str, split: str, at: str | int = "last") -> dict[str, list[tuple[Any, Any]]]:
    """Return the steps and values of each run that has the metric: all of them, or the last."""
    logged = study.metrics()
    if metric not in logged:
        accuracies = {run.id: [(None, run.accuracy[split])] for run in study.runs if split in run.accuracy}
        if metric == ACCURACY and accuracies:
            return accuracies
        known = [*logged, *([ACCURACY] if accuracies else [])]
        raise InputError(
            f"no run has a metric {metric!r}",
            f"one of {', '.join(known)}" if known else "a study with logged metrics",
        )
    curves, found = logged[metric], {}
    for row, run in enumerate(curves.run_ids):
        length = int(curves.lengths[row])
        kept = slice(max(0, length - 1), length) if at == "last" else slice(0, length)
        points = zip(curves.steps[row, kept].tolist(), curves.values[row, kept].tolist(), strict=True)
        found[run] = list(points) or [(None, None)]
    return found


def _seed(run: Any) -> Any:
    """Return the seed of a run: one number where all roles share it, else each role's."""
    by_role = {role: seed for role, seed in run.seeds.to_dict().items() if seed is not None}
    if len(set(by_role.values())) <= 1:
        return next(iter(by_role.values()), None)
    return ", ".join(f"{role} {seed}" for role, seed in by_role.items())


def _other(name: str) -> str:
    return f"hyperparameter {name}" if plain(name) in _KNOWN else name


def _text(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) or value is None else json.dumps(value, sort_keys=True)
