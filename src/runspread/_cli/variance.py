"""``runspread variance``."""

from __future__ import annotations

import click

from .._methods.variance.estimate import SAMPLES_ARE
from .._methods.variance.law import LAWS
from .._reading.correctness import NAN_POLICIES
from .clusters import clusters_option, read_clusters
from .opening import labels_option, open_source
from .show import json_option, show, split_option, study_argument


@click.command("variance")
@study_argument
@split_option
@labels_option
@click.option("--level", default=0.95, show_default=True, help="Of the intervals.")
@click.option(
    "--nan",
    type=click.Choice(NAN_POLICIES),
    default="raise",
    show_default=True,
    help="What NaN in outputs means: an error, no prediction, or a run to leave out.",
)
@clusters_option
@click.option(
    "--law",
    type=click.Choice(LAWS),
    default="normal",
    show_default=True,
    help="Law of accuracies over runs that the intervals assume; 'any' takes 30 runs or more.",
)
@click.option(
    "--samples-are",
    type=click.Choice(SAMPLES_ARE),
    default="runs",
    show_default=True,
    help="What the first axis of the outputs is: trainings, or samples of one model.",
)
@json_option
def command(
    study: str,
    split: str,
    labels: str | None,
    level: float,
    nan: str,
    clusters: str | None,
    law: str,
    samples_are: str,
    as_json: bool,
) -> None:
    """How much of the spread in accuracy is real, and how much is the finite test set.

    STUDY is a study's folder, or a .npy or .safetensors file with the outputs of runs trained elsewhere.
    """
    import runspread as rs

    source, groups = open_source(study, labels), read_clusters(clusters, study)
    result = rs.variance(source, split=split, level=level, nan=nan, clusters=groups, law=law, samples_are=samples_are)
    show(result, as_json=as_json)
