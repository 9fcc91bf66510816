"""HELM: ``per_instance_stats.json`` with ``run_spec.json`` beside it (evals 8)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import InputError
from ..plain_files import UnfitJsonError, read_json
from .json_stream import JsonStream
from .one_file import OneFile
from .options import cluster_of, named

_METRICS = (
    *("exact_match", "quasi_exact_match", "prefix_exact_match", "quasi_prefix_exact_match", "final_number_exact_match"),
    *("chain_of_thought_correctness", "math_equiv", "math_equiv_chain_of_thought", "pass", "f1_score", "rouge_l"),
)


def is_stats(record: Any) -> bool:
    """Whether a record is an instance with its statistics."""
    return isinstance(record, Mapping) and "instance_id" in record and isinstance(record.get("stats"), list)


def read_stats(file: OneFile) -> None:
    """Read the statistics of a run's instances."""
    spec = _spec(file)
    adapter = spec.get("adapter_spec")
    model = named(file.options["by"], file.path, spec, adapter) or _model(adapter, file)
    seed = named(file.options["seed"], file.path, spec, adapter) or ""
    task = re.sub(r",?(model|model_deployment)=[^,]*", "", str(spec.get("name", file.path.parent.name))).rstrip(":,")
    metric = ""
    with file.path.open(encoding="utf-8") as text:
        for record in JsonStream(text, file.path.name).elements():
            if not is_stats(record):
                file.problem("an entry that is no instance with statistics")
                continue
            if record.get("perturbation"):
                file.gathering.counts["perturbed instance|perturbed instances"] += 1
                continue
            found = dict(_stats(record))
            if not found:
                continue  # of another split
            if not metric:
                known = [name for name in _METRICS if name in found]
                asked = file.options["metric"]
                metric = file.choose_metric([asked, *known] if asked in found and asked not in known else known)
            item = str(record["instance_id"])
            file.add(
                model,
                item,
                found.get(metric),
                task=task,
                seed=seed,
                prompt=f"few-shot draw {record.get('train_trial_index', 0)}",
                cluster=cluster_of(file.options["clusters"], item, record, spec.get("scenario_spec"), spec),
            )


def _stats(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield name and mean of the statistics of the test split that are of the question as it stands."""
    for one in record["stats"]:
        name = one.get("name", {})
        if name.get("split", "test") == "test" and not name.get("perturbation"):
            yield str(name.get("name")), one.get("mean")


def _model(adapter: Any, file: OneFile) -> str:
    name = adapter.get("model") if isinstance(adapter, Mapping) else None
    found = re.search(r"model=([^,/]+)", file.path.parent.name)
    return str(name) if name else found[1] if found else file.path.parent.name


def _spec(file: OneFile) -> Mapping[str, Any]:
    path = file.path.with_name("run_spec.json")
    try:
        found = read_json(path, constants=True) if path.is_file() else {}
    except (OSError, UnfitJsonError) as error:
        raise InputError(f"{path.name} beside {file.path.name} is not what HELM writes ({error})") from error
    return found if isinstance(found, Mapping) else {}
