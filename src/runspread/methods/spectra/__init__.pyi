from ..._reading.weights.torch_files import TorchCheckpoint, from_torch_checkpoint
from .defaults import LayerSettings, RadiusSettings, TailSettings
from .layers import LayerMetrics, layer_metrics
from .marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur
from .models import ModelSpectra
from .norms import NormMeasures, accuracy_of, margin_percentile, norm_measures, output_margins, path_norm
from .of_models import SpectraOptions
from .of_studies import study_spectra
from .powerlaw import PowerLawFit, fit_power_law
from .quality import QualityDifference, StudySpectra
from .sharpness import (
    SharpnessMeasures,
    pac_bayes_measures,
    perturbation_tolerance,
    sharpness_measures,
    worst_case_radius,
)
from .singular_values import Spectrum, spectrum
from .smoothing import SmoothingResult, svd_smoothing, truncate_weights
from .spectral_numbers import density_distance, fit_without_fingers, spectral_distance
from .study_measures import StudyMeasures
from .tail_alternatives import TailComparison, TruncatedPowerLawFit, compare_tails, fit_truncated_power_law
from .verbs import spectra
from .weight_changes import ClippedWeight, WeightDistances, clip_traps, weight_distances

__all__ = [
    "ClippedWeight",
    "LayerMetrics",
    "LayerSettings",
    "MarchenkoPasturFit",
    "ModelSpectra",
    "NormMeasures",
    "PowerLawFit",
    "QualityDifference",
    "RadiusSettings",
    "SharpnessMeasures",
    "SmoothingResult",
    "SpectraOptions",
    "Spectrum",
    "StudyMeasures",
    "StudySpectra",
    "TailComparison",
    "TailSettings",
    "TorchCheckpoint",
    "TruncatedPowerLawFit",
    "WeightDistances",
    "accuracy_of",
    "clip_traps",
    "compare_tails",
    "density_distance",
    "fit_marchenko_pastur",
    "fit_power_law",
    "fit_truncated_power_law",
    "fit_without_fingers",
    "from_torch_checkpoint",
    "layer_metrics",
    "margin_percentile",
    "norm_measures",
    "output_margins",
    "pac_bayes_measures",
    "path_norm",
    "perturbation_tolerance",
    "sharpness_measures",
    "spectra",
    "spectral_distance",
    "spectrum",
    "study_spectra",
    "svd_smoothing",
    "truncate_weights",
    "weight_distances",
    "worst_case_radius",
]
