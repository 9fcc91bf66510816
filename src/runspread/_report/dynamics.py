"""The report's section on training dynamics; only for studies that logged weight metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._words import count
from .sections import PAPERS, Section, figure, notes_of, papers

if TYPE_CHECKING:
    from ..methods.dynamics.result import TrainingDynamics
    from ..studies.study import Study

PAPER = PAPERS["hu2023latent"]


def dynamics(study: Study) -> Section | None:
    """Draw the map of training and say which runs took a detour."""
    import runspread as rs

    from ..methods.dynamics.metrics_of_weights import WEIGHT_METRICS
    from ..methods.dynamics.plots import plot_state_ribbons

    logged = study.metrics()
    if not any(name in logged for name in WEIGHT_METRICS) or len(study.runs) < 3:
        return None
    outcome, threshold = _outcome(logged)
    result = rs.dynamics(study, outcome=outcome, threshold=threshold)
    figures = (
        figure(
            result.plot,
            shows="States of training in the order of first visits; arrows are as wide as the number of runs that take "
            "them.",
            does_not_show="Causes: a state describes the weight metrics, not why they are so.",
            paper=PAPER,
            size=(9.0, 3.6),
            own_sizes=True,
        ),
        figure(
            lambda ax: plot_state_ribbons(result, ax),
            shows="Each run as a ribbon of its states over training.",
            does_not_show="How certain each state is; boundaries between neighbouring states are soft.",
            paper=PAPER,
            size=(4.8, 3.2),
        ),
    )
    said = "" if outcome is None else f" A run counts as converged when {outcome} is above {threshold:.3g}."
    chosen = "" if outcome is None else f" --outcome {outcome} --threshold {threshold:.6g}"
    same = f"For the same answer run: runspread dynamics {study.path.name}{chosen}"
    lead = f"{result.sentence()}{said}"
    return Section(
        "Training dynamics",
        lead,
        figures,
        _tables(result),
        (*notes_of(result), same),
        short=_part_ways(result),
        **papers(PAPER.key),
    )


def _part_ways(result: TrainingDynamics) -> str:
    """Return how many runs took a detour, in the user's words; nothing where none is shown."""
    if not result.detours:
        return ""
    detoured = int(result.visits[:, list(result.detours)].any(axis=1).sum())
    total = len(result.visits)
    return f"{detoured} of {count(total, 'run')} pass states of training that go with converging later."


def _tables(result: Any) -> tuple[Any, ...]:
    return result.table(), result.map.table(), result.selection.table()


def _outcome(logged: Any) -> tuple[str | None, float | None]:
    """Return an evaluation accuracy and 95 % of the median run's best, or nothing."""
    names = [name for name in logged if name.endswith("accuracy") and not name.startswith("train")]
    if not names:
        return None, None
    best = np.nanmax(logged[names[0]].values, axis=1)
    return names[0], 0.95 * float(np.median(best))
