"""What commands write is written on this machine: a URL is refused at once, and makes no folder called ``s3:``."""

from __future__ import annotations

import click
import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import COMMANDS, cli
from runspread._cli.targets import TargetPath
from runspread.errors import InputError

WRITES = {"-o", "--out", "--output", "--save", "--plot", "--ship", "--report", "--ledger"}
STUDIES = {("train", "--out"), ("hyper-deep", "--out"), ("import", "--out")}  # studies, which go into stores
URL = "s3://bucket/there"


def commands():
    for name in COMMANDS:
        command = cli.get_command(None, name)
        group = isinstance(command, click.Group)
        yield from ((name, each, command.commands[each]) for each in command.commands) if group else [(name, command)]


OPTIONS = [
    ([*names], max(each.opts, key=len), each)
    for *names, command in commands()
    for each in command.params
    if isinstance(each, click.Option) and WRITES & set(each.opts) and not each.is_flag
]


@pytest.mark.parametrize(("names", "option", "found"), OPTIONS, ids=[" ".join([*n, o]) for n, o, _ in OPTIONS])
def test_a_url_is_refused_by_every_option_that_writes(names, option, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if (names[0], option) in STUDIES:
        assert type(found.type) is click.Path
        return
    assert isinstance(found.type, TargetPath)
    context = click.Context(click.Command(names[-1]))
    with pytest.raises(InputError, match=f"{URL} is a URL, and only studies are written into stores"):
        found.type_cast_value(context, URL)
    assert not list(tmp_path.iterdir())


def test_the_command_says_so_in_one_line_and_makes_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with rs.create_study("s", splits={"test": np.arange(6) % 2}).record(seeds=1) as run:
        run.predictions("test", np.eye(6, 2))
    for call in (["ensemble", "s", "-o", URL], ["report", "s", "-o", URL], ["paradox", "s", "--save", URL]):
        done = CliRunner().invoke(cli, call)
        assert (done.exit_code, done.output.count("error: ")) == (2, 1), done.output
        assert "copy it with the store's own tools" in done.output
    with pytest.raises(InputError, match="only studies are written"):
        rs.report("s", URL)
    with pytest.raises(InputError, match="only studies are written"):
        rs.gate(URL, metric="loss")
    assert [each.name for each in tmp_path.iterdir()] == ["s"]
