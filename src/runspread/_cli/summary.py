"""``runspread summary``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .choosing import choosing_runs
from .opening import kind_option, labels_option, refuse_ignored
from .scores import asked, finish, latex_option, reading_options, rows_option
from .show import json_option, level_option, plot_option, split_option


@click.command("summary")
@click.argument("sources", nargs=-1, required=True, type=click.Path(), metavar="TABLE_OR_RUNS...")
@click.option("--target", type=float, help="A number to compare the runs with, in the unit of the metric.")
@level_option
@reading_options
@split_option
@labels_option
@kind_option
@choosing_runs
@plot_option("Draw the runs of each arm into this file.")
@rows_option
@latex_option
@json_option
def command(
    sources: tuple[str, ...],
    target: float | None,
    level: float,
    reading: dict[str, Any],
    split: str,
    labels: str | None,
    kind: str,
    plot: Path | None,
    rows: int,
    latex: bool,
    as_json: bool,
) -> None:
    """Mean, spread, interval, best run and outliers of the runs of each arm.

    TABLE_OR_RUNS is one table with one number per run (.csv, .tsv, .parquet, .jsonl), a file with one number a line, or
    a study or a file of outputs for each arm. Outputs are summed up by their accuracies, studies by --metric too.
    """
    import runspread as rs

    found = asked(sources, reading, split, labels)
    if found.scores:
        refuse_ignored("on one number per run", "kind")
    given: dict[str, Any] = {} if found.scores else {"kind": kind}
    names = [Path(path).resolve().stem for path in sources]
    source = found.sources[0] if len(sources) == 1 else dict(zip(names, found.sources, strict=True))
    result = rs.summary(source, target=target, confidence_level=level, **found.options, **given)
    finish(result, as_json=as_json, latex=latex, plot=plot, rows=rows)
