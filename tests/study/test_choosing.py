"""Some runs of a study: views by what runs share, what a reader calls each run, and the options of the commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> rs.Study:
    """Two learning rates, three seeds each; those of 0.2 are better."""
    rng, labels = np.random.default_rng(0), np.arange(120) % 4
    made = rs.create_study(tmp_path_factory.mktemp("choosing") / "s", splits={"test": labels})
    for lr in (0.1, 0.2):
        for seed in range(3):
            with made.record(seeds=seed, hyperparameters={"lr": lr, "width": 8}) as run:
                run.log(1, loss=1.0)
                run.predictions("test", 20 * lr * np.eye(4)[labels] + rng.normal(size=(120, 4)))
    return made


def test_a_view_holds_the_runs_asked_for(study):
    view = study.where(lr=0.1)
    assert {run.hyperparameters["lr"] for run in view.runs} == {0.1}
    assert len(study.runs) == 6
    assert len(study.where(lr=[0.1, 0.2], init=1).runs) == 2
    assert view.predictions("test").shape == (3, 120, 4)
    assert len(view.metrics()["loss"].values) == 3
    alone = np.mean([run.accuracy["test"] for run in view.runs])
    assert rs.variance(view).mean_acc == pytest.approx(alone)
    assert list(study.by("lr")) == [0.1, 0.2]


@pytest.mark.parametrize(
    ("where", "message"),
    [({"lr": 3}, "no run with lr=3; expected one of lr 0.1, 0.2"), ({"depth": 1}, "one of lr, width")],
)
def test_a_view_without_runs_says_what_there_is(study, where, message):
    with pytest.raises(rs.InputError, match=message):
        study.where(**where)


def test_runs_are_called_by_what_differs(study):
    assert list(study.run_names.values())[:4] == [
        "seed 0, lr 0.1",
        "seed 1, lr 0.1",
        "seed 2, lr 0.1",
        "seed 0, lr 0.2",
    ]
    assert list(study.where(lr=0.1).run_names.values()) == ["seed 0", "seed 1", "seed 2"]


def test_drawn_seeds_and_own_ids_as_names(tmp_path):
    made = rs.create_study(tmp_path / "s", splits={"test": np.arange(4)})
    for number, id in ((10**14, None), (10**14 + 1, None), (5, "mine")):
        with made.record(seeds=rs.Seeds(init=number, order=number, augment=1), id=id) as run:
            run.log(1, loss=1.0)
    assert list(made.run_names.values()) == ["run 0", "run 1", "mine"]


def called(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(cli, [*map(str, arguments)])
    return found.exit_code, found.output


@pytest.mark.parametrize("command", ["variance", "trimming", "info"])
def test_commands_choose_and_group_runs(study, command):
    few = ("--replicates", "2") if command == "trimming" else ()
    status, text = called(command, study.path, "--where", "lr=0.1", "--json", *few)
    assert status == 0
    assert set(json.loads(text).get("table", {}).get("lr", [])) <= {0.1}
    status, text = called(command, study.path, "--by", "lr", "--json", *few)
    assert status == 0
    assert list(json.loads(text)) == ["lr=0.1", "lr=0.2"]
    status, text = called(command, study.path, "--by", "lr", *few)
    assert status == 0
    assert "lr = 0.1" in text
    assert "lr = 0.2" in text


def test_commands_call_runs_by_what_differs(study):
    _, text = called("trimming", study.path, "--replicates", "2")
    assert "seed 1, lr 0.2" in text
    assert study.runs[0].id not in text
    _, text = called("trimming", study.path, "--replicates", "2", "--json")
    assert study.runs[0].id in text


def test_choosing_from_what_is_no_study_is_refused(study, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(3, 20, 4)).astype("f4"))
    np.save(tmp_path / "y.npy", np.arange(20) % 4)
    labels = ("--labels", tmp_path / "y.npy")
    of_file = ("variance", tmp_path / "x.npy", *labels, "--where", "lr=0.1")
    for words in (of_file, ("info", study.path, "--where", "lr")):
        status, text = called(*words)
        assert status == 2
        assert "--where" in text


def test_the_hint_on_weights_that_were_not_kept_works(tmp_path, study):
    pytest.importorskip("torch")
    with pytest.raises(rs.MissingDataError, match="train with keep_weights=True"):
        study.weights(study.runs[0])
    recipe = rs.recipe("digits-mlp", epochs=1, hidden=(4,), keep_weights=True)
    trained = rs.train(recipe, runs=1, out=Path(tmp_path) / "t")
    assert trained.weights(trained.runs[0])
