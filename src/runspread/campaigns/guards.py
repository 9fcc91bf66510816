"""Guards: metrics that a certified state must not make worse, each with a margin."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ..errors import InputError
from ..methods.gate.claims import Sides, stand_in
from ..methods.gate.looks import Look

_FORM = re.compile(r"([A-Za-z_][\w./-]*?)([+-])(\d+\.?\d*(?:[eE]-?\d+)?)(%?)$")


@dataclass(frozen=True)
class Guard:
    """A metric that may rise, or fall, by a margin at most.

    Attributes
    ----------
    name : str
        The metric; "seconds" is the time of a run.
    higher : bool
        Whether larger is better, so that the margin is how far it may fall.
    margin : float
        In the unit of the metric, or a share of the start.
    relative : bool
        Whether it is a share.
    """

    name: str
    higher: bool
    margin: float
    relative: bool

    def p_value(self, sides: Sides, look: Look, *, test: str) -> float:
        """Return the one-sided p-value of "worse by less than the margin"; a failed run counts as worst."""
        import numpy as np

        sign = -1.0 if self.higher else 1.0
        taken = sides.first(look.runs)
        start, end = sign * taken.start, sign * taken.end
        if self.relative and not np.all(start[np.isfinite(start)] * sign > 0):
            return 1.0  # a share of what is not positive is no margin
        start = start + np.abs(start) * self.margin if self.relative else start + self.margin
        failed_as = stand_in(np.concatenate([start, end]), float("nan"))
        return replace(taken, start=start, end=end, higher=False).p_value(failed_as, test)


def parse_guard(text: str) -> Guard:
    """Return a guard from text: ``seconds+5%`` may rise by 5 %, ``accuracy-0.5`` may fall by 0.5."""
    found = _FORM.match(text.replace(" ", ""))
    if not found or float(found[3]) <= 0:
        raise InputError(
            f"the guard {text!r} has another form",
            "NAME+MARGIN or NAME-MARGIN with a margin above 0",
            "For example: seconds+5% (may rise by 5 %) or accuracy-0.5 (may fall by 0.5).",
        )
    share = bool(found[4])
    return Guard(found[1], found[2] == "-", float(found[3]) / (100 if share else 1), share)
