"""Plots: each takes a result and an Axes and returns the Axes; one module here per method, loaded when asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .._errors import InputError
from .._results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Name of the result's class -> (module here, function): the main picture that ``result.plot()`` draws.
_MAIN: dict[str, tuple[str, str]] = {
    "CalibrationResult": ("calibration", "plot_calibration_curve"),
    "Comparison": ("variance", "plot_comparison"),
    "CorruptionBenchmark": ("corruptions", "plot_corruptions"),
    "Diversity": ("ensembles", "plot_diversity"),
    "EnsembleCost": ("ensembles", "plot_cost"),
    "EnsembleSelection": ("ensembles", "plot_selection"),
    "EnsembleSizes": ("ensembles", "plot_ensemble_sizes"),
    "EnsembleTraining": ("ensembles", "plot_bounds"),
    "GapPlan": ("variance", "plot_plan"),
    "HmmSelection": ("dynamics", "plot_state_selection"),
    "LayerMetrics": ("spectra", "plot_layer"),
    "Look": ("variance", "plot_look"),
    "MapComparison": ("map_checks", "plot_map_comparison"),
    "MapStability": ("map_checks", "plot_map_stability"),
    "MarchenkoPasturFit": ("spectra", "plot_bulk"),
    "MetricAnalysis": ("paradox", "plot_simpson"),
    "ModelSpectra": ("spectra", "plot_model"),
    "OutcomeRegression": ("map_checks", "plot_outcome_regression"),
    "OutsideDetection": ("corruptions", "plot_outside"),
    "ParadoxAnalysis": ("paradox", "plot_within_between"),
    "PowerLawFit": ("spectra", "plot_power_law"),
    "PrefixPrediction": ("map_checks", "plot_prefix_prediction"),
    "QualityDifference": ("spectra", "plot_quality_difference"),
    "RepresentativeSize": ("trimming", "plot_representative_size"),
    "RunAccuracies": ("variance", "plot_run_accuracies"),
    "RunPlan": ("variance", "plot_plan"),
    "SameModel": ("trimming", "plot_same_model"),
    "Scores": ("ensembles", "plot_reliability"),
    "SeedSelection": ("variance", "plot_seed_selection"),
    "SelectionModel": ("variance", "plot_selection_model"),
    "SmoothingResult": ("spectra", "plot_smoothing"),
    "SourceComponents": ("variance", "plot_sources"),
    "SourceGroups": ("variance", "plot_sources"),
    "Spectrum": ("spectra", "plot_spectrum"),
    "StudySpectra": ("spectra", "plot_study_spectra"),
    "TrainedBatchEnsemble": ("ensembles", "plot_trained_batch"),
    "TrainedEnsemble": ("ensembles", "plot_trained"),
    "TrainingDynamics": ("training_map", "plot_training_map"),
    "TrainingMap": ("training_map", "plot_training_map"),
    "TrimmedExamples": ("trimming", "plot_trimmed_examples"),
    "TrimmingCurve": ("trimming", "plot_trimming_curve"),
    "TrimmingLevels": ("trimming", "plot_trimming_levels"),
    "TrimmingScores": ("trimming", "plot_trimming_scores"),
    "TwoGroupTasks": ("calibration", "plot_task_spread"),
    "VarianceResult": ("variance", "plot_accuracy_distribution"),
}

# Results without a picture of their own -> what to draw instead.
_INSTEAD = {
    "Audit": "its findings are a table: print(result), or result.table()",
    "IndependenceTest": "rs.variance(...).plot() draws the accuracies against the law that the test is about",
    "PairDeviations": "rs.variance(...).plot() draws what dependent errors do to the accuracies",
    "PokeSensitivity": "its three shares are a table: print(result.table()); by_pair holds one number a pair",
    "ScoreVariance": "draw result.run_mean with a histogram: scores have no law of independent errors to draw beside",
    "HiddenMarkovModel": "training_map(model, sequences) has one, and table() lists the states' means",
    "PreparedSequences": "plot_metric_by_state draws metrics of what dynamics() returns, and table() lists them",
}


def plot(result: Result, ax: Axes | None = None) -> Axes:
    """Draw a result's main picture on `ax`, or on a new figure."""
    name = type(result).__name__
    if name in _INSTEAD:
        raise InputError(f"no picture of {name}", hint=f"Instead, {_INSTEAD[name]}.")
    if name not in _MAIN:
        raise InputError(f"no plot for {name}", f"one of {', '.join(sorted(_MAIN))}")
    module, function = _MAIN[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)(result, ax)


def new_axes(ax: Axes | None, *, width: float = 6.0, height: float = 3.6) -> Axes:
    """Return `ax`, or the axes of a new figure of the given size in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]
