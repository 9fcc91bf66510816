"""``runspread paradox``."""

from __future__ import annotations

from pathlib import Path

import click

from .show import json_option, show


@click.command("paradox")
@click.argument("sources", nargs=-1, required=True, type=click.Path(), metavar="STUDY_OR_TABLE...")
@click.option("--target", default="test_accuracy", show_default=True, help="Column of quality.")
@click.option("--by", "partition", default="depth", show_default=True, help="Column that partitions the models.")
@click.option("--metric", "metrics", multiple=True, help="A column to judge; can be repeated [all numeric ones].")
@click.option("--axis", "axes", multiple=True, help="A hyperparameter of the grid, for Psi and CMI; can be repeated.")
@click.option("--gap", is_flag=True, help="The target is a gap: lower is better.")
@click.option("--resamples", default=2000, show_default=True, help="Permutations, and bootstrap samples.")
@click.option("--seed", default=0, show_default=True, help="Of both.")
@json_option
def command(
    sources: tuple[str, ...],
    target: str,
    partition: str,
    metrics: tuple[str, ...],
    axes: tuple[str, ...],
    gap: bool,
    resamples: int,
    seed: int,
    as_json: bool,
) -> None:
    """Whether metrics track quality, or only tell architectures apart.

    STUDY_OR_TABLE is a CSV or Parquet file with a row a model, or one or more studies with weights, whose spectra are
    the metrics.
    """
    import runspread as rs

    paths = list(sources)
    folders = [path for path in paths if Path(path).is_dir()]
    if len(paths) > 1 and len(folders) < len(paths):
        raise rs.InputError(f"{len(paths)} sources, {len(folders)} of them studies", "one table, or only studies")
    result = rs.paradox(
        [rs.open_study(path) for path in folders] or paths[0],
        list(metrics) or None,
        target,
        partition,
        hyperparameters=list(axes) or None,
        higher_is_better=not gap,
        n_resamples=resamples,
        seed=seed,
    )
    show(result, as_json=as_json)
