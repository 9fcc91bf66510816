"""Which runs of a study a command looks at: ``--where lr=0.1`` and ``--by lr``, for every command that reads one."""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from .._reading.study_folders import is_study_folder
from ..errors import InputError, RunspreadError
from .forms import form_asked
from .printing import say

_WHERE, _BY, _NAMES, _JSON = (f"runspread.{name}" for name in ("where", "by", "names", "json"))
_WORST_FIRST = (1, 3, 2)  # what several answers amount to: a difference that is shown, then one left open, then none


def parse_where(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[str]]:
    """Return what ``--where`` was given: names, and the values of each."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not (name and mark):
            raise InputError(f"--where {text} has no value", "NAME=VALUE, such as lr=0.1")
        found.setdefault(name.strip(), []).append(value.strip())
    return found


def _where_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--where",
        metavar="NAME=VALUE",
        multiple=True,
        callback=parse_where,
        help="Use only the runs with this value of a hyperparameter, status, or seed role; can be repeated.",
    )(command)


def choosing_runs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--where`` to a command that reads studies."""

    @functools.wraps(command)
    def called(*args: Any, where: dict[str, list[str]], **options: Any) -> Any:
        _meta()[_WHERE] = where
        return command(*args, **options)

    return _where_option(called)


def grouping_runs(studies: Callable[[dict[str, Any]], Sequence[str]]) -> Callable[..., Any]:
    """Add ``--where`` and ``--by`` to a command: one answer per value that the runs of its studies have.

    Parameters
    ----------
    studies : callable
        Returns the paths of the studies, from the command's arguments and options.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def called(*args: Any, by: str | None, **options: Any) -> Any:
            if by is None:
                return command(*args, **options)
            as_json = bool(options.get("as_json"))
            return _once_a_value(lambda: command(*args, **options), by, studies(options), as_json=as_json)

        helped = "Answer separately for each value of this hyperparameter, status, or seed role."
        return choosing_runs(click.option("--by", metavar="NAME", help=helped)(called))

    return decorate


def _once_a_value(call: Callable[[], Any], by: str, paths: Sequence[str], *, as_json: bool) -> None:
    """Answer for each value in turn; where one cannot be answered, say why and go on with the next."""
    statuses, parts = set[int](), _meta().setdefault(_JSON, {}) if as_json else {}
    for value in dict.fromkeys(value for path in paths for value in chosen(_study(path)).by(by)):
        name = f"{by}={value}"
        _meta()[_BY] = by, value
        if not as_json:
            click.secho(f"\n{'% ' if form_asked() == 'latex' else ''}{by} = {value}", bold=True)
        try:
            call()
            statuses.add(0)
        except (SystemExit, click.exceptions.Exit) as stop:  # a command whose answer is its exit status
            statuses.add(int((stop.code if isinstance(stop, SystemExit) else stop.exit_code) or 0))
        except RunspreadError as error:
            statuses.add(2)
            say(f"error: {name}: {error}", err=True)
            parts[""] = {"error": str(error)}
        if as_json:
            parts[name] = parts.pop("", None)
    if as_json:
        say(json.dumps(parts, indent=2, allow_nan=False))
    sys.exit(next((status for status in (*_WORST_FIRST, *sorted(statuses, reverse=True)) if status in statuses), 0))


def file_of_value(file: Path) -> Path:
    """Return where a command writes, which answers for one value of ``--by``: a file of its own for each."""
    name, value = _meta().get(_BY, (None, None))
    if name is None:
        return file
    safe = re.sub(r"[^\w.+=()-]+", "_", f"{name}={value}")
    return file.with_name(f"{file.stem}-{safe}{file.suffix}")


def _study(path: str) -> Any:
    from ..studies.opening import open_study

    if Path(path).exists() and not is_study_folder(path):
        raise InputError(f"--by has no effect with {path}, which is not a study", hint="Drop --by.")
    return open_study(path)


def _meta() -> dict[str, Any]:
    context = click.get_current_context(silent=True)
    return {} if context is None else context.meta


def chosen(source: Any) -> Any:
    """Return the runs of a study that ``--where`` and ``--by`` ask for, and remember what a reader calls them."""
    from ..studies.study import Study

    where, (by, value) = _meta().get(_WHERE, {}), _meta().get(_BY, (None, None))
    if not isinstance(source, Study):
        if where or by:
            raise InputError(
                "--where and --by need a study, not a file of outputs", hint="Drop them, or pass the folder of a study."
            )
        return source
    found = source.where(**where) if where else source
    if by is not None:
        groups = found.by(by)
        if value not in groups:
            raise InputError(f"no run has {by}={value}", f"{by} to be one of {', '.join(map(str, groups))}")
        found = groups[value]
    _meta().setdefault(_NAMES, {}).update(found.run_names)
    return found


def where_asked() -> dict[str, list[str]]:
    """Return what ``--where`` asks for: names, and the values of each."""
    return _meta().get(_WHERE, {})


def run_names() -> dict[str, str]:
    """Return id and name of the runs of all studies that this command opened."""
    return _meta().get(_NAMES, {})


def collected(data: Any) -> bool:
    """Keep JSON for the end, where a command answers once a value; return whether it was kept."""
    parts = _meta().get(_JSON)
    if parts is None:
        return False
    parts[""] = data
    return True
