"""``runspread spectra``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._reading.study_folders import is_study_folder
from .._results import Result
from .choosing import grouping_runs
from .completion import SourcePath
from .forms import form_options
from .opening import open_chosen, refuse_ignored
from .progress import counted
from .show import json_option, show, show_table

if TYPE_CHECKING:
    from ..methods.spectra.models import ModelSpectra
    from ..studies.study import Study


@click.command("spectra", epilog="Example: runspread spectra model.safetensors")
@click.argument("paths", nargs=-1, required=True, type=SourcePath(), metavar="PATH [PATH]")
@click.option("--run", help="With a study: show this run layer by layer.")
@click.option("--step", type=int, help="With a study: weights at this step [default: the final weights].")
@click.option(
    "--between",
    nargs=2,
    metavar="STEP STEP",
    help='With a study: change in the weights between two steps ("end" = final weights).',
)
@click.option(
    "--noise",
    type=click.Path(),
    metavar="STUDY",
    help="With two models: a study whose seed-to-seed spread is the noise level.",
)
@click.option("--metric", default="alpha", show_default=True, help="With --between or --noise: metric to compare.")
@click.option(
    "--torch",
    "unpickle",
    is_flag=True,
    help="Read PATH as a PyTorch checkpoint, unpickled in a separate process with limits.",
)
@click.option("--mp", "mp_fit", is_flag=True, help="Also fit a Marchenko-Pastur bulk.")
@click.option(
    "--shuffles",
    "n_shuffles",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of random shuffles of each matrix to compare with.",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of bootstrap samples for the p-value of the power law.",
)
@click.option("--parity", type=click.Choice(["weightwatcher"]), help="Reproduce the numbers of WeightWatcher 0.7.7.")
@click.option("--device", help="PyTorch device for the eigenvalues, such as cuda [default: NumPy].")
@click.option("--all", "all_tensors", is_flag=True, help="Also list tensors that are not matrices.")
@click.option("--random-seed", "seed", default=0, show_default=True, help="Seed for the shuffles and the bootstrap.")
@grouping_runs(lambda options: [options["noise"] or options["paths"][0]])
@form_options
@json_option
def command(
    paths: tuple[str, ...],
    run: str | None,
    step: int | None,
    between: tuple[str, str] | None,
    noise: str | None,
    metric: str,
    unpickle: bool,
    all_tensors: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Scale and shape metrics of weight matrices: of a study's runs, or of any checkpoint.

    PATH is a study, a safetensors file, or a folder with one (a Hugging Face checkpoint, sharded or not); with --torch,
    a file that torch.save wrote. With two models and --noise: whether they differ by more than two seeds do.
    """
    import runspread as rs

    if len(paths) != (1 if noise is None else 2):
        given = f"{len(paths)} path{'s' * (len(paths) > 1)} {'were' if len(paths) > 1 else 'was'} given"
        raise rs.errors.InputError(given, "one path, or two models and --noise STUDY")
    _refuse_ignored(paths, run, between, noise)
    options["progress"] = counted()
    if noise is not None:
        first, second = (_of_model(path, unpickle, options) for path in paths)
        result: Result = rs.methods.spectra.study_spectra(open_chosen(noise), **options).compare(metric, first, second)
    elif is_study_folder(paths[0]):
        result = _of_study(open_chosen(paths[0]), run, step, between, metric, options)
    else:
        result = _of_model(paths[0], unpickle, options)
    _refuse_nothing(result)
    show(result, as_json=as_json)
    if isinstance(result, rs.methods.spectra.ModelSpectra) and not as_json:
        if all_tensors:
            show_table(result.table(all_tensors=True))
        if result.used:
            show_table(result.summary())


def _refuse_ignored(
    paths: tuple[str, ...], run: str | None, between: tuple[str, str] | None, noise: str | None
) -> None:
    """Refuse options that the command would leave without effect."""
    is_study = is_study_folder(paths[0])
    if noise is not None:
        refuse_ignored("with --noise, which compares two models", "run", "step", "between", "all_tensors")
    elif not is_study:
        refuse_ignored(f"with {paths[0]}, which is not a study", "run", "step", "between", "metric", "where")
    else:
        refuse_ignored(f"with {paths[0]}, which is a study", "unpickle")
        if run is None:
            refuse_ignored("with a study unless --run names one run", "all_tensors")
        if between is None:
            refuse_ignored("without --between or --noise", "metric")
        else:
            refuse_ignored("with --between, which names its steps and uses all runs", "run", "step")


def _refuse_nothing(result: Result) -> None:
    """Raise where no number was found, with the reasons."""
    import runspread as rs

    if isinstance(result, rs.methods.spectra.ModelSpectra) and not any(layer.metrics for layer in result.layers):
        raise rs.errors.InputError(
            result.sentence().removesuffix("."), "a weight matrix of floating-point numbers", _of_quantised(result)
        )
    if isinstance(result, rs.methods.spectra.StudySpectra) and not result.has_averages:
        raise rs.errors.InputError(
            result.sentence().removesuffix("."),
            "weight matrices large enough for a spectrum",
            "--run shows one run layer by layer; in Python, rs.spectra(study, min_evals=20) also averages smaller "
            "ones.",
        )


def _of_quantised(result: ModelSpectra) -> str:
    """Say in which format the weights are, where they are quantised, and what can be read instead."""
    first = next((layer for layer in result.layers if layer.status == "quantised"), None)
    if first is None:
        return ""
    return f"{first.name}: {first.why}. Pass the original weights, in a floating-point type."


def _of_model(path: str, unpickle: bool, options: dict[str, Any]) -> ModelSpectra:
    import runspread as rs

    return rs.spectra(rs.methods.spectra.from_torch_checkpoint(path) if unpickle else Path(path), **options)


def _of_study(
    study: Study, run: str | None, step: int | None, between: tuple[str, str] | None, metric: str, options: Any
) -> Result:
    import runspread as rs

    if between is not None:
        steps = [_step(text) for text in between]
        return rs.methods.spectra.study_spectra(study, steps=steps, **options).difference(metric, *steps)
    if run is not None:
        return rs.spectra(study.weights(run, step=step), **options)
    return rs.methods.spectra.study_spectra(study, steps=None if step is None else [step], **options)


def _step(text: str) -> int | None:
    if text == "end":
        return None
    try:
        return int(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither a step nor end", param_hint="--between") from None
