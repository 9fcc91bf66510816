"""That a format is named once, by its `FORMAT`: what users look at takes it from there."""

from __future__ import annotations

from collections import Counter

import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread._namespace import modules_that_define
from runspread.importers.registry import FORMATS, PROPOSED

KINDS = (*FORMATS, *PROPOSED)


def test_every_format_is_registered_once():
    folder = rs.importers.__path__
    modules = {kind.find.__module__.rpartition(".")[2] for kind in KINDS}
    assert modules == {*modules_that_define("find", folder)} & {*modules_that_define("read", folder)}
    assert Counter(kind.name for kind in KINDS).most_common(1)[0][1] == 1
    assert Counter(kind.tool for kind in KINDS).most_common(1)[0][1] == 1


def test_the_command_and_messages_name_every_format(tmp_path):
    shown = "".join(CliRunner().invoke(cli, ["import", "--help"]).output.split())  # lines break at hyphens too
    with pytest.raises(rs.errors.InputError) as nothing:
        rs.import_runs(tmp_path)
    with pytest.raises(rs.errors.InputError) as unknown:
        rs.import_runs(tmp_path, format="comet")
    for kind in KINDS:
        assert f"{kind.name}," in shown or f"{kind.name}." in shown
        assert f"{kind.looks_for} ({kind.tool})" in str(nothing.value)
        assert kind.name in str(unknown.value)
