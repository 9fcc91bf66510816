"""``runspread paradox``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .choosing import choosing_runs
from .completion import SourcePath
from .forms import form_options
from .opening import open_chosen, refuse_ignored
from .progress import counted
from .show import json_option, show
from .targets import target_file

if TYPE_CHECKING:
    from ..methods.spectra.quality import StudySpectra
    from ..methods.spectra.study_measures import StudyMeasures
    from ..studies.study import Study


@click.command("paradox", epilog="Example: runspread paradox sweep.csv --target test_accuracy --by depth")
@click.argument("sources", nargs=-1, required=True, type=SourcePath(), metavar="STUDY_OR_TABLE...")
@click.option("--target", default="test_accuracy", show_default=True, help="Column that measures quality.")
@click.option("--by", "partition", default="depth", show_default=True, help="Column to group the models by.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="Column to judge as a metric; can be repeated [default: all numeric columns].",
)
@click.option("--axis", "axes", multiple=True, help="Hyperparameter of the grid, for Psi and CMI; can be repeated.")
@click.option("--gap", is_flag=True, help="Treat the target as a gap: lower is better.")
@click.option(
    "--resamples", type=int, help="Permutations per metric [default: 2000, and more where a p-value is small]."
)
@click.option(
    "--measures", is_flag=True, help="With studies: also judge measures that need data (margins, norms, noise); slower."
)
@click.option("--data", type=click.Path(), help="With --measures: location of the data of the studies.")
@click.option(
    "--worst-case", is_flag=True, help="With --measures: also find the worst-case perturbation, by gradient ascent."
)
@click.option("--save", type=target_file, help="With studies: CSV file to write the table to, one row per model.")
@click.option(
    "--random-seed", "seed", default=0, show_default=True, help="Seed for the permutations and the bootstrap."
)
@choosing_runs
@form_options
@json_option
def command(
    sources: tuple[str, ...],
    target: str,
    partition: str,
    metrics: tuple[str, ...],
    axes: tuple[str, ...],
    gap: bool,
    resamples: int | None,
    measures: bool,
    data: str | None,
    worst_case: bool,
    save: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Whether metrics track quality, or only distinguish architectures (Simpson's paradox).

    STUDY_OR_TABLE is a CSV or Parquet file with one row per model, or one or more studies with weights, whose spectra
    are the metrics. Their depth is the number of weight matrices, unless a hyperparameter has that name.
    """
    import runspread as rs

    from ..studies.files import storage_errors
    from ..studies.publishing import publish_file

    paths = list(sources)
    folders = [path for path in paths if Path(path).is_dir()]
    if len(paths) > 1 and len(folders) < len(paths):
        raise rs.errors.InputError(
            f"{len(folders)} of the {len(paths)} sources are studies", "one table, or only studies"
        )
    if not folders and (measures or save):
        raise rs.errors.InputError("--measures and --save need studies with weights, not a table", hint="Drop them.")
    if not folders:
        refuse_ignored("with a table", "where")
    if (data or worst_case) and not measures:
        raise rs.errors.InputError("--data and --worst-case have no effect without --measures", "--measures too")
    corpora = _corpora([open_chosen(path) for path in folders], measures, data=data, worst_case=worst_case, seed=seed)
    if save:
        with storage_errors(f"writing {save}"):
            publish_file(Path(save), rs.methods.corpus.corpus_table(corpora).to_csv().encode(errors="replace"))
    result = rs.paradox(
        corpora or paths[0],
        list(metrics) or None,
        target,
        partition,
        hyperparameters=list(axes) or None,
        higher_is_better=not gap,
        n_resamples=resamples,
        seed=seed,
        progress=counted("metrics"),
    )
    show(result, as_json=as_json)


def _corpora(studies: Sequence[Study], measures: bool, **options: Any) -> list[StudySpectra | StudyMeasures]:
    import runspread as rs

    found: list[StudySpectra | StudyMeasures] = [
        rs.methods.spectra.study_spectra(study, progress=counted()) for study in studies
    ]
    if measures:
        found += [rs.training.study_measures(study, progress=counted(), **options) for study in studies]
    return found
