"""Shards trained elsewhere: processes, Slurm's adapter, a real Ray cluster, and workers that are lost or hang."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError, TrainingError
from runspread.training import Recipe, TrainingProgress

pytest.importorskip("torch")
pytest.importorskip("sklearn")

RECIPE = {"epochs": 2, "hidden": (16,), "record": "1 epoch"}


def recipe(**overrides) -> Recipe:
    return rs.recipe("digits-mlp", **{**RECIPE, **overrides})


def assert_same(study: rs.Study, expected: rs.Study) -> None:
    assert set(study.runs.ids) == set(expected.runs.ids)
    assert study.verify().ok
    for run in expected.runs:
        for name, value in expected.weights(run).items():
            np.testing.assert_allclose(study.weights(run.id)[name], value, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> rs.Study:
    return rs.train(recipe(), runs=6, out=tmp_path_factory.mktemp("local") / "s")


def test_processes_equal_threads(tmp_path, local):
    study = rs.train(recipe(), runs=6, out=tmp_path / "s", executor="processes", workers=2)
    assert_same(study, local)


def test_local_takes_processes_where_they_pay(tmp_path, local, monkeypatch):
    monkeypatch.setattr("runspread.training.driver._PROCESS_SECONDS", 0.0)
    seen: list[TrainingProgress] = []
    study = rs.train(recipe(), runs=6, out=tmp_path / "s", workers=2, progress=seen.append)
    assert_same(study, local)
    workers = {json.loads(file.read_text())["process"] for file in study.path.glob("shards/*/provenance.json")}
    assert os.getpid() not in workers
    assert "in 2 processes" in seen[-1].message
    assert seen[-1].accuracy is not None  # told by the workers, through the file


def test_any_executor(tmp_path, local):
    with ThreadPoolExecutor(1) as pool:
        study = rs.train(recipe(), runs=6, out=tmp_path / "s", executor=pool, workers=3)
        assert pool.submit(int, "3").result() == 3  # it is the caller's, and left open
    assert_same(study, local)


@pytest.mark.slow
def test_slurm_adapter(tmp_path, local):
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'runspread[slurm]'")
    options = {"cluster": "local", "poll": 0.1, "timeout_min": 5, "folder": str(tmp_path / "jobs")}
    study = rs.train(recipe(), runs=6, out=tmp_path / "s", executor="slurm", executor_options=options, workers=2)
    assert_same(study, local)


class Flaky(Executor):
    """Loses its worker at the first submissions, then works."""

    def __init__(self, losses: int) -> None:
        self.losses = losses

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        if self.losses > 0:
            self.losses -= 1
            future.set_exception(BrokenExecutor("the machine is gone"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_a_lost_worker_costs_its_shard_which_is_trained_again(tmp_path, local):
    study = rs.train(recipe(), runs=6, out=tmp_path / "s", executor=Flaky(2), workers=2)
    assert_same(study, local)


def test_a_worker_that_is_lost_every_time_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"1 of 3 shards.*worker was lost.*the machine is gone"):
        rs.train(recipe(), runs=6, out=tmp_path / "s", executor=Flaky(7), workers=3, retries=2)
    assert len(rs.open_study(tmp_path / "s").runs) == 4


HANGING = """
import multiprocessing, os, threading, time
import torch

class Slow(torch.nn.Linear):
    def forward(self, x):
        if {condition}:
            try:
                os.close(os.open({marker!r}, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                time.sleep({seconds})
        return super().forward(x)

def build(shape, outputs):
    return Slow(shape[0], outputs)
"""
IN_A_THREAD = "threading.current_thread().name.startswith('runspread')"
IN_A_PROCESS = "multiprocessing.current_process().name != 'MainProcess'"


def hanging_recipe(folder: Path, condition: str, seconds: float) -> Recipe:
    """Return a recipe whose network hangs once, in the first worker that reaches it."""
    text = HANGING.format(condition=condition, seconds=seconds, marker=str(folder / "hung"))
    (folder / "model.py").write_text(text)
    return recipe().replace(model=f"{folder}/model.py:build", record="none")


def test_a_hanging_thread_is_named_and_the_rest_is_trained(tmp_path):
    slow = hanging_recipe(tmp_path, IN_A_THREAD, 12)
    with pytest.raises(TrainingError, match=r"1 of 4 shards.*no end after 3 seconds, given up"):
        rs.train(slow, runs=4, out=tmp_path / "s", workers=4, stack=1, shard_timeout=3)
    assert len(rs.open_study(tmp_path / "s").runs) == 3


@pytest.mark.slow
def test_a_hanging_process_is_killed_and_the_rest_is_trained(tmp_path):
    slow = hanging_recipe(tmp_path, IN_A_PROCESS, 600)
    with pytest.raises(TrainingError, match=r"1 of 3 shards.*given up"):
        rs.train(slow, runs=3, out=tmp_path / "s", executor="processes", workers=3, stack=1, shard_timeout=40)
    assert len(rs.open_study(tmp_path / "s").runs) == 2


def test_a_failing_shard_is_named_and_the_rest_is_trained(tmp_path):
    text = """
import torch

def build(shape, outputs):
    if torch.initial_seed() == {seed}:
        raise ZeroDivisionError("this seed is unlucky")
    return torch.nn.Linear(shape[0], outputs)
"""
    from runspread.training.seeding import derive_seed

    (tmp_path / "model.py").write_text(text.format(seed=derive_seed(0, "init", 1)))
    own = recipe().replace(model=f"{tmp_path}/model.py:build", record="none")
    with pytest.raises(TrainingError, match=r"1 of 3 shards.*ZeroDivisionError: this seed is unlucky"):
        rs.train(own, runs=3, out=tmp_path / "s", workers=3, stack=1)
    assert len(rs.open_study(tmp_path / "s").runs) == 2


def test_kill_in_the_middle_then_the_same_again(tmp_path, local):
    script = (
        "import runspread as rs\n"
        f"r = rs.recipe('digits-mlp', epochs=60, hidden=(16,), record='1 epoch')\n"
        f"rs.train(r, runs=12, out={str(tmp_path / 's')!r}, workers=1, stack=2)\n"
    )
    whole = rs.train(recipe(epochs=60), runs=12, out=tmp_path / "whole", workers=6, stack=2)
    small = script.replace("workers=1", "workers=6")
    process = subprocess.Popen([sys.executable, "-c", small], start_new_session=True)
    deadline = time.monotonic() + 120
    shards = tmp_path / "s" / "shards"
    while time.monotonic() < deadline and process.poll() is None and not (shards.is_dir() and any(shards.iterdir())):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in shards.iterdir() if not path.name.startswith(".")}
    study = rs.train(recipe(epochs=60), runs=12, out=tmp_path / "s", workers=6, stack=2)
    assert_same(study, whole)
    for name, stamp in before.items():
        assert (shards / name).stat().st_mtime_ns == stamp  # nothing was trained twice


@pytest.fixture
def ray_cluster(tmp_path):
    pytest.importorskip("ray", reason="ray is not installed: pip install 'runspread[ray]'")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    yield cluster, nodes
    import ray

    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
def test_ray_cluster_with_a_worker_killed_half_way(tmp_path, ray_cluster, monkeypatch):
    cluster, nodes = ray_cluster
    long = recipe(epochs=100, record="10 epochs")
    expected = rs.train(long, runs=8, out=tmp_path / "local", workers=4, stack=2)
    killed = threading.Event()

    def watch(progress: TrainingProgress) -> None:
        if progress.runs_done >= 2 and not killed.is_set():
            killed.set()
            cluster.remove_node(nodes[0], allow_graceful=False)
            cluster.add_node(num_cpus=1)

    study = rs.train(
        long,
        runs=8,
        out=tmp_path / "s",
        executor="ray",
        executor_options={"address": cluster.address},
        workers=4,
        stack=2,
        progress=watch,
    )
    assert killed.is_set()
    assert_same(study, expected)


def test_slurm_without_sbatch_is_refused(tmp_path, monkeypatch):
    """It trained on this machine without a word; the hint's option is the one that `test_slurm_adapter` trains with."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"without sbatch.*executor_options=\{'cluster': 'local'\}"):
        rs.train(recipe(), runs=2, out=tmp_path / "s", executor="slurm")
    assert not (tmp_path / "s" / "shards").exists()
