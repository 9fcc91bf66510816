from ..._reading.classes import predicted_classes
from .accuracy import RunAccuracies, run_accuracies
from .boundaries import sequential_boundaries
from .calibration_result import CalibrationResult
from .class_calibration import calibration
from .comparing import compare, holm_adjust
from .comparison import Comparison
from .components import SourceGroups, sources
from .crossed import SourceComponents
from .defaults import CompareOptions, PlanOptions, VarianceOptions
from .estimate import variance
from .independence import IndependenceTest, independence_test
from .null import poisson_binomial_pmf
from .pairs import PairDeviations, pair_deviations
from .perturbation import PerturbationSensitivity, perturbation_sensitivity
from .plan_results import GapPlan, RunPlan
from .planning import plan
from .plans import plan_gap, plan_runs, plan_superiority, plan_variance
from .real import ScoreVariance, score_variance
from .result import VarianceResult
from .selection_model import BestSeedModel, best_seed_model
from .statistics import RunStatistics
from .stopping import InterimLook, StoppingRule, stopping_rule
from .sums import RunSums
from .tasks import TwoGroupTasks, two_group_tasks
from .transfer import best_seed_selection
from .transfer_result import BestSeedSelection
from .whole_sources import run_statistics

__all__ = [
    "BestSeedModel",
    "BestSeedSelection",
    "CalibrationResult",
    "CompareOptions",
    "Comparison",
    "GapPlan",
    "IndependenceTest",
    "InterimLook",
    "PairDeviations",
    "PerturbationSensitivity",
    "PlanOptions",
    "RunAccuracies",
    "RunPlan",
    "RunStatistics",
    "RunSums",
    "ScoreVariance",
    "SourceComponents",
    "SourceGroups",
    "StoppingRule",
    "TwoGroupTasks",
    "VarianceOptions",
    "VarianceResult",
    "best_seed_model",
    "best_seed_selection",
    "calibration",
    "compare",
    "holm_adjust",
    "independence_test",
    "pair_deviations",
    "perturbation_sensitivity",
    "plan",
    "plan_gap",
    "plan_runs",
    "plan_superiority",
    "plan_variance",
    "poisson_binomial_pmf",
    "predicted_classes",
    "run_accuracies",
    "run_statistics",
    "score_variance",
    "sequential_boundaries",
    "sources",
    "stopping_rule",
    "two_group_tasks",
    "variance",
]
