"""What a command prints goes through here: names and messages are data, and never move the cursor of a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import click

from .._words import visible
from .waiting import sign


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text, and end the line unless `nl` is false; control characters in it are spelled out."""
    sign.clear()
    click.echo(visible(str(text)), err=err, nl=nl)


def rewrite(text: str, *, last: bool) -> None:
    """Print a line of progress over the one before it, on standard error."""
    sign.clear()
    click.echo(f"\r{visible(text)}", nl=last, err=True)


def show_usage_error(error: click.ClickException) -> None:
    """Print what click says of arguments that do not fit, which may be names of files that somebody sent."""
    shown = io.StringIO()
    error.show(file=shown)
    click.echo(visible(shown.getvalue()), nl=False, err=True)


def plain_console(**options: Any) -> Any:
    """Return a console of rich that spells out control characters in what it is given to print."""
    from rich.console import Console
    from rich.segment import Segment

    class PlainConsole(Console):
        def print(self, *args: Any, **keywords: Any) -> None:
            sign.clear()
            super().print(*args, **keywords)

        def render(self, *args: Any, **keywords: Any) -> Iterable[Segment]:
            for one in super().render(*args, **keywords):
                yield one if one.control else Segment(visible(one.text), one.style)

    return PlainConsole(**options)
