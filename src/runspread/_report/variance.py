"""The report's sections on the variance of training: what is real, and what calibration predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .any_study import other_split, split_of
from .sections import PAPERS, Section, figure, notes_of, papers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..methods.variance.result import VarianceResult
    from ..studies.study import Study

JORDAN, JIANG = PAPERS["jordan2024variance"], PAPERS["jiang2022disagreement"]


def variance(study: Study, clusters: ArrayLike | None = None) -> Section:
    """Say how much of the spread is real."""
    from .. import variance as variance_of
    from ..plots import plot_split_halves

    result = variance_of(study, clusters=clusters, split=split_of(study))
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
    return Section(
        "Variance of training",
        result.sentence(),
        tuple(drawn),
        (result.table(),),
        (*other_split(study), *notes_of(result)),
        short=_real(result),
        **papers("jordan2024variance"),
    )


def _real(result: VarianceResult) -> str:
    """Return how much of the spread is real, in the user's words; nothing where that is not known."""
    from ..methods.variance.wording import how_much_is_real, points

    if not result.sd_test > 0:
        return ""
    real = how_much_is_real(result.sd_test, result.sd_ind, *result.sd_interval, lambda value: f"{points(value)} are")
    spread = f"Of the {points(result.sd_test)} percentage points (standard deviation) between the runs, {real}"
    return f"{spread}; errors at random on {result.n_examples:,} examples alone would give {points(result.sd_ind)}."


def calibration(study: Study, clusters: ArrayLike | None = None) -> Section | None:
    """Say how often runs disagree, and what that predicts."""
    from .. import calibration as calibration_of

    result = calibration_of(study, clusters=clusters, split=split_of(study))
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
    return Section(
        "Agreement and calibration",
        result.sentence(),
        (drawn,),
        (result.table(),),
        (*other_split(study), *notes_of(result)),
        **papers("jiang2022disagreement", "jordan2024variance"),
    )
