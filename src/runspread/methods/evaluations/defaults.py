"""What the methods of this family assume unless told otherwise: one set for verb, command and reports."""

from __future__ import annotations

LEVEL = 0.95
POWER = 0.8
ON = ("distribution", "models", "test-set", "samples")  # what an answer covers, the widest first
FEW_CLUSTERS = 10  # below, little is known about new clusters
MOST_MISSING = 0.02  # of items that are excluded before the best and the worst case are shown
COMPLETE = 0.9  # of items that have all seeds, before the spread between seeds is taken from those alone
FEW_DISCORDANT = 25  # discordant items, below which the exact test has to agree
FEW_ITEMS = 10  # below, equal differences of all items decide nothing
ROWS_TO_DECIDE = 5  # answers of each model, before an item is judged by itself
MOST_SEEDS = 30  # of a plan
MOST_SAMPLES = 32
