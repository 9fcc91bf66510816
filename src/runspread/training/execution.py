"""Where and how runs are trained: the keywords that every verb which trains takes, and what they are when omitted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypedDict

from .._checks import check_choice, check_integers, check_keywords
from ..errors import InputError
from .progress import TrainingProgress

EXECUTORS = ("local", "processes", "ray", "slurm")
Progress = Callable[[TrainingProgress], None]


class Execution(TypedDict, total=False):
    """Keywords of every verb that trains runs: where and how; none of them changes what is trained.

    Attributes
    ----------
    executor : {"local", "processes", "ray", "slurm"} or concurrent.futures.Executor
        Where shards are trained (default "local"): in threads of this process, in processes of this machine, on a Ray
        cluster, through a Slurm queue. All but "local" write to the study's folder on their own, so it must be one that
        they share.
    executor_options : mapping or None
        For "ray": ``address`` ("HOST:PORT"), ``cpus`` and ``gpus`` (fractions too) per shard. For "slurm": ``folder``,
        ``cluster``, and what submitit takes (``slurm_partition``, ``timeout_min``, ``gpus_per_node``).
    workers : int or None
        Shards that are trained at once; by default one per core, or one per GPU.
    stack : int or "auto"
        Runs that are trained together as one batched program; "auto" (the default) measures.
    device : str
        "cpu", "cuda", "cuda:1", or "auto" (the default): a GPU where there is one.
    retries : int
        How often a shard is trained again whose worker was lost (default 2).
    shard_timeout : float or None
        Seconds after which a shard counts as hanging: it is given up and named at the end. None (the default) waits.
    progress : callable or None
        Called several times a second with a `TrainingProgress`.
    """

    executor: str | Executor
    executor_options: Mapping[str, Any] | None
    workers: int | None
    stack: int | str
    device: str
    retries: int
    shard_timeout: float | None
    progress: Progress | None


@dataclass(frozen=True, kw_only=True)
class ExecutionPlan:
    """`Execution` with its defaults, checked."""

    executor: str | Executor = "local"
    executor_options: Mapping[str, Any] | None = None
    workers: int | None = None
    stack: int | str = "auto"
    device: str = "auto"
    retries: int = 2
    shard_timeout: float | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if isinstance(self.executor, str):
            check_choice(self.executor, "executor", EXECUTORS)
        _check_options(self.executor, self.options)
        if self.stack != "auto" and (isinstance(self.stack, str) or self.stack < 1):
            raise InputError(f"got stack={self.stack!r}", "how many runs to batch, or 'auto'")
        check_integers(1 if self.workers is None else self.workers, "workers", 1, None)
        check_integers(self.retries, "retries", 0, None)
        if self.shard_timeout is not None and not self.shard_timeout > 0:
            raise InputError(f"got shard_timeout={self.shard_timeout}", "seconds above 0")

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the executor."""
        return self.executor_options or {}

    @property
    def here(self) -> bool:
        """Whether runs are trained on this machine; a worker elsewhere chooses for itself how."""
        return self.executor in ("local", "processes")


def execution_plan(given: Mapping[str, Any], what: str) -> ExecutionPlan:
    """Return the keywords of `Execution` that were given to the verb `what`, with the defaults of the others."""
    check_keywords(given, Execution.__annotations__, what)
    return ExecutionPlan(**given)


def _check_options(executor: str | Executor, options: Mapping[str, Any]) -> None:
    """Raise for options that the executor would ignore; Slurm's are submitit's, which knows them."""
    if executor == "slurm" and options.get("cluster") is None and shutil.which("sbatch") is None:
        raise InputError(
            "got executor 'slurm' on a machine without sbatch",
            "a machine that can submit to Slurm",
            "To try the same path with processes here, say so: executor_options={'cluster': 'local'}, on the command "
            "line --executor-set cluster=local.",
        )
    if executor == "ray":
        check_keywords(options, ("address", "cpus", "gpus"), "ray")
    elif options and executor != "slurm":
        raise InputError(
            f"got {', '.join(options)} for {f'executor {executor!r}' if isinstance(executor, str) else 'an executor'}",
            "options only for executor 'ray' or 'slurm'",
            "Without one, workers= and device= say where shards are trained.",
        )
