"""The runs of one arm in one column of a result: what tables of papers and pictures are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._reading.scores.table import ScoreCell, ScoreTable
from ..._results import Part


@dataclass(frozen=True, eq=False, kw_only=True)
class ArmRuns(Part):
    """The runs of one arm.

    Attributes
    ----------
    values : ndarray of float64 [n]
        One number per run.
    n_diverged : int
        Runs without a finite value.
    stand_in : float or None
        What stands for those among the values; None where they are excluded.
    """

    values: NDArray[np.float64]
    n_diverged: int = 0
    stand_in: float | None = None

    @property
    def finite(self) -> NDArray[np.float64]:
        """The values that are finite."""
        return self.values[np.isfinite(self.values)]

    @property
    def n_all(self) -> int:
        """How many runs there are, those that diverged among them."""
        return len(self.values) if self.stand_in is not None else len(self.finite) + self.n_diverged


def runs_of_cell(cell: ScoreCell, table: ScoreTable) -> ArmRuns:
    """Return the runs of a cell of a table as it was read."""
    given = table.diverged
    stand_in = None if isinstance(given, str) else float(given)
    return ArmRuns(values=cell.values, n_diverged=cell.n_diverged, stand_in=stand_in)
