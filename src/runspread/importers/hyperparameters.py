"""Hyperparameters of all runs: flat, comparable, without what is unique to a run or personal."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from .seeds import plain_key
from .values import typed

_LONGEST = 1000
# Keys that say where, when or by whom a run was made, not what it is; compared like keys of seeds.
_OF_THE_RUN = frozenset(
    [
        "output_dir",
        "logging_dir",
        "log_dir",
        "logdir",
        "save_dir",
        "run_name",
        "run_id",
        "run_dir",
        "runid",
        "exp_dir",
        "ckpt_dir",
        "checkpoint_dir",
        "checkpoint_path",
        "checkpoint_folder",
        "default_root_dir",
        "results_dir",
        "result_dir",
        "work_dir",
        "working_dir",
        "workdir",
        "path",
        "base_dir",
        "root_dir",
        "cwd",
        "project_dir",
        "cache_dir",
        "_wandb",
        "wandb_version",
        "wandb_run_id",
        "host",
        "hostname",
        "node",
        "node_name",
        "user",
        "username",
        "user_name",
        "email",
        "e_mail",
        "command",
        "cmd",
        "argv",
        "program",
        "executable",
        "python_executable",
        "pid",
        "process_id",
        "port",
        "master_port",
        "master_addr",
        "timestamp",
        "datetime",
        "start_time",
        "started",
        "end_time",
        "created_at",
        "finished_at",
        "uuid",
        "job_id",
        "slurm_job_id",
        "hub_token",
        "push_to_hub_token",
        "api_key",
        "password",
        "secret",
        "local_rank",
    ]
)
# Keys that say so where their values differ from run to run; where some runs share one, it may be a choice.
_IF_UNIQUE = frozenset(
    [
        "version",
        "time",
        "date",
        "commit",
        "git_commit",
        "commit_hash",
        "notebook_hash",
        "token",
        "name",
        "experiment_id",
    ]
)
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.]+")
_HOME = re.compile(r"(/home|/Users|[A-Za-z]:\\Users|[A-Za-z]:/Users)[/\\][^/\\\s'\"]+|/root(?=/|$)")


def flat(config: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return a nested configuration with dotted names; lists stay, as plain values.

    A key that has a dot of its own and means the same as a nested one is named in `notes`.
    """
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Any, int]] = [(str(key), value, 0) for key, value in config.items()]
    waiting.reverse()
    while waiting:
        name, value, depth = waiting.pop()
        if isinstance(value, Mapping) and value and depth < 50:
            inside = [(f"{name}.{key}", item, depth + 1) for key, item in value.items()]
            waiting += reversed(inside)
            continue
        if name in found:
            notes.append(f"the configuration has {name} twice, nested and with a dot: the first is taken")
            continue
        found[name] = plain_value(value)
    return found


def plain_value(value: Any) -> Any:
    """Return a value as a study holds it: numbers, text, booleans, None, or lists of them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()} if value else {}
    if isinstance(value, (list, tuple)):
        plain = [plain_value(item) for item in value]
        text = json.dumps(plain)
        return plain if len(text) <= 10 * _LONGEST else _short(text)
    return f"<{type(value).__name__}, not read>"


def without_names(text: str) -> str:
    """Return text without e-mail addresses and home folders: a study may be shared."""
    return _HOME.sub("~", _MAIL.sub("<e-mail>", text))


def _short(text: str) -> str:
    text = without_names(text)
    if len(text) <= _LONGEST:
        return text.encode(errors="replace").decode()
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
    return f"<text of {len(text)} characters, sha256 {digest}>"


def read_back(configs: Sequence[dict[str, Any]]) -> None:
    """Read numbers, truth values and None back from text, of each key where every run's value allows it."""
    for key in dict.fromkeys(key for config in configs for key in config):
        texts = [config[key] for config in configs if key in config]
        if not all(isinstance(text, str) for text in texts):
            continue
        values = [typed(text) for text in texts]
        if any(isinstance(value, str) for value in values):
            continue
        for config in configs:
            if key in config:
                config[key] = plain_value(typed(config[key]))


def belongs_to_the_run(key: str, ignore: Sequence[str]) -> bool:
    """Whether a key says where, when or by whom a run was made, and is no part of its configuration."""
    if any(fnmatchcase(key, pattern) or plain_key(key) == plain_key(pattern) for pattern in ignore):
        return True
    return plain_key(key) in _OF_THE_RUN or key.split(".")[0] == "_wandb"


def unique_keys(configs: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return keys whose value is another in every run and a path, or one that counts runs: no choice of anybody's."""
    if len(configs) < 2:
        return set()
    found: set[str] = set()
    for key in dict.fromkeys(key for config in configs for key in config):
        values = [json.dumps(config[key]) for config in configs if key in config]
        if len(values) < 2 or len(set(values)) < len(values):
            continue
        if plain_key(key) in _IF_UNIQUE or all(_is_path(value) for value in values):
            found.add(key)
    return found


def _is_path(text: str) -> bool:
    return text.startswith('"') and ("/" in text or "\\" in text) and " " not in text


def configuration_id(hyperparameters: Mapping[str, Any]) -> str:
    """Return what is equal for equal hyperparameters."""
    text = json.dumps(hyperparameters, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
