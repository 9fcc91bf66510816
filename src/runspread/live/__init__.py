"""Recording while something else trains: callbacks for Hugging Face, Lightning and Keras, and one's own loop."""

from .._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
