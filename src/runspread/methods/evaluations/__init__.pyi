from ..._reading.evaluations.answers import Answers
from ..._reading.evaluations.reading import read_evals
from .asking import evaluations
from .consistency import Consistency
from .deciding import DecidingItems
from .result import Evaluations, ModelDifference, ModelScore
from .shares import EvaluationSources

__all__ = [
    "Answers",
    "Consistency",
    "DecidingItems",
    "EvaluationSources",
    "Evaluations",
    "ModelDifference",
    "ModelScore",
    "evaluations",
    "read_evals",
]
