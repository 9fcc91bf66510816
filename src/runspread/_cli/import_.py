"""``runspread import``."""

from __future__ import annotations

from typing import Any

import click

from .._reading.kinds import KINDS
from .._words import count
from ..importers.registry import FORMATS, PROPOSED
from .completion import SourcePath
from .opening import refuse_ignored
from .printing import say
from .show import json_option, show_data, show_runs

_FORMATS = [kind.name for kind in (*FORMATS, *PROPOSED)]
_RESTARTS = ("last", "first", "split", "refuse")
_SPANS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _pairs(_: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Return texts like ``test=FILE`` as a mapping."""
    found: dict[str, str] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not (name and mark and value):
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param=parameter)
        found[name] = value
    return found


def _span(_: click.Context, parameter: click.Parameter, text: str) -> float:
    """Return a span such as 1h or 90 in seconds."""
    unit = _SPANS.get(text[-1:].lower(), 0.0)
    try:
        return float(text[:-1]) * unit if unit else float(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no span such as 30m or 2h", param=parameter) from error


@click.command("import", epilog="Example: runspread import lightning_logs --out runs/imported")
@click.argument("paths", metavar="PATH", nargs=-1, required=True, type=SourcePath())
@click.option("--out", type=click.Path(file_okay=False), help="Folder of the study, new or one that an import made.")
@click.option("--from", "format", metavar="FORMAT", type=click.Choice(_FORMATS),
              help=f"Look for this format alone: {', '.join(_FORMATS)}.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be imported, and write nothing.")
@click.option("--seed", "seeds", metavar="KEY=ROLE", multiple=True, callback=_pairs,
              help="Which key is which seed: init, order, augment, all, none. Can be repeated.")  # fmt: skip
@click.option("--seed-from-name", metavar="PATTERN", help=r"Find seeds in names, for example 'seed[_-]?(\d+)'.")
@click.option("--step", metavar="KEY", help="Metric that is the step.")
@click.option("--metric", "metrics", metavar="GLOB", multiple=True, help="Take these metrics only. Can be repeated.")
@click.option("--ignore", metavar="KEY", multiple=True, help="Key that is no hyperparameter. Can be repeated.")
@click.option("--restarts", type=click.Choice(_RESTARTS), help="What counts where steps were written again.")
@click.option("--config", type=click.Choice(("unknown", "all-equal")), default="unknown", show_default=True,
              help="What runs without a configuration are.")  # fmt: skip
@click.option("--predictions", metavar="SPLIT=GLOB", multiple=True, callback=_pairs,
              help="Files of predictions, below each run's folder or the root.")  # fmt: skip
@click.option("--labels", metavar="SPLIT=FILE", multiple=True, callback=_pairs, help="True classes of a split.")
@click.option("--outputs", "--kind", "outputs", type=click.Choice(("auto", *KINDS)), default="auto",
              show_default=True, help="What the predictions are.")  # fmt: skip
@click.option("--weights", type=click.Choice(("none", "final")), default="none", show_default=True,
              help="Whether to copy final weights (safetensors).")  # fmt: skip
@click.option("--running", type=click.Choice(("skip", "partial")), default="skip", show_default=True,
              help="Whether to save runs that are still running, as failed attempts.")  # fmt: skip
@click.option("--stale", metavar="SPAN", default="1h", show_default=True, callback=_span,
              help="Without a change for so long, a run without an end was killed.")  # fmt: skip
@click.option("--pattern", metavar="REGEX", help="Read text logs: lines with named groups, one of them step.")
@click.option("--verify", is_flag=True, help="Check the checksums of all data, where a format has them.")
@click.option("--limit", "limits", metavar="NAME=NUMBER", multiple=True, callback=_pairs,
              help="Change a limit: depth, files, record_bytes, memory_bytes, seconds.")  # fmt: skip
@click.option("--report", is_flag=True, help="Write the report of the study as well.")
@click.option("--strict", is_flag=True, help="Exit with status 2 if there is any problem.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    out: str | None,
    format: str | None,
    dry_run: bool,
    strict: bool,
    report: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Import runs that were trained and logged elsewhere into a study; called again, it adds what is new.

    Logs of the tools that --from lists are found by themselves. Tables and JSON are read with --from table, text logs
    with --pattern. Nothing is written into the source.

    \b
    runspread import lightning_logs --out runs/imported
    runspread import results --out runs/imported --dry-run
    """
    from ..importers.saving import save_runs, summary_of
    from ..importers.verbs import import_runs

    labels = options.pop("labels")
    if dry_run:
        refuse_ignored("with --dry-run, which writes nothing", "report")
    found = import_runs(list(paths), format=format, **_settings(options))
    problems = list(found.problems)
    done: dict[str, Any] = {}
    text = ""
    if not dry_run:
        if out is None:
            raise click.UsageError("Missing option '--out'; --dry-run shows what would be imported.")
        study, saved = save_runs(found, out, labels)
        problems += saved.problems
        text = summary_of(saved, study)
        if report:
            text += f"\nwrote {study.report()}"
        done = {"study": str(study.path), "new": saved.new, "same": saved.same, "grown": saved.grown,
                "changed": saved.changed}  # fmt: skip
    if as_json:
        listed = [{"where": problem.where, "what": problem.what} for problem in problems]
        show_data({**found.to_dict(), "sentence": found.sentence(), "problems": listed, **done})
    else:
        _print(found, problems, text, details=dry_run)
    ctx.exit(2 if strict and problems else 0)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of an import that were typed."""
    from ..errors import InputError
    from ..importers.limits import Limits

    settings = {name: value for name, value in options.items() if value not in (None, (), {})}
    if "seeds" in settings:
        settings["seed_keys"] = settings.pop("seeds")
    if "limits" in settings:
        given = settings["limits"].items()
        try:
            numbers: dict[str, Any] = {key: float(text) if key == "seconds" else int(text) for key, text in given}
            settings["limits"] = Limits(**numbers)
        except (TypeError, ValueError) as error:
            known = "depth, files, record_bytes, memory_bytes or seconds, and a number"
            raise InputError("--limit names no limit and number", known) from error
    return settings


def _print(found: Any, problems: list[Any], text: str, *, details: bool) -> None:
    say(found.sentence())
    show_runs(found.table(), -1 if details else 20, from_both_ends=True)
    for line in found.details() if details else ():
        say(line)
    for warning in found.warnings:
        say(f"warning: {warning}")
    for problem in problems[:20]:
        say(f"problem: {problem}")
    if len(problems) > 20:
        say(f"and {count(len(problems) - 20, 'more problem')} (--json lists all)")
    if text:
        say(text)
    if not details:
        say(found.lacks())
