"""Runs the Python of a page when the documentation is built, and puts what it prints and draws under each block.

A page takes part by its place: the gallery and the notebooks. A block that raises fails the build. Each notebook is
also written as an `.ipynb` with the same outputs, to be downloaded.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
MADE = "_made"  # folder of drawings and notebooks, beside the pages


def run_page(text: str) -> Iterator[tuple[str, str, list[bytes]]]:
    """Yield what stands before a block with the block's code, what the code prints, and what it draws; the rest last.

    All blocks share their names and an empty folder.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    end = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in BLOCK.finditer(text):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
                exec(compile(block[1], "<page>", "exec"), names)
            yield text[end : block.end()], printed.getvalue(), [_drawn(plt.figure(n)) for n in plt.get_fignums()]
            plt.close("all")
            end = block.end()
    yield text[end:], "", []


def _drawn(figure: Any) -> bytes:
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=110, bbox_inches="tight")
    return held.getvalue()


def with_outputs(text: str, name: str, docs: Path) -> str:
    """Return a page with the outputs of its blocks; drawings and the notebook are written below `docs`."""
    made = docs / MADE
    made.mkdir(exist_ok=True)
    page, cells, drawings = "", [], 0
    for words, printed, drawn in run_page(text):
        page += words
        cells += _cells(words, printed, drawn)
        if printed:
            page += f"\n```text\n{printed.rstrip()}\n```\n"
        for image in drawn:
            drawings += 1
            file = made / f"{name.replace('/', '-')}-{drawings}.png"
            file.write_bytes(image)
            page += f"\n![What the code above draws]({os.path.relpath(file, (docs / name).parent)})\n"
    if name.startswith("notebooks/"):
        notebook = made / f"{Path(name).name}.ipynb"
        notebook.write_text(json.dumps(_notebook(cells), indent=1))
        page += f"\n{{download}}`This page as a notebook <../{MADE}/{notebook.name}>`\n"
    return page


def _cells(words: str, printed: str, drawn: list[bytes]) -> list[dict[str, Any]]:
    """Return a block with what stands before it as cells of a notebook."""
    prose, *code = BLOCK.split(words)
    cells = [{"cell_type": "markdown", "metadata": {}, "source": prose.strip()}] if prose.strip() else []
    outputs: list[dict[str, Any]] = [{"output_type": "stream", "name": "stdout", "text": printed}] if printed else []
    outputs += [
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": base64.b64encode(one).decode()}}
        for one in drawn
    ]
    if code:
        cell = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": outputs}
        cells.append({**cell, "source": code[0].strip()})
    return cells


def _notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}


def _on_read(app: Any, name: str, source: list[str]) -> None:
    if name == "gallery" or name.startswith("notebooks/"):
        source[0] = with_outputs(source[0], name, Path(app.srcdir))


def setup(app: Any) -> dict[str, bool]:
    """Take part in the build, as an extension of Sphinx."""
    app.connect("source-read", _on_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
