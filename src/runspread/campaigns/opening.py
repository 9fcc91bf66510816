"""`rs.gate`: open a campaign's ledger, or begin one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

from .._checks import check_choice, check_settings
from ..errors import InputError
from ..methods.gate.climbing import RUNS
from ..methods.gate.defaults import ALPHA, RULE
from ..methods.gate.looks import STATISTICS, TESTS, certificate_looks
from .gates import Gate
from .guards import parse_guard
from .states import digests


class GateSettings(TypedDict, total=False):
    """Settings of a campaign, fixed when it begins.

    Attributes
    ----------
    slack : float
        How far below the bar the mean of a try's runs must be, in the unit of the outcome.
    start_runs : int
        Runs of the start, whose mean is the first bar; default: as many as a kept state has.
    test : {"permutation", "welch-min"}
        Test of the certificate.
    statistic : {"mean", "median"}
        What a certificate compares: means of runs, or their ranks, with the median of all differences for a gain. The
        latter is for runs of which some fail or go far astray.
    fixed : int
        Runs per side of a certificate with one look, whose gain is unbiased; default: three looks.
    pair : bool
        Start and end are run with common seeds, and compared in pairs.
    guards : sequence of str
        Metrics that must not get worse, such as ``"seconds+5%"`` or ``"accuracy-0.5"``.
    command : str
        Command that trains, with ``{seed}`` and, to certify by itself, ``{state}``.
    pattern, json_key : str
        How its outcome is read from what it prints; default: the one number on its last line.
    seeds : str
        File with seeds of one's own, one a line.
    evaluation : sequence of str
        Files that make up the evaluation; if one changes, the campaign cannot go on.
    one_writer : bool
        No lock, on file systems without.
    """

    slack: float
    start_runs: int
    test: str
    statistic: str
    fixed: int
    pair: bool
    guards: Sequence[str]
    command: str
    pattern: str
    json_key: str
    seeds: str
    evaluation: Sequence[str]
    one_writer: bool


def gate(
    path: str | os.PathLike[str],
    *,
    metric: str = "",
    higher: bool | None = None,
    alpha: float | None = None,
    rule: str = "",
    **settings: Unpack[GateSettings],
) -> Gate:
    """Open the ledger of a campaign of tries; where there is none, begin one.

    Each try is kept, dropped or run again by a cheap rule that claims nothing. `Gate.certify` then compares the end
    with the start on fresh runs; at most `alpha` of campaigns in which nothing helps end with a certificate.

    Parameters
    ----------
    path : path
        The ledger, ``<name>.gate.jsonl``: a file of events to which is only appended.
    metric : str
        Name of the outcome; needed to begin a campaign.
    higher : bool
        Whether larger is better; default no.
    alpha : float
        Share of campaigns with a false certificate; default 0.05.
    rule : {"two", "one", "three", "two-more", "strict"}
        Runs of a state before it is kept; default two. ``two-more`` runs what is kept twice more, for a bar that is
        less lucky; where nothing helps it drifts to what is worse. ``strict`` confirms every keep on fresh runs, and
        the chance of any false keep is at most `alpha`.
    **settings
        See `GateSettings`.

    Returns
    -------
    Gate
        The campaign.

    Raises
    ------
    InputError
        No metric to begin with, or settings that are not those of the campaign in the ledger.
    LedgerError
        The ledger was cut or edited.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> gate = rs.gate(mkdtemp() + "/runs.gate.jsonl", metric="val_loss")
    >>> attempt = gate.attempt("start", state="start")
    >>> while (seed := attempt.next_seed()) is not None:
    ...     decision = attempt.record(3.2 + 0.01 * (int(seed) % 2), seed=seed)
    >>> decision
    'start'
    """
    check_settings(settings, GateSettings.__annotations__, gate)
    found = Gate(path, one_writer=bool(settings.pop("one_writer", False)))
    asked: dict[str, Any] = {
        "metric": metric or None,
        "higher": higher,
        "alpha": alpha,
        "rule": rule or None,
        **settings,
    }
    asked = _checked({name: value for name, value in asked.items() if value is not None})
    if found.campaign.setup is None:
        if not metric:
            raise InputError(
                f"there is no campaign in {found.ledger.path}",
                "a ledger, or metric= to begin one",
                "Begin one: runspread gate init --metric val_loss",
            )
        certificate_looks(asked.get("alpha", ALPHA), **{key: asked[key] for key in _DESIGN if key in asked})
        found.begin(**({"alpha": ALPHA, "rule": RULE} | asked))
        return found
    known = found.campaign.settings
    for name, value in asked.items():
        if name != "evaluation" and getattr(known, name) != value:
            raise InputError(
                f"{found.ledger.path} is a campaign with {name} {getattr(known, name)!r}, not {value!r}",
                hint="Leave it out, or begin a new campaign in another ledger.",
            )
    return found


_DESIGN = ("pair", "fixed", "test")


def _check_median(asked: dict[str, Any]) -> None:
    if asked.get("pair") or asked.get("test", TESTS[0]) != TESTS[0]:
        raise InputError(
            "statistic='median' with pairs or with another test than permutation",
            "one of them",
            "Drop pair= (--pair) and test= (--test): the median is tested by the ranks of all runs.",
        )


def _checked(asked: dict[str, Any]) -> dict[str, Any]:
    """Return settings in the form in which the ledger has them."""
    if "rule" in asked:
        check_choice(asked["rule"], "rule", RUNS)
    if check_choice(asked.get("statistic", "mean"), "statistic", STATISTICS) == "median":
        _check_median(asked)
    if not 0 < asked.get("alpha", ALPHA) < 1:
        raise InputError(f"alpha={asked['alpha']}", "a number between 0 and 1, such as 0.05")
    if asked.get("guards"):
        asked["guards"] = {parse_guard(text).name: text for text in asked["guards"]}
    if asked.get("evaluation"):
        asked["evaluation"] = digests(asked["evaluation"])
    return asked
