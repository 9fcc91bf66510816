"""``runspread dynamics``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..methods.dynamics.defaults import DIVERGED, DIVERGED_RUNS, STANDARDIZATIONS, STANDARDIZE
from ..methods.hmm.defaults import COVARIANCE, COVARIANCES, PRESET, PRESETS, STATES
from .forms import form_asked, form_options
from .opening import open_chosen
from .show import console, json_option, plot_option, save_plot, show, show_table, study_argument


@click.command("dynamics", epilog="Example: runspread dynamics runs/a --metric loss --states 3")
@study_argument
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Logged metric to model; can be repeated [default: weight metrics, or all that were logged].",
)
@click.option("--outcome", metavar="NAME", help="Logged metric that defines convergence, such as test_accuracy.")
@click.option("--threshold", type=float, help="Value of --outcome beyond which a run has converged.")
@click.option("--below", is_flag=True, help="Count a run as converged below the threshold, as for a loss.")
@click.option("--states", default=max(STATES), show_default=True, help="Largest number of hidden states to try.")
@click.option(
    "--covariance",
    type=click.Choice(COVARIANCES),
    default=COVARIANCE,
    show_default=True,
    help="Shape of the states' covariance matrices; diag suits few runs.",
)
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default=PRESET,
    show_default=True,
    help="Set of rules for fitting and selection; paper follows the publication.",
)
@click.option("--restarts", type=int, help="Number of starting points of EM [default: the preset's].")
@click.option("--iterations", type=int, help="Maximum number of EM iterations [default: the preset's].")
@click.option(
    "--random-seed", "seed", default=0, show_default=True, help="Seed for the starting points and the held-out split."
)
@click.option(
    "--standardize",
    type=click.Choice(STANDARDIZATIONS),
    default=STANDARDIZE,
    show_default=True,
    help="Scale each metric per run, pooled over runs, or not at all.",
)
@click.option(
    "--diverged",
    type=click.Choice(DIVERGED_RUNS),
    default=DIVERGED,
    show_default=True,
    help="How to treat diverged runs: exclude them, or truncate them before they diverge.",
)
@plot_option("File to draw the training map into.")
@form_options
@json_option
def command(
    study: str, metrics: tuple[str, ...], states: int, below: bool, plot: Path | None, as_json: bool, **options: Any
) -> None:
    """Why some runs are slow: latent states of training, the map of their transitions, and detours."""
    import runspread as rs

    if below and options["outcome"] is None:
        raise InputError(
            "--below was given without --outcome", "--outcome too, the logged metric that defines convergence"
        )
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
    if not as_json and form_asked() is None:
        console().print(found.selection.sentence())
    save_plot(found, plot)
