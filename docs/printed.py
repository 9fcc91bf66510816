"""Sphinx extension: the cheat sheet as one page of PDF, drawn from its source, so that both say the same."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = (8.27, 11.69)  # A4, in inches
TOP, LEFT, LINE, SECOND = 0.965, 0.06, 0.0155, 0.36
WIDE = 124  # letters of a line of prose
Text = tuple[float, str, dict[str, Any]]


def draw(source: Path, target: Path) -> None:
    """Draw a page of headings, tables of two or three columns, code and prose; raise where it does not fit."""
    from matplotlib.figure import Figure

    page, y = Figure(figsize=PAGE), TOP
    for line in laid_out(source.read_text()):
        for x, text, style in line:
            page.text(x, y, text, va="top", parse_math=False, **{"fontsize": 8.6, **style})
        y -= LINE * (1.5 if any("weight" in style for _, _, style in line) else 1)
    if y < 0.02:
        raise ValueError(f"{source.name} no longer fits on one page")
    page.savefig(target, metadata={"CreationDate": None, "Title": "runspread: cheat sheet"})


def laid_out(text: str) -> Iterator[list[Text]]:
    """Yield the lines of a page, each as texts with where they begin and how they look."""
    code = False
    for line in text.splitlines():
        if line.startswith("```"):
            code = not code
        elif code:
            yield [(LEFT, line, {"family": "monospace", "fontsize": 7.6})] if line else []
        elif line.startswith("#"):
            yield [(LEFT, line.lstrip("# "), {"weight": "bold", "fontsize": 12 if line.startswith("# ") else 9.5})]
        elif line.startswith("|"):
            if not set(line) <= set("|-: "):
                yield _row([cell.strip() for cell in line.strip("|").split("|")])
        else:
            yield from ([(LEFT, part, {})] for part in textwrap.wrap(_plain(line), WIDE) or [""])


def _row(cells: list[str]) -> list[Text]:
    places = [LEFT, SECOND, 0.5] if len(cells) > 2 else [LEFT, SECOND]
    return [
        (x, _plain(cell), {"family": "monospace", "fontsize": 7.6} if cell.startswith("`") else {})
        for x, cell in zip(places, cells, strict=True)
    ]


def _plain(text: str) -> str:
    return re.sub(r"<[^>]*>|[`*]", "", text)


def _write(app: Any, failed: Exception | None) -> None:
    if failed is None and app.builder.format == "html":
        draw(Path(app.srcdir) / "cheat-sheet.md", Path(app.outdir) / "cheat-sheet.pdf")


def setup(app: Any) -> dict[str, bool]:
    """Register the page."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True}
