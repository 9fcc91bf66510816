from .imported import ImportedRuns
from .limits import Limits
from .options import ImportSettings
from .records import Checkpoint, Curve, ImportedRun, Output, Problem, Source
from .verbs import (
    from_dvclive,
    from_huggingface,
    from_keras,
    from_lightning,
    from_mlflow,
    from_neptune,
    from_sacred,
    from_table,
    from_tensorboard,
    from_text,
    from_trackio,
    from_wandb,
)

__all__ = [
    "Checkpoint",
    "Curve",
    "ImportSettings",
    "ImportedRun",
    "ImportedRuns",
    "Limits",
    "Output",
    "Problem",
    "Source",
    "from_dvclive",
    "from_huggingface",
    "from_keras",
    "from_lightning",
    "from_mlflow",
    "from_neptune",
    "from_sacred",
    "from_table",
    "from_tensorboard",
    "from_text",
    "from_trackio",
    "from_wandb",
]
