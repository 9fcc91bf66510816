"""Some runs of a study: views by what runs share, what a reader calls each run, and the options of the commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import choosing, cli
from runspread.errors import InputError, MissingDataError


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
    [({"lr": 3}, r"no run has lr=3\. Expected lr to be one of 0\.1, 0\.2"), ({"depth": 1}, "one of lr, width")],
)
def test_a_view_without_runs_says_what_there_is(study, where, message):
    with pytest.raises(InputError, match=message):
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
    with pytest.raises(MissingDataError, match="train with keep_weights=True"):
        study.weights(study.runs[0])
    recipe = rs.recipe("digits-mlp", epochs=1, hidden=(4,), keep_weights=True)
    trained = rs.train(recipe, runs=1, out=Path(tmp_path) / "t")
    assert trained.weights(trained.runs[0])


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> rs.Study:
    """Three runs of lr 0.1, one of 0.2, two that have no lr at all, and one where it is a list."""
    rng, labels = np.random.default_rng(0), np.arange(200) % 4
    made = rs.create_study(tmp_path_factory.mktemp("mixed") / "s", splits={"test": labels})
    for number, facts in enumerate(3 * [{"lr": 0.1}] + [{"lr": 0.2}] + 2 * [{"wd": 1}] + [{"lr": [0.1, 0.01]}]):
        with made.record(seeds=number, hyperparameters=facts) as run:
            for step in range(60):
                run.log(step, loss=float(rng.random()), other=float(rng.random()))
            run.predictions("test", 2 * np.eye(4)[labels] + rng.normal(size=(200, 4)))
    return rs.open_study(made.path)


def test_no_run_is_left_out_of_groups(mixed):
    """Runs without the hyperparameter were dropped without a word."""
    groups = mixed.by("lr")
    assert {value: len(study.runs) for value, study in groups.items()} == {
        0.1: 3,
        0.2: 1,
        "[0.1, 0.01]": 1,
        "(not set)": 2,
    }
    assert len(mixed.where(lr="(not set)").runs) == 2
    text = called("info", mixed.path, "--by", "lr")[1]
    assert "lr = (not set)" in text
    assert called("info", mixed.path, "--where", "lr=(not set)")[0] == 0
    assert list(json.loads(called("info", mixed.path, "--by", "lr", "--json")[1]))[-1] == "lr=(not set)"


def test_a_value_that_cannot_be_answered_does_not_end_the_others(mixed):
    found = CliRunner().invoke(cli, ["trimming", str(mixed.path), "--by", "lr", "--replicates", "2", "--json"])
    parts = json.loads(found.stdout)
    assert found.exit_code == 2
    assert list(parts) == ["lr=0.1", "lr=0.2", "lr=[0.1, 0.01]", "lr=(not set)"]
    assert "levels" in parts["lr=0.1"]
    assert list(parts["lr=0.2"]) == ["error"]
    assert "error: lr=0.2: " in found.stderr


@pytest.mark.parametrize(
    ("statuses", "whole"), [((0, 3, 2, 1), 1), ((2, 3, 0), 3), ((0, 2), 2), ((0, 0), 0), ((0, 4), 4), ((4,), 4)]
)
def test_exit_statuses_of_values_combine(study, monkeypatch, statuses, whole):
    """They were added up by their largest: undecided hid that a difference was shown."""
    left = list(statuses)
    monkeypatch.setattr(rs.Study, "by", lambda self, name: dict.fromkeys(range(len(statuses))))
    with pytest.raises(SystemExit) as stop:
        choosing._once_a_value(lambda: sys.exit(left.pop(0)), "lr", [str(study.path)], as_json=False)
    assert stop.value.code == whole


def test_a_plot_of_each_value_is_a_file_of_its_own(mixed, tmp_path):
    pytest.importorskip("matplotlib")
    words = ("dynamics", mixed.path, "--where", "lr=0.1", "--where", "lr=(not set)", "--by", "lr", "--states", 1)
    called(*words, "--plot", tmp_path / "map.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map-lr=(not_set).png", "map-lr=0.1.png"]


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> rs.Study:
    """Two learning rates, three initialisations and three orders of each, with weights and validation outputs."""
    rng, labels = np.random.default_rng(0), np.arange(60) % 3
    made = rs.create_study(tmp_path_factory.mktemp("crossed") / "s", splits={"test": labels, "validation": labels})
    for lr in (0.1, 0.2):
        for init in range(3):
            for order in range(3):
                seeds = rs.Seeds(init=init, order=order, augment=0)
                with made.record(seeds=seeds, hyperparameters={"lr": lr}) as run:
                    for split in ("test", "validation"):
                        run.predictions(split, 10 * lr * np.eye(3)[labels] + rng.normal(size=(60, 3)))
                    run.weights({"fc.weight": rng.normal(size=(64, 64)).astype("f4")})
    return rs.open_study(made.path)


EVERY = {
    "ensemble": ("--size", "2"), "sources": (), "spectra": (), "same": ("--permutations", "199"), "info": (),
}  # fmt: skip


@pytest.mark.parametrize("command", EVERY)
def test_every_command_that_reads_studies_answers_for_each_value(crossed, command):
    """report, ensemble, spectra, sources and same had --where alone, or neither."""
    paths = [crossed.path] * (1 + (command == "same"))
    found = CliRunner().invoke(cli, [command, *map(str, paths), *EVERY[command], "--by", "lr", "--json"])
    status, parts = found.exit_code, json.loads(found.stdout)
    assert status in (0, 1, 2, 3), found.output
    assert list(parts) == ["lr=0.1", "lr=0.2"]
    if command not in ("same", "sources"):
        assert status == 0
        assert not any("error" in part for part in parts.values())
    whole = called(command, *paths, *EVERY[command], "--where", "lr=0.1", "--json")
    if whole[0] in (0, 1, 3):
        assert json.loads(whole[1]) == parts["lr=0.1"]


def test_each_value_has_a_page_of_its_own(study, tmp_path):
    status, text = called("report", study.path, "-o", tmp_path / "page.html", "--by", "lr")
    assert status == 0, text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page-lr=0.1.html", "page-lr=0.2.html"]


def test_each_value_has_an_ensemble_of_its_own_or_none(crossed, tmp_path):
    status, text = called("ensemble", crossed.path, "--by", "lr", "-o", tmp_path / "best")
    assert status == 2
    assert "lr=0.1" in text
    assert "lr=0.2" in text
    assert not any(tmp_path.iterdir())


def test_by_beside_what_is_no_study_says_so(crossed, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 20, 4), "f4"))
    status, text = called("same", crossed.path, tmp_path / "x.npy", "--by", "lr")
    assert status == 2
    assert "which is not a study" in text
