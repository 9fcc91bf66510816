"""Write what pages say of the commands and formats, from these themselves: ``python docs/cli_reference.py``.

The page of the command line is written whole, the table of formats into the page about imports.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from runspread._cli import COMMANDS, cli
from runspread.importers.registry import FORMATS, PROPOSED

PAGE = Path(__file__).parent / "reference" / "cli.md"
IMPORTS = Path(__file__).parent / "how-to" / "import-runs.md"
TABLE = "| tool | `--from` | recognised by |\n|---|---|---|\n"
HEAD = """# Command line

`runspread COMMAND --help` shows the same texts. Exit status: 0 if the verdict that was asked for holds (or none was
asked for), 1 if its opposite is shown, 3 if it is undecided, 2 if there is no answer or the input is wrong, 130 if
interrupted.

`--json` prints a result for programs. Of arrays of more than 1,000 numbers it holds the shape, under `omitted`;
`--json-all` prints them too. A command that is silent for two seconds shows on a terminal that it still works.

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


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    IMPORTS.write_text(page_of_imports())
