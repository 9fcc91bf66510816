"""``runspread trimming``."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from .._results import Result
from ..errors import InputError
from ..methods.trimming import defaults
from ..methods.trimming.resampling import RESAMPLE
from .engines import engine_options
from .forms import form_options
from .opening import kind_option, labels_option, open_sources, refuse_ignored, scalar_options
from .progress import counted
from .show import json_option, runs_option, show, show_data, show_table, split_option, study_argument

OWN_REFERENCE = ("against", "reference", "mode")  # settings that --sizes has no use for


@click.command("trimming", epilog="Example: runspread trimming runs/a --replicates 20")
@study_argument
@click.option(
    "--against",
    metavar="STUDY",
    type=click.Path(),
    help="Reference runs to compare with [default: each half of STUDY against the other].",
)
@click.option(
    "--reference",
    type=click.Choice(defaults.REFERENCES),
    default=defaults.REFERENCE,
    show_default=True,
    help="What represents the reference runs: all outputs pooled, a sample of them, their ensemble, or a single run.",
)
@click.option(
    "--resample",
    type=click.Choice((*RESAMPLE, "none")),
    help="How examples are resampled [default: bootstrap, as published; split for --sizes].",
)
@click.option(
    "--replicates",
    default=defaults.REPLICATES,
    show_default=True,
    help="Number of resamplings; if given, --json holds the values of each.",
)
@click.option(
    "--threshold",
    metavar="BOUND|DISTANCE",
    help="Bound on the distance (dkw, published or rigorous), or a fixed distance "
    "[default: dkw; published with --mode published].",
)
@click.option("--epsilon", default=defaults.EPSILON, show_default=True, help="Significance level of the bound.")
@click.option(
    "--mode",
    type=click.Choice(defaults.MODES),
    default=defaults.MODE,
    show_default=True,
    help="Use the reference distribution as it is (a step function), or interpolated as in the published code.",
)
@click.option("--sizes", is_flag=True, help="Also find how many runs, or how large an ensemble, are representative.")
@click.option("--scores", is_flag=True, help="Also compare the levels with accuracy, calibration and churn.")
@click.option("--examples", is_flag=True, help="Also list the examples that are trimmed most.")
@split_option
@labels_option
@kind_option
@scalar_options
@runs_option(20)
@form_options
@json_option
@click.pass_context
@engine_options
def command(
    context: click.Context,
    study: str,
    against: str | None,
    resample: str | None,
    threshold: str | None,
    sizes: bool,
    scores: bool,
    examples: bool,
    labels: str | None,
    n_runs: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Which runs are typical: how much of each run's outputs the average run does not explain.

    STUDY is a study folder, or outputs of runs trained elsewhere: a .npy, .npz or .safetensors file, or a folder or
    pattern of such files, one file per run. The runs listed are the least typical and the most typical ones.
    """
    import runspread as rs

    if sizes:
        _refuse_for_sizes(context)
    elif resample == "none":
        refuse_ignored("with --resample none", "replicates")
    limit = None if threshold is None else number_or_name(threshold)
    if isinstance(limit, float):
        refuse_ignored("with a fixed distance as --threshold", "epsilon")
    opened, *others = open_sources((study,) if against is None else (study, against), labels)
    if scores:
        _check_for_scores(opened, options["split"], options["kind"])
    options["threshold"] = limit
    drawn: dict[str, Any] = {} if resample is None else {"resample": None if resample == "none" else resample}
    levels = rs.trimming(opened, *others, progress=counted(), **options, **drawn)
    parts: dict[str, Any] = {}
    if sizes:
        same = {name: value for name, value in options.items() if name not in OWN_REFERENCE}
        parts["representative_size"] = rs.representative_size(opened, progress=counted(), **same, **drawn)
    if scores:
        parts["scores"] = rs.methods.trimming.trimming_scores(
            opened, split=options["split"], kind=options["kind"], levels=levels, seed=options["seed"]
        )
    if examples:
        parts["examples"] = rs.methods.trimming.trimmed_examples(
            opened, *others, levels=levels, split=options["split"], kind=options["kind"]
        )
    if not as_json:
        _show(levels, parts, n_runs)
        return
    asked = context.get_parameter_source("replicates") is ParameterSource.COMMANDLINE
    facts = {name: _facts(part, replicates=asked) for name, part in parts.items()}
    facts.get("scores", {}).pop("levels", None)  # those of the command itself
    show_data({**_facts(levels, replicates=asked), **facts})


def _facts(result: Result, *, replicates: bool) -> dict[str, Any]:
    return result.to_dict() if replicates else result.summary_dict()


def _check_for_scores(opened: Any, split: str, kind: str) -> None:
    """Say what --scores lacks before the levels are computed."""
    from .._reading.accepting import as_outputs
    from ..methods.trimming.comparison import FEW_RUNS

    outputs = as_outputs(opened, split=split, kind=kind)
    if outputs.labels is None:
        raise InputError("--scores needs the true classes of the examples", hint="Pass them as --labels FILE.")
    if outputs.shape[0] < FEW_RUNS:
        raise InputError(
            f"--scores needs at least {FEW_RUNS} runs, but there are {outputs.shape[0]}", hint="Drop --scores."
        )


def _refuse_for_sizes(context: click.Context) -> None:
    """Refuse settings that --sizes would ignore."""
    changed = [name for name in OWN_REFERENCE if context.params[name] not in (None, defaults.REFERENCE, defaults.MODE)]
    if changed:
        named = " and ".join(f"--{name} {context.params[name]}" for name in changed)
        raise InputError(
            f"--sizes cannot be combined with {named}, because it compares random subsets of STUDY's runs with the "
            "others, by mixture and by ensemble, in mode step",
            hint="Make two calls.",
        )


def _show(levels: Any, parts: dict[str, Any], n_runs: int) -> None:
    show(levels, as_json=False, n_runs=n_runs)
    for name, part in parts.items():
        show(part, as_json=False)
        if name == "scores":
            show_table(part.bins())


def number_or_name(text: str) -> Any:
    """Return a threshold that was typed: a number, or the name of a bound."""
    try:
        return float(text)
    except ValueError:
        return text
