from .claims import Bounds, Claim, Sides, claim_of, judge_sides, stand_in
from .climbing import decide
from .exact import permutation_p, sign_flip_p, welch_min_p
from .history import expected_best, noise_of_chance
from .looks import Look, certificate_looks, confirmation_level, confirmation_levels
from .regression import Limits, Tested, regression_limits, regression_test, shown_not_worse
from .spreads import Noise, noise, noise_warnings
from .status import GateStatus, TryRow
from .tolerance import tolerance_factor

__all__ = [
    "Bounds",
    "Claim",
    "GateStatus",
    "Limits",
    "Look",
    "Noise",
    "Sides",
    "Tested",
    "TryRow",
    "certificate_looks",
    "claim_of",
    "confirmation_level",
    "confirmation_levels",
    "decide",
    "expected_best",
    "judge_sides",
    "noise",
    "noise_of_chance",
    "noise_warnings",
    "permutation_p",
    "regression_limits",
    "regression_test",
    "shown_not_worse",
    "sign_flip_p",
    "stand_in",
    "tolerance_factor",
    "welch_min_p",
]
