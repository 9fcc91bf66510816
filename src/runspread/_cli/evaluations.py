"""``runspread evaluations``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..errors import InputError
from .completion import SourcePath
from .forms import markdown_option
from .printing import say
from .show import fraction, json_option, level_option, plot_option, save_plot, show
from .statuses import status_of
from .targets import target_file

if TYPE_CHECKING:
    from .._results import Result
    from ..methods.evaluations.result import Evaluations

ON = ("distribution", "models", "test-set", "samples")
METHODS = ("wilson", "t", "beta", "bootstrap")
_WAYS = ("prompts", "method", "weights", "pair_seeds", "bayes", "split")
COSTS = ("cost_training", "cost_item", "cost_sample", "items_max")
_READING = {  # option to the keyword of `read_evals`
    **{name: name for name in ("by", "seed", "metric", "items", "missing", "samples_are")},
    "cluster": "clusters",
    "filter_": "filter",
}


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how logs are read."""
    added = (
        click.option("--by", metavar="KEY", help="What names the model: a key of the logs, DIR, a pattern, a column."),
        click.option("--seed", metavar="KEY", help="What names the training: a key, DIR, a pattern, a column."),
        click.option("--cluster", metavar="KEY", help="What groups items: a key, a column, a pattern, task or item."),
        click.option("--metric", metavar="NAME", help="Which score, where an answer has several."),
        click.option("--filter", "filter_", metavar="NAME", help="Which filter of lm-evaluation-harness."),
        click.option("--items", type=click.Path(), metavar="FILE", help="Ids of all items, one per line."),
        click.option("--missing", type=click.Choice(("as_source", "zero", "drop")), help="Items without a score."),
        click.option("--samples-are", type=click.Choice(("samples", "runs")), help="What repeated answers are."),
    )
    for option in reversed(added):
        command = option(command)
    return command


def cost_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a plan's costs."""
    added = (
        click.option("--cost-training", type=float, metavar="C", help="Cost of a training, in a plan [default: 0]."),
        click.option("--cost-item", type=float, metavar="C", help="Cost of a new item, in a plan [default: 0]."),
        click.option("--cost-sample", type=float, metavar="C", help="Cost of an answer, in a plan [default: 1]."),
        click.option("--items-max", type=int, metavar="N", help="Largest number of items, in a plan."),
    )
    for option in reversed(added):
        command = option(command)
    return command


def hold_answers(*paths: str | None) -> bool:
    """Whether all paths are logs or tables of answers."""
    from .._reading.evaluations.telling import holds_answers

    return all(path is not None and holds_answers(path) for path in paths)


@click.command("evaluations", epilog="Example: runspread evaluations logs --by '(old|new)' --on models")
@click.argument("paths", nargs=-1, required=True, type=SourcePath(), metavar="PATH...")
@reading_options
@click.option("--baseline", metavar="MODEL", help="Model that the others are compared with.")
@click.option("--on", type=click.Choice(ON), help="What the answer covers; default the widest that the data allow.")
@click.option("--not-worse", type=float, metavar="M", help="Ask whether new models are at most M points worse.")
@click.option("--equivalent", type=float, metavar="M", help="Ask whether models differ by less than M points.")
@click.option("--prompts", type=click.Choice(("fixed", "random")), help="Whether prompts are a draw from many.")
@click.option("--method", type=click.Choice(METHODS), help="Method of the intervals of means. [default: wilson]")
@click.option("--weights", type=click.Choice(("items", "rows")), help="Whether items or answers weigh the same.")
@click.option("--pair-seeds", is_flag=True, default=None, help="Trainings of equal names are pairs.")
@click.option("--bayes", is_flag=True, default=None, help="Add the posterior of differences; with --on models.")
@click.option("--split", is_flag=True, default=None, help="One half of the questions chooses the best model.")
@click.option("--pass-at", metavar="K,...", help="Show the chance that one of K tries is right, instead.")
@click.option("--every", is_flag=True, help="With --pass-at: that all K tries are right.")
@click.option("--gap", type=float, metavar="G", help="Plan what shows a gap of G points, instead.")
@cost_options
@click.option("--strict", is_flag=True, help="A file or row that cannot be read is an error.")
@click.option("--latex", is_flag=True, help="Print a table for a paper instead.")
@markdown_option
@click.option("--report", "page", type=target_file, help="Write a page with all of it into this file.")
@level_option
@plot_option("Draw the models with their intervals into this file.")
@json_option
def command(
    paths: tuple[str, ...], as_json: bool, plot: Path | None, latex: bool, strict: bool, level: float, **options: Any
) -> None:
    """How good models are on questions, which is better, and what the error bars cover.

    PATH is a log of lm-evaluation-harness, Inspect, HELM, SWE-bench, EvalPlus or HumanEval, a table with a row an
    answer (columns item, model, score; and seed, sample, prompt, cluster), or a folder of such files.

    Exit status 0: answered; with a margin, it holds. 1: a new model is shown to be worse. 3: a margin was asked for,
    and the answer is undecided. 2: there is no answer.
    """
    result = _asked(paths, level, options)
    if strict and result.excluded:
        first = result.excluded[0]
        raise InputError(f"{first.run}: {first.reason}", "files that can be read", "Drop --strict to leave it out.")
    save_plot(result, plot)
    if options["page"] is not None:
        _write_page(_models(result, "--report"), options["page"])
    if latex:
        say(_models(result, "--latex").to_latex())
    else:
        show(result, as_json=as_json)
        if not as_json:
            _show_parts(result)
    sys.exit(_status(result, asked=options["not_worse"] is not None or options["equivalent"] is not None))


def reading_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of `read_evals` that were typed."""
    return {keyword: options[name] for name, keyword in _READING.items() if options[name] is not None}


def _asked(paths: tuple[str, ...], level: float, options: dict[str, Any]) -> Result:
    """Return what is asked for: models, tries or a plan."""
    import runspread as rs

    reading = reading_of(options)
    family = rs.methods.evaluations
    if options["pass_at"]:
        return family.pass_at_k(
            list(paths), _tries(options["pass_at"]), every=options["every"], confidence_level=level, **reading
        )
    if options["gap"] is not None:
        return planned(paths, options, reading)
    given = {name: options[name] for name in ("baseline", "on", *_WAYS) if options[name] is not None}
    margins = {name: fraction(options[name], f"--{name.replace('_', '-')}") for name in ("not_worse", "equivalent")}
    return rs.evaluations(list(paths), confidence_level=level, **margins, **given, **reading)


def planned(paths: tuple[str, ...], options: dict[str, Any], reading: dict[str, Any]) -> Result:
    """Return the plan for a gap in points from a pilot of logs."""
    import runspread as rs

    typed = {name: options[f"cost_{name}"] for name in ("training", "item", "sample")}
    cost = {"sample": 1.0} | {name: value for name, value in typed.items() if value is not None}
    given = {name: options[name] for name in ("items_max", "alpha", "power") if options.get(name) is not None}
    gap = fraction(options["gap"], "--gap")
    return rs.methods.evaluations.plan_evals(list(paths), gap, cost=cost, **given, **reading)


def finish_models(
    paths: tuple[str, ...], given: dict[str, Any], *, as_json: bool, latex: bool, plot: Path | None
) -> NoReturn:
    """Show the models in logs for a command that takes runs as well, and exit with the status of the verdict."""
    import runspread as rs

    result = rs.evaluations(list(paths), **{name: one for name, one in given.items() if one is not None})
    save_plot(result, plot)
    if latex:
        say(result.to_latex())
    else:
        show(result, as_json=as_json)
    sys.exit(status_of(result) if result.differences else 0)


def _tries(text: str) -> list[int]:
    if not all(one.strip().isdigit() for one in text.split(",")):
        raise InputError(f"--pass-at {text}", "whole numbers with commas, such as 1,5")
    return [int(one) for one in text.split(",")]


def _models(result: Result, option: str) -> Evaluations:
    """Return a result about models; an error for a plan or for tries, which have no such page or table."""
    from ..methods.evaluations.result import Evaluations

    if not isinstance(result, Evaluations):
        raise InputError(f"{option} of a plan or of tries", "models", "Drop --pass-at and --gap.")
    return result


def _write_page(result: Evaluations, path: str) -> None:
    from .._report.evaluations import write_evaluations_page

    say(f"wrote {write_evaluations_page(result, path)}", err=True)


def _show_parts(result: Result) -> None:
    """Say where the spread comes from, how often answers differ and what decides."""
    from ..methods.evaluations.result import Evaluations

    if isinstance(result, Evaluations):
        parts = [result.sources.sentence(), result.consistency.sentence()]
        parts += [result.deciding_items.sentence()] if result.deciding_items is not None else []
        say("\n" + "\n\n".join(parts))


def _status(result: Result | Evaluations, *, asked: bool) -> int:
    """Return the exit status: what was asked holds, its opposite is shown, or neither."""
    from ..methods.evaluations.result import Evaluations

    if not isinstance(result, Evaluations) or not result.differences:
        return 0
    if result.shown is False:
        return 1
    return 3 if asked and result.shown is None else 0
