"""``runspread hyper-batch``."""

from __future__ import annotations

import click

from .show import json_option, show


@click.command("hyper-batch")
@click.argument("recipe")
@click.option("--members", type=click.IntRange(min=1), default=4, show_default=True, help="Members in the network.")
@click.option("--fixed", is_flag=True, help="A plain batch ensemble: all members share the recipe's hyperparameters.")
@click.option(
    "--tuning-rate", default=1e-3, show_default=True, help="Rate of the bounds; 0.01 to 0.03 for a few hundred steps."
)
@click.option("-o", "--out", type=click.Path(file_okay=False), help="Folder to write the ensemble to.")
@click.option("--data", help="Where the data are: a folder of image parquet, or a name on the hub.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change the recipe, e.g. validation=600.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything that is drawn.")
@json_option
def command(
    recipe: str,
    members: int,
    fixed: bool,
    tuning_rate: float,
    out: str | None,
    data: str | None,
    settings: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Train RECIPE's network as one network of several members that learn their own hyperparameters."""
    import runspread as rs

    from .._training.search import parse_settings

    chosen = rs.recipe(recipe, **(parse_settings(settings) | ({"data": data} if data else {})))
    found = rs.train_batch_ensemble(chosen, members=members, hyper=not fixed, seed=seed, tuning_rate=tuning_rate)
    show(found, as_json=as_json)
    if out is not None:
        click.echo(f"wrote {found.ensemble.save(out)}", err=as_json)
