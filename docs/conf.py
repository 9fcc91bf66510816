"""Sphinx configuration of the documentation: ``make docs`` writes it to docs/_build/html."""

import importlib
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path

import runspread

project = "runspread"
author = "The runspread developers"
release = version = runspread.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autosummary_generate = True
templates_path = ["_templates"]
autodoc_typehints = "none"  # the NumPy docstrings give types with shapes and units
napoleon_google_docstring = False
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
for _place in _namespaces("runspread"):
    _module = importlib.import_module(_place)
    _title, _about = f"``{_place}``", inspect.getdoc(_module)
    _names = [name for name in _module.__all__ if not inspect.ismodule(getattr(_module, name))]
    if _place != "runspread":  # a class is described once
        _names = [
            name for name in _names if name not in runspread.__all__ or not inspect.isclass(getattr(_module, name))
        ]
    _settings = [name for name in _names if typing.is_typeddict(getattr(_module, name))]  # keys are no attributes
    _blocks = [("", [name for name in _names if name not in _settings]), ("   :template: settings.rst\n", _settings)]
    _page = f"{_title}\n{'=' * len(_title)}\n\n{_about}\n\n.. currentmodule:: {_place}\n"
    for _option, _listed in _blocks:
        if _listed:
            _lines = "\n".join(f"   {name}" for name in _listed)
            _page += f"\n.. autosummary::\n   :toctree: names\n{_option}\n{_lines}\n"
    (_PAGES / f"{_place}.rst").write_text(_page)
# Types in docstrings name shapes, such as "ndarray [runs, examples]"; they are prose, not references to look up.
suppress_warnings = ["ref.python"]
