# The public namespace: read at run time too (lazy loading), so this is the one place where a name is made public.
from ._errors import (
    CorruptShardError,
    DuplicateRunError,
    FormatVersionError,
    InputError,
    MissingDataError,
    MissingDependencyError,
    NotAStudyError,
    RunspreadError,
    RunspreadWarning,
    StorageError,
    StudyError,
    TrainingError,
)
from ._methods.diversity import Diversity, diversity
from ._methods.scores import Scores, ensemble_probabilities, scores
from ._results import Excluded, Result, Table
from ._study.records import Seeds

__version__: str

__all__ = [
    "CorruptShardError",
    "Diversity",
    "DuplicateRunError",
    "Excluded",
    "FormatVersionError",
    "InputError",
    "MissingDataError",
    "MissingDependencyError",
    "NotAStudyError",
    "Result",
    "RunspreadError",
    "RunspreadWarning",
    "Scores",
    "Seeds",
    "StorageError",
    "StudyError",
    "Table",
    "TrainingError",
    "diversity",
    "ensemble_probabilities",
    "scores",
]
