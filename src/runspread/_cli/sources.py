"""``runspread sources``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from .choosing import grouping_runs
from .completion import SourcePath
from .engines import engine_options
from .evaluations import hold_answers
from .forms import form_options
from .opening import kind_option, labels_option, open_source, open_sources, refuse_ignored
from .show import json_option, show, split_option


@click.command("sources", epilog="Example: runspread sources all=runs/a init=runs/init")
@click.argument("studies", metavar="STUDY...", nargs=-1, required=True, type=SourcePath())
@split_option
@labels_option
@kind_option
@grouping_runs(lambda options: [_named(word)[1] for word in options["studies"]])
@form_options
@json_option
@engine_options
def command(studies: tuple[str, ...], split: str, labels: str | None, kind: str, as_json: bool) -> None:
    """Which source of randomness the spread comes from: initialisation, data order, augmentation.

    A single STUDY must hold runs in which all seeds vary and runs in which only one varies, or a complete crossing of
    some seeds. Logs of evaluations, or a table with a row an answer, show questions, trainings and decoding. Several
    studies are one group each, as `runspread train --vary init` makes them. Give them as A B C if
    their seeds tell what varied, or as all=A init=B order=C to name the groups (files of outputs have no seeds).
    """
    import runspread as rs

    if hold_answers(*studies):
        refuse_ignored("on answers of evaluations", "split", "labels", "kind", "where")
        show(rs.sources(list(studies)), as_json=as_json)
        return
    if len(studies) == 1:
        show(rs.sources(open_source(studies[0], labels), split=split, kind=kind), as_json=as_json)
        return
    groups: dict[str, Any] = {}
    named = [_named(word) for word in studies]
    for word, (name, path), source in zip(
        studies, named, open_sources([path for _, path in named], labels), strict=True
    ):
        group = name or _varied(source, word)
        if group in groups:
            raise InputError(
                f"two studies belong to group {group!r}", "one per group", f"Name them, as in {group}={path}."
            )
        groups[group] = source
    show(
        rs.sources({"all": groups.pop("all"), **groups} if "all" in groups else groups, split=split, kind=kind),
        as_json=as_json,
    )


def _named(word: str) -> tuple[str, str]:
    """Return the name of a group, empty where its seeds say it, and its path, from FOLDER or NAME=FOLDER."""
    name, sign, path = word.partition("=")
    return (name, path) if sign and not Path(word).exists() else ("", word)


def _varied(source: Any, word: str) -> str:
    """Return which role's seed varies between the runs of a study, or "all" where several do."""
    from ..studies.records import SEED_ROLES

    runs = getattr(source, "runs", ())
    roles = [role for role in SEED_ROLES if len({getattr(run.seeds, role) for run in runs}) > 1]
    if not roles:
        raise InputError(
            f"{word} does not say which seeds vary", "a study with seeds, or a name", f"Name it, as in init={word}."
        )
    return roles[0] if len(roles) == 1 else "all"
