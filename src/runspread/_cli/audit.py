"""``runspread audit``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .._words import listed
from .forms import form_options
from .opening import kind_option, labels_option, open_source
from .show import json_option, show, study_argument

if TYPE_CHECKING:
    from .._report.model import Section
    from ..methods.audit.auditing import Audit
    from ..studies.study import Study


@click.command("audit", epilog="Example: runspread audit runs/a")
@study_argument
@click.option("--split", help="Split whose predictions are compared [default: test, or the first split there is].")
@labels_option
@kind_option
@form_options
@json_option
def command(study: str, split: str | None, labels: str | None, kind: str, as_json: bool) -> None:
    """Whether the seeds of the runs were independent: equal starts, equal data orders, copies, repeats.

    The answer names what was checked and what was not recorded: finding no sign is not proof of independence.

    In files of outputs (.npy, .npz or .safetensors) only copies can be found.

    Exit status 0: no sign was found. 1: a finding makes the intervals wrong. 2: one run alone cannot be audited.
    """
    import runspread as rs

    chosen: dict[str, str] = {} if split is None else {"split": split}
    result = rs.audit(open_source(study, labels), kind=kind, **chosen)
    show(result, as_json=as_json)
    sys.exit(2 if result.n_runs < 2 else 0 if result.passed else 1)


def section(study: Study) -> Section:
    """Say in the report whether the seeds of the runs were independent."""
    import runspread as rs

    from .._report.sections import Section, notes_of

    result = rs.audit(study)
    tables = (result.table(),) if result.findings else ()
    return Section("Seed audit", result.sentence(), (), tables, notes_of(result), short=_independent(result))


def _independent(result: Audit) -> str:
    if result.n_runs < 2:
        return ""
    if result.flaws:
        kinds = listed(list(dict.fromkeys(finding.kind for finding in result.flaws)))
        return f"They are not: {kinds}. Until that is mended, intervals are too short."
    seen = listed(result.looked_at)
    return (
        f"No sign of dependence in {seen}{f'; {listed(result.not_seen)} were not recorded' if result.not_seen else ''}."
    )
