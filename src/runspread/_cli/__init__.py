"""The command line: each command opens a study, calls a method and shows the result.

Exit status: 0 where the verdict asked for holds (or there is none to ask for), 1 where its opposite is shown, 3 where
it is undecided, 2 where the command cannot answer (and why), 130 where it was interrupted.
"""

from __future__ import annotations

import importlib
import keyword
import os
import sys
import traceback
import warnings
from difflib import get_close_matches
from importlib import resources
from typing import Any

import click

from .._namespace import modules_that_define
from .._words import RENAMED_KEYWORDS, visible
from ..errors import RunspreadError
from .interrupts import INTERRUPTED, handle_signals
from .printing import say, show_usage_error
from .waiting import sign

# In the order of the help; others follow. A command is the function `command` of a module here, imported when it is
# called; its line in the list is the first of that function's docstring.
_FIRST = (
    "demo",
    "train",
    "import",
    "recipes",
    "info",
    "verify",
    "repair",
    "digest",
    "copy",
    "check",
    "clean",
    "variance",
    "trimming",
    "same",
    "summary",
    "compare",
    "rank",
    "gate",
    "plan",
    "audit",
    "sources",
    "evaluations",
    "spectra",
    "paradox",
    "dynamics",
    "ensemble",
    "hyper-deep",
    "hyper-batch",
    "report",
    "cite",
)
COMMANDS = tuple(
    dict.fromkeys((*_FIRST, *(name.strip("_").replace("_", "-") for name in modules_that_define("command", __path__))))
)


class _Commands(click.Group):
    """Knows every command's name and first line of help without importing it, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"{__name__}.{_module(cmd_name)}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            near = get_close_matches(args[0], COMMANDS, n=1)
            if not near:
                raise
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, first_line(name)) for name in COMMANDS])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with sign.running():
                return super().invoke(ctx)
        except click.NoSuchOption as error:
            new = "--" + RENAMED_KEYWORDS.get(error.option_name.removeprefix("--"), "").replace("_", "-")
            if error.ctx is not None and any(new in each.opts for each in error.ctx.command.params):
                said = f"No such option {error.option_name!r}: it is called {new!r}."
                raise click.NoSuchOption(error.option_name, said, ctx=error.ctx) from None
            raise
        except click.ClickException as error:
            vars(error)["message"] = visible(error.message)  # arguments may be names of files that somebody sent
            raise
        except RunspreadError as error:
            say(f"error: {error}", err=True)
            ctx.exit(2)
        except BrokenPipeError:  # click would exit with 1, which is an answer
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed at the end
            ctx.exit(2)
        except OSError as error:  # of a file that may not be read or written: what is in it may be as it was
            place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
            say(f"error: {place}{error.strerror or error}. Check that it is there, and its permissions.", err=True)
            ctx.exit(2)


def _module(command: str) -> str:
    return command.replace("-", "_") + "_" * keyword.iskeyword(command)


def first_line(command: str) -> str:
    """Return the first line of a command's help, from its source: importing all of them would take seconds."""
    source = resources.files(__name__).joinpath(f"{_module(command)}.py").read_text(encoding="utf-8")
    docstring = source.partition("\ndef command(")[2].partition('"""')[2].partition('"""')[0]
    return docstring.partition("\n")[0]


def _print_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from .. import __version__

        say(f"runspread {__version__}")
        ctx.exit()


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def cli() -> None:
    """Train the same network twice and you get two networks: measure the spread, and use it."""


def _show_warning(message: Warning | str, *_: Any) -> None:
    say(f"warning: {message}", err=True)


def main() -> None:
    """Run the command line; only a command's own answer is exit status 1."""
    handle_signals()
    warnings.showwarning = _show_warning  # a reader of the terminal has no use for our file names and line numbers
    sys.exit(_status())


def _status() -> int:
    try:
        return cli.main(prog_name="runspread", standalone_mode=False) or 0
    except click.Abort as stopped:
        if isinstance(stopped.__cause__, EOFError):  # click takes any for the end of what was typed
            traceback.print_exception(stopped.__cause__)
            return 2
        return INTERRUPTED
    except KeyboardInterrupt:  # outside of a command
        return INTERRUPTED
    except click.ClickException as error:
        show_usage_error(error)
        return error.exit_code
    except Exception:
        say(traceback.format_exc(), err=True)
        return 2
