"""Runs counted by workers: the same answers to the last bit, whatever the parts, and workers that are lost."""

from __future__ import annotations

import os
import signal
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread._engine import Engine, current_engine
from runspread.errors import EngineError, InputError
from runspread.studies import engine

EXAMPLES, CLASSES = 100, 12


def record(place: str | Path, *, odd: bool = False) -> rs.Study:
    labels = np.random.default_rng(0).integers(0, CLASSES, EXAMPLES)
    study = rs.create_study(place, splits={"test": labels})
    for seed in range(17):
        logits = np.random.default_rng(seed).normal(size=(EXAMPLES, CLASSES)) + 2 * np.eye(CLASSES)[labels]
        if odd and seed in (3, 11):
            logits[seed, 0] = np.inf
        with study.record(seeds=seed) as run:
            run.predictions("test", logits)
    return rs.open_study(place)


@pytest.fixture(scope="module", params=[False, True], ids=["all usable", "two unusable"])
def study(request, tmp_path_factory):
    return record(tmp_path_factory.mktemp("engine") / "study", odd=request.param)


def compare(study):
    return rs.compare(study.where(init=list(range(8))), study.where(init=list(range(8, 17))))


QUESTIONS = {
    "variance": rs.variance,
    "abstaining": lambda study: rs.variance(study, nan="abstain"),
    "calibration": rs.calibration,
    "compare": compare,
    "independence": rs.methods.variance.independence_test,
    "trimming": lambda study: rs.trimming(study, margin="true-class", replicates=3, seed=0),
    "trimming, one against the rest": lambda study: rs.trimming(study, replicates=2, seed=0),
    "selection": lambda study: rs.methods.ensembles.select_ensemble(study, size=4, split="test"),
    "sums": lambda study: rs.methods.variance.run_statistics(study).sums,
}


def answer(question: str, study: rs.Study) -> str:
    found = QUESTIONS[question](study)
    return found.to_json() if hasattr(found, "to_json") else repr(found)


@pytest.mark.filterwarnings("ignore::runspread.errors.RunspreadWarning")
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("workers", [5])
def test_any_number_of_parts_gives_the_same_bits(study, question, workers):
    expected = answer(question, study)
    with ThreadPoolExecutor(2) as pool, engine(pool, workers=workers):
        assert current_engine() is not None
        assert answer(question, rs.open_study(study.path)) == expected
    assert current_engine() is None


def test_processes_and_the_command_line(tmp_path):
    study = record(tmp_path / "study")
    words = ["variance", str(study.path), "--json"]
    expected = CliRunner().invoke(cli, words).output
    assert CliRunner().invoke(cli, [*words, "--executor", "processes", "--workers", "2"]).output == expected


def test_studies_in_stores_are_opened_by_their_urls(tmp_path):
    study = record(f"memory://{tmp_path}")
    expected = rs.variance(study).to_json()
    with ThreadPoolExecutor(2) as pool, engine(pool, workers=2):
        assert rs.variance(study).to_json() == expected


def test_digests_are_counted_the_same(tmp_path):
    study = record(tmp_path / "study", odd=True)
    expected = rs.variance(study).to_json()
    rs.studies.add_digests(study)
    with ThreadPoolExecutor(2) as pool, engine(pool, workers=3):
        assert rs.variance(rs.open_study(study.path)).to_json() == expected


def test_wrong_engines_are_refused():
    with pytest.raises(InputError, match="unknown executor"), engine("nowhere"):
        pass
    with pytest.raises(InputError, match="address= was given"), engine("processes", address="head:1"):
        pass


# ------------------------------------------------------------------ workers that are lost


def die_once(task: tuple[str, int]) -> int:
    marker, number = Path(task[0]), task[1]
    if number == 2 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def test_a_task_that_was_lost_is_done_again(tmp_path):
    with engine("processes", workers=2):
        running = current_engine()
        assert running is not None
        assert running.map(die_once, [(str(tmp_path / "died"), k) for k in range(6)]) == [0, 1, 4, 9, 16, 25]
    assert (tmp_path / "died").exists()


def test_tasks_that_are_always_lost_are_said():
    class Broken(ThreadPoolExecutor):
        def submit(self, *_):
            from concurrent.futures import Future

            future = Future()
            future.set_exception(BrokenExecutor())
            return future

    with pytest.raises(EngineError, match="3 of 3 tasks were lost 4 times"):
        Engine(lambda: Broken(1), 1).map(abs, [1, 2, 3])


def test_a_pool_that_breaks_before_it_has_all_tasks_is_made_again():
    made: list[ThreadPoolExecutor] = []

    class Breaks(ThreadPoolExecutor):
        def submit(self, function, *task):
            if len(made) == 1 and task[0] == -3:
                raise BrokenExecutor
            return super().submit(function, *task)

    def make() -> ThreadPoolExecutor:
        made.append(Breaks(1))
        return made[-1]

    assert Engine(make, 1).map(abs, [-1, -2, -3, -4]) == [1, 2, 3, 4]
    assert len(made) == 2


@pytest.mark.slow
def test_a_ray_cluster_that_loses_a_worker(tmp_path):
    pytest.importorskip("ray")
    study = record(tmp_path / "study", odd=True)
    expected = [rs.variance(study).to_json(), rs.calibration(study).to_json()]
    with engine("ray", workers=2):
        running = current_engine()
        assert running is not None
        assert running.map(die_once, [(str(tmp_path / "died"), k) for k in range(6)]) == [0, 1, 4, 9, 16, 25]
        assert [rs.variance(study).to_json(), rs.calibration(study).to_json()] == expected
    import ray

    ray.shutdown()
