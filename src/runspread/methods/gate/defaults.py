"""What the gate does unless it is told otherwise."""

ALPHA = 0.05  # share of campaigns with a false certificate, at most
RULE = "two"
CERTIFICATE_RUNS = (5, 10, 16)  # runs per side at each look
CERTIFICATE_RUNS_PAIRED = (8, 12, 16)
SHARES = (0.2, 0.3, 0.5)  # of the level, one for each look
HOPELESS = (0.5, 0.3)  # p-values above which the first looks stop for good
MORE_RUNS_FIRST = 8  # at the first look, where 5 runs per side cannot reach its level
CONFIRMATION_RUNS = 8  # per side, of a try under the rule "strict"
CONFIRMATION_SHARE = 0.2  # of the wealth, for one confirmation
