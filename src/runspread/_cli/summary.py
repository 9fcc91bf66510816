"""``runspread summary``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .choosing import choosing_runs
from .completion import SourcePath
from .opening import kind_option, labels_option, refuse_ignored
from .scores import asked, finish, latex_option, reading_options, rows_option
from .show import json_option, level_option, plot_option, split_option


@click.command("summary", epilog="Example: runspread summary scores.csv --metric accuracy")
@click.argument("sources", nargs=-1, required=True, type=SourcePath(), metavar="TABLE_OR_RUNS...")
@click.option("--target", type=float, help="A number to compare the runs with, in the unit of the metric.")
@click.option("--target-is-run", is_flag=True, help="The target is one run of a method, with noise of its own.")
@click.option("--threshold", type=float, help="Say which share of runs is better than this value.")
@click.option("--interval", type=click.Choice(("t", "bca")), help="Interval of means: bca needs 20 runs. [default: t]")
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
    target_is_run: bool,
    threshold: float | None,
    interval: str | None,
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
    more = {"target_is_run": target_is_run or None, "threshold": threshold, "interval": interval}
    given |= {name: value for name, value in more.items() if value is not None}
    names = [Path(path).resolve().stem for path in sources]
    source = found.sources[0] if len(sources) == 1 else dict(zip(names, found.sources, strict=True))
    result = rs.summary(source, target=target, confidence_level=level, **found.options, **given)
    finish(result, as_json=as_json, latex=latex, plot=plot, rows=rows)
