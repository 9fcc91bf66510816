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
from ._methods.trimming.levels import (
    Trimming,
    optimal_trimming,
    trimmed_distance,
    trimming_level,
    trimming_level_grid,
)
from ._methods.trimming.margins import clip_gaps, logit_gap, margins
from ._methods.trimming.typicality import TrimmingLevels, trimming
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
    "TrainingError",
    "Trimming",
    "TrimmingLevels",
    "Verification",
    "clip_gaps",
    "create_study",
    "logit_gap",
    "margins",
    "open_study",
    "optimal_trimming",
    "trimmed_distance",
    "trimming",
    "trimming_level",
    "trimming_level_grid",
]
