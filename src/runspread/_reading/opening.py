"""A path in the place of runs or labels is opened: a study, a file, a glob, or a folder of files."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from .study_folders import is_study_folder, open_study

_P = ParamSpec("_P")
_R = TypeVar("_R")


def is_path(value: Any) -> bool:
    """Whether a value is a path, or a list of paths."""
    if isinstance(value, (list, tuple)):
        values = cast("list[Any]", list(value))  # pyright: ignore[reportUnknownArgumentType]
        return bool(values) and all(isinstance(one, (str, os.PathLike)) for one in values)
    return isinstance(value, (str, os.PathLike))


def opened(source: Any) -> Any:
    """Return what lies at a path: a study, or the outputs of runs in files; groups by name are opened one by one."""
    if isinstance(source, Mapping):
        named = cast("Mapping[Any, Any]", source)
        return {name: opened(one) for name, one in named.items()}
    if not is_path(source):
        return source
    from .output_files import open_outputs

    if isinstance(source, (str, os.PathLike)) and is_study_folder(source):
        return open_study(source)
    return open_outputs(source)


def opened_studies(source: Any) -> Any:
    """Return the study that lies at a path, or the studies of a list of paths; all else as it is."""
    if isinstance(source, (list, tuple)):
        sources = cast("list[Any]", list(source))  # pyright: ignore[reportUnknownArgumentType]
        return [opened_studies(one) for one in sources] if is_path(sources) else source
    return open_study(source) if isinstance(source, (str, os.PathLike)) and is_study_folder(source) else source


def opened_labels(labels: Any) -> Any:
    """Return labels, read from a file where a path was given."""
    if not isinstance(labels, (str, os.PathLike)):
        return labels
    from .output_files import read_labels

    return read_labels(Path(labels))


def opens(*names: str, by: Callable[[Any], Any] = opened) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator: these arguments of a method may be paths, and are opened before it is called."""

    def decorate(method: Callable[_P, _R]) -> Callable[_P, _R]:
        places = [(name, place) for place, name in enumerate(inspect.signature(method).parameters) if name in names]

        @functools.wraps(method)
        def opening(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            given: list[Any] = [*args]
            for name, place in places:
                if place < len(given):
                    given[place] = by(given[place])
                elif name in kwargs:
                    kwargs[name] = by(kwargs[name])
            call: Any = method
            return call(*given, **kwargs)

        return opening

    return decorate
