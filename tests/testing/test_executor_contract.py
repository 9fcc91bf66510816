"""Threads, processes and borrowed executors keep the contract; executors that lose or change runs do not."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from runspread.testing import ExecutorTests

from .broken import failures


class TestLocal(ExecutorTests):
    loses_workers = False

    def make_executor(self):
        return "local"


@pytest.mark.slow
class TestProcesses(ExecutorTests):
    def make_executor(self):
        return "processes"


class TestThreadsOfTheCallers(ExecutorTests):
    loses_workers = False

    def make_executor(self):
        return ThreadPoolExecutor(2)


@pytest.mark.slow
class TestSlurm(ExecutorTests):
    """Its adapter, with jobs that are processes of this machine."""

    @pytest.fixture(autouse=True)
    def _cluster(self, tmp_path):
        pytest.importorskip("submitit", reason="submitit is not installed: pip install 'runspread[slurm]'")
        self.options = {"cluster": "local", "poll": 0.1, "timeout_min": 5, "folder": str(tmp_path / "jobs")}

    def make_executor(self):
        return "slurm"


@pytest.mark.slow
class TestRay(ExecutorTests):
    @pytest.fixture(autouse=True)
    def _cluster(self):
        ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'runspread[ray]'")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()

    def make_executor(self):
        return "ray"


class Now(Executor):
    """Calls at once, in this thread."""

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        try:
            future.set_result(self.call(fn, *args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def call(self, fn, *args, **kwargs):
        return fn(*args, **kwargs)


class Contract(ExecutorTests):
    loses_workers = False
    place = Now

    def make_executor(self):
        return self.place()


class Pretends(Now):
    """Says that all went well, and does nothing."""

    def call(self, fn, *args, **kwargs):
        return "shard"


class LosesAll(Now):
    def call(self, fn, *args, **kwargs):
        raise BrokenExecutor("the machine is gone")


class OtherSeeds(Now):
    """Trains with other seeds than it was told."""

    def call(self, fn, *args, **kwargs):
        job = fn.args[0]
        first = job.plans[0]
        from runspread.studies import Seeds

        plans = (type(first)(first.id, Seeds(init=1, order=1, augment=1), first.hyperparameters), *job.plans[1:])
        return fn.func(replace(job, plans=plans))


class Hushes(Now):
    """Keeps errors to itself."""

    def call(self, fn, *args, **kwargs):
        try:
            return fn(*args, **kwargs)
        except Exception:
            return "shard"


class ClosesItself(ThreadPoolExecutor):
    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        if fn is not int:
            self.closed = True
        elif getattr(self, "closed", False):
            raise RuntimeError("cannot schedule new futures after shutdown")
        return future


SAME, REST = "the_runs_are_those_of_a_serial_training", "an_error_in_one_shard_is_named_and_the_rest_is_trained"


def test_an_executor_of_ones_own_keeps_the_contract(tmp_path):
    assert failures(Contract(), tmp_path) == set()


@pytest.mark.parametrize(
    ("place", "caught"),
    [
        (Pretends, SAME),
        (LosesAll, SAME),
        (OtherSeeds, SAME),
        (Hushes, REST),
        (ClosesItself, "an_executor_of_the_callers_stays_open"),
    ],
)
def test_a_broken_executor_is_found(tmp_path, place, caught):
    contract = Contract()
    contract.place = place
    assert caught in failures(contract, tmp_path)


def test_workers_that_cannot_die_are_found(tmp_path):
    """A contract that says it loses workers, of an executor whose workers are this process."""
    contract = Contract()
    contract.loses_workers = True
    assert failures(contract, tmp_path) == {"a_lost_worker_is_replaced"}
