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
from ._methods.variance.estimate import variance
from ._methods.variance.null import poisson_binomial_pmf
from ._methods.variance.outcomes import predicted_classes
from ._methods.variance.pairs import PairDeviations, pair_deviations
from ._methods.variance.result import VarianceResult
from ._methods.variance.statistics import RunStatistics, run_statistics
from ._methods.variance.sums import RunSums
from ._results import Excluded, Result, Table
from ._study.records import Seeds

__version__: str

__all__ = [
    "CorruptShardError",
    "DuplicateRunError",
    "Excluded",
    "FormatVersionError",
    "InputError",
    "MissingDataError",
    "MissingDependencyError",
    "NotAStudyError",
    "PairDeviations",
    "Result",
    "RunStatistics",
    "RunSums",
    "RunspreadError",
    "RunspreadWarning",
    "Seeds",
    "StorageError",
    "StudyError",
    "Table",
    "TrainingError",
    "VarianceResult",
    "pair_deviations",
    "poisson_binomial_pmf",
    "predicted_classes",
    "run_statistics",
    "variance",
]
