"""``runspread trimming``."""

from __future__ import annotations

from typing import Any

import click

from .opening import labels_option, open_source
from .show import json_option, runs_option, show, show_data, split_option, study_argument


@click.command("trimming")
@study_argument
@click.option("--against", metavar="STUDY", type=click.Path(), help="Other runs to compare with; else the other half.")
@click.option("--reference", default="mixture", show_default=True, help="mixture, sampled, ensemble or single.")
@click.option("--resample", default="bootstrap", show_default=True, help="bootstrap (as published), split or none.")
@click.option("--replicates", default=100, show_default=True, help="Number of resamplings.")
@click.option("--threshold", default="dkw", show_default=True, help="dkw, published, rigorous, or a distance.")
@click.option("--epsilon", default=0.01, show_default=True, help="Significance.")
@click.option("--mode", default="step", show_default=True, help="step or published.")
@click.option("--sizes", is_flag=True, help="Also say how many runs, or an ensemble of how many, stand for all.")
@split_option
@labels_option
@runs_option(20)
@json_option
def command(
    study: str,
    against: str | None,
    resample: str,
    threshold: str,
    sizes: bool,
    labels: str | None,
    n_runs: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Which runs are typical: how much of each run's outputs the average run does not explain.

    STUDY is a study's folder, or a .npy or .safetensors file with the outputs of runs trained elsewhere. The runs
    listed are the least typical and the most typical ones.
    """
    import runspread as rs

    opened, limit = open_source(study, labels), number_or_name(threshold)
    found = rs.trimming(
        opened,
        None if against is None else open_source(against, labels),
        resample=None if resample == "none" else resample,  # type: ignore[arg-type]
        threshold=limit,
        **options,
    )
    if not sizes:
        show(found, as_json=as_json, n_runs=n_runs)
        return
    same = {name: options[name] for name in ("split", "replicates", "epsilon")}
    needed = rs.representative_size(opened, threshold=limit, **same)
    if as_json:
        show_data({**found.to_dict(), "representative_size": needed})
        return
    show(found, as_json=False, n_runs=n_runs)
    show(needed, as_json=False)


def number_or_name(text: str) -> Any:
    """Return a threshold that was typed: a number, or the name of a bound."""
    try:
        return float(text)
    except ValueError:
        return text
