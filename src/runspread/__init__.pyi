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
from ._methods.dynamics.weight_metrics import weight_metrics
from ._methods.hmm.fit import fit_hmm
from ._methods.hmm.model import HiddenMarkovModel
from ._methods.hmm.selection import HmmSelection, select_hmm
from ._results import Excluded, Result, Table

__version__: str

__all__ = [
    "CorruptShardError",
    "DuplicateRunError",
    "Excluded",
    "FormatVersionError",
    "HiddenMarkovModel",
    "HmmSelection",
    "InputError",
    "MissingDataError",
    "MissingDependencyError",
    "NotAStudyError",
    "Result",
    "RunspreadError",
    "RunspreadWarning",
    "StorageError",
    "StudyError",
    "Table",
    "TrainingError",
    "fit_hmm",
    "select_hmm",
    "weight_metrics",
]
