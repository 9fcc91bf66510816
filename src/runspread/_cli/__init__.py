"""The command line: each command opens a study, calls a method and shows the result.

Exit status: 0 where the verdict asked for holds (or there is none to ask for), 1 where its opposite is shown, 3 where
it is undecided, 2 where the command cannot answer (and why), 130 where it was interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import warnings
from typing import Any

import click

from ..errors import RunspreadError

# Command -> (module here that holds it as `command`, its line of help); the module is imported when it is called.
COMMANDS = {
    "demo": ("demo", "Train 64 small networks on digits, ask what their spread means, write report.html."),
    "train": ("train", "Train a recipe many times over seeds and hyperparameters; completes what is missing."),
    "recipes": ("recipes", "List the recipes that can be trained by name."),
    "info": ("info", "Show what a study holds."),
    "verify": ("verify", "Compare every file of a study with its checksum."),
    "variance": ("variance", "How much of the spread in accuracy is real, and how much is the finite test set."),
    "trimming": ("trimming", "Which runs are typical: how much of a run's outputs the average run does not explain."),
    "same": ("same", "Whether new training code gives other outputs than the old; exit status 1 where that is shown."),
    "compare": ("compare", "Whether study B is better than study A; exit status 1: worse is shown, 3: undecided."),
    "plan": ("plan", "How many runs a gap takes, from a study or from an error rate."),
    "audit": ("audit", "Whether the seeds of the runs were independent."),
    "sources": ("sources", "Which source of randomness the spread comes from."),
    "spectra": ("spectra", "Scale and shape of weight matrices: of a study's runs, or of anyone's checkpoint."),
    "paradox": ("paradox", "Whether metrics track quality, or only tell architectures apart (Simpson's paradox)."),
    "dynamics": ("dynamics", "Why some runs are slow: latent states of training, their map, its detours."),
    "ensemble": ("ensemble", "Choose the best ensemble from a study's runs, and write it as a folder to ship."),
    "hyper-deep": ("hyper_deep", "Search hyperparameters and build an ensemble over them and over seeds."),
    "hyper-batch": ("hyper_batch", "Train one network whose members learn their own hyperparameters."),
    "report": ("report", "Write a study's report as one HTML page that opens offline."),
}


class _Commands(click.Group):
    """Knows every command's name and line of help without importing it, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"{__name__}.{COMMANDS[cmd_name][0]}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RunspreadError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)
        except BrokenPipeError:  # click would exit with 1, which is an answer
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed at the end
            ctx.exit(2)


def _print_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from .. import __version__

        click.echo(f"runspread {__version__}")
        ctx.exit()


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def cli() -> None:
    """Train the same network twice and you get two networks: measure the spread, and use it."""


def _show_warning(message: Warning | str, *_: Any) -> None:
    click.echo(f"warning: {message}", err=True)


def main() -> None:
    """Run the command line; only a command's own answer is exit status 1."""
    warnings.showwarning = _show_warning  # a reader of the terminal has no use for our file names and line numbers
    sys.exit(_status())


def _status() -> int:
    try:
        return cli.main(prog_name="runspread", standalone_mode=False) or 0
    except click.Abort as stopped:
        if isinstance(stopped.__cause__, EOFError):  # click takes any for the end of what was typed
            traceback.print_exception(stopped.__cause__)
            return 2
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception:
        traceback.print_exc()
        return 2
