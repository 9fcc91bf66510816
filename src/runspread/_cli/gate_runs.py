"""``runspread gate try`` and ``runspread gate certify``: runs that are trained or reported, and their exit status."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..errors import InputError
from .printing import say
from .show import json_option, show_data
from .targets import target_file

if TYPE_CHECKING:
    from ..campaigns.attempts import Attempt
    from ..campaigns.commands import Reading
    from ..campaigns.gates import Gate
    from ..campaigns.seeds import SeedToRun
    from ..methods.gate.status import Asked, GateStatus

LEDGER = "runspread.gate.jsonl"
STATUS = {"start": 0, "keep": 0, "certified": 0, "drop": 1, "not certified": 1, "constant": 2}
NEEDS_A_RUN, FAILED_RUN = 3, 4


class _TakesCommand(click.Command):
    """A command after whose ``--`` another command follows, which is handed on as it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta["runspread.gate.command"] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


def ledger_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which ledger, and whether others write it too."""
    command = click.option("--one-writer", is_flag=True, help="Go without a lock, on file systems that have none.")(
        command
    )
    return click.option("--ledger", default=LEDGER, show_default=True, type=target_file, help="The campaign's ledger.")(
        command
    )


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a run: its outcome, or how it is trained and read."""
    options = [
        click.option("--value", type=float, metavar="X", help="Outcome of a run that was trained elsewhere."),
        click.option("--seed", type=int, metavar="N", help="Its seed; by default the one that was handed out last."),
        click.option("--failed", is_flag=True, help="The run failed; it counts as worse than every other."),
        click.option("--seconds", type=float, default=0.0, help="How long it took."),
        click.option("--guard-value", multiple=True, metavar="NAME=X", help="Value of a guard."),
        click.option("--state", default="", metavar="REV", help="Revision or digest of what is trained."),
        click.option("--run", "run", is_flag=True, help="Train with the command of the campaign."),
        click.option("--pattern", metavar="REGEX", default="", help="How the outcome is read from what is printed."),
        click.option("--json-key", metavar="KEY", default="", help="Key of the outcome in JSON that is printed."),
        click.option("--last", is_flag=True, help="Take the last number, where the command prints several."),
        click.option("--timeout", type=float, metavar="S", help="Seconds after which a run is ended and has failed."),
        json_option,
    ]
    for option in reversed(options):
        command = option(command)
    return ledger_option(command)


def opened(ledger: str, one_writer: bool) -> Gate:
    """Return the campaign in a ledger."""
    import runspread as rs

    return rs.gate(ledger, one_writer=one_writer)


@click.command("try", cls=_TakesCommand, epilog='Example: runspread gate try "wider mlp" --value 3.291')
@click.argument("name", required=False)
@click.option("--note", default="", help="Kept in the ledger.")
@run_options
def try_command(name: str | None, note: str, ledger: str, one_writer: bool, as_json: bool, **options: Any) -> None:
    """Record or train a run of a try, and say: keep, drop, or run again with this seed.

    The first try of a campaign is its start. With a command after -- (or with --run, the campaign's own) the runs are
    trained until the try is decided. {seed} and {state} in the command are replaced; the outcome is the one number on
    the last line that it prints, or what --pattern or --json-key finds. Without a command and without --value a seed is
    handed out.
    """
    from ..campaigns.states import code_state

    gate = opened(ledger, one_writer)
    words, tried = _words(gate, options["run"]), gate.campaign.tried
    open_one = tried[-1].name if tried and not tried[-1].decision else ""
    name = name or open_one or (f"try {len(tried)}" if tried else "start")
    state = options["state"] or ("" if name == open_one else code_state())
    if not options["state"] and state in {one.state for one in tried}:
        state = f"{state}/{name}"  # what differs is not in the code: a flag, or nothing
    attempt = gate.attempt(name, state, note=note)
    if words:
        failed = _train_until_decided(gate, attempt, words, _reading(gate, options), options["timeout"])
    elif options["value"] is not None or options["failed"]:
        value = _outcome(options)
        attempt.record(value, seed=options["seed"], **_facts(options), state=options["state"])
        failed = not math.isfinite(value)
    else:
        failed = False
    answer(gate, gate.status(), as_json=as_json, attempt=attempt, failed=failed)


def _train_until_decided(
    gate: Gate, attempt: Attempt, words: Sequence[str], reading: Reading, timeout: float | None
) -> bool:
    """Train runs of a try until it is decided or one fails; return whether one failed."""
    while (seed := attempt.next_seed()) is not None:
        if seed.state != attempt.state and not any("{state}" in word for word in words):
            raise InputError(
                f"a run of the kept state {seed.state} is wanted, and the command does not take the state",
                "{state} where the state belongs",
                f"Run it yourself with seed {int(seed)} and report it with --value.",
            )
        value, facts = _trained(gate, words, seed, reading, timeout)
        attempt.record(value, seed=int(seed), **facts)
        if not math.isfinite(value):
            return True
    return False


def _trained(
    gate: Gate, words: Sequence[str], seed: SeedToRun, reading: Reading, timeout: float | None
) -> tuple[float, dict[str, Any]]:
    """Train one run; return its outcome and what is recorded with it."""
    from ..campaigns.commands import outcome_of, run_command

    done = run_command(words, int(seed), seed.state, timeout=timeout)
    try:
        value, guards = outcome_of(done, reading, list(gate.campaign.settings.guards))
    except InputError as error:
        report = f"The run had seed {int(seed)}. {error.hint}" if error.hint else f"The run had seed {int(seed)}."
        raise InputError(error.found, error.expected, report) from error
    return value, {"seconds": done.seconds, "guards": guards, "status": done.problem}


@click.command("certify", cls=_TakesCommand, epilog="Example: runspread gate certify")
@click.option("--against", default="", metavar="STATE", help="State to compare with; by default the start.")
@click.option("--interim", is_flag=True, help="Spend half of the level that is left; the campaign goes on.")
@run_options
def certify(against: str, interim: bool, ledger: str, one_writer: bool, as_json: bool, **options: Any) -> None:
    """Compare the kept state with the start on fresh runs, and say what may be claimed.

    Prints the seed of the run that is wanted next, on standard error the state that it is of; report it with --value
    and --seed. With --run, or a command after --, which must take {seed} and {state}, it trains all of them. Without
    --interim this is final: the campaign is closed.
    """
    from ..campaigns.summaries import asked_of_certificate

    gate = opened(ledger, one_writer)
    words = _words(gate, options["run"])
    if words and not any("{state}" in word for word in words):
        raise InputError(
            "the command does not take the state",
            "{state} where the state belongs, since start and end are trained in turn",
            "For example: sh train_at.sh {state} {seed}. Or report the runs one by one with --value and --seed.",
        )
    reported = options["value"] is not None or options["failed"]
    if not reported:
        gate.begin_certificate(against=against, interim=interim)
    if reported:
        if options["seed"] is None:
            raise InputError("the run has no seed", "the seed that was handed out for it", "Pass it with --seed.")
        value = _outcome(options)
        gate.report(value, options["seed"], state=options["state"], **_facts(options))
    while words and (seed := gate.wanted()) is not None:
        value, facts = _trained(gate, words, seed, _reading(gate, options), options["timeout"])
        gate.report(value, int(seed), state=seed.state, **facts)
    seed, trial = gate.wanted(), gate.campaign.certificate
    assert trial is not None
    answer(gate, gate.status(), as_json=as_json, asked=asked_of_certificate(trial), wanted=seed)


def _words(gate: Gate, run: bool) -> list[str]:
    """Return the words of the command to train with; none where runs are reported."""
    from ..campaigns.commands import words_of

    given = click.get_current_context().meta.get("runspread.gate.command")
    if given is None and not run:
        return []
    own = gate.campaign.settings.command
    if given is None and not own:
        raise InputError(
            "the campaign has no command",
            "a command after --, or one given to init",
            "Add: -- python train.py --seed {seed}",
        )
    return words_of(own if given is None else given)


def _reading(gate: Gate, options: dict[str, Any]) -> Reading:
    from ..campaigns.commands import Reading

    setup, pattern, key = gate.campaign.settings, options["pattern"], options["json_key"]
    if not pattern and not key:
        pattern, key = setup.pattern, setup.json_key
    return Reading(pattern, key, options["last"])


def _outcome(options: dict[str, Any]) -> float:
    return math.nan if options["failed"] or options["value"] is None else float(options["value"])


def _facts(options: dict[str, Any]) -> dict[str, Any]:
    """Return what is recorded with an outcome that was trained elsewhere."""
    guards: dict[str, float] = {}
    for text in options["guard_value"]:
        name, _, value = text.partition("=")
        try:
            guards[name] = float(value)
        except ValueError as error:
            raise InputError(f"--guard-value {text}", "NAME=NUMBER, such as seconds=12.5") from error
    return {"seconds": options["seconds"], "guards": guards}


def say_next(seed: SeedToRun) -> None:
    """Print a seed, and on standard error what it is for."""
    say(f"{seed.role}: run {seed.state} with seed {int(seed)}", err=True)
    say(int(seed))


def answer(
    gate: Gate,
    status: GateStatus,
    *,
    as_json: bool,
    asked: Asked | None = None,
    attempt: Attempt | None = None,
    wanted: SeedToRun | None = None,
    failed: bool = False,
) -> NoReturn:
    """Say the decision, or which run is wanted, and exit with the status of it.

    The decision is that of the certificate that was `asked` about, of the `attempt`, or the last of all.
    """
    asked = asked or status.asked
    decision, why = asked.decision, asked.why
    if attempt is not None:
        decision, why = attempt.decision, attempt.why
        wanted = None if decision in STATUS else attempt.next_seed() if wanted is None else wanted
    if as_json:
        facts = status.to_dict() | {"decision": decision, "why": why}
        if wanted is not None:
            facts["next"] = {"seed": int(wanted), "state": wanted.state, "role": wanted.role}
        show_data(facts)
    elif wanted is not None:
        say(f"{decision or 'run'}: {why}" if why else "run it", err=True)
        say_next(wanted)
    elif decision in ("certified", "not certified", "constant"):
        say(status.claim.sentence())
        for note in status.claim.warnings:
            say(f"warning: {note}", err=True)
    else:
        say(f"{decision}: {why}" if why else decision or "nothing was tried")
    sys.exit(FAILED_RUN if failed else STATUS.get(decision, NEEDS_A_RUN))
