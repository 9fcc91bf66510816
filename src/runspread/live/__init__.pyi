from .following import FollowedRun, follow
from .huggingface import RunspreadCallback
from .keras import KerasCallback
from .lightning import LightningCallback, LightningLogger

__all__ = [
    "FollowedRun",
    "KerasCallback",
    "LightningCallback",
    "LightningLogger",
    "RunspreadCallback",
    "follow",
]
