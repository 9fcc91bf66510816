"""A run before it is written: what a trainer, a recorder or an importer hands to ``Study.publish``."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._checks import check_choice, to_numpy
from .._reading.plain_files import parse_json
from ..errors import InputError

Status = Literal["completed", "diverged", "failed"]
_END = 2**63  # of seeds
_DEEPEST = 8  # levels of nesting in hyperparameters, so that a record of them stays within what is read
STATUSES: tuple[Status, ...] = ("completed", "diverged", "failed")


class Seeds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Seeds of one run, by the role that each plays. None where the role's seed is unknown or does not exist.

    Parameters
    ----------
    init : int, optional
        Seed of the initial weights.
    order : int, optional
        Seed of the order in which examples are shown.
    augment : int, optional
        Seed of augmentation and dropout.
    """

    init: int | None = None
    order: int | None = None
    augment: int | None = None

    def __post_init__(self) -> None:
        for role in SEED_ROLES:
            seed = getattr(self, role)
            if seed is not None and not (type(seed) is int and 0 <= seed < _END):
                msgspec.structs.force_setattr(self, role, _checked_seed(seed, role))

    def to_dict(self) -> dict[str, int | None]:
        """Return role to seed."""
        return {role: getattr(self, role) for role in SEED_ROLES}


def _checked_seed(seed: Any, role: str) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < _END:
        raise InputError(f"the seed is {role}={seed!r}", "a whole number from 0 to 2**63 - 1, or None")
    return number


SEED_ROLES = ("init", "order", "augment")


@dataclass(kw_only=True)
class RunRecord:
    """All that is kept of one run.

    Attributes
    ----------
    id : str
        Unique in the study; see `run_id`.
    seeds : Seeds
        Seeds by role.
    hyperparameters : dict
        What varies or identifies the configuration: strings, numbers, booleans, None, or lists of them.
    status : {"completed", "diverged", "failed"}
        How the run ended.
    error : str or None
        Why it diverged or failed: a sentence or a traceback.
    metrics : dict of str to (steps, values)
        Logged curves: steps int64 [points], strictly increasing, and values [points].
    predictions : dict of (split, step or None) to array
        Logits [examples, classes], or predicted classes [examples]; step None is the end of training.
    kinds : dict of (split, step or None) to str
        What predictions are, where it has to be noted: ``"log-probabilities"``, ``"log-odds"``, ``"logits"`` that could
        be taken for probabilities, ``"classes"``.
    labels : dict of str to array
        Labels int64 [examples] of each split in `predictions`.
    weights : dict of (step or None) to dict of str to array
        Parameters by name; step None is the end of training.
    example_ids : dict of str to str
        Digest of the examples' ids, in order, of each split where they are known (see `examples_digest`).
    source_status : str or None
        How whatever logged an imported run says that it ended: finished, crashed, killed, running, unknown.
    source : dict or None
        Where an imported run came from: format, path, digest of the values that were read.
    supersedes : str or None
        Shard with the earlier record of the same run, which this one replaces.
    """

    id: str
    seeds: Seeds = field(default_factory=Seeds)
    hyperparameters: dict[str, Any] = field(default_factory=dict[str, Any])
    status: Status = "completed"
    error: str | None = None
    metrics: dict[str, tuple[NDArray[np.int64], NDArray[Any]]] = field(
        default_factory=dict[str, tuple[NDArray[np.int64], NDArray[Any]]]
    )
    predictions: dict[tuple[str, int | None], NDArray[Any]] = field(
        default_factory=dict[tuple[str, int | None], NDArray[Any]]
    )
    kinds: dict[tuple[str, int | None], str] = field(default_factory=dict[tuple[str, int | None], str])
    labels: dict[str, NDArray[np.int64]] = field(default_factory=dict[str, NDArray[np.int64]])
    weights: dict[int | None, dict[str, NDArray[Any]]] = field(
        default_factory=dict[int | None, dict[str, NDArray[Any]]]
    )
    example_ids: dict[str, str] = field(default_factory=dict[str, str])
    source_status: str | None = None
    source: dict[str, Any] | None = None
    supersedes: str | None = None

    @property
    def is_imported(self) -> bool:
        """Whether it says what only version 2 of the format can hold of a run."""
        return any(item is not None for item in (self.source_status, self.source, self.supersedes))


def run_id(seeds: Seeds, hyperparameters: Mapping[str, Any]) -> str:
    """Return the id that a run of these seeds and hyperparameters has: the same on every machine.

    Parameters
    ----------
    seeds : Seeds
        Seeds by role.
    hyperparameters : mapping
        What identifies the configuration (plain values, as JSON holds them).
    """
    facts = {"seeds": seeds.to_dict(), "hyperparameters": dict(hyperparameters)}
    try:
        text = json.dumps(facts, sort_keys=True, allow_nan=False)
        parse_json(text, depth=_DEEPEST)
        msgspec.msgpack.encode(_plain(facts))  # which takes no whole number beyond 64 bits, as few readers do
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InputError(
            f"the hyperparameters cannot be written as JSON ({error})",
            "strings, finite numbers, booleans, None, or lists of them",
            "Convert arrays and objects to plain values, for example with float(x) or str(x).",
        ) from error
    return digest(text.encode())


def readable(record: RunRecord) -> RunRecord:
    """Return a run whose names and texts can be written: a run that was trained is kept, whatever it is called.

    What is no text in UTF-8, such as the name of a file in another encoding, is spelled with backslashes.
    """
    return replace(
        record,
        id=_spelled(record.id),
        hyperparameters=_plain(record.hyperparameters),
        error=None if record.error is None else _spelled(record.error),
        metrics={_spelled(name): curve for name, curve in record.metrics.items()},
        predictions={(_spelled(split), step): value for (split, step), value in record.predictions.items()},
        kinds={(_spelled(split), step): kind for (split, step), kind in record.kinds.items()},
        labels={_spelled(split): labels for split, labels in record.labels.items()},
        weights={step: {_spelled(name): w for name, w in held.items()} for step, held in record.weights.items()},
        example_ids={_spelled(split): _spelled(ids) for split, ids in record.example_ids.items()},
        source=_plain(record.source),
    )


def _spelled(text: str) -> str:
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _spelled(value)
    if isinstance(value, Mapping):
        return {_spelled(str(name)): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def attempt_name(name: str, attempt: int) -> str:
    """Return the id of a shard at its first, second, ... attempt."""
    return name if attempt == 1 else f"{name}-{attempt}"


def examples_digest(ids: Any, n_examples: int, split: str) -> str:
    """Return what tells examples in their order: the digest of their ids, or the one that was given.

    Parameters
    ----------
    ids : str or array_like of str or int [examples]
        A digest of one's own, or the id of each example in the order of the predictions.
    n_examples : int
        How many there are.
    split : str
        Of which split, for the error.
    """
    if isinstance(ids, str):
        return ids
    listed = np.asarray(to_numpy(ids))
    if listed.shape != (n_examples,) or len(np.unique(listed)) != n_examples:
        raise InputError(
            f"the example ids of split {split!r} have shape {listed.shape}, with {len(np.unique(listed))} distinct "
            "ones",
            f"a distinct id for each of {n_examples} examples, or one string that stands for all of them in order",
        )
    return digest("\n".join(str(item) for item in listed.tolist()).encode())


def digest(data: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of `data`: enough for ids inside one study."""
    return hashlib.sha256(data).hexdigest()[:16]


def as_seeds(seeds: Seeds | Mapping[str, int] | int | None) -> Seeds:
    """Return seeds by role; a single number stands for all three roles."""
    if isinstance(seeds, Seeds):
        return seeds
    if seeds is None:
        return Seeds()
    if isinstance(seeds, Mapping):
        for role in seeds:
            check_choice(role, "seed role", SEED_ROLES)
        return Seeds(**seeds)
    return Seeds(init=seeds, order=seeds, augment=seeds)
