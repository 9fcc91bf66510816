"""One way to import what may not be installed."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import MissingDependencyError

_EXTRAS = {
    "torch": "train",
    "loky": "train",
    "sklearn": "train",
    "pyarrow": "train",
    "PIL": "train",
    "numba": "fast",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "datasets": "huggingface",
    "ray": "ray",
    "submitit": "slurm",
    "yaml": "import",
    "obstore": "remote",
    "lightning": "lightning",
    "transformers": "huggingface",
}


def require(module: str, purpose: str) -> Any:
    """Import an optional module, or say which extra brings it.

    Parameters
    ----------
    module : str
        Name to import, for example ``"torch"`` or ``"pyarrow.parquet"``.
    purpose : str
        What needs it, as the subject of a sentence: ``"training"``, ``"reading image parquet"``.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingDependencyError
        The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise  # the package is there, one of its own imports is not: its message says more than ours
        extra = _EXTRAS.get(top)
        remedy = f"pip install 'runspread[{extra}]'" if extra else f"pip install {top}"
        raise MissingDependencyError(
            f"{purpose} needs the package {top}, which is not installed", hint=f"Run: {remedy}"
        ) from error
