"""From raw runs to the neutral ones: seeds, hyperparameters, curves and statuses of all runs together."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from .._words import count, listed
from . import statuses
from .curves import PLACEHOLDER, settle
from .hyperparameters import belongs_to_the_run, configuration_id, flat, read_back, unique_keys
from .options import Options
from .records import Curve, ImportedRun, Problem, RawRun, Resolved, Source
from .seeds import IN_NAME, KEYS, ROLES, SPLIT_SEEDS, FoundSeeds, find_seeds, plain_key, seed_in_name

LEFT_OUT = (
    "*_runtime", "*_per_second", "time/*", "_runtime", "_timestamp", "_step", "system/*", "system.*", "total_flos",
    "epoch",
)  # fmt: skip


@dataclass
class Assembled:
    """All runs of an import, and what is to be said of them together."""

    runs: list[ImportedRun] = field(default_factory=list[ImportedRun])
    problems: list[Problem] = field(default_factory=list[Problem])
    ignored: list[str] = field(default_factory=list[str])  # keys that are no part of a configuration
    notes: list[str] = field(default_factory=list[str])
    deleted: list[str] = field(default_factory=list[str])  # runs that their tracker keeps as deleted: excluded


@dataclass
class _Known:
    """What is known of one run before it is written down."""

    raw: RawRun
    config: dict[str, Any]
    seeds: FoundSeeds = field(default_factory=FoundSeeds)
    notes: list[str] = field(default_factory=list[str])


def assemble(raws: Sequence[RawRun], options: Options) -> Assembled:
    """Return the runs of an import.

    Parameters
    ----------
    raws : sequence of RawRun
        What the readers found, of all formats.
    options : Options
        What was asked for.
    """
    found = Assembled(deleted=[raw.id for raw in raws if raw.status == statuses.DELETED])
    known = [_Known(raw, {}) for raw in raws if raw.status != statuses.DELETED]
    for item in known:
        item.config = flat(item.raw.config, item.notes)
    for name in {item.raw.format for item in known if item.raw.text_only}:
        read_back([item.config for item in known if item.raw.format == name])
    _find_seeds(known, options, found)
    _drop_what_is_unique(known, options, found)
    for item in known:
        _take(item, options, found)
    found.runs = _named_apart(found.runs)
    _compare_with_group(found)
    return found


# ------------------------------------------------------------------ seeds


def _find_seeds(known: Sequence[_Known], options: Options, found: Assembled) -> None:
    for item in known:
        item.seeds = find_seeds(item.config, item.raw.seeds, options.seed_keys)
        _keep_split_seed(item)
    _from_names(known, options, found)
    splits = {item.config.get("split_seed") for item in known}
    if len(splits) > 1:
        found.notes.append(
            "runs differ in the seed of their split (split_seed): they saw other examples, share no predictions, and "
            "are not repetitions of each other"
        )


def _keep_split_seed(item: _Known) -> None:
    for key in list(item.config):
        if plain_key(key) in SPLIT_SEEDS and key != "split_seed" and "split_seed" not in item.config:
            item.config["split_seed"] = item.config.pop(key)


def _from_names(known: Sequence[_Known], options: Options, found: Assembled) -> None:
    """Take seeds from names of folders, where that is asked for or the only source; name contradictions."""
    pattern = options.seed_from_name or IN_NAME
    named = [(item, seed_in_name(f"{item.raw.path}", pattern)) for item in known]
    no_key = not any(item.seeds.seeds or _has_seed_key(item.config, options) for item in known)
    only_source = no_key and bool(known) and all(seed is not None for _, seed in named)
    for item, seed in named:
        if seed is None:
            continue
        if item.seeds.seeds:
            if set(item.seeds.seeds.values()) != {seed} and seed not in item.seeds.seeds.values():
                key = next(iter(item.seeds.keys.values()))
                item.notes.append(f"{key} is {next(iter(item.seeds.seeds.values()))}, but the name says {seed}")
        elif options.seed_from_name or only_source:
            item.seeds.seeds = dict.fromkeys(ROLES, seed)
            item.seeds.keys = dict.fromkeys(ROLES, "the name")
    if only_source and not options.seed_from_name:
        found.notes.append(f"the seeds are those in the names of the runs ({IN_NAME}); no run keeps its own")


def _has_seed_key(config: Mapping[str, Any], options: Options) -> bool:
    return any(plain_key(key) in KEYS or key in options.seed_keys for key in config)


# ------------------------------------------------------------------ hyperparameters


def _drop_what_is_unique(known: Sequence[_Known], options: Options, found: Assembled) -> None:
    ignored: dict[str, None] = {}
    for item in known:
        for key in [key for key in item.config if belongs_to_the_run(key, options.ignore)]:
            del item.config[key]
            ignored[key] = None
        for key in item.seeds.taken & item.config.keys():
            del item.config[key]
    by_format: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in known:
        by_format[item.raw.format].append(item.config)
    for configs in by_format.values():
        for key in unique_keys(configs):
            ignored[key] = None
            for config in configs:
                config.pop(key, None)
    found.ignored = list(ignored)


# ------------------------------------------------------------------ curves and status


def wanted_metric(name: str, options: Options) -> bool:
    """Whether a metric is taken: one of those asked for, else one that is no runtime, throughput or step."""
    if options.metrics is not None:
        return any(fnmatchcase(name, pattern) for pattern in options.metrics)
    return not any(fnmatchcase(name, pattern) for pattern in LEFT_OUT)


def _take(item: _Known, options: Options, found: Assembled) -> None:
    """Write down one run, or those that its log is split into; a problem names it and goes on."""
    raw = item.raw
    settle(raw, options.restarts)
    settled = raw.settled
    assert settled is not None
    if settled.refused:
        found.problems.append(Problem(raw.path, settled.refused))
    for number, part in enumerate(settled.parts):
        name = raw.id if not number else f"{raw.id}#{number + 1}"
        if settled.placeholder:
            part.curves.pop(PLACEHOLDER, None)
        found.runs.append(_written(item, name, part, options, last=number == len(settled.parts) - 1))


def _written(item: _Known, id: str, part: Resolved, options: Options, *, last: bool) -> ImportedRun:
    raw = item.raw
    curves = part.curves
    summary = dict(part.summary) | (dict(raw.summary) if last else {})
    summary |= {name: float(curve.values[0]) for name, curve in curves.items() if len(curve.values) == 1}
    status, evidence = _status(raw, curves, summary, last=last)
    left_out = dict(raw.left_out)
    hidden = frozenset(name for name in (*curves, *summary) if name in raw.media or not wanted_metric(name, options))
    left_out |= {f"metric {name}": len(curves[name].values) for name in curves if name in hidden}
    hyperparameters = item.config
    return ImportedRun(
        id=id,
        name=raw.name or id,
        source=_source(raw, curves, summary, item, status),
        seeds=dict(item.seeds.seeds),
        seed_keys=dict(item.seeds.keys),
        hyperparameters=hyperparameters,
        configuration=_configuration(item, options),
        curves=curves,
        raw=part.raw,
        summary=summary,
        status=status,
        evidence=evidence,
        error=raw.error,
        outputs=tuple(raw.outputs),
        checkpoints=tuple(raw.checkpoints),
        left_out=left_out,
        notes=tuple(dict.fromkeys([*item.notes, *item.seeds.notes, *raw.notes, *part.notes])),
        started=raw.started,
        parent=raw.parent,
        hidden=hidden,
        place=raw.place,
    )


def _configuration(item: _Known, options: Options) -> str | None:
    if not item.raw.has_config and options.config != "all-equal":
        return None
    return configuration_id({} if options.config == "all-equal" and not item.raw.has_config else item.config)


def _status(raw: RawRun, curves: Mapping[str, Curve], summary: Mapping[str, float], *, last: bool) -> tuple[str, str]:
    if not curves and not summary:
        said = "" if raw.status == "unknown" else f" ({raw.status}: {raw.evidence})"
        return statuses.EMPTY, f"no curve and no summary{said}"
    lost = statuses.diverged(curves)
    if lost:
        return statuses.DIVERGED, lost
    if not last:
        return statuses.UNKNOWN, "the log goes on with another run"
    return raw.status, raw.evidence


def _source(
    raw: RawRun, curves: Mapping[str, Curve], summary: Mapping[str, float], item: _Known, status: str
) -> Source:
    sizes = [path.lstat().st_size for path in dict.fromkeys(raw.files) if path.exists()]
    facts = digest_of(curves, summary, item.config, item.seeds.seeds, status)
    return Source(raw.format, raw.path, len(sizes), sum(sizes), facts, raw.library)


def digest_of(
    curves: Mapping[str, Curve],
    summary: Mapping[str, float],
    config: Mapping[str, Any],
    seeds: Mapping[str, int],
    status: str,
) -> str:
    """Return the digest of all that was read of a run."""
    found = hashlib.sha256()
    for name in sorted(curves):
        found.update(name.encode(errors="replace"))
        found.update(np.ascontiguousarray(curves[name].steps).tobytes())
        found.update(np.ascontiguousarray(curves[name].values).tobytes())
    plain = {name: repr(value) for name, value in summary.items()}
    found.update(json.dumps([plain, config, seeds, status], sort_keys=True, default=str).encode())
    return found.hexdigest()[:16]


# ------------------------------------------------------------------ all runs together


def _named_apart(runs: Sequence[ImportedRun]) -> list[ImportedRun]:
    """Prefix ids with their format, and then with a number, where two collide."""
    counts: dict[str, int] = defaultdict(int)
    for run in runs:
        counts[run.id] += 1
    used: set[str] = set()
    named: list[ImportedRun] = []
    for run in runs:
        name = run.id if counts[run.id] == 1 else f"{run.source.format}:{run.id}"
        number, base = 1, name
        while name in used:
            number += 1
            name = f"{base} ({number})"
        used.add(name)
        named.append(run if name == run.id else replace(run, id=name))
    return named


def groups(runs: Sequence[ImportedRun]) -> dict[str, list[ImportedRun]]:
    """Return the runs of each configuration; those without one are a group for each format."""
    found: dict[str, list[ImportedRun]] = defaultdict(list)
    for run in runs:
        found[run.configuration or f"unknown, {run.source.format}"].append(run)
    return found


def _compare_with_group(found: Assembled) -> None:
    """Say which runs end before their group, which share one seed, and which are copies."""
    by_id = {run.id: run for run in found.runs}
    for group in groups(found.runs).values():
        lengths = {run.id: _last_step(run) for run in group}
        longest = max(lengths.values(), default=0)
        for run in group:
            if run.status == statuses.UNKNOWN and 0 <= lengths[run.id] < statuses.SHORTER * longest:
                note = f"shorter than its group: it ends at step {lengths[run.id]}, others at {longest}"
                by_id[run.id] = replace(run, notes=(*run.notes, note))
        _say_shared_seed(group, found)
        _say_copies(group, found)
    found.runs = [by_id[run.id] for run in found.runs]


def _last_step(run: ImportedRun) -> int:
    return max((int(curve.steps[-1]) for curve in run.curves.values() if len(curve.steps)), default=-1)


def _say_shared_seed(group: Sequence[ImportedRun], found: Assembled) -> None:
    seeds = [tuple(sorted(run.seeds.items())) for run in group if run.seeds]
    if group[0].configuration is not None and len(seeds) > 1 and len(set(seeds)) == 1:
        number = seeds[0][0][1]
        found.notes.append(
            f"{count(len(seeds), 'run')} of one configuration have the same seed, {number}: what differs between them "
            "is not the seed"
        )


def _say_copies(group: Sequence[ImportedRun], found: Assembled) -> None:
    """Name runs whose curves are equal to the last digit."""
    alike: dict[str, list[str]] = defaultdict(list)
    for run in group:
        if any(len(curve.values) > 1 for curve in run.curves.values()):
            alike[_curves_digest(run.curves)].append(run.id)
    for ids in alike.values():
        if len(ids) > 1:
            found.notes.append(
                f"the curves of {listed(ids)} are equal to the last digit: copies, or one seed, and one run for any "
                "answer about spread"
            )


def _curves_digest(curves: Mapping[str, Curve], keep: Callable[[str], bool] = lambda name: not _is_time(name)) -> str:
    return digest_of({name: curve for name, curve in curves.items() if keep(name)}, {}, {}, {}, "")


def _is_time(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in LEFT_OUT)


def double_readings(runs: Sequence[ImportedRun]) -> list[tuple[str, str]]:
    """Return pairs of ids that are one training in two formats: equal last values of two metrics, or one start."""
    pairs: list[tuple[str, str]] = []
    for position, run in enumerate(runs):
        for other in runs[:position]:
            if run.source.format != other.source.format and _same_training(run, other):
                pairs.append((other.id, run.id))
                break
    return pairs


def _same_training(a: ImportedRun, b: ImportedRun) -> bool:
    shared = [name for name in a.curves.keys() & b.curves.keys() if not _is_time(name)]
    equal = [
        name
        for name in shared
        if np.isclose(a.curves[name].values[-1], b.curves[name].values[-1], rtol=1e-6, atol=0)
        and a.curves[name].values[-1] not in (0, 1)
    ]
    if len(equal) >= 2:
        return True
    return bool(equal and a.started is not None and b.started is not None and abs(a.started - b.started) < 60)
