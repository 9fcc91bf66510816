"""runspread: what differs between two trainings of the same network, measured and put to use.

Everything public is an attribute of this module and is loaded when it is first used; ``import runspread`` itself
does not even load NumPy. The list of public names is the type stub beside this file.
"""

from ._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
__version__ = "0.1.0.dev0"
