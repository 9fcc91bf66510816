# The public namespace: read at run time too (lazy loading), so this is the one place where a name is put on top.
from . import campaigns, errors, importers, live, methods, nn, plots, studies, testing, training
from ._reading.output_files import open_outputs
from ._report.page import report
from .campaigns.opening import gate
from .errors import RunspreadError
from .importers.verbs import import_runs
from .methods.audit.auditing import audit
from .methods.corpus.verbs import paradox
from .methods.dynamics.analysis import dynamics
from .methods.ensembles.proper_scores import ensemble_scores
from .methods.evaluations.asking import evaluations
from .methods.spectra.verbs import spectra
from .methods.trimming.representative import representative_size
from .methods.trimming.sameness import same
from .methods.trimming.typicality import trimming
from .methods.variance.class_calibration import calibration
from .methods.variance.estimate import variance
from .methods.verbs.comparing import compare
from .methods.verbs.planning import plan
from .methods.verbs.ranking import rank
from .methods.verbs.sourcing import sources
from .methods.verbs.summarising import summary
from .studies.opening import create_study, open_study
from .studies.records import Seeds
from .studies.study import Study
from .training.ensembles.artifact import load_ensemble
from .training.ensembles.from_study import ensemble
from .training.ensembles.procedures import hyper_deep_ensemble
from .training.recipes import recipe
from .training.train import train
from .training.until import train_until

__version__: str

__all__ = [
    "RunspreadError",
    "Seeds",
    "Study",
    "audit",
    "calibration",
    "campaigns",
    "compare",
    "create_study",
    "dynamics",
    "ensemble",
    "ensemble_scores",
    "errors",
    "evaluations",
    "gate",
    "hyper_deep_ensemble",
    "import_runs",
    "importers",
    "live",
    "load_ensemble",
    "methods",
    "nn",
    "open_outputs",
    "open_study",
    "paradox",
    "plan",
    "plots",
    "rank",
    "recipe",
    "report",
    "representative_size",
    "same",
    "sources",
    "spectra",
    "studies",
    "summary",
    "testing",
    "train",
    "train_until",
    "training",
    "trimming",
    "variance",
]
