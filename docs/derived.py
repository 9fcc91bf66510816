"""Write what follows from the code, so that nobody keeps a list: ``python docs/derived.py``.

The page of the command line and the stub of `rs.plots` are written whole, the table of formats into the page about
imports. Of a plot that the gallery does not show, the example in its docstring is put at the end of the gallery.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click

import runspread
from runspread._cli import COMMANDS, cli
from runspread.importers.registry import FORMATS, PROPOSED

DOCS, PACKAGE = Path(__file__).parent, Path(runspread.__file__).parent
COMMAND_LINE, IMPORTS, GALLERY = DOCS / "reference" / "cli.md", DOCS / "how-to" / "import-runs.md", DOCS / "gallery.md"
PLOTS = PACKAGE / "plots.pyi"
TABLE = "| tool | `--from` | recognised by |\n|---|---|---|\n"
HEAD = """# Command line

`runspread COMMAND --help` shows the same texts. Exit status: 0 if the verdict that was asked for holds (or none was
asked for), 1 if its opposite is shown, 3 if it is undecided, 2 if there is no answer or the input is wrong, 130 if
interrupted.

`--json` prints a result for programs. Of arrays of more than 1,000 numbers it holds the shape, under `omitted`;
`--json-all` prints them too. `--latex` and `--markdown` print the table of a result for a paper or a page, with all its
rows. A command that is silent for two seconds shows on a terminal that it still works.

A shell completes commands, options, names of recipes, and paths of studies and of files with data:

```bash
eval "$(_RUNSPREAD_COMPLETE=bash_source runspread)"                            # in ~/.bashrc
eval "$(_RUNSPREAD_COMPLETE=zsh_source runspread)"                             # in ~/.zshrc
_RUNSPREAD_COMPLETE=fish_source runspread > ~/.config/fish/completions/runspread.fish
```
"""


def page() -> str:
    """Return the page: usage, help and options of every command."""
    context = click.Context(cli, info_name="runspread")
    return "\n".join([HEAD, *(line for name in COMMANDS for line in _section(context, name))])


def _section(context: click.Context, name: str) -> Iterator[str]:
    assert isinstance(context.command, click.Group)
    command = context.command.get_command(context, name)
    assert command is not None
    own = click.Context(command, parent=context, info_name=name)
    yield f"## {own.command_path}\n"
    yield f"```\n{command.get_usage(own).removeprefix('Usage: ')}\n```\n"
    yield from (f"{' '.join(part.split())}\n" for part in _quoted(command.help or "").split("\n\n"))
    if isinstance(command, click.Group):
        for inner in command.list_commands(own):
            yield from _section(own, inner)
        return
    if command.epilog:
        example = command.epilog.removeprefix("\b\n").removeprefix("Example: ")
        yield f"Example: `{' '.join(example.replace(chr(92), ' ').split())}`\n"
    yield "| option | what it does |"
    yield "|---|---|"
    records = [option.get_help_record(own) for option in command.params if isinstance(option, click.Option)]
    yield from (f"| `{_cell(names)}` | {_cell(_quoted(text))} |" for names, text in filter(None, records))
    yield ""


def page_of_imports() -> str:
    """Return the page about imports with the formats that there are now."""
    before, _, after = IMPORTS.read_text().partition(TABLE)
    after = after[after.index("\n\n") :]
    rows = (f"| {kind.tool} | `{kind.name}` | {_quoted(kind.looks_for)} |" for kind in (*FORMATS, *PROPOSED))
    return before + TABLE + "\n".join(rows) + after


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _quoted(text: str) -> str:
    return text.replace("<", r"\<").replace("*", r"\*")


def _plots() -> dict[str, list[str]]:
    """Return the functions that draw, by the module of a method, of training or of layers that they are in."""
    found: dict[str, list[str]] = {}
    for path in sorted(path for part in ("methods", "nn", "training") for path in (PACKAGE / part).rglob("*.py")):
        names = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        if drawing := sorted(name for name in names if name.startswith("plot_")):
            found[".".join(path.relative_to(PACKAGE).with_suffix("").parts)] = drawing
    return found


def stub_of_plots() -> str:
    """Return the stub of `rs.plots`."""
    imports = "".join(_import(module, names) for module, names in _plots().items())
    listed = "".join(f'    "{name}",\n' for name in sorted(name for names in _plots().values() for name in names))
    return f"{imports}\n__all__ = [\n{listed}]\n"


def _import(module: str, names: list[str]) -> str:
    line = f"from .{module} import {', '.join(names)}\n"
    wrapped = "".join(f"    {name},\n" for name in names)
    return line if len(line) <= 121 else f"from .{module} import (\n{wrapped})\n"


def page_of_plots() -> str:
    """Return the gallery with the plots that there are now."""
    page = GALLERY.read_text()
    every = [(module, name) for module, names in _plots().items() for name in names]
    absent = [(module, name) for module, name in every if not re.search(rf"\b{name}\b", page)]
    return page + "".join(_shown(name, getattr(import_module(f"runspread.{module}"), name)) for module, name in absent)


def _shown(name: str, plot: Any) -> str:
    """Return what a plot draws and the lines of its example, as a block of the gallery."""
    text = inspect.getdoc(plot) or ""
    example = re.findall(r"^(?:>>>|\.\.\.) ?(.*)", text.partition("Examples\n")[2], re.MULTILINE)
    assert example, f"{name} needs an example in its docstring, which the gallery shows"
    code = re.sub(r"\A((?:(?:import|from) .*\n)+)(?!\n)", r"\1\n", "\n".join(example))  # as ruff has it
    return f"\n{text.partition(chr(10))[0]}\n\n```python\n{code}\n# {name}\n```\n"


DERIVED = {COMMAND_LINE: page, IMPORTS: page_of_imports, PLOTS: stub_of_plots, GALLERY: page_of_plots}

if __name__ == "__main__":
    for file, text in DERIVED.items():
        file.write_text(text())
