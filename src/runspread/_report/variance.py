"""The report's sections on the variance of training: what is real, what calibration predicts, the seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sections import Paper, Section, figure, notes_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..studies.study import Study

JORDAN = Paper("Jordan 2023, On the Variance of Neural Network Training", "https://arxiv.org/abs/2304.01910")
JIANG = Paper("Jiang et al. 2021, Assessing Generalization via Disagreement", "https://arxiv.org/abs/2106.13799")


def variance(study: Study, clusters: ArrayLike | None = None) -> Section:
    """Say how much of the spread is real."""
    from .. import variance as variance_of
    from ..plots import plot_split_halves

    result = variance_of(study, clusters=clusters)
    drawn = [
        figure(
            result.plot,
            shows="The accuracies of the runs, and the distribution they would follow if errors on examples were "
            "independent.",
            does_not_show="What other test examples would give; the interval above says how certain the estimate is.",
            paper=JORDAN,
        )
    ]
    if result.n_runs > 1 and min(result.halves.sizes) > 0:
        drawn.append(
            figure(
                lambda ax: plot_split_halves(result, ax),
                shows="Each dot is one run's accuracy on two halves of the test set. The slope is the share of a "
                "seed's lead that carries over.",
                does_not_show=f"Other halves: these are the {result.unit}s of even and odd index, and others give "
                "another slope.",
                paper=JORDAN,
                size=(4.6, 4.2),
            )
        )
    return Section("Variance of training", result.sentence(), tuple(drawn), (result.table(),), notes_of(result))


def calibration(study: Study, clusters: ArrayLike | None = None) -> Section | None:
    """Say how often runs disagree, and what that predicts."""
    from .. import calibration as calibration_of

    result = calibration_of(study, clusters=clusters)
    if result.n_runs < 2:
        return None
    drawn = figure(
        result.plot,
        shows="How often a class is the true one, by the share of runs that vote for it; bars show the gaps that the "
        "CACE sums.",
        does_not_show="Miscalibration alone: with few runs the vote shares are coarse, which bends the curve even for "
        "calibrated runs.",
        paper=JIANG,
        size=(4.6, 4.4),
    )
    return Section("Agreement and calibration", result.sentence(), (drawn,), (result.table(),), notes_of(result))


def audit(study: Study) -> Section:
    """Say whether the seeds of the runs were independent."""
    from .. import audit as audit_of

    result = audit_of(study)
    return Section("Seed audit", result.sentence(), (), (result.table(),) if result.findings else (), notes_of(result))
