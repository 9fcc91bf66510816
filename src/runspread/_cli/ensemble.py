"""``runspread ensemble``."""

from __future__ import annotations

import click

from .show import json_option, refuse_written, show, show_cost, study_argument

NO_EARLY_STOP = (
    "Go on where the score gets worse. With --no-replacement the ensemble then has --size members; without, a run may "
    "be chosen again and again until the limit of steps."
)


@click.command("ensemble")
@study_argument
@click.option("--size", type=click.IntRange(min=1), default=5, show_default=True, help="Distinct members.")
@click.option("--split", default="validation", show_default=True, help="Split that chooses; not the one to report on.")
@click.option("--objective", default="nll", show_default=True, help="nll, brier or error.")
@click.option("--no-replacement", is_flag=True, help="Choose each run at most once: equal weights.")
@click.option("--no-early-stop", is_flag=True, help=NO_EARLY_STOP)
@click.option("-o", "--out", type=click.Path(file_okay=False), help="Folder to write the ensemble to.")
@click.option("--data", help="Where the recipe's data are, for the scaling of the inputs.")
@json_option
def command(
    study: str,
    size: int,
    split: str,
    objective: str,
    no_replacement: bool,
    no_early_stop: bool,
    out: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Choose the best ensemble from the runs of STUDY, without training; -o writes it as a folder to ship."""
    import runspread as rs

    refuse_written(out)
    opened = rs.open_study(study)
    chosen = rs.select_ensemble(
        opened,
        size=size,
        split=split,
        objective=objective,
        replacement=not no_replacement,
        early_stop=not no_early_stop,
    )
    show(chosen, as_json=as_json)
    if out is not None:
        from .._training.study_networks import recipe_of

        made = rs.make_ensemble(opened, chosen, data=data)
        recipe = recipe_of(opened, data)
        assert recipe is not None  # without one, make_ensemble has refused
        show_cost(made, recipe, split, as_json=as_json)
        click.echo(f"wrote {made.save(out)}", err=as_json)
