"""Section of imported studies: which questions the logs can answer, and what each other one needs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .._results import Table
from .._words import count
from .sections import Section

if TYPE_CHECKING:
    from ..studies.study import Study

_CURVE = 10  # points of a metric that `dynamics` follows by default


def answers(study: Study) -> Section | None:
    """Say what an imported study can answer; None for a study that was not imported."""
    runs = [run for run in study.runs if run.source is not None]
    if not runs:
        return None
    formats = Counter(str((run.source or {}).get("format")) for run in runs)
    said = Counter(run.source_status or "unknown" for run in runs)
    rows = _questions(study)
    answered = sum(not needs for _, needs in rows)
    lead = (
        f"{count(len(runs), 'run was', 'runs were')} imported from {', '.join(formats)}, and the logs can answer "
        f"{answered} of {len(rows)} questions."
    )
    table = Table(
        {
            "question": [question for question, _ in rows],
            "can be answered": ["no" if needs else "yes" for _, needs in rows],
            "needs": [needs or "-" for _, needs in rows],
        },
        title="What can be asked",
    )
    ends = Table({"the log says": list(said), "runs": list(said.values())}, title="How runs ended")
    return Section("What was imported", lead, tables=(table, ends))


def _questions(study: Study) -> list[tuple[str, str]]:
    """Return each question, and what it needs that is not there; empty where it can be answered."""
    usable = [run for run in study.runs if run.status == "completed"]
    predictions = "" if any(run.predictions for run in usable) else "predictions (import with --predictions)"
    scores = "" if any(run.metrics or run.accuracy for run in usable) else "a result per run"
    varied = len({repr(sorted(run.hyperparameters.items())) for run in usable}) > 1
    seeds = [run.seeds.to_dict() for run in usable]
    roles = [role for role in ("init", "order", "augment") if len({each[role] for each in seeds} - {None}) > 1]
    weights = "" if any(run.weights for run in usable) else "weights (import with --weights final)"
    curves = study.metrics()
    long = any((curves[name].lengths >= _CURVE).any() for name in curves)
    return [
        ("how much of the spread in accuracy is real (variance)", predictions),
        ("which runs are typical (trimming), the best ensemble (ensemble)", predictions),
        ("is one configuration better, from one number per run (compare, rank, plan)", scores),
        ("which route training takes (dynamics)", "" if long else f"a metric with {_CURVE} points or more"),
        ("does a number track quality (paradox)", scores or ("" if varied else "configurations that differ")),
        ("are the runs independent (audit)", "" if usable else "runs that completed"),
        ("where the spread comes from (sources)", predictions or ("" if roles else "seeds by role that differ")),
        ("the spectra of the weights (spectra)", weights),
    ]
