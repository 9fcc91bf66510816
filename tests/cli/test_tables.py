"""Tables in a terminal: no number is cut, whatever the width."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from runspread._cli.tables import fitted, rich_table
from runspread.methods import Table


def drawn(table: Table, width: int) -> list[str]:
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        for part in fitted(table, width):
            console.print(rich_table(part, width))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("columns", [1, 3, 8, 14])
def test_every_number_is_whole(width, columns):
    rng = np.random.default_rng(columns)
    cells = {
        f"a long name of column {k}": list(rng.normal(size=3) * 10.0 ** rng.integers(-8, 9)) for k in range(columns)
    }
    table = Table({"run": [f"seed {k}, lr 0.1" for k in range(3)], **cells, "verdict": ["told at length " * 4] * 3})
    lines = drawn(table, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text
    for name, values in cells.items():
        assert all(table.format_cell(name, value) in text for value in values)


def test_a_table_of_one_row_is_turned_on_its_side():
    table = Table({f"quantity {k}": [k / 7] for k in range(12)})
    lines = drawn(table, 80)
    assert sum("quantity" in line for line in lines) == 12


def test_printing_a_wide_result_cuts_no_number():
    table = Table({f"column {k}": [1.2345e-7 * (k + 1)] * 2 for k in range(40)})
    assert all(table.format_cell(name, values[0]) in str(table) for name, values in table.columns.items())
