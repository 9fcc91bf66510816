"""Which store a URL means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..._reading.study_folders import is_url
from ...errors import InputError
from .contract import Store
from .local import LocalStore
from .memory import memory_store
from .objects import ObjectStore

SCHEMES = ("s3", "gs", "az", "file", "memory")


def checked_url(url: str) -> str:
    """Return a URL of a known kind that holds no secret.

    Raises
    ------
    InputError
        It has a user, a password or a query, or its kind is not known.
    """
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    if parts.scheme not in SCHEMES:
        raise InputError(f"{shown} is of an unknown kind", f"one of {', '.join(f'{name}://' for name in SCHEMES)}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InputError(
            f"{shown} was given with a user, a signature or a fragment",
            "a URL without",
            "Set the credentials as the cloud's own tools take them: URLs are written into results.",
        )
    return url.rstrip("/")


def open_store(place: str | os.PathLike[str], storage: Mapping[str, Any] | None = None) -> Store:
    """Return the store at a URL or in a folder.

    Parameters
    ----------
    place : str or path
        ``s3://bucket/study``, ``gs://...``, ``az://account/container/...``, ``file:///folder``, ``memory://name``, or a
        folder.
    storage : mapping, optional
        Options of an object store (``endpoint``, ``region``, ``allow_http``, ...).

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> type(rs.studies.open_store(mkdtemp())).__name__
    'LocalStore'
    """
    if not is_url(place):
        return LocalStore(Path(place))
    url = checked_url(str(place))
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return LocalStore(local_folder(url))
    return memory_store(url) if scheme == "memory" else ObjectStore(url, storage)


def local_folder(url: str) -> Path:
    """Return the folder of a ``file://`` URL."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise InputError(f"{url} names another machine", "file:///folder")
    return Path(unquote(parts.path))
