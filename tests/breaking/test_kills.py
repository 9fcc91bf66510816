"""Promise 1: training, importing and saving an ensemble are killed at random instants, and go on as they were."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
import traceback
from functools import partial

import numpy as np
import pytest

import runspread as rs
from runspread.studies.checking import verify_ensemble
from tests.importers import writers as w

RUNS = 6


def killed_after(call, seconds):
    """Let a copy of this process call something, and kill it after some seconds; return whether that came first."""
    child = os.fork()
    if not child:
        try:
            call()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def kills(call, check, times, tmp_path):
    """Kill until it has been killed `times` times; every fifth time, or when it ends before, look at what is there."""
    started = time.monotonic()
    assert not killed_after(partial(call, tmp_path / "whole"), 600)
    takes, rng, killed, number = time.monotonic() - started, random.Random(0), 0, 0
    while killed < times:
        place = tmp_path / f"place-{number}"
        number += 1
        while killed_after(partial(call, place), rng.uniform(0, 1.2 * takes)):
            killed += 1
            if killed % 5 == 0 or killed >= times:
                assert not killed_after(partial(call, place), 600)
                break
        check(place, tmp_path / "whole")
        shutil.rmtree(place)
    return killed


def read(folder):
    study = rs.open_study(folder)
    assert study.verify().ok
    found = {run.id: (run.status, run.seeds.to_dict(), run.hyperparameters, run.metrics) for run in study.runs}
    outputs = {}
    if any(run.predictions for run in study.runs):
        reader = study.predictions()
        outputs = dict(zip(reader.run_ids, reader.to_array("float64"), strict=True))
    return found, outputs


def same_study(place, whole):
    (found, outputs), (expected, right) = read(place), read(whole)
    assert found == expected
    assert outputs.keys() == right.keys()
    for run, values in right.items():
        np.testing.assert_allclose(outputs[run], values, rtol=1e-3, atol=1e-3)
    with rs.open_study(place).record(seeds=10**6) as run:
        run.log(1, loss=1.0)
    assert not list(place.rglob(".tmp-*"))


# ---------------------------------------------------------------------- importing


def import_(source, place):
    rs.import_runs(source).save(place)


@pytest.fixture
def logs(tmp_path):
    for seed in range(RUNS):
        w.lightning_version(tmp_path / "logs", w.epochs([1.0 + seed, 0.5]), f"seed: {seed}\nlr: 0.1\n", number=seed)
    return tmp_path / "logs"


def test_a_few_kills_of_importing(logs, tmp_path):
    assert kills(partial(import_, logs), same_study, 4, tmp_path) >= 4


@pytest.mark.slow
def test_two_hundred_kills_of_importing(logs, tmp_path, tally):
    tally("kills of import", kills(partial(import_, logs), same_study, 200, tmp_path), 0)


# ---------------------------------------------------------------------- training


def train(executor, place):
    recipe = rs.recipe("digits-mlp", epochs=2, hidden=(4,))
    rs.train(recipe, runs=RUNS, out=place, executor=executor, workers=1, stack=2)


@pytest.mark.slow
@pytest.mark.parametrize(("executor", "times"), [("local", 200), ("processes", 20)])
def test_many_kills_of_training(executor, times, tmp_path, tally):
    pytest.importorskip("torch")
    train("local", tmp_path / "first")  # what is imported and read once is not read again in every copy
    tally(f"kills of train ({executor})", kills(partial(train, executor), same_study, times, tmp_path), 0)


# ---------------------------------------------------------------------- an ensemble


def save(place):
    import torch

    torch.manual_seed(0)
    if not place.exists():
        rs.training.Ensemble.of([torch.nn.Linear(64, 64) for _ in range(3)]).save(place)


def same_ensemble(place, whole):
    import torch

    assert verify_ensemble(place).ok
    rs.load_ensemble(place, network=torch.nn.Linear(64, 64))
    for name in ("ensemble.safetensors", "ensemble.json"):
        found, right = ((folder / name) for folder in (place, whole))
        assert found.exists() == right.exists()
    assert not list(place.parent.glob(".tmp-*"))


@pytest.mark.slow
def test_two_hundred_kills_of_saving_an_ensemble(tmp_path, tally):
    pytest.importorskip("torch")
    save(tmp_path / "first")
    tally("kills of saving an ensemble", kills(save, same_ensemble, 200, tmp_path), 0)
