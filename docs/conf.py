"""Sphinx configuration of the documentation: ``make docs`` writes it to docs/_build/html."""

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
autodoc_typehints = "none"  # the NumPy docstrings give types with shapes and units
napoleon_google_docstring = False
html_theme = "furo"
html_title = "runspread"

# The page of public names is made here, from the package itself, so that no name is forgotten.
listed = "\n".join(f"   {name}" for name in runspread.__all__)
(Path(__file__).parent / "api.rst").write_text(f"""\
Public names
============

Everything public is an attribute of ``runspread``.

.. currentmodule:: runspread

.. autosummary::
   :toctree: api

{listed}
""")
# Types in docstrings name shapes, such as "ndarray [runs, examples]"; they are prose, not references to look up.
suppress_warnings = ["ref.python"]
