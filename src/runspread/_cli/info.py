"""``runspread info``."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from .opening import open_chosen
from .printing import say
from .show import json_option, runs_option, show_data, show_runs, study_argument


@click.command("info", epilog="Example: runspread info runs/a")
@study_argument
@runs_option(10)
@json_option
def command(study: str, n_runs: int, as_json: bool) -> None:
    """Show what a study holds: runs by status, what was recorded, accuracy, and the first runs (--json: all)."""
    opened = open_chosen(study)
    facts, table = facts_of(opened), opened.runs.table()
    if as_json:
        show_data({**facts, "table": table})
        return
    print_facts(facts)
    show_runs(table, n_runs)


def print_facts(facts: dict[str, Any]) -> None:
    """Print what `facts_of` returned, one line per fact."""
    for name, value in facts.items():
        say(f"{name:12s} {_text(value)}")


def facts_of(study: Any) -> dict[str, Any]:
    """Return the facts that ``info`` shows: counts by status, what was recorded, spread of accuracy."""
    runs = list(study.runs)
    accuracies: dict[str, list[float]] = {}
    for run in runs:
        for split, value in run.accuracy.items():
            accuracies.setdefault(split, []).append(value)
    formats = Counter(str(run.source["format"]) for run in runs if run.source is not None)
    return {
        "study": study.location,
        "recipe": (study.recipe or {}).get("name"),
        "runs": len(runs),
        "status": dict(Counter(run.status for run in runs)),
        **({"imported": dict(formats)} if formats else {}),
        "corrupt": sorted(study.corrupt),
        "predictions": _recorded(runs, lambda run: dict.fromkeys(split for split, _ in run.predictions)),
        "metrics": _recorded(runs, lambda run: run.metrics),
        "weights": sum(bool(run.weights) for run in runs),
        "accuracy": {split: _spread(values) for split, values in accuracies.items()},
    }


def _recorded(runs: list[Any], names: Any) -> dict[str, int]:
    """Return name to the number of runs that recorded it."""
    return dict(Counter(name for run in runs for name in names(run)))


def _spread(values: list[float]) -> dict[str, float]:
    import numpy as np

    sd = {"sd": float(np.std(values, ddof=1))} if len(values) > 1 else {}
    return {"runs": len(values), "mean": float(np.mean(values)), **sd, "min": min(values), "max": max(values)}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:.4f}" if isinstance(value, float) else "none" if value is None else str(value)
