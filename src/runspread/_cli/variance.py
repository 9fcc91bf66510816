"""``runspread variance``."""

from __future__ import annotations

from typing import Any

import click

from .._reading.kinds import NAN_POLICIES
from ..methods.variance.run_distribution import DISTRIBUTIONS
from .clusters import clusters_option, read_clusters
from .engines import engine_options
from .forms import form_options
from .opening import kind_option, labels_option, open_source, refuse_ignored, samples_option
from .show import json_option, level_option, show, split_option, study_argument


@click.command("variance", epilog="Example: runspread variance runs/a --by lr")
@study_argument
@split_option
@labels_option
@kind_option
@level_option
@click.option(
    "--nan",
    type=click.Choice(NAN_POLICIES),
    default="exclude",
    show_default=True,
    help="How to treat NaN or infinite outputs: exclude the run, raise an error, or abstain (count as no prediction).",
)
@clusters_option
@click.option(
    "--distribution",
    type=click.Choice(DISTRIBUTIONS),
    default="normal",
    show_default=True,
    help="Distribution of accuracies over runs that the intervals assume; 'any' assumes none, needs at least 30 runs, "
    "and "
    "holds where one training in ten or more fails.",
)
@samples_option
@form_options
@json_option
@engine_options
def command(
    study: str,
    split: str,
    labels: str | None,
    kind: str,
    level: float,
    nan: str,
    clusters: str | None,
    distribution: str,
    samples_are: str,
    as_json: bool,
) -> None:
    """How much of the spread in accuracy is real, and how much is noise of the finite test set.

    STUDY is a study folder, or outputs of runs trained elsewhere: a .npy, .npz or .safetensors file, or a folder or
    pattern of such files, one file per run.
    """
    import runspread as rs

    if samples_are == "samples":
        refuse_ignored("with --samples-are samples, which say nothing about runs", "distribution")
    source, groups = open_source(study, labels), read_clusters(clusters, study)
    reading: dict[str, Any] = {"split": split, "kind": kind, "nan": nan}
    result = rs.variance(
        source, confidence_level=level, clusters=groups, distribution=distribution, samples_are=samples_are, **reading
    )
    show(result, as_json=as_json)
