"""``runspread dynamics``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..methods.dynamics.defaults import DIVERGED, DIVERGED_RUNS, STANDARDIZATIONS, STANDARDIZE
from ..methods.hmm.defaults import COVARIANCE, COVARIANCES, PRESET, PRESETS, STATES
from .opening import open_chosen
from .show import console, json_option, plot_option, save_plot, show, show_table, study_argument


@click.command("dynamics")
@study_argument
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Metric to model; repeat for several.")
@click.option("--outcome", metavar="NAME", help="Logged metric that says when a run has converged.")
@click.option("--threshold", type=float, help="A run has converged when the outcome is beyond it.")
@click.option("--below", is_flag=True, help="Converged means below the threshold (losses).")
@click.option("--states", default=max(STATES), show_default=True, help="Largest number of states to try.")
@click.option(
    "--covariance",
    type=click.Choice(COVARIANCES),
    default=COVARIANCE,
    show_default=True,
    help="diag when runs are few.",
)
@click.option(
    "--preset", type=click.Choice(PRESETS), default=PRESET, show_default=True, help="paper has the published rules."
)
@click.option("--restarts", type=int, help="Starting points of EM [default: the preset's].")
@click.option("--iterations", type=int, help="EM iterations at most [default: the preset's].")
@click.option("--seed", default=0, show_default=True, help="Seed of the starting points and the split.")
@click.option(
    "--standardize",
    type=click.Choice(STANDARDIZATIONS),
    default=STANDARDIZE,
    show_default=True,
    help="Metrics of each run on its own, of all runs together, or as they are.",
)
@click.option(
    "--diverged",
    type=click.Choice(DIVERGED_RUNS),
    default=DIVERGED,
    show_default=True,
    help="Runs with NaN or infinities: exclude them, or keep what comes before.",
)
@plot_option("Draw the training map into this file.")
@json_option
def command(
    study: str, metrics: tuple[str, ...], states: int, below: bool, plot: Path | None, as_json: bool, **options: Any
) -> None:
    """Why some runs are slow: the latent states of training, the map that runs make, its detours."""
    import runspread as rs

    if below and options["outcome"] is None:
        raise InputError("--below without --outcome", "--outcome, the logged metric that says when a run has converged")
    found = rs.dynamics(
        open_chosen(study),
        metrics=metrics or None,
        states=range(1, states + 1),
        direction="below" if below else "above",
        **{name: value for name, value in options.items() if value is not None},
    )
    show(found, as_json=as_json)
    if not as_json:
        show_table(found.map.table())
        console().print(found.selection.sentence())
    save_plot(found, plot)
