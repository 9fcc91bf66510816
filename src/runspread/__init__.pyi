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
from ._methods._candidates import Candidates, read_candidates
from ._methods.diversity import Diversity, diversity
from ._methods.dynamics.weight_metrics import weight_metrics
from ._methods.hmm.fit import fit_hmm
from ._methods.hmm.model import HiddenMarkovModel
from ._methods.hmm.selection import HmmSelection, select_hmm
from ._methods.powerlaw import PowerLawFit, fit_power_law
from ._methods.scores import Scores, ensemble_probabilities, scores
from ._methods.selection import CrossValidatedSelection, EnsembleSelection, select_ensemble
from ._methods.tail_alternatives import TailComparison, TruncatedPowerLawFit, compare_tails, fit_truncated_power_law
from ._methods.trimming.levels import (
    Trimming,
    optimal_trimming,
    trimmed_distance,
    trimming_level,
    trimming_level_grid,
)
from ._methods.trimming.margins import clip_gaps, logit_gap, margins
from ._methods.trimming.typicality import TrimmingLevels, trimming
from ._methods.variance.accuracy import RunAccuracies, run_accuracies
from ._methods.variance.audit import Audit, Finding, audit
from ._methods.variance.boundaries import sequential_boundaries
from ._methods.variance.calibration import CalibrationResult, calibration
from ._methods.variance.compare import Comparison, compare, holm
from ._methods.variance.estimate import variance
from ._methods.variance.evidence import RunEvidence
from ._methods.variance.null import poisson_binomial_pmf
from ._methods.variance.outcomes import predicted_classes
from ._methods.variance.pairs import PairDeviations, pair_deviations
from ._methods.variance.plan import GapPlan, RunPlan, plan_gap, plan_runs, plan_superiority, plan_variance
from ._methods.variance.result import VarianceResult
from ._methods.variance.sources import SourceComponents, SourceGroups, variance_by_source
from ._methods.variance.statistics import RunStatistics, run_statistics
from ._methods.variance.stopping import Look, StoppingRule, stopping_rule
from ._methods.variance.sums import RunSums
from ._methods.variance.tasks import TwoGroupTasks, two_group_tasks
from ._methods.variance.transfer import SeedSelection, SelectionModel, seed_selection, seed_selection_model
from ._plots.calibration import plot_calibration_curve, plot_task_spread
from ._plots.variance import (
    plot_accuracy_distribution,
    plot_comparison,
    plot_plan,
    plot_seed_selection,
    plot_sources,
    plot_split_halves,
)
from ._results import Excluded, Result, Table
from ._study.readers import Curves, Metrics, Predictions
from ._study.recorder import RunRecorder
from ._study.records import Seeds
from ._study.shards import RunFacts
from ._study.study import Runs, Study, create_study, open_study
from ._study.verify import Verification
from ._training.progress import TrainingProgress
from ._training.recipes import Recipe, recipe, recipe_names
from ._training.train import train

__version__: str

__all__ = [
    "Audit",
    "CalibrationResult",
    "Candidates",
    "Comparison",
    "CorruptShardError",
    "CrossValidatedSelection",
    "Curves",
    "Diversity",
    "DuplicateRunError",
    "EnsembleSelection",
    "Excluded",
    "Finding",
    "FormatVersionError",
    "GapPlan",
    "HiddenMarkovModel",
    "HmmSelection",
    "InputError",
    "Look",
    "Metrics",
    "MissingDataError",
    "MissingDependencyError",
    "NotAStudyError",
    "PairDeviations",
    "PowerLawFit",
    "Predictions",
    "Recipe",
    "Result",
    "RunAccuracies",
    "RunEvidence",
    "RunFacts",
    "RunPlan",
    "RunRecorder",
    "RunStatistics",
    "RunSums",
    "Runs",
    "RunspreadError",
    "RunspreadWarning",
    "Scores",
    "SeedSelection",
    "Seeds",
    "SelectionModel",
    "SourceComponents",
    "SourceGroups",
    "StoppingRule",
    "StorageError",
    "Study",
    "StudyError",
    "Table",
    "TailComparison",
    "TrainingError",
    "TrainingProgress",
    "Trimming",
    "TrimmingLevels",
    "TruncatedPowerLawFit",
    "TwoGroupTasks",
    "VarianceResult",
    "Verification",
    "audit",
    "calibration",
    "clip_gaps",
    "compare",
    "compare_tails",
    "create_study",
    "diversity",
    "ensemble_probabilities",
    "fit_hmm",
    "fit_power_law",
    "fit_truncated_power_law",
    "holm",
    "logit_gap",
    "margins",
    "open_study",
    "optimal_trimming",
    "pair_deviations",
    "plan_gap",
    "plan_runs",
    "plan_superiority",
    "plan_variance",
    "plot_accuracy_distribution",
    "plot_calibration_curve",
    "plot_comparison",
    "plot_plan",
    "plot_seed_selection",
    "plot_sources",
    "plot_split_halves",
    "plot_task_spread",
    "poisson_binomial_pmf",
    "predicted_classes",
    "read_candidates",
    "recipe",
    "recipe_names",
    "run_accuracies",
    "run_statistics",
    "scores",
    "seed_selection",
    "seed_selection_model",
    "select_ensemble",
    "select_hmm",
    "sequential_boundaries",
    "stopping_rule",
    "train",
    "trimmed_distance",
    "trimming",
    "trimming_level",
    "trimming_level_grid",
    "two_group_tasks",
    "variance",
    "variance_by_source",
    "weight_metrics",
]
