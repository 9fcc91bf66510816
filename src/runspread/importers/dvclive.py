"""DVCLive: ``plots/metrics/**/NAME.tsv`` beside ``metrics.json`` and ``params.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .formats import Claim, Format, Taken, list_files
from .hyperparameters import flat
from .limits import Clock, SourceProblem
from .options import Options
from .plain_yaml import read_yaml
from .records import RawRun, relative
from .tables import Cells, rows_of, step_of
from .values import number_of, number_of_text, read_json
from .walking import Folder, Tree


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each folder that DVCLive wrote."""
    del options
    claims: list[Claim] = []
    for folder in taken.free(tree.top):
        inside = any(claim.folder.path in folder.path.parents for claim in claims[-1:])
        curves = [] if inside else _curves(folder)
        if curves:
            claims.append(Claim(folder, curves))
    return claims


def _curves(folder: Folder) -> list[Path]:
    """Return the tables of a folder's curves, in the current layout or the older one."""
    plots = folder.folders.get("plots")
    if plots is not None and "metrics" in plots.folders:
        return [path for path in plots.folders["metrics"].all_files() if path.suffix == ".tsv"]
    older = folder.folders.get("scalars")
    places = [older] if older is not None else [folder]
    return [
        place.path / name
        for place in places
        for name in sorted(place.files)
        if name.endswith(".tsv") and _has_step(place.path / name)
    ]


def _has_step(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"step" in file.readline(4096).strip().split(b"\t")
    except OSError:
        return False


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the run of one folder: the working tree; runs in commits are not looked at."""
    folder = claim.folder
    run = RawRun(folder.relative, "dvclive", folder.relative, evidence="DVCLive does not say how a run ended")
    run.seeds_in_name = True
    run.notes.append("only the working tree is read: other runs of DVCLive may lie in commits and experiments")
    run.log.ordered = False
    for path in claim.files:
        _add_curve(run, folder, path, clock)
    if "metrics.json" in folder.files:
        _add_summary(run, folder.path / "metrics.json", options)
    elif folder.parent is not None and f"{folder.name}.json" in folder.parent.files:  # as older versions did
        _add_summary(run, folder.parent.path / f"{folder.name}.json", options)
    _add_parameters(run, folder, options)
    list_files(run, folder)
    return [run]


def _add_curve(run: RawRun, folder: Folder, path: Path, clock: Clock) -> None:
    """Add one curve; it is called by its path, as the column's name was shortened in later versions."""
    try:
        names, rows = rows_of(path, clock, "\t")
    except SourceProblem as problem:
        run.notes.append(str(problem))
        return
    run.files.append(path)
    plots = folder.path / "plots" / "metrics"
    base = plots if plots in path.parents else path.parent
    name = relative(path, base).removesuffix(".tsv")
    if "step" not in names or len(names) < 2:
        run.notes.append(f"{path.name} has no column step")
        return
    at, timed = names.index("step"), names.index("timestamp") if "timestamp" in names else None
    column = next(k for k in reversed(range(len(names))) if k not in (at, timed))
    cells = Cells(run, path.name)
    for row in rows:
        step = step_of(row[at]) if max(at, column) < len(row) else None
        number = cells.number(name, row[column]) if step is not None else None
        if step is None or number is None:
            continue
        time = number_of_text(row[timed]) if timed is not None and timed < len(row) else None
        run.log.add(name, step, number, float("nan") if time is None else time / 1000)
    cells.finish()


def _add_summary(run: RawRun, path: Path, options: Options) -> None:
    """Add what was logged without a curve."""
    try:
        content: Any = read_json(path, options.limits)
    except SourceProblem as problem:
        run.notes.append(str(problem))
        return
    run.files.append(path)
    for name, value in flat(content, run.notes).items() if isinstance(content, dict) else ():
        number = number_of(value)
        if number is not None and name != "step" and name.replace(".", "/") not in run.log.names:
            run.summary[name] = number


def _add_parameters(run: RawRun, folder: Folder, options: Options) -> None:
    """Add the parameters in the folder, or beside it where the project keeps one such file for one run."""
    place = folder if "params.yaml" in folder.files else folder.parent
    if place is None or "params.yaml" not in place.files:
        return
    try:
        found = read_yaml(place.path / "params.yaml", options.limits, run.left_out)
    except SourceProblem as problem:
        run.notes.append(str(problem))
        return
    run.files.append(place.path / "params.yaml")
    if isinstance(found, dict):
        run.config, run.has_config = found, True


FORMAT = Format("dvclive", "DVCLive", "plots/metrics/*.tsv beside metrics.json", find, read)
