"""Studies at paths: the one door from reading to the floor of studies above, which alone knows and opens them."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

from ..errors import InputError

_URL = re.compile(r"^[a-z][a-z0-9+.-]*://")
_LAYOUT, _OPENING = "..studies.layout", "..studies.opening"  # named, as a result names its plot


def is_url(path: Any) -> bool:
    """Whether a text is a URL, which is never a path."""
    return isinstance(path, str) and bool(_URL.match(path))


def refuse_url(path: str | os.PathLike[str], action: str) -> None:
    """Raise where a URL is given for what takes a folder alone."""
    if is_url(path):
        raise InputError(
            f"{path} is a URL, into which this cannot {action}", "a folder", "Then copy it: runspread copy FOLDER URL."
        )


def target_path(path: str | os.PathLike[str], what: str = "a file") -> Path:
    """Return the path of what is to be written; a URL is refused, for as a path it is a folder called ``s3:``."""
    if is_url(path):
        raise InputError(
            f"{path} is a URL, and only studies are written into stores",
            f"the path of {what} on this machine",
            "Write it here, and copy it with the store's own tools.",
        )
    return Path(path)


def is_study_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a study lies at a path; a URL names nothing else."""
    return is_url(path) or bool(importlib.import_module(_LAYOUT, __package__).holds_study(Path(path)))


def study_around(path: Path) -> Path | None:
    """Return the study that a path is a part of, such as a file of one of its shards."""
    found: Path | None = importlib.import_module(_LAYOUT, __package__).study_around(path)
    return found


def open_study(path: str | os.PathLike[str]) -> Any:
    """Return the study at a path, open."""
    return importlib.import_module(_OPENING, __package__).open_study(path)
