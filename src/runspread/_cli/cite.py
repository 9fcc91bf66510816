"""``runspread cite``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from .printing import say

if TYPE_CHECKING:
    from .._papers import Paper
    from .._results import Result


_LEAST = 0.8  # of the keys of a class; some commands print fewer


@click.command("cite", epilog="Example: runspread cite variance")
@click.argument("what", metavar="RESULT_OR_METHOD...", nargs=-1, required=True)
def command(what: tuple[str, ...]) -> None:
    """Print what to cite, as BibTeX: of methods by their names, or of results that --json printed into files.

    \b
    runspread cite variance ensemble
    runspread variance STUDY --json > result.json; runspread cite result.json
    """
    from .._papers import bibtex, papers_of

    papers: list[Paper] = []
    for name in what:
        papers += papers_of(_family_of(Path(name)) if Path(name).is_file() else name)
    say(bibtex(papers), nl=False)


def _family_of(file: Path) -> str:
    """Return the family of methods of a result in a JSON file: that of the class whose keys it has, most of them."""
    from .._papers import METHODS
    from .._reading.plain_files import UnfitJsonError, read_json

    try:
        record = read_json(file, constants=True)
    except (OSError, UnfitJsonError) as error:
        raise InputError(f"{file} cannot be read ({error})", "the output of a command with --json") from error
    if not isinstance(record, dict):
        raise InputError(f"{file} holds no result", "the output of a command with --json")
    there = set(record)
    shared = [(len(keys & there), len(keys), kind) for kind, keys in _results()]
    fitting = [(found, kind) for found, wanted, kind in shared if found > _LEAST * wanted]
    if not fitting:
        raise InputError(f"{file} has the keys of no result", "the output of a command with --json, or a method's name")
    kind = max(fitting, key=lambda one: one[0])[1]
    return next(part for part in kind.__module__.split(".") if part in METHODS)


def _results() -> Iterator[tuple[type[Result], set[str]]]:
    """Yield the classes of results of the families, and the keys that their JSON has."""
    import runspread as rs

    from .._papers import METHODS
    from .._results import Result, keys_of

    for family in rs.methods.__all__:
        place: Any = getattr(rs.methods, family)
        for name in getattr(place, "__all__", ()):
            kind = getattr(place, name)
            if isinstance(kind, type) and issubclass(kind, Result) and set(kind.__module__.split(".")) & set(METHODS):
                yield kind, set(keys_of(kind)) - {"excluded", "warnings", *kind.replicate_fields}
