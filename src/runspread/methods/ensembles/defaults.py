"""Settings of ensembles, and their default values: one set for the verbs, the command and the report."""

from __future__ import annotations

from ..._reading.options import ReadingOptions

SIZE = 5  # distinct members
SIZES = tuple(range(1, 11))
OBJECTIVE = "nll"
OBJECTIVE_NAMES = ("nll", "brier", "error")
CHOOSING = "validation"  # split that chooses members
REPORTING = "test"  # split that scores them
FOLDS = 5  # of cross-validated selection
RANDOM_SUBSETS = 100  # to compare a selection with
RANDOM_SUBSETS_PER_SIZE = 50
CALIBRATION_BINS = 15


def most_steps(size: int) -> int:
    """Return the limit of selection steps for a number of distinct members, where none is given."""
    return max(50, 10 * size)


class CandidateOptions(ReadingOptions, total=False):
    """Keywords that say how candidates are read.

    Attributes
    ----------
    split : str
        Which split of a study to select on ("validation" by default). Never the one to report on.
    kind, nan
        As in `ReadingOptions`.
    ignore_index : int, optional
        Examples with this label are excluded.
    """

    ignore_index: int | None


class SelectionSettings(CandidateOptions, total=False):
    """Keywords of `select_ensemble` beside those that it names: `CandidateOptions`, and these.

    Attributes
    ----------
    max_steps : int, optional
        Limit of the number of steps; ``max(50, 10 * size)`` by default.
    n_random : int
        Random subsets of `size` to compare with (default: 100).
    """

    max_steps: int | None
    n_random: int


class SizesSettings(CandidateOptions, total=False):
    """Keywords of `ensemble_sizes` beside those that it names: `CandidateOptions`, and these.

    Attributes
    ----------
    report_split : str
        Which split of a study scores the ensembles ("test" by default).
    replacement, early_stop : bool
        As in `select_ensemble`; without either, which is the default, there is an ensemble of every size.
    n_random : int
        Random subsets per size (default: 50).
    """

    report_split: str
    replacement: bool
    early_stop: bool
    n_random: int
