"""``runspread same``."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..methods.trimming import defaults
from .choosing import grouping_runs
from .compare import ON, show_verdict
from .completion import SourcePath
from .forms import form_options
from .opening import kind_option, labels_option, open_sources, refuse_ignored, scalar_options
from .progress import counted
from .show import fraction, json_option, show, split_option
from .trimming import number_or_name


@click.command("same", epilog="Example: runspread same runs/old runs/new")
@click.argument("old", metavar="OLD", type=SourcePath())
@click.argument("new", metavar="NEW", type=SourcePath())
@click.option(
    "--alpha", default=defaults.ALLOWED, show_default=True, help="Largest fraction of the new outputs that may differ."
)
@click.option(
    "--threshold",
    default="permutation",
    show_default=True,
    metavar="BOUND|DISTANCE",
    help="Test by permutation, by the bound dkw or rigorous, or against a fixed distance.",
)
@click.option(
    "--epsilon",
    default=defaults.EPSILON,
    show_default=True,
    help="Probability of a false alarm; with labels, each of the two tests gets half of it.",
)
@click.option(
    "--permutations",
    default=defaults.PERMUTATIONS,
    show_default=True,
    help="Maximum number of permutations of runs; all of them if there are fewer.",
)
@click.option(
    "--not-worse", type=float, metavar="M", help="Ask whether NEW is at most M percentage points less accurate."
)
@click.option(
    "--equivalent", type=float, metavar="M", help="Ask whether the accuracies differ by less than M percentage points."
)
@click.option(
    "--on",
    type=click.Choice(ON),
    default="test-set",
    show_default=True,
    help="What the answer to --not-worse or --equivalent covers: new runs on these examples (test-set), on new ones "
    "too (distribution), or these models on new examples (models).",
)
@split_option
@labels_option
@kind_option
@scalar_options
@grouping_runs(lambda options: [options["old"], options["new"]])
@form_options
@json_option
def command(
    old: str,
    new: str,
    threshold: str,
    not_worse: float | None,
    equivalent: float | None,
    on: str,
    labels: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Whether runs of new training code are distinguishable from runs of the old; exit status 1: they are.

    The test compares the distributions of outputs, of which a fraction ALPHA may differ; with labels it also compares
    the predictions example by example. Exit status 0: no difference is shown. 1: a difference is shown. 2: there are
    too few runs to show one.

    With --not-worse or --equivalent, the test compares accuracies instead, at level EPSILON. Exit
    status 0: the answer is yes. 1: the opposite is shown. 3: undecided.

    OLD and NEW are study folders, or outputs of runs trained elsewhere: .npy, .npz or .safetensors files, or folders or
    patterns of such files, one file per run.
    """
    import runspread as rs

    limit = number_or_name(threshold)
    if limit != "permutation":
        refuse_ignored(f"with --threshold {threshold}", "permutations", "seed")
    if isinstance(limit, float):
        refuse_ignored("with a fixed distance as --threshold", "epsilon")
    before, after = open_sources((old, new), labels)
    if not_worse is not None or equivalent is not None:
        margins = {"not_worse": fraction(not_worse, "--not-worse"), "equivalent": fraction(equivalent, "--equivalent")}
        _by_margin(before, after, margins, on, options, as_json=as_json)
    refuse_ignored("without --not-worse or --equivalent", "on")
    found = rs.same(before, after, threshold=limit, progress=counted(), **options)
    show(found, as_json=as_json)
    sys.exit(0 if found.same else 1)


def _by_margin(
    before: Any, after: Any, margins: dict[str, float | None], on: str, options: dict[str, Any], *, as_json: bool
) -> None:
    """Answer by a margin on accuracies, and exit."""
    import runspread as rs

    distributions = ("alpha", "threshold", "permutations", "margin", "classes", "clip", "seed")
    refuse_ignored("with --not-worse or --equivalent, which compare accuracies", *distributions)
    level, reading = 1 - options["epsilon"], {"split": options["split"], "kind": options["kind"]}
    found = rs.methods.variance.compare(
        before, after, names=("old", "new"), on=on, confidence_level=level, **margins, **reading
    )
    show_verdict(found, on, as_json=as_json)
