"""Tables of what can be built by name, each with its options and their defaults; options are checked against them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._checks import check_choice, check_keywords
from ..errors import InputError


@dataclass(frozen=True)
class Entry:
    """Something that a recipe names.

    Attributes
    ----------
    location : str
        ``module:function`` that builds it; the module is relative to this package and is imported when needed.
    options : mapping
        Option to default; the default's type is the option's type (None: anything).
    traits : mapping
        Further facts that the trainer reads, such as the size of a shard.
    """

    location: str
    options: Mapping[str, Any]
    traits: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def build(self, *args: Any, **options: Any) -> Any:
        """Import the function and call it."""
        module, _, function = self.location.partition(":")
        return getattr(importlib.import_module(f"{__package__}.{module}"), function)(*args, **options)


def complete_options(table: Mapping[str, Entry], name: str, given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return all options of entry `name`, those that are `given` replacing the defaults."""
    check_choice(name, what, table)
    defaults = table[name].options
    check_keywords(given, defaults, f"{name}")
    return {key: coerce(given[key], default, key) if key in given else default for key, default in defaults.items()}


def coerce(value: Any, default: Any, name: str) -> Any:
    """Return `value` in the type of `default`, or raise an InputError that names the option."""
    if default is None:
        return tuple(value) if isinstance(value, list) else value
    if isinstance(default, tuple):
        values: tuple[Any, ...] = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        return tuple(coerce(item, default[0], name) for item in values) if default else values
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) is isinstance(default, bool) and isinstance(value, type(default)):
        return value
    raise InputError(f"got {name}={value!r}", f"a value of type {type(default).__name__}, such as {default!r}")
