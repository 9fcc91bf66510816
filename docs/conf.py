"""Sphinx configuration of the documentation: ``make docs`` writes it to docs/_build/html."""

import importlib
import inspect
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import runspread

sys.path.insert(0, str(Path(__file__).parent))  # executed.py, printed.py

project = "runspread"
author = "The runspread developers"
release = version = runspread.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
extensions += ["executed", "printed"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_made"]
autosummary_generate = False
autodoc_typehints = "none"  # the NumPy docstrings give types with shapes and units
napoleon_google_docstring = False
napoleon_use_ivar = True  # attributes as one list, not an entry of the index each
html_theme = "furo"
html_title = "runspread"


def _namespaces(place: str) -> Iterator[str]:
    """Yield a namespace and those inside it, by the names that a user writes."""
    yield place
    module = importlib.import_module(place)
    for name in module.__all__:
        if inspect.ismodule(getattr(module, name)):
            yield from _namespaces(f"{place}.{name}")


# One page of public names per namespace is made here, from the package itself, so that no name is forgotten.
_PAGES = Path(__file__).parent / "api"
_PAGES.mkdir(exist_ok=True)


def _directive(value: object, name: str) -> str:
    """Return the lines that describe one name; a class with the methods of its own that have a docstring."""
    if inspect.isclass(value) and issubclass(value, BaseException):
        return f".. autoexception:: {name}\n"
    if inspect.isclass(value):
        return f".. autoclass:: {name}\n{'' if typing.is_typeddict(value) else '   :members:' + chr(10)}"
    return f".. {'autofunction' if callable(value) else 'autodata'}:: {name}\n"


# One page per namespace: a page per name would be written with all others in its margin, which takes minutes.
for _place in _namespaces("runspread"):
    _module = importlib.import_module(_place)
    _title, _about = f"``{_place}``", inspect.getdoc(_module)
    _names = [name for name in _module.__all__ if not inspect.ismodule(getattr(_module, name))]
    if _place != "runspread":  # a class is described once
        _names = [
            name for name in _names if name not in runspread.__all__ or not inspect.isclass(getattr(_module, name))
        ]
    _page = f"{_title}\n{'=' * len(_title)}\n\n{_about}\n\n.. currentmodule:: {_place}\n"
    if _names:
        _page += "\n.. autosummary::\n\n" + "".join(f"   {name}\n" for name in _names)
    _page += "".join("\n" + _directive(getattr(_module, name), name) for name in _names)
    _file = _PAGES / f"{_place}.rst"
    if not _file.exists() or _file.read_text() != _page:  # what is unchanged is not read again
        _file.write_text(_page)
# Types in docstrings name shapes, such as "ndarray [runs, examples]"; they are prose, not references to look up.
suppress_warnings = ["ref.python"]
