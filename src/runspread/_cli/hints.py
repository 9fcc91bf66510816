"""What an error advises in Python, said in options: ``repeats='mean'`` is ``--repeats mean`` on the command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator
from contextlib import contextmanager

import click

from ..errors import InputError

_VALUE = r"=(True\b|False\b|'[^']*'|[\w.]*\w)?"


@contextmanager
def hints_in_options() -> Generator[None]:
    """Let an InputError name the options of the command that is running."""
    try:
        yield
    except InputError as error:
        command = click.get_current_context().command
        found, expected, hint = (in_options(text, command) for text in (error.found, error.expected, error.hint))
        raise InputError(found, expected, hint) from error


def in_options(text: str, command: click.Command) -> str:
    """Return a text in which keywords that are options of a command are written as such."""
    options = {option.name: option for option in command.params if isinstance(option, click.Option)}
    names = "|".join(sorted((name for name in options if name), key=len, reverse=True))
    text = re.sub(rf"(?<![\w-])({names})(?!=[{{(\[]){_VALUE}", lambda match: _option(options[match[1]], match[2]), text)
    text = re.sub(r"\b(not_worse|equivalent)=\{([^{}]*)\}", _margins, text)
    return re.sub(r"\brs\.(summary|compare|rank|plan)\b", r"runspread \1", text)


def _margins(found: re.Match[str]) -> str:
    """Return a mapping of metric to margin as its option has it."""
    pairs = re.findall(r"'([^']*)': ([^,]*)", found[2])
    return f"--{found[1].replace('_', '-')} {','.join(f'{metric}={margin}' for metric, margin in pairs)}"


def _option(option: click.Option, value: str | None) -> str:
    if value in ("True", "False"):
        flags = option.opts if value == "True" else option.secondary_opts
        return flags[0] if flags else f"no {option.opts[0]}"
    return option.opts[0] if value is None else f"{option.opts[0]} {shlex.quote(value.strip(chr(39)))}"
