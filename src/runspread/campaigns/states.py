"""What a state is, and what it was run in: the revision of the code, digests of files, versions of packages."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from hashlib import blake2b
from importlib import metadata
from pathlib import Path

from ..errors import InputError

_PACKAGES = ("numpy", "torch", "jax", "tensorflow")


def environment() -> dict[str, str]:
    """Return versions of Python and of the packages that train, and the processor's kind."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code_state(folder: Path | None = None) -> str:
    """Return the git revision of a folder, with a digest of what is not committed; empty outside of git.

    Files that git does not track are not part of it.
    """
    revision = _git(["rev-parse", "--short=12", "HEAD"], folder).decode().strip()
    if not revision:
        return ""
    changes = _git(["diff", "HEAD", "--binary"], folder)
    return f"{revision}+{blake2b(changes, digest_size=4).hexdigest()}" if changes else revision


def _git(words: list[str], folder: Path | None) -> bytes:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, check=False)
    except OSError:
        return b""
    return done.stdout if done.returncode == 0 else b""


def digests(files: Iterable[str]) -> dict[str, str]:
    """Return file to a digest of its contents.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    found: dict[str, str] = {}
    for name in files:
        try:
            found[name] = blake2b(Path(name).read_bytes(), digest_size=16).hexdigest()
        except OSError as error:
            raise InputError(
                f"{name}, which is part of the evaluation, cannot be read: {error.strerror}",
                hint="Restore it, or begin a new campaign.",
            ) from error
    return found


def check_evaluation(known: dict[str, str]) -> None:
    """Raise if a file of the evaluation is not what it was when the campaign began."""
    changed = [name for name, digest in digests(known).items() if digest != known[name]]
    if changed:
        raise InputError(
            f"the evaluation changed since the campaign began: {', '.join(changed)}",
            "the files that were named at the beginning, unchanged",
            "Outcomes of two evaluations cannot be compared: undo the change, or begin a new campaign.",
        )
