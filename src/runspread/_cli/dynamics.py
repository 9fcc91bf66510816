"""``runspread dynamics``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from .opening import open_chosen
from .show import console, json_option, plot_option, save_plot, show, show_table, study_argument


@click.command("dynamics")
@study_argument
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Metric to model; repeat for several.")
@click.option("--outcome", metavar="NAME", help="Logged metric that says when a run has converged.")
@click.option("--threshold", type=float, help="A run has converged when the outcome is beyond it.")
@click.option("--below", is_flag=True, help="Converged means below the threshold (losses).")
@click.option("--states", default=8, show_default=True, help="Largest number of states to try.")
@click.option("--covariance", default="full", show_default=True, help="full, or diag when runs are few.")
@click.option("--preset", default="default", show_default=True, help="default, or paper: the published rules.")
@click.option("--restarts", type=int, help="Starting points of EM [default: the preset's].")
@click.option("--iterations", type=int, help="EM iterations at most [default: the preset's].")
@click.option("--seed", default=0, show_default=True, help="Seed of the starting points and the split.")
@click.option("--standardize", default="run", show_default=True, help="each run on its own, pooled, or none.")
@click.option("--diverged", default="exclude", show_default=True, help="exclude, or truncate: keep their sound part.")
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
