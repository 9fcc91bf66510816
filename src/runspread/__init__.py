"""runspread: what differs between two trainings of the same network, measured and put to use.

Everything public is an attribute of this module and is loaded when it is first used; ``import runspread`` itself
loads nothing heavier than NumPy. The list of public names is the type stub beside this file.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__version__ = "0.1.0.dev0"

del _lazy
