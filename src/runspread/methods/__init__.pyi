from .._reading.outputs import RunOutputs
from .._results import Excluded, Result, Table
from . import audit, corpus, dynamics, ensembles, evaluations, gate, hmm, scores, spectra, trimming, variance, verbs

__all__ = [
    "Excluded",
    "Result",
    "RunOutputs",
    "Table",
    "audit",
    "corpus",
    "dynamics",
    "ensembles",
    "evaluations",
    "gate",
    "hmm",
    "scores",
    "spectra",
    "trimming",
    "variance",
    "verbs",
]
