"""SQLite databases, opened for reading alone: no lock is kept, and nothing is written beside the file."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from .limits import Clock, SourceProblem, opened

SUFFIXES = (".db", ".sqlite", ".sqlite3")
_MAGIC = b"SQLite format 3\0"


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database, by its first bytes."""
    try:
        with opened(path) as file:
            return file.read(16) == _MAGIC
    except SourceProblem:
        return False


@contextmanager
def database(path: Path, clock: Clock | None = None) -> Generator[sqlite3.Connection]:
    """Open a database for reading.

    One with a log of changes beside it (``-wal``) is copied to a temporary folder with it: opening it in place would
    write there. Queries are stopped when the time of `clock` is over.
    """
    wal = path.with_name(path.name + "-wal")
    with tempfile.TemporaryDirectory() as folder:
        place, immutable = path, "&immutable=1"
        if wal.exists() and wal.stat().st_size:
            place, immutable = Path(folder) / "copy.db", ""
            shutil.copyfile(path, place, follow_symlinks=False)
            shutil.copyfile(wal, place.with_name("copy.db-wal"), follow_symlinks=False)
        mode = "rw" if not immutable else "ro"
        connection = sqlite3.connect(f"file:{quote(str(place))}?mode={mode}{immutable}", uri=True)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA query_only = ON")
            connection.text_factory = lambda data: data.decode("utf-8", errors="replace")
            if clock is not None:
                until = time.process_time() + clock.limits.seconds
                connection.set_progress_handler(lambda: int(time.process_time() > until), 100_000)
            yield connection
        except sqlite3.Error as error:
            raise SourceProblem(f"{path.name} cannot be read as a database ({error})") from error
        finally:
            connection.close()


def tables_of(path: Path) -> dict[str, list[str]]:
    """Return the tables of a database and their columns; views, which may compute anything, are none."""
    try:
        with database(path) as connection:
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            quoted = {name: '"' + name.replace('"', '""') + '"' for name in names[:500]}
            return {
                name: [row[1] for row in connection.execute(f"PRAGMA table_info({text})")]
                for name, text in quoted.items()
            }
    except SourceProblem:
        return {}


def selection(known: Sequence[str], wanted: Sequence[str]) -> str:
    """Return the columns of a query: those that a table has, NULL for others."""
    return ", ".join(f'"{name}"' if name in known else f'NULL AS "{name}"' for name in wanted)
