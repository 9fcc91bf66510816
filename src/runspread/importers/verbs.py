"""The importers: from a path to runs, in one call each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from ..errors import InputError
from .assembling import assemble
from .detection import read_paths
from .formats import Format
from .imported import ImportedRuns, result_of
from .limits import SourceProblem
from .options import ImportSettings, Options, options_of
from .records import Problem, RawRun
from .registry import FORMATS, PROPOSED
from .tabular import matching, read_matching, runs_of_columns

AnyPath = str | os.PathLike[str]


def import_runs(
    path: AnyPath | Sequence[AnyPath], *, format: str | None = None, **settings: Unpack[ImportSettings]
) -> ImportedRuns:
    r"""Read runs that were trained elsewhere, whatever logged them.

    Nothing is written and nothing in the source is changed: no pickle is loaded, no link followed, no server asked. A
    run that cannot be read is listed in ``problems`` and stops no other.

    Parameters
    ----------
    path : str, Path, or a list of them
        A folder, or a file.
    format : str, optional
        Look for this format alone, by its name, such as ``"tensorboard"``, ``"table"`` or ``"text"``. What is none is
        answered with all names; they are those of the command's ``--from``.
    **settings
        See `ImportSettings`.

    Returns
    -------
    ImportedRuns
        The runs; ``.save(path)`` makes a study of them.

    Raises
    ------
    InputError
        The path does not exist, or holds no run at all.

    Examples
    --------
    >>> import runspread as rs
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> with (folder / "training.log").open("w") as file:  # as Keras leaves it
    ...     for row in ("epoch,loss,val_loss", "0,1.0,1.1", "1,0.5,0.7"):
    ...         print(row, file=file)
    >>> runs = rs.import_runs(folder)
    >>> study = runs.save(mkdtemp() + "/imported")
    >>> len(study.runs)
    1
    """
    options = options_of(settings)
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    if format == "table" and len(paths) == 1 and any(sign in os.fspath(paths[0]) for sign in "*?["):
        return from_table(paths[0], **settings)
    formats = None if format is None else _formats(format)
    if options.pattern is not None and format is None:
        formats = _formats("text")
    raws, problems = read_paths(paths, formats, options)
    roots = [Path(each).resolve() for each in paths]
    return result_of(assemble(raws, options), options, problems, roots)


def _formats(name: str) -> list[Format]:
    known = {kind.name: kind for kind in (*FORMATS, *PROPOSED)}
    found = [kind for each, kind in known.items() if each == name or each.partition("-")[0] == name]
    if not found:
        raise InputError(f"there is no format {name!r}", f"one of {', '.join(known)}")
    return found


def from_lightning(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    """Read the versions of Lightning's CSV and TensorBoard loggers; see `import_runs`.

    Examples
    --------
    >>> import runspread as rs
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp()) / "version_0"
    >>> folder.mkdir()
    >>> with (folder / "metrics.csv").open("w") as file:
    ...     for row in ("epoch,step,val_loss", "0,7,1.0", "1,15,0.5"):
    ...         print(row, file=file)
    >>> rs.importers.from_lightning(folder.parent)[0].curves["val_loss"].values
    array([1. , 0.5])
    """
    return import_runs(path, format="lightning", **settings)


def from_huggingface(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    """Read output folders of Hugging Face's Trainer; see `import_runs`.

    Examples
    --------
    >>> import runspread as rs
    >>> import json
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp()) / "run" / "checkpoint-10"
    >>> folder.mkdir(parents=True)
    >>> state = {"global_step": 10, "max_steps": 10, "log_history": [{"step": 10, "eval_loss": 0.5}]}
    >>> _ = (folder / "trainer_state.json").write_text(json.dumps(state))
    >>> rs.importers.from_huggingface(folder.parents[1])[0].curves["eval_loss"].values
    array([0.5])
    """
    return import_runs(path, format="huggingface", **settings)


def from_tensorboard(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    """Read TensorBoard event files, all points of them; see `import_runs`."""
    return import_runs(path, format="tensorboard", **settings)


def from_mlflow(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    """Read an MLflow file store or SQLite database; see `import_runs`."""
    return import_runs(path, format="mlflow", **settings)


def from_wandb(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    """Read W&B's local run files (.wandb), offline ones too; see `import_runs`."""
    return import_runs(path, format="wandb", **settings)


def from_sacred(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    """Read runs of sacred's file observer; see `import_runs`."""
    return import_runs(path, format="sacred", **settings)


def from_dvclive(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    """Read folders of DVCLive, the working tree alone; see `import_runs`.

    Examples
    --------
    >>> import runspread as rs
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp()) / "dvclive"
    >>> (folder / "plots" / "metrics").mkdir(parents=True)
    >>> _ = (folder / "metrics.json").write_text('{"loss": 0.5, "step": 1}')
    >>> with (folder / "plots" / "metrics" / "loss.tsv").open("w") as file:
    ...     for row in (("step", "loss"), (0, 1.0), (1, 0.5)):
    ...         print(*row, sep=chr(9), file=file)
    >>> rs.importers.from_dvclive(folder)[0].curves["loss"].values
    array([1. , 0.5])
    """
    return import_runs(path, format="dvclive", **settings)


def from_keras(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    """Read logs of Keras's CSVLogger; see `import_runs`.

    Examples
    --------
    >>> import runspread as rs
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> with (folder / "training.log").open("w") as file:
    ...     for row in ("epoch,loss,val_loss", "0,1.0,1.1", "1,0.5,0.7"):
    ...         print(row, file=file)
    >>> len(rs.importers.from_keras(folder))
    1
    """
    return import_runs(path, format="keras", **settings)


def from_trackio(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    """Read Trackio's local SQLite databases; see `import_runs`."""
    return import_runs(path, format="trackio", **settings)


def from_neptune(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    """Read the Parquet folders that Neptune's exporter leaves behind (needs pyarrow); see `import_runs`."""
    return import_runs(path, format="neptune", **settings)


def from_text(path: AnyPath, **settings: Unpack[ImportSettings]) -> ImportedRuns:
    r"""Read plain text logs, a file per run, by ``pattern=``, a regular expression with named groups.

    A group called step, epoch, iteration or iter is the step; all other groups are metrics. See `import_runs`.

    Examples
    --------
    >>> import runspread as rs
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> with (Path(mkdtemp()) / "seed_0.txt").open("w") as file:
    ...     for step in range(3):
    ...         print(f"step:{step} loss:{1 / (step + 1)}", file=file)
    >>> found = rs.importers.from_text(Path(file.name).parent, pattern=r"step:(?P<step>\d+) loss:(?P<loss>[\d.]+)")
    >>> found[0].curves["loss"].values.round(2)
    array([1.  , 0.5 , 0.33])
    """
    if settings.get("pattern") is None:
        raise InputError("there is no pattern", "pattern= with a named group for each metric")
    return import_runs(path, format="text", **settings)


def from_table(
    table: Any,
    *,
    run: str | None = None,
    seed: str | None = None,
    **settings: Unpack[ImportSettings],
) -> ImportedRuns:
    """Read a table with a row per run, or per run and step, or a JSON file per run.

    Parameters
    ----------
    table : path, pattern, folder, pandas.DataFrame, or mapping of str to sequence
        A CSV or TSV file, JSON files such as ``"results/seed_*.json"``, or columns in memory.
    run, seed : str, optional
        Columns of the run's id and of its seed; found by their names where they are not given.
    **settings
        See `ImportSettings`; ``step=`` is the column of the step, and ``metrics=`` the columns of results, which are
        found by their names where they are not given.

    Returns
    -------
    ImportedRuns
        The runs.

    Raises
    ------
    InputError
        A column that does not exist, or none that is known to hold a metric.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.importers.from_table({"seed": [0, 1], "test_acc": [0.91, 0.93]}).table()["last test_acc"]
    [0.91, 0.93]
    """
    given: dict[str, Any] = dict(settings)
    if seed is not None:
        given["seed_keys"] = {**dict(_as_mapping(given.get("seed_keys"))), seed: "all"}
    options = options_of(given, {"run": run, "seed": seed, "step": given.get("step"), "metrics": given.get("metrics")})
    raws, problems = _table_runs(table, options)
    return result_of(assemble(raws, options), options, problems)


def _as_mapping(keys: Any) -> Mapping[str, str]:
    return keys if isinstance(keys, Mapping) else dict(text.partition("=")[::2] for text in keys or ())


def _table_runs(table: Any, options: Options) -> tuple[list[RawRun], list[Problem]]:
    if not isinstance(table, (str, os.PathLike)):
        columns = {str(name): list(table[name]) for name in (table.columns if hasattr(table, "columns") else table)}
        return runs_of_columns(columns, "table", options), []
    text = os.fspath(table)
    if any(sign in text for sign in "*?[") and not Path(text).exists():
        files = matching(text)
        if not files:
            raise InputError(f"no file is named {text}", "a pattern of CSV or JSON files")
        try:
            return read_matching(files, options), []
        except SourceProblem as problem:
            raise InputError(str(problem), "tables or JSON files of runs") from problem
    return read_paths([text], _formats("table"), options)
