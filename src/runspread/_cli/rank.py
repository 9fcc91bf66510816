"""``runspread rank``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .choosing import choosing_runs
from .compare import ON_TASKS
from .completion import SourcePath
from .evaluations import finish_models, hold_answers
from .opening import kind_option, labels_option, refuse_ignored
from .scores import asked, finish, latex_option, normalise_option, reading_options, rows_option
from .show import json_option, level_option, plot_option, split_option


@click.command("rank", epilog="Example: runspread rank scores.csv --metric accuracy --latex")
@click.argument("sources", nargs=-1, required=True, type=SourcePath(), metavar="TABLE_OR_RUNS...")
@click.option("--baseline", metavar="ARM", help="Compare each other arm with this one.")
@click.option("--on", type=click.Choice(ON_TASKS), help="What the answer covers, with several tasks.")
@click.option("--spread", type=click.Choice(("each", "shared")), help="Each arm spreads on its own, or all alike.")
@normalise_option
@level_option
@reading_options
@split_option
@labels_option
@kind_option
@choosing_runs
@plot_option("Draw the arms into this file.")
@rows_option
@latex_option
@json_option
def command(
    sources: tuple[str, ...],
    baseline: str | None,
    level: float,
    reading: dict[str, Any],
    split: str,
    labels: str | None,
    kind: str,
    plot: Path | None,
    rows: int,
    latex: bool,
    as_json: bool,
    **chosen: str | None,
) -> None:
    """Which of several arms may be the best; exit status 3: more than one.

    TABLE_OR_RUNS is one table with one number per run (.csv, .tsv, .parquet, .jsonl), one study that --by divides, or a
    study, a file of outputs, or a file with one number a line for each arm. Outputs are ranked by accuracy.

    Exit status 0: one arm is the best, or one is better than the --baseline. 1: none is, and one is worse. 3: that is
    open.
    """
    import runspread as rs

    if hold_answers(*sources):
        own = {"on": chosen.get("on"), "confidence_level": level, "baseline": baseline, **reading}
        finish_models(sources, own, as_json=as_json, latex=latex, plot=plot)
    found = asked(sources, reading, split, labels)
    given: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if found.scores:
        refuse_ignored("on one number per run", "kind")
    else:
        given["kind"] = kind
    names = [Path(path).resolve().stem for path in sources]
    source = found.sources[0] if len(sources) == 1 else dict(zip(names, found.sources, strict=True))
    result = rs.rank(source, baseline=baseline, confidence_level=level, **found.options, **given)
    finish(result, as_json=as_json, latex=latex, plot=plot, rows=rows)
