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
from ._methods.powerlaw import PowerLawFit, fit_power_law
from ._methods.tail_alternatives import TailComparison, TruncatedPowerLawFit, compare_tails, fit_truncated_power_law
from ._results import Excluded, Result, Table
from ._study.readers import Curves, Metrics, Predictions
from ._study.recorder import RunRecorder
from ._study.records import Seeds
from ._study.shards import RunFacts
from ._study.study import Runs, Study, create_study, open_study
from ._study.verify import Verification

__version__: str

__all__ = [
    "CorruptShardError",
    "Curves",
    "DuplicateRunError",
    "Excluded",
    "FormatVersionError",
    "InputError",
    "Metrics",
    "MissingDataError",
    "MissingDependencyError",
    "NotAStudyError",
    "PowerLawFit",
    "Predictions",
    "Result",
    "RunFacts",
    "RunRecorder",
    "Runs",
    "RunspreadError",
    "RunspreadWarning",
    "Seeds",
    "StorageError",
    "Study",
    "StudyError",
    "Table",
    "TailComparison",
    "TrainingError",
    "TruncatedPowerLawFit",
    "Verification",
    "compare_tails",
    "create_study",
    "fit_power_law",
    "fit_truncated_power_law",
    "open_study",
]
