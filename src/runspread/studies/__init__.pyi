from .._engine import engine
from .copying import copy_study
from .digests import add_digests
from .layout import RunMetadata
from .opening import create_study, open_study
from .readers import Curves, Metrics, Predictions
from .recorder import RunRecorder
from .records import Seeds
from .runs import Runs
from .stores.urls import open_store
from .study import Study
from .verify import Verification

__all__ = [
    "Curves",
    "Metrics",
    "Predictions",
    "RunMetadata",
    "RunRecorder",
    "Runs",
    "Seeds",
    "Study",
    "Verification",
    "add_digests",
    "copy_study",
    "create_study",
    "engine",
    "open_store",
    "open_study",
]
