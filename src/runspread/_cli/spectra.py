"""``runspread spectra``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .._results import Result
from .show import json_option, show, show_table


@click.command("spectra")
@click.argument("path", type=click.Path())
@click.option("--run", help="Of a study: one run, layer by layer.")
@click.option("--step", type=int, help="Of a study: weights at this step; the end of training otherwise.")
@click.option("--torch", "unpickle", is_flag=True, help="PATH is a PyTorch checkpoint: unpickle it, with limits.")
@click.option("--mp", "mp_fit", is_flag=True, help="Fit a Marchenko-Pastur bulk too.")
@click.option("--shuffles", "n_shuffles", default=0, show_default=True, help="Compare with this many shuffles.")
@click.option("--bootstrap", default=0, show_default=True, help="Bootstrap samples for the p-value of the power law.")
@click.option("--parity", type=click.Choice(["weightwatcher"]), help="Give the numbers of WeightWatcher 0.7.7.")
@click.option("--device", help="Where PyTorch computes the eigenvalues, for example cuda; NumPy otherwise.")
@click.option("--all", "all_tensors", is_flag=True, help="List tensors without a matrix too.")
@click.option("--seed", default=0, show_default=True, help="Of shuffles and bootstrap.")
@json_option
def command(
    path: str, run: str | None, step: int | None, unpickle: bool, all_tensors: bool, as_json: bool, **options: Any
) -> None:
    """Scale and shape metrics of weight matrices.

    PATH is a study, a safetensors file or a folder of them (a Hugging Face checkpoint, sharded or not); with --torch a
    file that torch.save wrote.
    """
    import runspread as rs

    if sys.stderr.isatty():
        options["progress"] = _progress
    result: Result
    if (Path(path) / "study.json").is_file():
        study = rs.open_study(path)
        if run is None:
            result = rs.study_spectra(study, steps=None if step is None else [step], **options)
        else:
            result = rs.spectra(study.weights(run, step=step), **options)
    else:
        result = rs.spectra(rs.from_torch_checkpoint(path) if unpickle else Path(path), **options)
    show(result, as_json=as_json)
    if isinstance(result, rs.ModelSpectra) and not as_json:
        if all_tensors:
            show_table(result.table(all_tensors=True))
        show_table(result.summary())


def _progress(done: int, total: int) -> None:
    click.echo(f"\r{done} of {total}", nl=done == total, err=True)
