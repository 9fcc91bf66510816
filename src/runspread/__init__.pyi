# The public namespace: read at run time too (lazy loading), so this is the one place where a name is made public.
from . import nn
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
from ._importers.corpora import corpus_table, paradox, study_spectra
from ._importers.spectra import SpectraOptions, spectra
from ._importers.torch_weights import TorchCheckpoint, from_torch_checkpoint
from ._methods._candidates import Candidates, read_candidates
from ._methods.corpus.associations import Association, Split
from ._methods.corpus.grid_scores import GridScores, grid_scores
from ._methods.corpus.paradox import MetricAnalysis, ParadoxAnalysis
from ._methods.corruptions.benchmark import CorruptionBenchmark, corruption_benchmark
from ._methods.corruptions.operators import corrupt, corruption_names
from ._methods.corruptions.outside import OutsideDetection, outside_detection
from ._methods.diversity import Diversity, diversity
from ._methods.dynamics.analysis import dynamics
from ._methods.dynamics.comparison import MapComparison, compare_maps
from ._methods.dynamics.convergence import Convergence, convergence_index
from ._methods.dynamics.monitor import MonitorReading, RunMonitor
from ._methods.dynamics.outcome import OutcomeRegression, outcome_regression
from ._methods.dynamics.paths import trajectory_dissimilarity
from ._methods.dynamics.prefix import PrefixPrediction, predict_from_prefix
from ._methods.dynamics.prepare import PreparedSequences, prepare_sequences
from ._methods.dynamics.result import TrainingDynamics
from ._methods.dynamics.stability import MapStability, map_stability
from ._methods.dynamics.training_map import MapEdge, TrainingMap, training_map
from ._methods.dynamics.weight_metrics import weight_metrics
from ._methods.hmm.fit import fit_hmm
from ._methods.hmm.model import HiddenMarkovModel
from ._methods.hmm.selection import HmmSelection, select_hmm
from ._methods.scores import Scores, ensemble_probabilities, scores
from ._methods.selection import CrossValidatedSelection, EnsembleSelection, select_ensemble
from ._methods.sizes import EnsembleSizes, ensemble_sizes
from ._methods.spectra.layer_metrics import LayerMetrics, layer_metrics
from ._methods.spectra.marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur
from ._methods.spectra.models import ModelSpectra
from ._methods.spectra.norm_measures import (
    NormMeasures,
    accuracy_of,
    margin_percentile,
    norm_measures,
    output_margins,
    path_norm,
)
from ._methods.spectra.powerlaw import PowerLawFit, fit_power_law
from ._methods.spectra.quality import QualityDifference, StudySpectra
from ._methods.spectra.sharpness import (
    SharpnessMeasures,
    noise_level,
    pac_bayes_measures,
    sharpness_measures,
    worst_case_radius,
)
from ._methods.spectra.smoothing import SmoothingResult, svd_smoothing, truncate_weights
from ._methods.spectra.spectral_numbers import density_distance, fit_without_fingers, spectral_distance
from ._methods.spectra.spectrum import Spectrum, spectrum
from ._methods.spectra.study_measures import StudyMeasures
from ._methods.spectra.tail_alternatives import (
    TailComparison,
    TruncatedPowerLawFit,
    compare_tails,
    fit_truncated_power_law,
)
from ._methods.spectra.weight_changes import ClippedWeight, WeightDistances, clip_traps, weight_distances
from ._methods.trimming.comparison import TrimmingScores, trimming_scores
from ._methods.trimming.curve import TrimmingCurve, trimming_curve
from ._methods.trimming.examples import TrimmedExamples, trimmed_examples
from ._methods.trimming.levels import (
    Trimming,
    optimal_trimming,
    trimmed_distance,
    trimming_level,
    trimming_level_grid,
)
from ._methods.trimming.representative import RepresentativeSize, representative_size
from ._methods.trimming.same import SameModel, same_model
from ._methods.trimming.typicality import TrimmingLevels, trimming
from ._methods.variance.accuracy import RunAccuracies, run_accuracies
from ._methods.variance.audit import Audit, audit
from ._methods.variance.boundaries import sequential_boundaries
from ._methods.variance.calibration import CalibrationResult, calibration
from ._methods.variance.compare import compare, holm
from ._methods.variance.comparison import Comparison
from ._methods.variance.estimate import variance
from ._methods.variance.evidence import RunEvidence
from ._methods.variance.independence import IndependenceTest, independence_test
from ._methods.variance.looks import Finding
from ._methods.variance.null import poisson_binomial_pmf
from ._methods.variance.pairs import PairDeviations, pair_deviations
from ._methods.variance.plan import GapPlan, RunPlan, plan_gap, plan_runs, plan_superiority, plan_variance
from ._methods.variance.poke import PokeSensitivity, poke_sensitivity
from ._methods.variance.real import ScoreVariance, score_variance
from ._methods.variance.result import VarianceResult
from ._methods.variance.selection_model import SelectionModel, seed_selection_model
from ._methods.variance.sources import SourceComponents, SourceGroups, variance_by_source
from ._methods.variance.statistics import RunStatistics, run_statistics
from ._methods.variance.stopping import Look, StoppingRule, stopping_rule
from ._methods.variance.sums import RunSums
from ._methods.variance.tasks import TwoGroupTasks, two_group_tasks
from ._methods.variance.transfer import SeedSelection, seed_selection
from ._plots.calibration import plot_calibration_curve, plot_task_spread
from ._plots.corruptions import plot_corruptions, plot_outside
from ._plots.dynamics import (
    plot_convergence_by_route,
    plot_metric_by_state,
    plot_state_ribbons,
    plot_state_selection,
)
from ._plots.ensembles import (
    plot_bounds,
    plot_cost,
    plot_diversity,
    plot_diversity_against_score,
    plot_ensemble_sizes,
    plot_members,
    plot_reliability,
    plot_selection,
)
from ._plots.map_checks import (
    plot_map_comparison,
    plot_map_stability,
    plot_outcome_regression,
    plot_prefix_prediction,
)
from ._plots.paradox import plot_partition_map, plot_simpson, plot_within_between
from ._plots.spectra import (
    plot_bulk,
    plot_layer,
    plot_model,
    plot_power_law,
    plot_quality_difference,
    plot_shuffled,
    plot_smoothing,
    plot_spectrum,
    plot_study_spectra,
    plot_xmin_profile,
)
from ._plots.training_map import plot_training_map
from ._plots.trimming import (
    plot_representative_size,
    plot_same_model,
    plot_trimmed_cdf,
    plot_trimmed_examples,
    plot_trimming_curve,
    plot_trimming_levels,
    plot_trimming_scores,
)
from ._plots.variance import (
    plot_accuracy_distribution,
    plot_comparison,
    plot_look,
    plot_plan,
    plot_quantiles,
    plot_run_accuracies,
    plot_seed_selection,
    plot_selection_model,
    plot_sources,
    plot_split_halves,
)
from ._reading.classes import predicted_classes
from ._reading.margins import clip_gaps, logit_gap, margins
from ._reading.output_files import open_outputs
from ._results import Excluded, Result, Table
from ._study.opening import create_study, open_study
from ._study.readers import Curves, Metrics, Predictions
from ._study.recorder import RunRecorder
from ._study.records import Seeds
from ._study.runs import Runs
from ._study.shards import RunFacts
from ._study.study import Study
from ._study.verify import Verification
from ._training.datasets import load_split
from ._training.ensembles.artifact import Ensemble, load_ensemble
from ._training.ensembles.batch import TrainedBatchEnsemble, train_batch_ensemble
from ._training.ensembles.cost import EnsembleCost
from ._training.ensembles.from_study import make_ensemble
from ._training.ensembles.procedures import TrainedEnsemble, deep_ensemble, hyper_deep_ensemble
from ._training.progress import TrainingProgress
from ._training.recipes import Recipe, recipe, recipe_names
from ._training.study_measures import study_measures
from ._training.torch_network import TorchNetwork, fold_batch_norm
from ._training.train import train
from ._training.until import TrainedUntil, train_until

__version__: str

__all__ = [
    "Association",
    "Audit",
    "CalibrationResult",
    "Candidates",
    "ClippedWeight",
    "Comparison",
    "Convergence",
    "CorruptShardError",
    "CorruptionBenchmark",
    "CrossValidatedSelection",
    "Curves",
    "Diversity",
    "DuplicateRunError",
    "Ensemble",
    "EnsembleCost",
    "EnsembleSelection",
    "EnsembleSizes",
    "Excluded",
    "Finding",
    "FormatVersionError",
    "GapPlan",
    "GridScores",
    "HiddenMarkovModel",
    "HmmSelection",
    "IndependenceTest",
    "InputError",
    "LayerMetrics",
    "Look",
    "MapComparison",
    "MapEdge",
    "MapStability",
    "MarchenkoPasturFit",
    "MetricAnalysis",
    "Metrics",
    "MissingDataError",
    "MissingDependencyError",
    "ModelSpectra",
    "MonitorReading",
    "NormMeasures",
    "NotAStudyError",
    "OutcomeRegression",
    "OutsideDetection",
    "PairDeviations",
    "ParadoxAnalysis",
    "PokeSensitivity",
    "PowerLawFit",
    "Predictions",
    "PrefixPrediction",
    "PreparedSequences",
    "QualityDifference",
    "Recipe",
    "RepresentativeSize",
    "Result",
    "RunAccuracies",
    "RunEvidence",
    "RunFacts",
    "RunMonitor",
    "RunPlan",
    "RunRecorder",
    "RunStatistics",
    "RunSums",
    "Runs",
    "RunspreadError",
    "RunspreadWarning",
    "SameModel",
    "ScoreVariance",
    "Scores",
    "SeedSelection",
    "Seeds",
    "SelectionModel",
    "SharpnessMeasures",
    "SmoothingResult",
    "SourceComponents",
    "SourceGroups",
    "SpectraOptions",
    "Spectrum",
    "Split",
    "StoppingRule",
    "StorageError",
    "Study",
    "StudyError",
    "StudyMeasures",
    "StudySpectra",
    "Table",
    "TailComparison",
    "TorchCheckpoint",
    "TorchNetwork",
    "TrainedBatchEnsemble",
    "TrainedEnsemble",
    "TrainedUntil",
    "TrainingDynamics",
    "TrainingError",
    "TrainingMap",
    "TrainingProgress",
    "TrimmedExamples",
    "Trimming",
    "TrimmingCurve",
    "TrimmingLevels",
    "TrimmingScores",
    "TruncatedPowerLawFit",
    "TwoGroupTasks",
    "VarianceResult",
    "Verification",
    "WeightDistances",
    "accuracy_of",
    "audit",
    "calibration",
    "clip_gaps",
    "clip_traps",
    "compare",
    "compare_maps",
    "compare_tails",
    "convergence_index",
    "corpus_table",
    "corrupt",
    "corruption_benchmark",
    "corruption_names",
    "create_study",
    "deep_ensemble",
    "density_distance",
    "diversity",
    "dynamics",
    "ensemble_probabilities",
    "ensemble_sizes",
    "fit_hmm",
    "fit_marchenko_pastur",
    "fit_power_law",
    "fit_truncated_power_law",
    "fit_without_fingers",
    "fold_batch_norm",
    "from_torch_checkpoint",
    "grid_scores",
    "holm",
    "hyper_deep_ensemble",
    "independence_test",
    "layer_metrics",
    "load_ensemble",
    "load_split",
    "logit_gap",
    "make_ensemble",
    "map_stability",
    "margin_percentile",
    "margins",
    "nn",
    "noise_level",
    "norm_measures",
    "open_outputs",
    "open_study",
    "optimal_trimming",
    "outcome_regression",
    "output_margins",
    "outside_detection",
    "pac_bayes_measures",
    "pair_deviations",
    "paradox",
    "path_norm",
    "plan_gap",
    "plan_runs",
    "plan_superiority",
    "plan_variance",
    "plot_accuracy_distribution",
    "plot_bounds",
    "plot_bulk",
    "plot_calibration_curve",
    "plot_comparison",
    "plot_convergence_by_route",
    "plot_corruptions",
    "plot_cost",
    "plot_diversity",
    "plot_diversity_against_score",
    "plot_ensemble_sizes",
    "plot_layer",
    "plot_look",
    "plot_map_comparison",
    "plot_map_stability",
    "plot_members",
    "plot_metric_by_state",
    "plot_model",
    "plot_outcome_regression",
    "plot_outside",
    "plot_partition_map",
    "plot_plan",
    "plot_power_law",
    "plot_prefix_prediction",
    "plot_quality_difference",
    "plot_quantiles",
    "plot_reliability",
    "plot_representative_size",
    "plot_run_accuracies",
    "plot_same_model",
    "plot_seed_selection",
    "plot_selection",
    "plot_selection_model",
    "plot_shuffled",
    "plot_simpson",
    "plot_smoothing",
    "plot_sources",
    "plot_spectrum",
    "plot_split_halves",
    "plot_state_ribbons",
    "plot_state_selection",
    "plot_study_spectra",
    "plot_task_spread",
    "plot_training_map",
    "plot_trimmed_cdf",
    "plot_trimmed_examples",
    "plot_trimming_curve",
    "plot_trimming_levels",
    "plot_trimming_scores",
    "plot_within_between",
    "plot_xmin_profile",
    "poisson_binomial_pmf",
    "poke_sensitivity",
    "predict_from_prefix",
    "predicted_classes",
    "prepare_sequences",
    "read_candidates",
    "recipe",
    "recipe_names",
    "representative_size",
    "run_accuracies",
    "run_statistics",
    "same_model",
    "score_variance",
    "scores",
    "seed_selection",
    "seed_selection_model",
    "select_ensemble",
    "select_hmm",
    "sequential_boundaries",
    "sharpness_measures",
    "spectra",
    "spectral_distance",
    "spectrum",
    "stopping_rule",
    "study_measures",
    "study_spectra",
    "svd_smoothing",
    "train",
    "train_batch_ensemble",
    "train_until",
    "training_map",
    "trajectory_dissimilarity",
    "trimmed_distance",
    "trimmed_examples",
    "trimming",
    "trimming_curve",
    "trimming_level",
    "trimming_level_grid",
    "trimming_scores",
    "truncate_weights",
    "two_group_tasks",
    "variance",
    "variance_by_source",
    "weight_distances",
    "weight_metrics",
    "worst_case_radius",
]
