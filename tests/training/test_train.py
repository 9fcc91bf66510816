"""rs.train: what is trained, what is skipped, and that it is the same every time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import runspread as rs
from runspread._reading.plain_files import sealed
from runspread.errors import InputError, StudyError
from runspread.training import Recipe, TrainingProgress

pytest.importorskip("torch")
pytest.importorskip("sklearn")

TINY = {"epochs": 2, "hidden": (16,), "record": "1 epoch"}


def tiny(**overrides) -> Recipe:
    return rs.recipe("digits-mlp", **{**TINY, **overrides})


def deterministic_files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "provenance.json" and ".cache" not in path.parts
    }


def test_trains_what_is_asked_for(tmp_path):
    study = rs.train(tiny(epochs=10, hidden=(64,), lr=3e-3), runs=6, out=tmp_path / "s")
    assert len(study.runs) == 6
    assert {run.status for run in study.runs} == {"completed"}
    assert study.predictions("test").shape == (6, 360, 10)
    assert min(run.accuracy["test"] for run in study.runs) > 0.9
    assert study.metrics()["test_accuracy"].values.shape == (6, 10)
    assert study.verify().ok


def test_trained_twice_is_bit_for_bit_the_same(tmp_path):
    for name in ("a", "b"):
        rs.train(tiny(), runs=6, out=tmp_path / name)
    first, second = (deterministic_files(tmp_path / name) for name in ("a", "b"))
    assert first.keys() == second.keys()
    assert first == second


def test_goes_on_with_what_is_missing(tmp_path):
    whole = rs.train(tiny(), runs=6, out=tmp_path / "whole")
    study = rs.train(tiny(), runs=3, out=tmp_path / "parts")
    before = {run.id for run in study.runs}
    study = rs.train(tiny(), runs=6, out=tmp_path / "parts")
    assert before < set(study.runs.ids) == set(whole.runs.ids)
    for run in whole.runs:
        for name, value in whole.weights(run).items():
            np.testing.assert_allclose(study.weights(run.id)[name], value, rtol=1e-5, atol=1e-7)  # stacks differ


def test_other_recipe_in_the_same_folder_is_refused(tmp_path):
    rs.train(tiny(), runs=2, out=tmp_path / "s")
    with pytest.raises(StudyError, match=r"lr is 0\.001 there and 0\.5 here"):
        rs.train(tiny(lr=0.5), runs=2, out=tmp_path / "s")
    with pytest.raises(StudyError, match="seed is 0 there and 1 here"):
        rs.train(tiny(), runs=2, out=tmp_path / "s", seed=1)


def test_a_study_from_before_a_field_was_added_goes_on(tmp_path):
    rs.train(tiny(), runs=2, out=tmp_path / "s")
    spec = json.loads((tmp_path / "s" / "study.json").read_text())
    del spec["recipe"]["label_smoothing"], spec["recipe"]["model_options"]["init"]
    del spec["crc32"]
    (tmp_path / "s" / "study.json").write_bytes(sealed(json.dumps(spec).encode()))
    assert len(rs.train(tiny(), runs=3, out=tmp_path / "s").runs) == 3
    with pytest.raises(StudyError, match=r"label_smoothing is 0\.0 there and 0\.5 here"):
        rs.train(tiny(label_smoothing=0.5), runs=3, out=tmp_path / "s")


def test_a_role_that_does_not_vary_keeps_its_seed(tmp_path):
    study = rs.train(tiny(), runs=4, out=tmp_path / "s", vary=("order",))
    assert len({run.seeds.init for run in study.runs}) == 1
    assert len({run.seeds.order for run in study.runs}) == 4


def test_same_init_seed_starts_from_the_same_weights(tmp_path):
    study = rs.train(tiny(epochs=0), runs=3, out=tmp_path / "s", vary=("order",))
    first, *rest = (study.weights(run) for run in study.runs)
    for weights in rest:
        for name, value in first.items():
            np.testing.assert_array_equal(weights[name], value)


def test_nothing_varies(tmp_path):
    with pytest.raises(InputError, match="Vary a seed role"):
        rs.train(tiny(), runs=2, out=tmp_path / "s", vary=())


def test_one_role_may_be_a_word(tmp_path):
    study = rs.train(tiny(), runs=2, out=tmp_path / "s", vary="init")
    assert len({run.seeds.init for run in study.runs}) == 2
    assert len({run.seeds.order for run in study.runs}) == 1
    assert len(rs.train(tiny(), runs=3, out=tmp_path / "s", vary=("init",)).runs) == 3  # the same design


@pytest.mark.parametrize(
    ("recipe", "vary", "search"),
    [
        ({}, ("augment",), None),
        ({}, "augment", {"lr": "choice(0.1,0.1)"}),
        ({"batch_size": None}, "order", None),
        ({"batch_size": None}, ("order", "augment"), None),
    ],
)
def test_runs_that_would_be_the_same_are_refused(tmp_path, recipe, vary, search):
    with pytest.raises(InputError, match=r"some of the 3 planned runs are the same.* seed changes nothing"):
        rs.train(tiny(**recipe), runs=3, out=tmp_path / "s", vary=vary, search=search)
    rs.train(tiny(**recipe), runs=1, out=tmp_path / "s", vary=vary)
    rs.train(tiny(dropout=0.1, batch_size=128), runs=2, out=tmp_path / "dropout", vary=vary)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1. Expected a whole number from 0"),
        ({"seed": None}, "seed=None. Expected a whole number from 0"),
        ({"runs": 2.5}, "runs is 2.5. Expected a whole number from 1"),
        ({"runs": 0}, "runs is 0"),
        ({"workers": 0}, "workers is 0. Expected a whole number from 1"),
        ({"retries": -1}, "retries is -1"),  # nothing would be trained
        ({"shard_timeout": -1}, "shard_timeout=-1"),
        ({"vary": ("e",)}, "unknown seed role 'e'"),
        ({"executor_options": {"gpus": 1}}, "gpus for executor 'local'"),
        ({"executor": "ray", "executor_options": {"gpu": 1}}, "Did you mean 'gpus'"),
        ({"recipe": rs.recipe("digits-mlp", data="nosuch")}, "data='nosuch' for data set 'digits', which reads no"),
    ],
)
def test_what_cannot_be_or_would_be_ignored_is_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        rs.train(**{"recipe": tiny(), "runs": 2, "out": tmp_path / "s", **options})
    assert not (tmp_path / "s").exists()


def test_progress_ends_with_all_runs(tmp_path):
    seen: list[TrainingProgress] = []
    rs.train(tiny(), runs=4, out=tmp_path / "s", progress=seen.append)
    assert seen[-1].runs_done == seen[-1].runs_total == 4
    assert seen[-1].fraction == 1
    rs.train(tiny(), runs=4, out=tmp_path / "s", progress=seen.append)
    assert seen[-1].runs_done == 4


def test_an_error_in_the_progress_callback_stops_the_training(tmp_path):
    def stop(progress: TrainingProgress) -> None:
        if progress.elapsed > 0.05:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rs.train(tiny(epochs=2000), runs=8, out=tmp_path / "s", progress=stop)
    assert len(rs.open_study(tmp_path / "s").runs) == 0


@pytest.mark.parametrize("width", [1, 3])
def test_stack_width_does_not_matter(tmp_path, width):
    wide = rs.train(tiny(), runs=8, out=tmp_path / "wide", stack=8, workers=1)
    narrow = rs.train(tiny(), runs=8, out=tmp_path / "narrow", stack=width, workers=1)
    for run in wide.runs:
        for name, value in wide.weights(run).items():
            np.testing.assert_allclose(narrow.weights(run.id)[name], value, rtol=1e-5, atol=1e-6)


def test_recipe_without_data_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"train\.parquet"):
        rs.train("mnist-mlp", runs=2, out=tmp_path / "s")
    with pytest.raises(InputError, match="digits-mlp"):
        rs.train("digit-mlp", runs=2, out=tmp_path / "s")
    assert not (tmp_path / "s").exists()
