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
from ._importers.spectra import spectra
from ._importers.torch_weights import TorchCheckpoint, from_torch_checkpoint
from ._methods.layer_metrics import LayerMetrics, layer_metrics
from ._methods.marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur
from ._methods.powerlaw import PowerLawFit, fit_power_law
from ._methods.spectra import ModelSpectra
from ._methods.spectral_numbers import density_distance, fit_without_fingers, spectral_distance
from ._methods.spectrum import Spectrum, spectrum
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
    "LayerMetrics",
    "MarchenkoPasturFit",
    "Metrics",
    "MissingDataError",
    "MissingDependencyError",
    "ModelSpectra",
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
    "Spectrum",
    "StorageError",
    "Study",
    "StudyError",
    "Table",
    "TailComparison",
    "TorchCheckpoint",
    "TrainingError",
    "TruncatedPowerLawFit",
    "Verification",
    "compare_tails",
    "create_study",
    "density_distance",
    "fit_marchenko_pastur",
    "fit_power_law",
    "fit_truncated_power_law",
    "fit_without_fingers",
    "from_torch_checkpoint",
    "layer_metrics",
    "open_study",
    "spectra",
    "spectral_distance",
    "spectrum",
]
