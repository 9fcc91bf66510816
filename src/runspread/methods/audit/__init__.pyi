from .auditing import Audit, audit
from .evidence import RunEvidence
from .looks import Finding

__all__ = [
    "Audit",
    "Finding",
    "RunEvidence",
    "audit",
]
