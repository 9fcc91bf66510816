"""The terminal: no number cut at 80 columns, names that were meant, a sign of life, completion, small JSON."""

from __future__ import annotations

import io
import json
import re
import time

import numpy as np
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

import runspread as rs
from runspread._cli import COMMANDS, cli
from runspread._cli.waiting import _Waiting

QUICK = (
    "info STUDY",
    "verify STUDY",
    "variance STUDY",
    "variance STUDY --by lr",
    "trimming STUDY --replicates 10 --runs -1",
    "trimming STUDY --replicates 10 --scores",
    "compare STUDY --by lr",
    "compare STUDY --by lr --metric test_loss",
    "rank STUDY --by lr --metric test_accuracy",
    "summary STUDY --by lr --metric test_accuracy",
    "plan STUDY --gap 1",
    "audit STUDY",
    "spectra STUDY",
    "paradox STUDY --by lr",
    "ensemble STUDY",
    "dynamics STUDY --states 2 --restarts 1 --metric l2 --metric trace",
    "recipes",
    "recipes digits-mlp",
)
WRITES_OR_ASKS_FOR_OTHER_THINGS = {
    *("demo", "train", "import", "repair", "digest"),
    *("same", "gate", "sources", "evaluations", "hyper-deep", "hyper-batch"),
    *("report", "cite", "copy", "check", "clean"),
}
LISTED = {words.split()[0] for words in QUICK} | WRITES_OR_ASKS_FOR_OTHER_THINGS
QUICK += tuple(f"{name} STUDY" for name in COMMANDS if name not in LISTED)  # of those that are new
NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?%?")


def printed(words: str, study, **environment: str) -> str:
    done = CliRunner().invoke(cli, words.replace("STUDY", str(study)).split(), env=environment)
    assert done.exit_code in (0, 1, 3), (words, done.output)
    return re.sub(r"\x1b\[[0-9;]*m", "", done.output)


def rows(text: str) -> list[str]:
    """Return the lines of tables: those that are indented or that a table's rule belongs to."""
    return [line for line in text.splitlines() if line.startswith(" ")]


@pytest.mark.parametrize("words", QUICK)
def test_no_number_is_cut_at_80_columns(small_demo, words):
    """What a terminal of 80 columns shows holds every number that a pipe gets, and no line is longer."""
    wide = printed(words, small_demo[0])
    narrow = printed(words, small_demo[0], COLUMNS="80", FORCE_COLOR="1")
    assert "…" not in narrow
    assert max(map(len, rows(narrow)), default=0) <= 80
    shown = set(NUMBER.findall(narrow))
    assert sorted(set(NUMBER.findall("\n".join(rows(wide)))) - shown) == []


def test_no_command_is_listed_that_is_gone():
    assert set(COMMANDS) >= LISTED


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    labels = np.arange(60) % 3
    made = rs.create_study(tmp_path_factory.mktemp("terminal") / "mine", splits={"test": labels})
    rng = np.random.default_rng(0)
    for seed in range(6):
        with made.record(seeds=seed, hyperparameters={"lr": 0.1 + seed % 2, "depth": 2}) as run:
            run.log(1, test_loss=rng.random())
            run.predictions("test", 2 * np.eye(3)[labels] + rng.normal(size=(60, 3)))
            run.weights({"fc.weight": rng.normal(size=(60, 60))})
    return made.path


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("varience STUDY", "variance"),
        ("gate statsu", "status"),
        ("variance STUDY --spilt test", "--split"),
        ("variance STUDY --split tset", "test"),
        ("variance STUDY --where lrr=0.1", "lr"),
        ("variance STUDY --by dept", "depth"),
        ("compare STUDY --by lr --metric test_los", "test_loss"),
        ("paradox STUDY --by lr --target test_acuracy", "test_accuracy"),
        ("paradox STUDY --by lr --metric alhpa", "alpha"),
        ("recipes digits-mpl", "digits-mlp"),
        ("train digits-mlp --out x --set epoch=3", "epochs"),
    ],
)
def test_a_name_that_is_nearly_right_is_said(study, words, meant):
    done = CliRunner().invoke(cli, words.replace("STUDY", str(study)).split())
    assert done.exit_code == 2
    assert f"Did you mean '{meant}'?" in done.output


def test_a_hint_that_an_error_brings_is_kept_and_no_name_suggests_itself():
    assert rs.errors.InputError("no 'lr'", "one of lr", "Look.").hint == "Look."
    assert rs.errors.InputError("no 'lr'", "one of lr, depth").hint == ""
    assert rs.errors.InputError("no 'xyz'", "one of lr, depth").hint == ""


def completed(words: str, typed: str) -> list[str]:
    return [item.value for item in ShellComplete(cli, {}, "runspread", "X").get_completions(words.split(), typed)]


def test_a_shell_completes_commands_recipes_and_studies(study, tmp_path, monkeypatch):
    assert completed("", "tri") == ["trimming"]
    assert completed("train", "digits") == ["digits-mlp"]
    assert completed("variance", f"{study.parent}/m") == [str(study)]
    assert completed("compare", f"{study.parent.parent}/{study.parent.name}") == [str(study)]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.csv").write_text("seed,accuracy\n")
    (tmp_path / ".hidden.csv").write_text("")
    assert completed("summary", "") == ["scores.csv"]
    assert completed("variance", "nothing") == ["nothing"]  # the shell looks for files itself


def test_json_holds_the_shape_of_a_large_array_unless_all_is_asked_for(tmp_path):
    labels = np.arange(1200) % 4
    outputs = np.eye(4)[labels] * 2 + np.random.default_rng(0).normal(size=(4, 1200, 4))
    np.save(tmp_path / "logits.npy", outputs)
    np.save(tmp_path / "labels.npy", labels)
    words = ["variance", str(tmp_path / "logits.npy"), "--labels", str(tmp_path / "labels.npy")]
    small, whole = (CliRunner().invoke(cli, [*words, flag]).stdout for flag in ("--json", "--json-all"))
    assert len(small) < 5000 < len(whole)
    facts, everything = json.loads(small), json.loads(whole)
    assert facts.pop("omitted")["right"] == [1200]
    assert len(everything["right"]) == 1200
    assert all(everything[name] == value for name, value in facts.items())


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_command_that_is_silent_for_two_seconds_shows_that_it_works(monkeypatch):
    monkeypatch.setattr("runspread._cli.waiting.PATIENCE", 0.0)
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    waiting = _Waiting()
    with waiting.running():
        waiting.tick()
        assert screen.getvalue().endswith("working, 0 s")
        waiting.clear()
        assert screen.getvalue().endswith("\r\x1b[K")
        with waiting.held():
            before = screen.getvalue()
            waiting.tick()
            assert screen.getvalue() == before
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with waiting.running():  # in a pipe nothing is shown
        time.sleep(0.01)
