"""lm-evaluation-harness: ``samples_TASK_DATE.jsonl`` with ``results_DATE.json`` beside it (evals 8)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..plain_files import UnfitJsonError, parse_log, read_json
from .json_stream import LARGEST, JsonStream
from .one_file import OneFile
from .options import cluster_of, named
from .values import is_score

_NAME = re.compile(r"samples_(.+?)_(\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl?$")
_STRUCTURE = {
    *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"),
    *("doc_hash", "prompt_hash", "target_hash"),
}


def is_samples(record: Any) -> bool:
    """Whether a record is an answer that the harness logged."""
    return isinstance(record, Mapping) and "doc_id" in record and bool({"resps", "filtered_resps"} & record.keys())


def read_samples(file: OneFile) -> None:
    """Read the answers of a task."""
    found = _NAME.search(file.path.name)
    task = found[1] if found else file.path.stem.removeprefix("samples_")
    results = _results(file.path, found[2] if found else "")
    model, where = _model(file, results), _Where(file, task, results)
    for record in records(file.path):
        if not is_samples(record):
            file.problem("a line that is no logged answer")
            continue
        where.add(model, record)
    where.end()


class _Where:
    """Where the answers of one task go: the filter, the metric, the item of each."""

    def __init__(self, file: OneFile, task: str, results: Mapping[str, Any]) -> None:
        self._file, self._task, self._results = file, task, results
        self._filters: dict[str, None] = {}
        self._metric = ""
        self._docs: dict[str, Any] = {}
        options = file.options
        self._seed = named(options["seed"], file.path, results, results.get("config"))
        self._prompt = named(options["prompt"], file.path, results, results.get("config")) or _draw(results, task)

    def add(self, model: str, record: Mapping[str, Any]) -> None:
        """Add the answer of a line, if it is of the filter that is read."""
        name = str(record.get("filter", "none"))
        self._filters[name] = None
        if name != (self._file.options["filter"] or next(iter(self._filters))):
            return
        if not self._metric:
            self._metric = self._file.choose_metric(_metrics(record))
        digest = record.get("doc_hash")
        item = self._item(record, digest)
        self._file.add(
            model,
            item,
            record.get(self._metric),
            task=self._task,
            seed=self._seed or "",
            prompt=self._prompt,
            cluster=cluster_of(self._file.options["clusters"], item, record),
        )

    def _item(self, record: Mapping[str, Any], digest: Any) -> str:
        """Return what an item is known by: the hash of the question, numbered where a data set repeats one."""
        doc = str(record["doc_id"])
        if digest is None:
            return doc
        taken = self._docs.setdefault(digest, {})
        return f"{digest}{f' {taken[doc]}' if taken.setdefault(doc, len(taken)) else ''}"

    def end(self) -> None:
        """Say which filters there are, and hold the mean against the reported one."""
        asked, known = self._file.options["filter"], list(self._filters)
        if known and (asked or len(known) > 1):
            self._file.choose_metric(known, "filter")
        filter_ = asked or (known[0] if known else "none")
        reported = _step(self._results, "results", self._task)
        if isinstance(reported, Mapping):
            self._file.compare(reported.get(f"{self._metric},{filter_}", reported.get(self._metric)), self._metric)


def _metrics(record: Mapping[str, Any]) -> list[str]:
    """Return the scores of a line: those it lists, or in old files the numbers that are not its structure."""
    listed = record.get("metrics")
    names = listed if isinstance(listed, list) else [name for name in record if name not in _STRUCTURE]
    found = [str(name) for name in names if is_score(record.get(name))]
    if not found:
        raise InputError("lines without a score that is one number", "a metric such as acc or exact_match")
    return found


def _model(file: OneFile, results: Mapping[str, Any]) -> str:
    """Return the model's name; without arguments the harness writes a random label."""
    given = named(file.options["by"], file.path, results, results.get("config"))
    if given is not None:
        return given
    name = results.get("model_name") or _pretrained(results) or _step(results, "config", "model")
    if not name:
        return file.path.parent.name
    if not _step(results, "config", "model_args"):
        file.gathering.note(
            f"The model is called {name}, which lm-evaluation-harness may have made up: name models with --by DIR or "
            "a key of the results."
        )
    return str(name)


def _pretrained(results: Mapping[str, Any]) -> str | None:
    """Return the name of the weights in the arguments, which old results have instead of the model's."""
    found = re.search(r"(?:pretrained|model)=([^,]+)", str(_step(results, "config", "model_args")))
    return found[1] if found else None


def _draw(results: Mapping[str, Any], task: str) -> str:
    """Return the prompt that a few-shot seed draws, where there are shots; it is no training seed."""
    shots, seed = _step(results, "n-shot", task), _step(results, "config", "fewshot_seed")
    return f"few-shot seed {seed}" if shots and seed is not None else ""


def _results(path: Path, date: str) -> Mapping[str, Any]:
    """Return the results beside the answers: of the same date, else of the only run there."""
    beside = sorted(path.parent.glob("results*.json"))
    same = [one for one in beside if date and date in one.name]
    chosen = same or (beside if len(beside) == 1 else [])
    if not chosen:
        return {}
    try:
        found = read_json(chosen[0], constants=True)
    except (OSError, UnfitJsonError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _step(place: Any, *names: str) -> Any:
    for name in names:
        place = place.get(name) if isinstance(place, Mapping) else None
    return place


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a file with one per line, or, as old versions wrote it, of one list."""
    with path.open(encoding="utf-8-sig") as lines:
        stream = JsonStream(lines, path.name)
        if stream.kind() == "[":
            yield from stream.elements()
            return
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(LARGEST + 1), "")):
            if len(line) > LARGEST:
                raise InputError(f"line {number + 1} of {path.name} has more than {LARGEST >> 20} MiB", "one record")
            if not line.strip():
                continue
            try:
                yield parse_log(line)
            except UnfitJsonError:
                raise InputError(f"line {number + 1} of {path.name} is no JSON", "one record per line") from None
