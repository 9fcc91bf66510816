"""Results in which runs have the names that a reader gives them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from ._results import Table

_RUN_ID = re.compile(r"\b[0-9a-f]{16}\b")


def relabelled(value: Any, names: Mapping[str, str]) -> Any:
    """Return a result in which runs are called by `names` instead of their ids: for faces, after all work is done."""
    if isinstance(value, str):
        return _RUN_ID.sub(lambda found: names.get(found[0], found[0]), value) if names else value
    if isinstance(value, Table):
        columns = {name: [relabelled(cell, names) for cell in cells] for name, cells in value.columns.items()}
        return Table(columns, formats=value.formats, title=value.title)
    if isinstance(value, (tuple, list)):
        items = [relabelled(item, names) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {relabelled(key, names): relabelled(item, names) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return dataclasses.replace(value, **{name: relabelled(old, names) for name, old in fields.items()})
    return value
