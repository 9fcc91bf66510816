from .prior import Prior, atlas, atlas_prior, fit_prior

__all__ = [
    "Prior",
    "atlas",
    "atlas_prior",
    "fit_prior",
]
