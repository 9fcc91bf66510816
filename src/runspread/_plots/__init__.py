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
    "MarchenkoPasturFit": ("spectra", "plot_bulk"),
    "MetricAnalysis": ("paradox", "plot_simpson"),
    "ModelSpectra": ("spectra", "plot_model"),
    "OutsideDetection": ("corruptions", "plot_outside"),
    "ParadoxAnalysis": ("paradox", "plot_within_between"),
    "PowerLawFit": ("spectra", "plot_power_law"),
    "QualityDifference": ("spectra", "plot_quality_difference"),
    "RepresentativeSize": ("trimming", "plot_representative_size"),
    "RunPlan": ("variance", "plot_plan"),
    "SameModel": ("trimming", "plot_same_model"),
    "Scores": ("ensembles", "plot_reliability"),
    "SeedSelection": ("variance", "plot_seed_selection"),
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


def plot(result: Result, ax: Axes | None = None) -> Axes:
    """Draw a result's main picture on `ax`, or on a new figure."""
    if type(result).__name__ not in _MAIN:
        raise InputError(f"no plot for {type(result).__name__}", f"one of {', '.join(sorted(_MAIN))}")
    module, function = _MAIN[type(result).__name__]
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)(result, ax)


def new_axes(ax: Axes | None, *, width: float = 6.0, height: float = 3.6) -> Axes:
    """Return `ax`, or the axes of a new figure of the given size in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]
