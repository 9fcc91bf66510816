"""Objects from a user's own file, named as ``path/to/file.py:name``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from ..errors import InputError


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
        raise InputError(f"no file {file!r}", "file.py:name, for example my_recipe.py:recipe")
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
        raise InputError(f"no {name!r} in {file}", f"one of {', '.join(public)}" if public else "a name in it")
    return getattr(module, name)
