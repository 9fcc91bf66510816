"""That a format of the package is named wherever users look for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import runspread as rs
from runspread._cli.import_ import command
from runspread.importers.registry import FORMATS, PROPOSED

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "import-runs.md"
KINDS = {kind.name: kind for kind in (*FORMATS, *PROPOSED)}


@pytest.mark.parametrize("name", KINDS)
def test_the_format_is_named_in_python_and_has_its_importer(name):
    assert re.search(rf"\b{name}\b", rs.import_runs.__doc__ or "")
    assert f"from_{name.partition('-')[0]}" in rs.importers.__all__


@pytest.mark.parametrize("name", KINDS)
def test_the_tool_is_named_on_the_command_line_and_on_the_page(name):
    tool = re.search(r"(?:\((?:--from )?|with )([^()\s]+)[^()]*\)?$", KINDS[name].looks_for)
    assert tool is not None, "the last word of what is looked for is the tool, or the option"
    assert tool[1] in (command.help or "")
    assert tool[1] in PAGE.read_text()
