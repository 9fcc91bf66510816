from ..._reading.evaluations.answers import Answers
from ..._reading.evaluations.reading import read_evals
from .asking import evaluations
from .budget import EvaluationPlan, plan_evals
from .consistency import Consistency
from .deciding import DecidingItems
from .passing import PassAtK, pass_at_k
from .plans import Spreads
from .result import Evaluations, ModelDifference, ModelScore
from .shares import EvaluationSources

__all__ = [
    "Answers",
    "Consistency",
    "DecidingItems",
    "EvaluationPlan",
    "EvaluationSources",
    "Evaluations",
    "ModelDifference",
    "ModelScore",
    "PassAtK",
    "Spreads",
    "evaluations",
    "pass_at_k",
    "plan_evals",
    "read_evals",
]
