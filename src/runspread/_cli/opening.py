"""What the outputs of runs are read from: a study, or files of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from .._reading.kinds import KINDS
from .._reading.margins import MARGINS
from .._reading.output_files import SUFFIXES
from .._reading.study_folders import is_study_folder
from .._words import listed
from ..methods.variance.samples import SAMPLES_ARE
from .choosing import chosen

_TYPED = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
labels_option: Callable[..., Any] = click.option(
    "--labels", type=click.Path(), help="File of true classes (.npy, .npz), for files of outputs that hold no labels."
)
kind_option: Callable[..., Any] = click.option(
    "--kind",
    type=click.Choice(("auto", *KINDS)),
    default="auto",
    show_default=True,
    help="What the outputs are, if they do not say so themselves.",
)


samples_option: Callable[..., Any] = click.option(
    "--samples-are",
    type=click.Choice(SAMPLES_ARE),
    default="runs",
    show_default=True,
    help="What the first axis of the outputs is: training runs, or samples from one model.",
)


def typed(*names: str) -> list[str]:
    """Return the options, of those named, that were typed on the command line, as flags."""
    context = click.get_current_context()
    flags = {each.name: each.opts[0] for each in context.command.params}
    return [flags[name] for name in names if context.get_parameter_source(name) in _TYPED]


def refuse_ignored(beside: str, *names: str) -> None:
    """Raise an InputError for options that were typed and would have no effect beside others."""
    from ..errors import InputError

    if found := typed(*names):
        verb = "has" if len(found) == 1 else "have"
        raise InputError(f"{listed(found)} {verb} no effect {beside}", hint=f"Drop {listed(found)}.")


def open_sources(paths: Sequence[str], labels: str | None) -> list[Any]:
    """Return what lies at each path; the labels are those of the files among them.

    An option ``--split`` is that of the studies among them.
    """
    from ..errors import InputError

    files = [is_outputs(path) for path in paths]
    if all(files):
        refuse_ignored("with files of outputs, which hold one split", "split")
    if labels is not None and not any(files):
        raise InputError(
            f"--labels has no effect with {'the study' if len(paths) == 1 else 'the studies'} {listed(paths)}",
            hint="Drop --labels: a study has its own.",
        )
    return [_opened(path, labels if file else None) for path, file in zip(paths, files, strict=True)]


def is_outputs(path: str) -> bool:
    """Whether a path is that of files of outputs, not of a study: a file, a pattern, or a folder that holds some."""
    place = Path(path)
    if place.is_dir():
        held = () if is_study_folder(place) else place.iterdir()
        return any(one.suffix in SUFFIXES for one in held)
    return place.is_file() or place.suffix in SUFFIXES or any(sign in path for sign in "*?[")


def pair_of(kind: type[int] | type[float]) -> Callable[..., Any]:
    """Return the callback of an option that takes two numbers, typed as "1,9"."""

    def parse(_: click.Context, parameter: click.Parameter, text: str | None) -> tuple[Any, Any] | None:
        if text is None:
            return None
        try:
            first, second = (kind(part) for part in text.split(","))
        except ValueError as error:
            raise click.BadParameter(
                f"{text!r} is not two numbers like {parameter.metavar}", param=parameter
            ) from error
        return first, second

    return parse


def scalar_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which scalar output of a run is compared, and the seed of what is drawn."""
    options = (
        click.option(
            "--margin",
            type=click.Choice(MARGINS),
            help="Scalar output to compare [default: gap for two classes, else one-vs-rest].",
        ),
        click.option("--classes", metavar="A,B", callback=pair_of(int), help="The two classes of --margin pairwise."),
        click.option("--clip", metavar="LOW,HIGH", callback=pair_of(float), help="Clip the outputs to these bounds."),
        click.option(
            "--random-seed",
            "seed",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Seed for the random draws.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def open_source(path: str, labels: str | None) -> Any:
    """Return the study at `path`, or the outputs of the files at `path`."""
    return open_sources((path,), labels)[0]


def _opened(path: str, labels: str | None) -> Any:
    import runspread as rs

    return chosen(rs.open_outputs(path, labels)) if is_outputs(path) else open_chosen(path)


def open_chosen(path: str) -> Any:
    """Return the study at `path`, with the runs that the command's options ask for."""
    from ..studies.opening import open_study

    return chosen(open_study(path))
