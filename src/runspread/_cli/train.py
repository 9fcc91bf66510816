"""``runspread train``."""

from __future__ import annotations

import sys
from typing import Any

import click
from click.core import ParameterSource

from ..training.execution import EXECUTORS
from .completion import recipe_names
from .printing import say
from .progress import training_progress
from .show import json_option

_STATUSES = {"known": 0, "better": 0, "worse": 1, "smaller than the gap": 1, "undecided": 3}


@click.command("train", epilog="Example: runspread train digits-mlp --runs 4 --out runs/digits")
@click.argument("recipe", shell_complete=recipe_names)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Number of runs that the study shall hold.",
)
@click.option(
    "--until",
    metavar="QUESTION",
    help='Add runs until this is answered: "se=0.02" or "gap=0.1", in percentage points of accuracy (see --metric).',
)
@click.option(
    "--metric",
    help="With --until: a logged metric to ask about, by its last value; its own unit, percentage points of a share.",
)
@click.option(
    "--lower-is-better/--higher-is-better",
    default=None,
    help="With --metric: its direction, where its name does not tell.",
)
@click.option(
    "--max-runs",
    type=click.IntRange(min=2),
    default=200,
    show_default=True,
    help="With --until: maximum number of runs.",
)
@click.option("--against", type=click.Path(), help="With --until gap=...: baseline study to compare with.")
@click.option(
    "--failures",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    help="With --until: percentage of runs that may fail, such as 10, for tests that allow for it "
    "[default: accuracies are assumed to be normal].",
)
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False), help="Folder of the study.")
@click.option(
    "--data",
    help="Location of the data: a folder of image parquet files, a text file, or a name on the Hugging Face hub.",
)
@click.option("--vary", default="init,order,augment", show_default=True, help="Seed roles that vary between runs.")
@click.option("--seed", default=0, show_default=True, help="Base seed, from which all other seeds are derived.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting of the recipe, e.g. --set lr=0.1; can be repeated.",
)
@click.option(
    "--search",
    "spaces",
    multiple=True,
    metavar="NAME=SPACE",
    help='Draw a hyperparameter anew for every run, e.g. --search "l2=loguniform(1e-3,1e3)"; can be repeated.',
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Number of shards to train at once [default: one per core or GPU]."
)
@click.option(
    "--stack",
    default="auto",
    show_default=True,
    help="Number of runs to train as one batched program; auto measures what is fastest.",
)
@click.option("--device", default="auto", show_default=True, help="Device to train on, such as cpu, cuda or cuda:1.")
@click.option(
    "--executor", type=click.Choice(EXECUTORS), default="local", show_default=True, help="Where the shards are trained."
)
@click.option("--address", help="Address of the Ray cluster, HOST:PORT.")
@click.option(
    "--executor-set",
    "executor_settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of the executor, e.g. gpus=0.25 for ray, slurm_partition=gpu for slurm; can be repeated.",
)
@click.option(
    "--retries", default=2, show_default=True, help="How many times a shard is retried after its worker is lost."
)
@click.option("--shard-timeout", type=float, help="Seconds after which a shard counts as hung and is given up.")
@json_option
def command(
    recipe: str,
    runs: int,
    until: str | None,
    max_runs: int,
    against: str | None,
    failures: float | None,
    out: str,
    data: str | None,
    vary: str,
    settings: tuple[str, ...],
    spaces: tuple[str, ...],
    stack: str,
    address: str | None,
    executor_settings: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Train a recipe many times over seeds and hyperparameters.

    RECIPE is the name of a recipe (`runspread recipes` lists them), or file.py:name for one of your own. Run again, the
    command completes what is missing.

    With --until, exit status 0: the answer is known, or better than the baseline. 1: it is worse, or the gap is shown
    to be smaller. 3: it is undecided after --max-runs. Exit status 2: no run completed, because all diverged.
    """
    import runspread as rs

    from ..training.search import parse_search, parse_settings

    _check_until(until)
    about = {name: options.pop(name) for name in ("metric", "lower_is_better")}
    overrides = parse_settings(settings) | ({"data": data} if data else {})
    executor_options = parse_settings(executor_settings) | ({"address": address} if address else {})
    spaced = parse_search(spaces)
    if both := [name for name in overrides if name in spaced]:
        raise rs.errors.InputError(
            f"both --set and --search name {' and '.join(both)}", "one of the two for each hyperparameter"
        )
    planned: dict[str, Any] = {
        "out": out,
        "vary": tuple(role for role in vary.split(",") if role),
        "search": spaced or None,
        "stack": int(stack) if stack.isdecimal() else stack,
        "executor_options": executor_options,
        **options,
    }
    chosen = rs.recipe(recipe, **overrides)
    with training_progress() as progress:
        if until is None:
            study, look = rs.train(chosen, runs=runs, progress=progress, **planned), None
        else:
            study, look = rs.train_until(
                chosen,
                until=until,
                max_runs=max_runs,
                against=against,
                failures=(failures or 0.0) / 100,
                progress=progress,
                **about,
                **planned,
            )
    _summarise(study, look, as_json)
    if not study.runs.count("completed"):
        sys.exit(2)
    if look is not None:
        sys.exit(_STATUSES[look.verdict])


def _check_until(until: str | None) -> None:
    """Refuse options that the command would ignore."""
    context = click.get_current_context()
    alone = (
        {
            name: f"--{name.replace('_', '-')}"
            for name in ("max_runs", "against", "failures", "metric", "lower_is_better")
        }
        if until is None
        else {"runs": "--runs"}
    )
    given = [flag for name, flag in alone.items() if context.get_parameter_source(name) == ParameterSource.COMMANDLINE]
    if given and until is None:
        raise click.UsageError(f"{' and '.join(given)} was given without --until. Pass --until too, or only --runs.")
    if given:
        raise click.UsageError(
            "--runs was given with --until, which decides the number of runs. Set its maximum with --max-runs."
        )


def _summarise(study: Any, look: Any, as_json: bool) -> None:
    from .info import facts_of, print_facts
    from .show import show_data

    facts = facts_of(study)
    none_completed = not study.runs.count("completed")
    if none_completed:
        first = study.runs[0]
        say(f"No run completed: run {first.id} {first.status} ({first.error}).", err=True)
    if as_json:
        show_data(facts if look is None else facts | {"until": look.to_dict()})
        return
    if look is not None:
        say(look.sentence())
        for warning in look.warnings:
            say(f"warning: {warning}")
    print_facts(facts)
    if none_completed:
        say("next: train with other hyperparameters into another folder, for example a smaller --set lr=...")
    else:
        say(f"next: runspread variance {study.path}, runspread report {study.path}")
