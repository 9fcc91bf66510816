"""``runspread hyper-batch``."""

from __future__ import annotations

from typing import Any

import click

from .completion import recipe_names
from .forms import form_options
from .opening import refuse_ignored
from .printing import say
from .progress import step_progress
from .show import json_option, refuse_written, show, show_cost
from .targets import target_folder


@click.command("hyper-batch", epilog="Example: runspread hyper-batch digits-mlp --members 2 --set validation=300")
@click.argument("recipe", shell_complete=recipe_names)
@click.option(
    "--members", type=click.IntRange(min=1), default=4, show_default=True, help="Number of members in the network."
)
@click.option(
    "--fixed", is_flag=True, help="Train a plain batch ensemble, whose members share the recipe's hyperparameters."
)
@click.option(
    "--tuning-rate",
    default=1e-3,
    show_default=True,
    help="Learning rate of the hyperparameter bounds; use 0.01 to 0.03 for a few hundred steps.",
)
@click.option(
    "--range",
    "ranges",
    multiple=True,
    metavar="NAME=LOW,HIGH",
    help="Range of a tuned hyperparameter, l2 or dropout, e.g. l2=0.1,100; can be repeated.",
)
@click.option(
    "--conversion",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of the conversion: tied=true, hidden=none (a linear embedding), start=full, width=1, ...",
)
@click.option(
    "--training", multiple=True, metavar="NAME=VALUE", help="Option of the training: tau=0, tuning_every=5, ..."
)
@click.option("-o", "--out", type=target_folder, help="Folder to write the ensemble and its training log to.")
@click.option(
    "--data", help="Location of the data: a folder of image parquet files, or a name on the Hugging Face hub."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting of the recipe, e.g. validation=600; can be repeated.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the training.")
@click.option("--device", default="auto", show_default=True, help="Device to train on, such as cpu, cuda or cuda:1.")
@form_options
@json_option
def command(
    recipe: str,
    fixed: bool,
    ranges: tuple[str, ...],
    conversion: tuple[str, ...],
    training: tuple[str, ...],
    out: str | None,
    data: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Train one network whose members learn their own hyperparameters.

    RECIPE is the name of a recipe (`runspread recipes` lists them), or file.py:name for one of your own.
    """
    import runspread as rs

    from ..training.search import parse_settings

    refuse_written(out)
    if fixed:
        refuse_ignored("with --fixed, which tunes nothing", "tuning_rate", "ranges")
    chosen = rs.recipe(recipe, **(parse_settings(settings) | ({"data": data} if data else {})))
    given = {"conversion": parse_settings(conversion), "ranges": parse_settings(ranges)}
    with step_progress() as progress:
        options |= parse_settings(training)
        found = rs.training.train_batch_ensemble(chosen, hyper=not fixed, **given, **options, progress=progress)
    show(found, as_json=as_json)
    if out is not None:
        show_cost(found.ensemble, chosen, found.report_split, as_json=as_json)
        say(f"wrote {found.ensemble.save(out)}", err=as_json)
