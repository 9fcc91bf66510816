"""Tables in LaTeX, for the package booktabs alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._results import Table

_ESCAPED = {
    **{sign: f"\\{sign}" for sign in "_&%#${}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "²": "$^2$",
    "→": r"$\to$",
}
ENDS = ("low", "high")  # columns that are the interval of the number to their left


def escaped(text: str) -> str:
    """Return a name as LaTeX prints it; a line feed is a space."""
    return "".join(_ESCAPED.get(sign, sign) for sign in text.replace("\n", " "))


def latex_table(table: Table, caption: str | None, label: str | None) -> str:
    r"""Return a table in LaTeX; an interval in the columns low and high stands beside its number.

    It is written as ``$0.21 \pm 0.05$`` where every interval of the table reaches as far to either side as its digits
    can show, and else as ``0.21 [0.15, 0.30]``. The caption ends with which of the two it is.
    """
    heads, columns, said = _columns(table)
    text = caption if caption is not None else " ".join(part for part in (_sentence(table.title), said) if part)
    sides = "".join("r" if right else "l" for right, _ in columns)
    lines = [r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{text}}}"] * bool(text) + [rf"\label{{{label}}}"] * bool(label)
    lines += [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", " & ".join(map(escaped, heads)) + r" \\", r"\midrule"]
    lines += [" & ".join(cells) + r" \\" for cells in zip(*(cells for _, cells in columns), strict=True)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _sentence(title: str) -> str:
    text = escaped(title)
    return f"{text}." if text and text[-1] not in ".:!?" else text


def _columns(table: Table) -> tuple[list[str], list[tuple[bool, list[str]]], str]:
    """Return heads; for each column whether it is of numbers, and its cells; and what the intervals are."""
    names = list(table.columns)
    estimate = _estimate(table, names)
    heads = [name for name in names if estimate is None or name not in ENDS]
    columns, said = [], ""
    for name in heads:
        if name == estimate:
            cells, said = _with_interval(table, name)
            columns.append((True, cells))
        else:
            columns.append((table.is_numeric(name), [_cell(table, name, value) for value in table[name]]))
    return heads, columns, said


def _estimate(table: Table, names: Sequence[str]) -> str | None:
    """Return the column whose interval the columns low and high hold, which follow it."""
    if not set(ENDS) <= set(names):
        return None
    at = names.index(ENDS[0])
    numbers = at and names[at + 1 : at + 2] == [ENDS[1]] and all(map(table.is_numeric, names[at - 1 : at + 2]))
    return names[at - 1] if numbers else None


def _with_interval(table: Table, name: str) -> tuple[list[str], str]:
    rows = list(zip(table[name], table[ENDS[0]], table[ENDS[1]], strict=True))
    known = [row for row in rows if _finite(*row)]
    if known and all(_symmetric(table, name, *row) for row in known):
        cells = [
            rf"${table.format_cell(name, value)} \pm {table.format_cell(name, (high - low) / 2)}$"
            if _finite(value, low, high)
            else _cell(table, name, value)
            for value, low, high in rows
        ]
        return cells, rf"$\pm$ is half the width of the interval of {escaped(name)}."
    cells = [
        f"{_cell(table, name, value)} [{_cell(table, ENDS[0], low)}, {_cell(table, ENDS[1], high)}]"
        if _finite(low, high)
        else _cell(table, name, value)
        for value, low, high in rows
    ]
    return cells, f"In brackets: the interval of {escaped(name)}."


def _finite(*values: Any) -> bool:
    return all(isinstance(value, (int, float)) and math.isfinite(value) for value in values)


def _symmetric(table: Table, name: str, value: float, low: float, high: float) -> bool:
    """Whether both ends are as far from the number, to the digits that are shown."""
    return table.format_cell(name, high - value) == table.format_cell(name, value - low)


def _cell(table: Table, name: str, value: Any) -> str:
    text = table.format_cell(name, value)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return escaped(text)
    return escaped(text).replace("-", "$-$") if not text.startswith("–") else "--"
