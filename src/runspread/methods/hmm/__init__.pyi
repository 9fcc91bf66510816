from .defaults import FitOptions
from .fit import fit_hmm
from .model import HiddenMarkovModel
from .monitor import MonitorReading, RunMonitor
from .selection import HmmSelection, select_hmm

__all__ = [
    "FitOptions",
    "HiddenMarkovModel",
    "HmmSelection",
    "MonitorReading",
    "RunMonitor",
    "fit_hmm",
    "select_hmm",
]
