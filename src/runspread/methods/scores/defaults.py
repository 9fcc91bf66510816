"""What the methods of this family assume unless told otherwise: one set for verbs, commands and reports."""

from __future__ import annotations

LEVEL = 0.95
POWER = 0.8
MOST_RUNS = 1_000  # that a plan from a pilot of two runs is still worth naming
LOOKS = (3, 4, 5, 6, 8, 10, 13, 16, 20)  # runs of each at which a growing comparison is looked at
RESAMPLES = 2_000
GAMMA = 1.0  # of the optimality gap
EFFECT_VARIANCE = 1.0  # prior of the standardised difference in the always valid test
