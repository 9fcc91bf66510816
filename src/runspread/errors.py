"""What can go wrong, as one tree.

::

    RunspreadError
    ├── InputError (also ValueError)        an argument or an array is not what the function takes
    ├── MissingDependencyError (ImportError) an optional package is needed; names the extra to install
    ├── TrainingError                        a training could not start or finish
    ├── EngineError                          workers of an analysis were lost again and again
    ├── LedgerError                          a ledger of a campaign was cut, edited, or is not one
    └── StudyError                           a study folder, or what is asked of it
        ├── NotAStudyError                   the folder holds no study
        ├── FormatVersionError               written by a newer runspread
        ├── CorruptShardError                a file differs from its checksum, or cannot be read
        ├── DuplicateRunError                a run of that id is already there
        ├── MissingDataError (also KeyError) the split, metric or weights asked for were not recorded
        └── StorageError (also OSError)      the file system refused (no space, no permission)

    RunspreadWarning (UserWarning)           the answer stands, with a caveat
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from ._words import visible

__all__ = [
    "CorruptShardError",
    "DuplicateRunError",
    "EngineError",
    "FormatVersionError",
    "InputError",
    "LedgerError",
    "MissingDataError",
    "MissingDependencyError",
    "NotAStudyError",
    "RunspreadError",
    "RunspreadWarning",
    "StorageError",
    "StudyError",
    "TrainingError",
]


class RunspreadError(Exception):
    """Base of every error that runspread raises on purpose.

    Its message is up to three sentences: ``labels have shape (3, 2). Expected one axis [examples]. Pass ...``

    Parameters
    ----------
    found : str
        What was found, as a sentence with a subject; the full stop is added.
    expected : str, optional
        What would have been right: what follows "Expected".
    hint : str, optional
        What to do next, as a sentence; it may end with a command to copy. Where there is none, `found` ends with a name
        in quotes, and `expected` lists names ("one of a, b, c"), the nearest of them is suggested.
    """

    def __init__(self, found: str, expected: str = "", hint: str = "") -> None:
        hint = hint or _meant(found, expected)
        super().__init__(found, expected, hint)
        self.found, self.expected, self.hint = found, expected, hint

    def __str__(self) -> str:
        expected = f"Expected {self.expected}" if self.expected else ""
        stopped = [part if part.endswith((".", "?")) else f"{part}." for part in (self.found, expected) if part]
        return visible(" ".join([*stopped, *([self.hint] if self.hint else [])]))


def _meant(found: str, expected: str) -> str:
    """Return which of the names that are expected is nearest to the one that was found."""
    quoted = re.findall(r"'([^']+)'", found)
    if not (quoted and expected.startswith("one of")):
        return ""
    known = re.split(r", | and ", expected.removeprefix("one of").lstrip(": "))
    names = [re.sub(r"^(\w+ )?'(.*)'$", r"\2", name) for name in known]
    near = get_close_matches(quoted[-1], names, n=1)
    return f"Did you mean {near[0]!r}?" if near and quoted[-1] not in names else ""


class InputError(RunspreadError, ValueError):
    """An argument or an array is not what the function takes."""


class MissingDependencyError(RunspreadError, ImportError):
    """An optional package is needed and not installed."""


class TrainingError(RunspreadError):
    """A training could not start or finish."""


class EngineError(RunspreadError):
    """Tasks of an analysis were lost with their workers, again and again."""


class LedgerError(RunspreadError):
    """A ledger of a campaign was cut or edited, or cannot be written."""


class StudyError(RunspreadError):
    """Something is wrong with a study folder, or with what is asked of it."""


class NotAStudyError(StudyError):
    """The folder holds no study."""


class FormatVersionError(StudyError):
    """The study was written in a format newer than this runspread reads."""


class CorruptShardError(StudyError):
    """A shard's file differs from its checksum, or cannot be read."""


class DuplicateRunError(StudyError):
    """A run of that id is already in the study."""


class MissingDataError(StudyError, KeyError):
    """The split, metric or weights asked for were not recorded."""

    __str__ = RunspreadError.__str__  # KeyError would print the repr of its arguments


class StorageError(StudyError, OSError):
    """The file system refused: no space left, no permission, not a local path."""

    __str__ = RunspreadError.__str__  # OSError would read the arguments as (errno, strerror, filename)


class RunspreadWarning(UserWarning):
    """The answer stands, with a caveat that the reader should know."""
