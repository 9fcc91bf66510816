"""``runspread gate``: a group of commands over one ledger."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..methods.gate.climbing import RUNS
from ..methods.gate.defaults import ALPHA, RULE
from ..methods.gate.looks import STATISTICS, TESTS
from .gate_runs import answer, certify, ledger_option, opened, say_next, try_command
from .printing import say
from .show import json_option, show, show_data
from .targets import target_file

if TYPE_CHECKING:
    from ..campaigns.gates import Gate


@click.group("gate")
def command() -> None:
    """Climb cheaply, certify honestly: a ledger of tries, and what may be claimed of them.

    Exit status of try and certify: 0 kept or certified, 1 dropped or not certified, 3 another run is needed (its seed
    is printed), 4 a run that failed was recorded, 2 the input is wrong or the ledger damaged.
    """


@command.command("init", epilog="Example: runspread gate init --metric val_loss")
@click.option("--metric", required=True, help="Name of the outcome.")
@click.option("--higher", is_flag=True, default=None, help="Larger is better.")
@click.option("--alpha", default=ALPHA, show_default=True, help="Share of campaigns with a false certificate, at most.")
@click.option(
    "--rule", type=click.Choice(list(RUNS)), default=RULE, show_default=True, help="Runs of a state before it is kept."
)
@click.option(
    "--slack", type=float, help="How far below the bar the mean of a try must be, in the unit of the outcome."
)
@click.option("--start-runs", type=int, help="Runs of the start; by default as many as a kept state has.")
@click.option("--test", type=click.Choice(TESTS), help="Test of the certificate; by default permutation.")
@click.option(
    "--statistic",
    type=click.Choice(STATISTICS),
    help="What certificates compare: means, or medians by ranks.",
)
@click.option("--fixed", type=int, metavar="N", help="Certify in one look of N runs per side; the gain is unbiased.")
@click.option("--pair", is_flag=True, default=None, help="Run start and end with common seeds, and compare in pairs.")
@click.option(
    "--guard", "guards", multiple=True, metavar="NAME+M|NAME-M", help="A metric that may rise or fall by M (or M%)."
)
@click.option("--command", "command_", metavar="COMMAND", help="The command that trains, with {seed} and {state}.")
@click.option("--pattern", metavar="REGEX", help="How the outcome is read from what the command prints.")
@click.option("--json-key", metavar="KEY", help="Key of the outcome in JSON that the command prints.")
@click.option("--seeds", type=click.Path(), metavar="FILE", help="File with seeds of your own.")
@click.option(
    "--evaluation",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="A file of the evaluation, which must not change.",
)
@ledger_option
def init(ledger: str, command_: str | None, one_writer: bool, **settings: Any) -> None:
    """Begin a campaign: its outcome, its level, and the rule of the climb."""
    import runspread as rs

    from ..errors import InputError

    if Path(ledger).exists():
        raise InputError(f"{ledger} is there already", "a new ledger", "Name another with --ledger.")
    given: dict[str, Any] = {**settings, "command": command_, "one_writer": one_writer}
    rs.gate(ledger, **{name: value for name, value in given.items() if value not in (None, ())})
    say(f"{ledger}: run the start first, then its changes, with runspread gate try.")


command.add_command(try_command)
command.add_command(certify)


@command.command("keep?", epilog="Example: runspread gate keep?")
@ledger_option
@json_option
def keep(ledger: str, one_writer: bool, as_json: bool) -> None:
    """Say what became of the last try; the exit status is the decision."""
    from ..campaigns.attempts import Attempt

    gate = opened(ledger, one_writer)
    last = Attempt(gate, len(gate.campaign.tried) - 1) if gate.campaign.tried else None
    answer(gate, gate.status(), as_json=as_json, attempt=last, wanted=last and last.waiting)


@command.command("next-seed", epilog="Example: runspread gate next-seed start")
@click.argument("name", required=False)
@click.option(
    "--role", type=click.Choice(["try", "certificate"]), default="try", show_default=True, help="What the run is for."
)
@ledger_option
def next_seed(name: str | None, role: str, ledger: str, one_writer: bool) -> None:
    """Hand out a seed that no run has had; it is spent even if the run never reports."""
    from ..errors import InputError

    gate = opened(ledger, one_writer)
    if role == "certificate":
        seed = gate.wanted(more=True)
    else:
        tried = gate.campaign.tried
        seed = gate.attempt(name or (tried[-1].name if tried else "start")).next_seed()
    if seed is None:
        raise InputError("no run is wanted", "an open try, or a certificate under way", "Run: runspread gate status")
    say_next(seed)


@command.command("void", epilog='Example: runspread gate void 0 --reason "wrong data"')
@click.argument("run", type=int)
@click.option("--reason", required=True, help="Why it does not count.")
@ledger_option
def void(run: int, reason: str, ledger: str, one_writer: bool) -> None:
    """Say that a run of an open try does not count; it stays in the ledger."""
    opened(ledger, one_writer).void(run, reason)


@command.command("status", epilog="Example: runspread gate status")
@ledger_option
@json_option
def status(ledger: str, one_writer: bool, as_json: bool) -> None:
    """Show the bar, the noise, the level that is left, the tries, the cost, and what may be claimed now."""
    gate = opened(ledger, one_writer)
    found = gate.status()
    if as_json:
        show_data(found.to_dict())
        return
    show(found, as_json=False, n_runs=40)
    for line in _facts(gate):
        say(line)


def _facts(gate: Gate) -> list[str]:
    """Return what a reader of the status wants to know beside the tries."""
    found = gate.status()
    cost, sd = found.cost, found.noise
    hours = "".join(f", {name} {value / 3600:.3g} h" for name, value in _hours(found) if value == value)
    return [
        f"kept: {found.kept or 'nothing'}, bar {found.bar:.6g} (the best of many: no estimate)",
        f"noise: sd {sd.noise_sd:.3g} on {sd.noise_df} degrees of freedom",
        f"level left: {found.wealth:.3g} of {found.alpha:g}; campaigns in this folder: {found.campaigns}",
        f"runs: {cost.runs}, of which {cost.failed} failed; dropped after one run: {cost.early_drops}{hours}",
    ]


def _hours(found: Any) -> list[tuple[str, float]]:
    first, last = found.cost.certificate_seconds
    return [("so far", found.cost.seconds), ("a certificate", first), ("at most", last)]


@command.command("import", epilog="Example: runspread gate import results.tsv --ledger old.jsonl")
@click.argument("table", type=click.Path(exists=True, dir_okay=False))
@click.option("--metric", default="", help="Column of the outcome; by default one such as val_loss.")
@click.option("--higher", is_flag=True, help="Larger is better.")
@ledger_option
def import_(table: str, metric: str, higher: bool, ledger: str, one_writer: bool) -> None:
    """Adopt a table of tries such as results.tsv: say what it can say, and begin a ledger with it."""
    import runspread as rs

    from ..campaigns.histories import adopt, history_sentences, read_history
    from ..errors import InputError

    found, rows = read_history(table, metric)
    if Path(ledger).exists():
        raise InputError(f"{ledger} is there already", "a new ledger", "Name another with --ledger.")
    gate = rs.gate(ledger, metric=found, higher=higher, one_writer=one_writer)
    adopt(gate, rows, os.fspath(table))
    for line in history_sentences(rows, higher=higher):
        say(line)


@command.command("merge", epilog="Example: runspread gate merge a.jsonl b.jsonl --out both.jsonl")
@click.argument("ledgers", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--out", required=True, type=target_file, help="The new ledger.")
def merge(ledgers: tuple[str, ...], out: str) -> None:
    """Write ledgers of two machines into a new one, by time; refuses ledgers that share a seed."""
    from ..campaigns.merging import merge_ledgers

    say(f"wrote {out}: {merge_ledgers(ledgers, out).status().sentence()}")


@command.command("report", epilog="Example: runspread gate report")
@click.option("--out", type=target_file, help="Where to write; by default beside the ledger.")
@ledger_option
def report(out: str | None, ledger: str, one_writer: bool) -> None:
    """Write a page that shows the climb, the noise, and what is certified and what is not."""
    from .._report.gate import write_gate_page

    say(f"wrote {write_gate_page(opened(ledger, one_writer), out)}")
