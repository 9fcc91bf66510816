"""``runspread hyper-deep``."""

from __future__ import annotations

from typing import Any

import click

from .completion import recipe_names
from .forms import form_options
from .printing import say
from .progress import training_progress
from .show import json_option, refuse_written, show, show_cost
from .targets import target_folder

VARIANTS = ("stratified", "unstratified", "same-budget", "fixed-init", "deep")


@click.command(
    "hyper-deep",
    epilog="\b\nExample: runspread hyper-deep digits-mlp --set validation=300 \\\n  --search 'l2=uniform(1,9)' -o deep",
)
@click.argument("recipe", shell_complete=recipe_names)
@click.option(
    "--search",
    "spaces",
    multiple=True,
    required=True,
    metavar="NAME=SPACE",
    help='Hyperparameter to search, e.g. --search "l2=loguniform(1e-3,1e3)"; can be repeated.',
)
@click.option("--size", type=click.IntRange(min=1), default=3, show_default=True, help="Number of distinct members.")
@click.option(
    "--runs", type=click.IntRange(min=1), default=50, show_default=True, help="Number of candidates in the search."
)
@click.option(
    "--variant",
    default="stratified",
    show_default=True,
    type=click.Choice(VARIANTS),
    help="Which runs may become members; deep trains the best of the search from several seeds.",
)
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False), help="Folder of the study.")
@click.option("--ship", type=target_folder, help="Folder to write the ensemble to.")
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
@click.option("--seed", default=0, show_default=True, help="Base seed, from which the seeds of all runs are derived.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Number of shards to train at once [default: one per core or GPU]."
)
@click.option("--device", default="auto", show_default=True, help="Device to train on, such as cpu, cuda or cuda:1.")
@form_options
@json_option
def command(
    recipe: str,
    spaces: tuple[str, ...],
    variant: str,
    ship: str | None,
    data: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Search hyperparameters and build an ensemble over hyperparameters and seeds.

    RECIPE is the name of a recipe (`runspread recipes` lists them), or file.py:name for one of your own. Run again, the
    command continues where it was interrupted.
    """
    import runspread as rs

    from ..training.search import parse_search, parse_settings

    refuse_written(ship)
    overrides = parse_settings(settings) | ({"data": data} if data else {})
    spaced = parse_search(spaces)
    if both := [name for name in overrides if name in spaced]:
        raise rs.errors.InputError(
            f"both --set and --search name {' and '.join(both)}", "one of the two for each hyperparameter"
        )
    chosen = rs.recipe(recipe, **overrides)
    with training_progress() as progress:
        shared: dict[str, Any] = {**options, "search": spaced, "progress": progress}
        found = (
            rs.training.deep_ensemble(chosen, **shared)
            if variant == "deep"
            else rs.hyper_deep_ensemble(chosen, variant=variant, **shared)
        )
    show(found, as_json=as_json)
    if ship is not None:
        made = found.ensemble(recipe=chosen if ":" in chosen.model else None)
        show_cost(made, chosen, found.report_split, as_json=as_json)
        say(f"wrote {made.save(ship)}", err=as_json)
