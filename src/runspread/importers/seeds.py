"""Which key of a configuration is which seed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError

ROLES = ("init", "order", "augment")
_ALL = (
    "seed random_seed random_state manual_seed global_seed rng_seed torch_seed np_seed train_seed training_seed "
    "seed_everything pl_seed"
)
_OF_ROLE = {
    "init": "init_seed seed_init model_seed weight_seed param_seed",
    "order": "data_seed order_seed shuffle_seed sampler_seed loader_seed dataloader_seed",
    "augment": "augment_seed aug_seed transform_seed dropout_seed noise_seed",
}
SPLIT_SEEDS = frozenset(["split_seed", "data_split_seed", "fold", "cv_seed", "subset_seed", "dataset_seed"])
KEYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_ALL.split(), ROLES),
    **{key: (role,) for role, keys in _OF_ROLE.items() for key in keys.split()},
}
IN_NAME = r"seed[_-]?(\d+)"


def plain_key(key: str) -> str:
    """Return the last part of a dotted key without case, hyphens as underscores."""
    return re.split(r"[./]", key)[-1].strip().lower().replace("-", "_")


def seed_value(value: Any) -> int | None:
    """Return a seed as a whole number; None where it is unknown: drawn, negative, or no number."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d{1,19}(\.0+)?", text) is None:
            return None
        value = int(text.partition(".")[0])
    if isinstance(value, float):
        if not value.is_integer():
            return None
        value = int(value)
    return value if isinstance(value, int) and 0 <= value < 2**63 else None


@dataclass
class FoundSeeds:
    """Seeds of one run by role, the key of each, and what is to be said about them."""

    seeds: dict[str, int] = field(default_factory=dict[str, int])
    keys: dict[str, str] = field(default_factory=dict[str, str])
    taken: set[str] = field(default_factory=set[str])  # keys that are seeds and no hyperparameters
    notes: list[str] = field(default_factory=list[str])


def parsed_seed_keys(texts: Sequence[str] | Mapping[str, str] | None) -> dict[str, tuple[str, ...]]:
    """Return key to roles from texts like ``"data_seed=order"``.

    Raises
    ------
    InputError
        A text without a role, or a role that does not exist.
    """
    pairs = texts.items() if isinstance(texts, Mapping) else [text.partition("=")[::2] for text in texts or ()]
    found: dict[str, tuple[str, ...]] = {}
    for key, role in pairs:
        if not key or role not in (*ROLES, "all", "none"):
            raise InputError(f"--seed {key}={role} names no role", f"KEY=ROLE with {', '.join(ROLES)}, all or none")
        found[key] = ROLES if role == "all" else () if role == "none" else (role,)
    return found


def _roles_of(key: str, given: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """Return the roles of a key that is a seed, or None."""
    if key in given:
        return given[key]
    short = plain_key(key)
    for name, roles in given.items():
        if "." not in name and plain_key(name) == short:
            return roles
    return KEYS.get(short)


def find_seeds(
    config: Mapping[str, Any], own: Mapping[str, tuple[str, Any]], given: Mapping[str, tuple[str, ...]]
) -> FoundSeeds:
    """Return the seeds in a flat configuration.

    Parameters
    ----------
    config : mapping
        Flat hyperparameters.
    own : mapping of str to (key, value)
        Seeds by role that the reader itself knows; the configuration's own keys do not change them.
    given : mapping of str to roles
        Keys that the caller named; they win.
    """
    found = FoundSeeds()
    candidates: dict[str, list[tuple[bool, str, int | None]]] = {role: [] for role in ROLES}
    for key, value in config.items():
        roles = _roles_of(key, given)
        if roles is None:
            continue
        explicit = key in given or any("." not in name and plain_key(name) == plain_key(key) for name in given)
        if roles:
            found.taken.add(key)
        for role in roles:
            candidates[role].append((explicit, key, seed_value(value)))
        if roles and seed_value(value) is None and value is not None:
            found.notes.append(f"{key} is {str(value)[:40]!r}: the seed is unknown")
    for role, listed in candidates.items():
        _settle(role, listed, own.get(role), found)
    return found


def _settle(
    role: str, listed: Sequence[tuple[bool, str, int | None]], own: tuple[str, Any] | None, found: FoundSeeds
) -> None:
    """Choose a role's seed: what was asked for, a key of the role alone, a key for all; two that differ are none."""
    explicit = [item for item in listed if item[0]]
    alone = [item for item in listed if len(KEYS.get(plain_key(item[1]), ())) == 1]
    chosen = explicit or alone or list(listed)
    if own is not None and not explicit:
        chosen = [(False, own[0], seed_value(own[1]))]
    values = {value for _, _, value in chosen if value is not None}
    if len(values) > 1:
        named = ", ".join(f"{key}={value}" for _, key, value in chosen)
        note = f"{named} differ: the seed of {role} is unknown"
        if not any(named in old for old in found.notes):
            found.notes.append(note)
    elif values:
        found.seeds[role] = values.pop()
        found.keys[role] = next(key for _, key, value in chosen if value is not None)


def seed_in_name(path: str, pattern: str) -> int | None:
    """Return the last seed that a path speaks of, by a pattern with one group."""
    try:
        matches = re.findall(pattern, path)
    except re.error as error:
        raise InputError(
            f"--seed-from-name {pattern} is no pattern ({error})", "one such as 'seed[_-]?(\\d+)'"
        ) from error
    found = [match[0] if isinstance(match, tuple) else match for match in matches]
    return seed_value(found[-1]) if found else None
