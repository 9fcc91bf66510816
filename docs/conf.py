"""Sphinx configuration of the documentation: ``make docs`` writes it to docs/_build/html."""

import importlib
import inspect
import typing
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

# One page of public names per namespace is made here, from the package itself, so that no name is forgotten.
_TITLES = {
    "runspread": "Top level",
    "runspread.methods": "Results and tables",
    "runspread.methods.variance": "Variance of training",
    "runspread.methods.audit": "Audit of independence",
    "runspread.methods.trimming": "Trimming levels",
    "runspread.methods.spectra": "Weight spectra",
    "runspread.methods.corpus": "A corpus of models",
    "runspread.methods.dynamics": "Training dynamics",
    "runspread.methods.evaluations": "Evaluations",
    "runspread.methods.hmm": "Hidden Markov models",
    "runspread.methods.ensembles": "Ensembles",
    "runspread.methods.scores": "Scores of runs",
    "runspread.methods.verbs": "Keywords of the verbs on top",
    "runspread.importers": "Importers",
    "runspread.live": "Recording other trainings live",
    "runspread.methods.gate": "Rules and certificates of a campaign",
    "runspread.training": "Training",
    "runspread.studies": "Studies",
    "runspread.campaigns": "Campaigns of tries",
    "runspread.nn": "Layers and ensembles in one network",
    "runspread.plots": "Plots",
    "runspread.errors": "Errors",
    "runspread.testing": "Tests of training code, and contracts",
}
_PAGES = Path(__file__).parent / "api"
_PAGES.mkdir(exist_ok=True)
for _place, _title in _TITLES.items():
    _module = importlib.import_module(_place)
    _names = [name for name in _module.__all__ if not inspect.ismodule(getattr(_module, name))]
    if _place != "runspread":  # a class is described once
        _names = [
            name for name in _names if name not in runspread.__all__ or not inspect.isclass(getattr(_module, name))
        ]
    _settings = [name for name in _names if typing.is_typeddict(getattr(_module, name))]  # keys are no attributes
    _blocks = [("", [name for name in _names if name not in _settings]), ("   :template: settings.rst\n", _settings)]
    _page = f"{_title}\n{'=' * len(_title)}\n\n.. currentmodule:: {_place}\n"
    for _option, _listed in _blocks:
        if _listed:
            _lines = "\n".join(f"   {name}" for name in _listed)
            _page += f"\n.. autosummary::\n   :toctree: names\n{_option}\n{_lines}\n"
    (_PAGES / f"{_place}.rst").write_text(_page)
# Types in docstrings name shapes, such as "ndarray [runs, examples]"; they are prose, not references to look up.
suppress_warnings = ["ref.python"]
