"""``runspread recipes``."""

from __future__ import annotations

import click

from .completion import recipe_names
from .forms import form_options
from .show import json_option, show_data, show_table


@click.command("recipes", epilog="Example: runspread recipes digits-mlp")
@click.argument("name", required=False, shell_complete=recipe_names)
@form_options
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the recipes that can be trained by name, or show all settings of one."""
    import runspread as rs

    if name is not None:
        settings = rs.recipe(name).to_dict()
        table = rs.methods.Table(
            {"setting": list(settings), "value": [str(value) for value in settings.values()]}, title=name
        )
    else:
        recipes = [rs.recipe(known) for known in rs.training.recipe_names()]
        length = [f"{r.epochs:g} epochs" if r.epochs is not None else f"{r.steps} steps" for r in recipes]
        columns = {
            "recipe": rs.training.recipe_names(),
            "data": [r.dataset for r in recipes],
            "model": [r.model for r in recipes],
        }
        table = rs.methods.Table({**columns, "length": length, "batch": [r.batch_size for r in recipes]})
    if as_json:
        show_data(table)
    else:
        show_table(table)
