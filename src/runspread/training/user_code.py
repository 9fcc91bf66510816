"""Objects from a user's own file, named as ``path/to/file.py:name``: loaded where the caller names them, never else."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from ..errors import InputError


def refuse_code(named: object, by: str, hint: str) -> None:
    """Raise where a file, and not the caller, names code: the one decision on that, for studies and ensembles alike.

    Parameters
    ----------
    named : object
        What a file gives as the name of a network.
    by : str
        Which file.
    hint : str
        How the caller hands the network over instead.
    """
    if not isinstance(named, str):
        raise InputError(f"{by} gives {named!r} as its network", "the name of a network")
    if ":" in named:
        raise InputError(
            f"{by} names code, {named!r}, as its network; code that a file names is never run",
            "the network from you",
            hint,
        )


def load_object(location: str) -> Any:
    """Return the object that ``file.py:name`` names; the file is run as a module of its own.

    Raises
    ------
    InputError
        The file is not there, cannot be run, or has no such name.
    """
    file, _, name = location.rpartition(":")
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"there is no file {file!r}", "file.py:name, for example my_recipe.py:recipe")
    spec = importlib.util.spec_from_file_location(f"runspread_user_{path.stem}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's own code raises
        raise InputError(
            f"{file} cannot be run ({type(error).__name__}: {error})", "a Python file that imports"
        ) from error
    if not hasattr(module, name):
        public = [key for key in vars(module) if not key.startswith("_")]
        raise InputError(f"there is no {name!r} in {file}", f"one of {', '.join(public)}" if public else "a name in it")
    return getattr(module, name)
