"""``runspread ensemble``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..methods.ensembles import defaults
from .choosing import file_of_value
from .engines import engine_options
from .forms import form_options
from .opening import kind_option, labels_option, open_source
from .printing import say
from .show import json_option, refuse_written, show, show_cost, study_argument
from .targets import target_folder

if TYPE_CHECKING:
    from ..studies.study import Study

_HELD_OUT = 300  # examples that the advice holds out

NO_EARLY_STOP = (
    "Continue even where the score gets worse. With --no-replacement the ensemble then has exactly --size members; "
    "otherwise runs may be chosen repeatedly until the step limit."
)


@click.command("ensemble", epilog="Example: runspread ensemble runs/a --split test --size 3")
@study_argument
@click.option(
    "--size", type=click.IntRange(min=1), default=defaults.SIZE, show_default=True, help="Number of distinct members."
)
@click.option(
    "--split", default=defaults.CHOOSING, show_default=True, help="Split to select on; report results on another one."
)
@click.option(
    "--objective",
    type=click.Choice(defaults.OBJECTIVE_NAMES),
    default=defaults.OBJECTIVE,
    show_default=True,
    help="Score of the ensemble's average prediction to minimise.",
)
@click.option(
    "--no-replacement", is_flag=True, help="Choose each run at most once, so that all members have equal weights."
)
@click.option("--no-early-stop", is_flag=True, help=NO_EARLY_STOP)
@click.option("-o", "--out", type=target_folder, help="Folder to write the ensemble to.")
@click.option("--data", help="With -o: where the recipe's data are, from which the input scaling is taken.")
@labels_option
@kind_option
@form_options
@json_option
@engine_options
def command(
    study: str,
    size: int,
    split: str,
    objective: str,
    no_replacement: bool,
    no_early_stop: bool,
    out: str | None,
    data: str | None,
    labels: str | None,
    kind: str,
    as_json: bool,
) -> None:
    """Choose the best ensemble from a study's runs, without training; -o writes it as a folder to ship.

    STUDY is a study folder, or a file with the outputs of runs trained elsewhere on the examples to select on.
    """
    import runspread as rs

    out = None if out is None else str(file_of_value(Path(out)))
    refuse_written(out)
    if data is not None and out is None:
        raise rs.errors.InputError(
            "--data was given without -o", "both, because the data are read for the ensemble that is written"
        )
    opened = open_source(study, labels)
    recipe = None
    if out is not None and not isinstance(opened, rs.Study):
        raise rs.errors.InputError(
            "-o needs the weights of the members, which a file of outputs does not hold", "a study", "Drop -o."
        )
    if out is not None:
        from ..training.study_networks import recipe_of

        recipe = recipe_of(opened, data)
        if recipe is None:
            raise rs.errors.InputError(
                f"-o cannot build the network of {study}; only the code that recorded the study can",
                "a study that runspread train made",
                f"In Python: rs.ensemble(study, size={size}, split={split!r}, network=model).save({out!r}), with "
                f"study = rs.open_study({study!r}) and a model of the runs' architecture.",
            )
    try:
        chosen = rs.methods.ensembles.select_ensemble(
            opened,
            size=size,
            split=split,
            kind=kind,
            objective=objective,
            replacement=not no_replacement,
            early_stop=not no_early_stop,
        )
    except rs.errors.MissingDataError as error:
        raise rs.errors.MissingDataError(
            error.found, error.expected, error.hint or _how_to_record(opened, split)
        ) from error
    show(chosen, as_json=as_json)
    if out is not None and recipe is not None:
        made = rs.training.make_ensemble(opened, chosen, data=data)
        show_cost(made, recipe, split, as_json=as_json)
        say(f"wrote {made.save(out)}", err=as_json)


def _how_to_record(study: Study, split: str) -> str:
    """Return how to get predictions on a split that chooses."""
    from ..training.datasets import DATASETS

    recipe: Mapping[str, Any] = study.recipe or {}
    dataset = DATASETS.get(recipe.get("dataset", ""))
    if dataset is None:  # recorded by a loop of somebody's own
        return f"Record them in the training loop with run.predictions({split!r}, logits), on held-out examples."
    if split != "validation" or "validation" not in dataset.options:
        return "Select on one of these with --split, and report results on another one."
    evaluate = json.dumps([*dict.fromkeys((*recipe["evaluate"], split))], separators=(",", ":"))
    held_out = recipe["dataset_options"].get("validation") or _HELD_OUT
    return (
        "Train into another folder with the settings of this study and "
        f"--set validation={held_out} --set 'evaluate={evaluate}'."
    )
