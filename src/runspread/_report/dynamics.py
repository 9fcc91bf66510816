"""The report's section on training dynamics; only for studies that logged weight metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .sections import Paper, Section, figure, notes_of

if TYPE_CHECKING:
    from .._study.study import Study

PAPER = Paper(
    "Hu, Chen, Saphra, Cho 2023, Latent State Models of Training Dynamics", "https://arxiv.org/abs/2308.09543"
)
RESTARTS, MOST_STATES = 4, 6  # a report is read for the picture; it names the command that fits more


def dynamics(study: Study) -> Section | None:
    """Draw the map of training and say which runs took a detour."""
    import runspread as rs

    from .._methods.dynamics.weight_metrics import WEIGHT_METRICS
    from .._plots.dynamics import plot_state_ribbons

    logged = study.metrics()
    if not any(name in logged for name in WEIGHT_METRICS) or len(study.runs) < 3:
        return None
    outcome, threshold = _outcome(logged)
    covariance = "diag" if len(study.runs) < 20 else "full"
    result = rs.dynamics(
        study,
        outcome=outcome,
        threshold=threshold,
        states=range(1, MOST_STATES + 1),
        restarts=RESTARTS,
        covariance=covariance,
    )
    figures = (
        figure(
            result.plot,
            shows="States of training by first visit, arrows as wide as the runs on them, and what changes there.",
            does_not_show="Causes: a state is what the weight metrics look like, not why.",
            paper=PAPER,
            size=(9.0, 3.6),
        ),
        figure(
            lambda ax: plot_state_ribbons(result, ax),
            shows="Every run as a ribbon of its states.",
            does_not_show="How sure each state is; boundaries between neighbours are soft.",
            paper=PAPER,
            size=(6.4, 3.2),
        ),
    )
    said = "" if outcome is None else f" A run has converged when {outcome} is above {threshold:.3g}."
    fit = _how_fitted(study, covariance, outcome, threshold)
    return Section("Training dynamics", f"{result.sentence()}{said} {fit}", figures, _tables(result), notes_of(result))


def _how_fitted(study: Study, covariance: str, outcome: str | None, threshold: float | None) -> str:
    """Return what was fitted for the page, and the command that fits more and may find another map."""
    from .._methods.hmm.fitting import Settings

    chosen = "" if outcome is None else f" --outcome {outcome} --threshold {threshold:.6g}"
    fewer = ", as there are fewer than 20 runs" if covariance == "diag" else ""
    return (
        f"This page fits {covariance} covariances{fewer}, {RESTARTS} restarts and up to {MOST_STATES} states. The "
        f"command: runspread dynamics {study.path.name}{chosen} (full covariances, {Settings.restarts} restarts, up to "
        "8 states) takes longer and may find another map."
    )


def _tables(result: Any) -> tuple[Any, ...]:
    return result.table(), result.map.table(), result.selection.table()


def _outcome(logged: Any) -> tuple[str | None, float | None]:
    """Return an evaluation accuracy and 95 % of the median run's best, or nothing."""
    names = [name for name in logged if name.endswith("accuracy") and not name.startswith("train")]
    if not names:
        return None, None
    best = np.nanmax(logged[names[0]].values, axis=1)
    return names[0], 0.95 * float(np.median(best))
