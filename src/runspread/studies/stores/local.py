"""Objects as files of a folder: written aside and renamed; created by a link, which fails where the name is taken."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import StorageError
from ..publishing import TEMPORARY, flush, temporary_name, write_bytes
from .contract import Entry, Listing, checked_key, checked_prefix, checked_spans

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class LocalStore:
    """A store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = folder.absolute().as_uri()

    def list(self, prefix: str = "") -> Listing:
        """Return one level."""
        objects: list[Entry] = []
        deeper: list[str] = []
        with (
            _storage_errors(prefix),
            suppress(FileNotFoundError),
            os.scandir(self._at(checked_prefix(prefix))) as found,
        ):
            for entry in sorted(found, key=lambda entry: entry.name):
                if entry.name.startswith(TEMPORARY):
                    continue
                if entry.is_dir():
                    deeper.append(f"{prefix}{entry.name}/")
                    continue
                with suppress(FileNotFoundError):
                    facts = entry.stat()
                    objects.append(Entry(prefix + entry.name, facts.st_size, facts.st_mtime))
        return Listing(tuple(objects), tuple(deeper))

    def read(self, key: str) -> bytes:
        """Return an object."""
        with _storage_errors(key):
            return self._at(checked_key(key)).read_bytes()

    def read_ranges(self, key: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return spans of an object."""
        with _storage_errors(key), self._at(checked_key(key)).open("rb") as file:
            checked_spans(spans, os.fstat(file.fileno()).st_size, key)
            return [os.pread(file.fileno(), stop - start, start) for start, stop in spans]

    def write(self, key: str, data: bytes | Path) -> None:
        """Write an object."""
        with _storage_errors(key), self._aside(key, data) as (temporary, target):
            temporary.replace(target)

    def create(self, key: str, data: bytes) -> bool:
        """Let exactly one body stand at a key."""
        with _storage_errors(key), self._aside(key, data) as (temporary, target):
            try:
                os.link(temporary, target)
            except FileExistsError:
                return target.read_bytes() == data
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return _create_without_links(target, data)
        return True

    def delete(self, keys: Iterable[str]) -> None:
        """Take objects away, and folders that are empty then."""
        for key in keys:
            place = self._at(checked_key(key))
            with _storage_errors(key):
                place.unlink(missing_ok=True)
                with suppress(OSError):
                    while (place := place.parent) != self.folder:
                        place.rmdir()

    def local_path(self, key: str) -> Path | None:
        """Return the file."""
        return self._at(checked_key(key))

    def __repr__(self) -> str:
        return f"<store {self.url}>"

    def _at(self, key: str) -> Path:
        return self.folder / key

    @contextmanager
    def _aside(self, key: str, data: bytes | Path) -> Generator[tuple[Path, Path]]:
        """Yield a flushed file that holds `data`, and where it is to appear."""
        target = self._at(checked_key(key))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(temporary_name())
        try:
            if isinstance(data, Path):
                shutil.copyfile(data, temporary)
                flush(temporary)
            else:
                write_bytes(temporary, data)
            yield temporary, target
            flush(target.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _create_without_links(target: Path, data: bytes) -> bool:
    """Create a file where the file system knows no links: the name is taken first, the content follows at once."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return target.read_bytes() == data
    with os.fdopen(descriptor, "wb") as file:  # which writes all, or raises
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    return True


@contextmanager
def _storage_errors(key: str) -> Generator[None]:
    """Turn what the file system says into what a store says."""
    try:
        yield
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        if error.errno in _ABSENT:
            raise KeyError(key) from error
        raise StorageError(f"{key}: {error}", hint="Check the disk, and that the folder is writable.") from error
