"""Tables in a terminal: no number is ever cut; a table that is too wide is stacked in parts, or turned on its side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .._results import Table

_PADDING = 3  # blanks that a column takes beside its text
_EDGES = 2  # blanks that a table takes at its sides
_WIDEST_TEXT = 24  # a column of text may be folded down to this


def fitted(table: Table, width: int) -> list[Table]:
    """Return the table, in parts that fit into `width` characters; the first column is repeated beside each.

    A table of one row that does not fit is turned on its side: one row per column.
    """
    names = list(table.columns)
    needed = {name: _needed(table, name) + _PADDING for name in names}
    if sum(needed.values()) + _EDGES <= width or len(names) < 2:
        return [table]
    if len(table) == 1:
        values = [table.format_cell(name, table[name][0]) for name in names]
        return [Table({"": names, "value": values}, title=table.title)]
    first, rest = names[0], names[1:]
    parts = [_part(table, (first, *rest[start:end])) for start, end in pairwise(_cuts(rest, needed, width, first))]
    return [parts[0], *(Table(part.columns, formats=part.formats) for part in parts[1:])]


def _cuts(names: Sequence[str], needed: dict[str, int], width: int, first: str) -> list[int]:
    """Return where a table's other columns are cut, as many in a part as fit beside the first."""
    room = width - _EDGES - needed[first]
    cuts, used = [0], 0
    for position, name in enumerate(names):
        if used and used + needed[name] > room:
            cuts.append(position)
            used = 0
        used += needed[name]
    return [*cuts, len(names)]


def _part(table: Table, names: Sequence[str]) -> Table:
    return Table({name: table[name] for name in names}, formats=table.formats, title=table.title)


def _needed(table: Table, name: str) -> int:
    """Return the characters that a column takes: numbers whole, text folded, its name broken between words."""
    cells = [len(table.format_cell(name, value)) for value in table[name]]
    longest = max(cells, default=0)
    heading = max((len(word) for word in name.split()), default=0)
    return max(longest if table.is_numeric(name) else min(longest, _WIDEST_TEXT), heading)


def rich_table(table: Table, width: int | None = None) -> Any:
    """Return what rich draws; into `width` characters, where given, with every number whole."""
    drawn = table.__rich__()
    natural = [_natural(table, name) for name in table.columns]
    tight = width is not None and sum(natural) + _PADDING * len(natural) + _EDGES > width
    for column, name, wish in zip(drawn.columns, table.columns, natural, strict=True):
        column.width = _needed(table, name) if tight else wish
        column.overflow = "fold"
    return drawn


def _natural(table: Table, name: str) -> int:
    return max(len(name), *(len(table.format_cell(name, value)) for value in table[name]))
