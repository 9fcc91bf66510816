"""``runspread train`` as a user calls it, from another process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest

import runspread as rs
from runspread._cli import main

pytest.importorskip("torch")


def command(*words):
    return [sys.executable, "-m", "runspread", *map(str, words)]


def run(*words, check=True):
    return subprocess.run(command(*words), capture_output=True, text=True, check=check)


def train_words(out, *more):
    return ("train", "digits-mlp", "--runs", 12, "--out", out, "--set", "epochs=3", "--set", "hidden=(16,)", *more)


def shards(out):
    folder = out / "shards"
    return (
        {path.name: path.stat().st_ino for path in folder.iterdir() if path.name[0] != "."} if folder.exists() else {}
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a study that the command trained, and what the command said."""
    out = tmp_path_factory.mktemp("command") / "s"
    return out, run(*train_words(out, "--json"))


def test_train_then_ask(trained):
    out, done = trained
    facts = json.loads(done.stdout)
    assert facts["status"] == {"completed": 12}
    assert "12/12 runs" in done.stderr
    study = rs.open_study(out)
    assert len({run.seeds for run in study.runs}) == 12
    assert "runs" in run("variance", study.path).stdout


def test_kill_and_go_on(tmp_path):
    """Kill -9 in the middle, then the same command: complete, nothing trained twice, every file sound."""
    out = tmp_path / "s"
    words = ("train", "digits-mlp", "--runs", 320, "--out", out, "--set", "epochs=30", "--set", "hidden=(16,)")
    process = subprocess.Popen(command(*words), stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(shards(out)) < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = shards(out)
    assert 0 < len(rs.open_study(out).runs) < 320, "the kill came too late or too early"
    run(*words)
    study = rs.open_study(out)
    assert study.runs.count("completed") == len(study.runs) == 320
    assert before.items() <= shards(out).items()  # what was there was not written again
    written = [facts.id for shard in study._shards.values() for facts in shard.runs]
    assert len(written) == len(set(written))
    assert "agree with their checksums" in run("verify", out).stdout
    after = shards(out)
    run(*words)  # once more: there is nothing left to do
    assert shards(out) == after


def test_train_refuses_another_recipe_in_the_same_folder(trained):
    out, _ = trained
    before = shards(out)
    done = run(*train_words(out, "--set", "lr=0.5"), check=False)
    assert done.returncode == 2
    assert "holds a study of another design: lr is" in done.stderr
    assert shards(out) == before


def test_a_study_in_which_all_runs_diverged_is_no_success(tmp_path):
    words = train_words(tmp_path / "s", "--set", "lr=1e6", "--set", "warmup=0")
    done = run(*words, check=False)
    assert done.returncode == 2
    assert "No run completed: run " in done.stderr
    assert "diverged (the training loss was not finite at step" in done.stderr
    assert "runspread variance" not in done.stdout
    done = run(*words, "--json", check=False)
    assert done.returncode == 2
    assert json.loads(done.stdout)["status"] == {"diverged": 12}


def test_progress_is_the_accuracy_of_runs_and_says_of_which():
    from runspread._cli.progress import describe
    from runspread.training.progress import Scoreboard

    for before, words in ((0, "accuracy 25.00 %"), (5, "accuracy of the new runs 25.00 %")):
        scores = Scoreboard([6, 2, 8], before)
        scores.tick(0, 1.0, 0.0)
        scores.tick(1, 0.5, 1.0)
        assert words in describe(scores.progress({0}))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("digits-mpl",), "Did you mean 'digits-mlp'?"),
        (("digits-mlp", "--set", "epoch=3"), "Did you mean 'epochs'?"),
        (("digits-mlp", "--set", "epochs"), "="),
        (("digits-mlp", "--vary", "inti"), "Did you mean 'init'?"),
        (("mnist-mlp",), "data"),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.setattr(sys, "argv", ["runspread", "train", *words, "--out", str(tmp_path / "s")])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which main replaces
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "s").exists()
