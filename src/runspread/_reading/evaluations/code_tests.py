"""EvalPlus and HumanEval: samples of programs and whether their tests pass (evals 8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .json_stream import JsonStream
from .lm_harness import records
from .one_file import OneFile
from .options import cluster_of, named

_ENDINGS = ("_eval_results", ".jsonl_results", "_results", ".jsonl", "-samples", "_samples")


def is_passed(record: Any) -> bool:
    """Whether a record is a sample of HumanEval."""
    return isinstance(record, Mapping) and "task_id" in record and "passed" in record


def read_evalplus(file: OneFile) -> None:
    """Read the samples of each task; the metric is base, or plus where both kinds of tests have to pass."""
    metric = file.choose_metric(["base", "plus"])
    with file.path.open(encoding="utf-8") as text:
        for key, value in JsonStream(text, file.path.name).entries(("eval",)):
            if key == "eval":
                task, samples = value
                for number, passed in enumerate(_samples(samples, metric)):
                    _add(file, task, passed, number)


def _samples(samples: Any, metric: str) -> list[bool | None]:
    """Return which samples of a task pass; older files hold lists of statuses."""
    if isinstance(samples, Mapping):
        base, plus = (samples.get(name) or [] for name in ("base", "plus"))
        both = zip(base, plus, strict=False) if metric == "plus" else ((one, None) for one in base)
        return [_passes(a[0]) and (b is None or _passes(b[0])) for a, b in both]
    found = [(one.get("base_status"), one.get("plus_status")) for one in samples]
    return [None if a is None else _passes(a) and (metric == "base" or _passes(b)) for a, b in found]


def _passes(status: Any) -> bool:
    return str(status).lower() in ("pass", "success", "passed")


def read_humaneval(file: OneFile) -> None:
    """Read one sample per line."""
    seen: Counter[str] = Counter()
    file.gathering.metric = "passed"
    for record in records(file.path):
        if not is_passed(record):
            file.problem("a line without task_id and passed")
            continue
        task = str(record["task_id"])
        _add(file, task, record["passed"], seen[task])
        seen[task] += 1


def _add(file: OneFile, item: str, passed: Any, sample: int) -> None:
    options = file.options
    name = file.path.stem
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    file.add(
        named(options["by"], file.path) or name,
        item,
        passed,
        sample=sample,
        seed=named(options["seed"], file.path) or "",
        cluster=cluster_of(options["clusters"], item),
    )
