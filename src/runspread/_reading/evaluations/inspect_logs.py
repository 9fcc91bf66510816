"""Inspect: ``.eval`` (a zip of samples) and ``.json`` logs (evals 8)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..plain_files import UnfitJsonError, parse_log
from .json_stream import LARGEST, JsonStream
from .one_file import OneFile
from .options import cluster_of, named
from .zstandard import ZSTANDARD, unpacked

_REDUCED = ("accuracy", "mean")


def is_header(value: Any) -> bool:
    """Whether the key ``eval`` of a JSON file is that of a log."""
    return isinstance(value, Mapping) and "task" in value and "model" in value


def read_zip(file: OneFile) -> None:
    """Read a ``.eval`` log."""
    try:
        with zipfile.ZipFile(file.path) as archive:
            log = _Log(file)
            names = archive.namelist()
            log.header(_header(archive, names))
            for name in names:
                if name.startswith("samples/") and name.endswith(".json"):
                    log.sample(_member(archive, name))
            log.end()
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InputError(f"{file.path.name} is a broken zip ({error})", "a log of Inspect") from error


def read_json(file: OneFile) -> None:
    """Read a ``.json`` log, a sample at a time."""
    with file.path.open(encoding="utf-8") as text:
        head: dict[str, Any] = {}
        log = None
        for key, value in JsonStream(text, file.path.name).entries(("samples", "reductions")):
            if key == "samples":
                if log is None:
                    log = _Log(file)
                    log.header(head)
                log.sample(value)
            elif key != "reductions":
                head[key] = value
        if log is None:
            file.problem("no samples in the log")
        else:
            log.end()


def _header(archive: zipfile.ZipFile, names: list[str]) -> Mapping[str, Any]:
    if "header.json" in names:
        return _member(archive, "header.json")
    if "_journal/start.json" in names:
        return {**_member(archive, "_journal/start.json"), "status": "unfinished"}
    raise InputError("a zip without header.json", "a log of Inspect")


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    info = archive.getinfo(name)
    if info.file_size > LARGEST:
        raise InputError(f"{name} unpacks to more than {LARGEST >> 20} MiB", "a sample of a log")
    data = unpacked(archive, info) if info.compress_type == ZSTANDARD else archive.read(info)
    try:
        return parse_log(data)
    except UnfitJsonError as error:
        raise InputError(f"{name} is not what Inspect writes ({error})", "a log of Inspect") from error


class _Log:
    """A log that is being read."""

    def __init__(self, file: OneFile) -> None:
        self._file = file
        self._eval: Mapping[str, Any] = {}
        self._head: Mapping[str, Any] = {}
        self._model = self._metric = self._seed = self._prompt = ""
        self._known: list[str] = []
        self._lost = self._read = 0

    def header(self, head: Mapping[str, Any]) -> None:
        """Take model, training and scorers from the header."""
        found = head.get("eval")
        if not (isinstance(found, Mapping) and is_header(found)):
            raise InputError(f"{self._file.path.name} has no header of a log", "a log of Inspect")
        self._head, self._eval = head, found
        path, options = self._file.path, self._file.options
        self._model = named(options["by"], path, self._eval, head) or str(self._eval["model"])
        self._seed = named(options["seed"], path, self._eval, head) or ""
        self._prompt = named(options["prompt"], path, self._eval, head) or ""
        status = head.get("status", "success")
        if status != "success":
            self._file.problem(f"the log has the status {status}")

    def sample(self, record: Mapping[str, Any]) -> None:
        """Add the score of one item in one epoch."""
        item = str(record.get("id"))
        scores = record.get("scores")
        if scores is None and record.get("score") is not None:
            scores = {"score": record["score"]}
        if not isinstance(scores, Mapping) or not scores:
            self._lost += 1
            value = None
        else:
            value = self._value(scores)
        self._read += 1
        self._file.add(
            self._model,
            item,
            value,
            task=str(self._eval["task"]),
            seed=self._seed,
            prompt=self._prompt,
            sample=record.get("epoch", 1),
            cluster=cluster_of(self._file.options["clusters"], item, record),
        )

    def _value(self, scores: Mapping[str, Any]) -> Any:
        """Return the value of the scorer that is read; one with several values is named scorer.key."""
        if not self._metric:
            self._known = _scorers(scores, self._eval)
            self._metric = self._file.choose_metric(self._known)
        if self._metric in scores:
            return _plain(scores[self._metric])
        scorer, _, key = self._metric.partition(".")
        inside = _plain(scores.get(scorer))
        return inside.get(key) if isinstance(inside, Mapping) else None

    def end(self) -> None:
        """Name what has no score, and hold the mean against the reported one."""
        if not self._metric:
            self._file.problem("no scorer ran" if self._read else "no samples in the log")
            return
        if self._lost:
            self._file.problem(f"{self._lost} of {self._read} answers have no score (an error, or none was given)")
        results = self._head.get("results")
        scores = results.get("scores", []) if isinstance(results, Mapping) else []
        for one in scores if isinstance(scores, list) else []:
            if isinstance(one, Mapping) and one.get("name") == self._metric and _takes_means(self._eval, one):
                metrics = one.get("metrics", {})
                for name in _REDUCED:
                    if isinstance(metrics, Mapping) and isinstance(metrics.get(name), Mapping):
                        self._file.compare(metrics[name].get("value"), name)


def _takes_means(header: Mapping[str, Any], score: Mapping[str, Any]) -> bool:
    """Whether epochs are reduced by their mean."""
    config = header.get("config")
    reducers = config.get("epochs_reducer") if isinstance(config, Mapping) else None
    return score.get("reducer") in (None, "mean") and reducers in (None, ["mean"])


def _scorers(scores: Mapping[str, Any], header: Mapping[str, Any]) -> list[str]:
    """Return the names of scores, in the order of the header."""
    listed = header.get("scorers") or []
    order = [str(one.get("name")) for one in listed if isinstance(one, Mapping)]
    names = sorted(scores, key=lambda name: order.index(name) if name in order else len(order))
    found: list[str] = []
    for name in names:
        value = _plain(scores[name])
        found += [f"{name}.{key}" for key in value] if isinstance(value, Mapping) else [name]
    return found


def _plain(score: Any) -> Any:
    return score.get("value") if isinstance(score, Mapping) and "value" in score else score


def looks_like_log(path: Path) -> bool:
    """Whether a file is a zip with samples."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.startswith(("samples/", "_journal/", "header.json")) for name in archive.namelist())
