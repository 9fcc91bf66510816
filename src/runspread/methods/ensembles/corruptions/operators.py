"""The 15 corruptions of CIFAR-10-C at five severities, from their published definitions."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._checks import check_choice, check_integers, check_seed
from ...._optional import require
from ....errors import InputError
from . import geometry
from .geometry import Images

SIDE = 32  # pixels that the published parameters are meant for
SEVERITIES = (1, 2, 3, 4, 5)
Operator = Callable[[Images, Any, np.random.Generator], NDArray[Any]]


def _gaussian_noise(x: Images, sd: float, rng: np.random.Generator) -> NDArray[Any]:
    return x + rng.normal(0, sd, x.shape)


def _shot_noise(x: Images, photons: float, rng: np.random.Generator) -> NDArray[Any]:
    return rng.poisson(x * photons) / photons


def _impulse_noise(x: Images, amount: float, rng: np.random.Generator) -> NDArray[Any]:
    u = rng.random(x.shape)
    return np.where(u < amount / 2, 0.0, np.where(u < amount, 1.0, x))


def _defocus_blur(x: Images, c: tuple[float, float], rng: np.random.Generator) -> Images:
    return geometry.disk_blur(x, *c)


def _glass_blur(x: Images, c: tuple[float, int, int], rng: np.random.Generator) -> Images:
    blurred = geometry.gaussian_blur(x, c[0])
    return geometry.gaussian_blur(geometry.shuffle_locally(blurred, c[1], c[2], rng), c[0])


def _motion_blur(x: Images, c: tuple[int, float], rng: np.random.Generator) -> Images:
    return geometry.motion_blur(x, *c, np.deg2rad(rng.uniform(-45, 45, len(x))))


def _zoom_blur(x: Images, end: float, rng: np.random.Generator) -> Images:
    zoomed = [geometry.zoom_in(x, float(factor)) for factor in np.arange(1, end, 0.01)]
    return (x + np.sum(zoomed, axis=0)) / (len(zoomed) + 1)


def _snow(x: Images, c: tuple[float, ...], rng: np.random.Generator) -> NDArray[Any]:
    mean, sd, magnify, threshold, radius, sigma, keep = c
    flakes = rng.normal(mean, sd, (len(x), 1, *x.shape[2:])).astype(np.float32)
    flakes = geometry.zoom_in(flakes, magnify) if magnify != 1 else flakes
    flakes = np.clip(np.where(flakes < threshold, 0, flakes), 0, 1)
    flakes = geometry.motion_blur(flakes, int(radius), sigma, np.deg2rad(rng.uniform(-135, -45, len(x))))
    bright = keep * x + (1 - keep) * np.maximum(x, _grey(x) * 1.5 + 0.5)
    return bright + flakes + np.rot90(flakes, 2, axes=(2, 3))


def _frost(x: Images, c: tuple[float, float], rng: np.random.Generator) -> NDArray[Any]:
    """Lay ice crystals over the image. The published ones come from photographs; these are drawn from fractal noise."""
    side = _power_of_two(x)
    ridges = [1 - np.abs(2 * geometry.plasma(len(x), side, decay, rng) - 1) for decay in (1.6, 2.2)]
    ice = np.clip(1.6 * (0.6 * ridges[0] ** 3 + 0.4 * ridges[1] ** 2), 0, 1)[:, None, : x.shape[2], : x.shape[3]]
    tint = np.array([0.82, 0.92, 1.0])[:, None, None] if x.shape[1] == 3 else 1.0
    return c[0] * x + c[1] * ice * tint


def _fog(x: Images, c: tuple[float, float], rng: np.random.Generator) -> NDArray[Any]:
    clouds = geometry.plasma(len(x), _power_of_two(x), c[1], rng)[:, None, : x.shape[2], : x.shape[3]]
    brightest = x.max((1, 2, 3), keepdims=True)
    return (x + c[0] * clouds) * brightest / (brightest + c[0])


def _brightness(x: Images, amount: float, rng: np.random.Generator) -> NDArray[Any]:
    value = x.max(1, keepdims=True)  # of hue, saturation, value: raising it scales the colour
    raised = np.clip(value + amount, 0, 1)
    return np.where(value > 0, x * (raised / np.where(value > 0, value, 1)), raised)


def _contrast(x: Images, factor: float, rng: np.random.Generator) -> NDArray[Any]:
    mean = x.mean((2, 3), keepdims=True)
    return (x - mean) * factor + mean


def _elastic(x: Images, c: tuple[float, float, float], rng: np.random.Generator) -> Images:
    strength, smoothness, affine = (min(x.shape[2:]) * value for value in c)
    return geometry.elastic(x, strength, smoothness, affine, rng)


def _pixelate(x: Images, share: float, rng: np.random.Generator) -> Images:
    height, width = x.shape[2:]
    small = geometry.box_resize(x, max(1, int(height * share)), max(1, int(width * share)))
    return geometry.box_resize(small, height, width)


def _jpeg(x: Images, quality: int, rng: np.random.Generator) -> NDArray[Any]:
    image = require("PIL.Image", "JPEG compression")
    pixels = (x * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return np.stack([_through_jpeg(image, one, quality) for one in pixels]).transpose(0, 3, 1, 2) / 255


def _through_jpeg(image: Any, pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(image.open(buffer)).reshape(pixels.shape)


def _grey(x: Images) -> NDArray[Any]:
    weights = np.array([0.299, 0.587, 0.114]) if x.shape[1] == 3 else np.full(x.shape[1], 1 / x.shape[1])
    return np.einsum("c,nchw->nhw", weights, x)[:, None]


def _power_of_two(x: Images) -> int:
    return 1 << (max(x.shape[2:]) - 1).bit_length()


# Name -> (operator, parameters at severities 1 to 5), Hendrycks and Dietterich (2019), their code for CIFAR-10.
OPERATORS: dict[str, tuple[Operator, tuple[Any, ...]]] = {
    "gaussian_noise": (_gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot_noise": (_shot_noise, (500, 250, 100, 75, 50)),
    "impulse_noise": (_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "defocus_blur": (_defocus_blur, ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))),
    "glass_blur": (_glass_blur, ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))),
    "motion_blur": (_motion_blur, ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))),
    "zoom_blur": (_zoom_blur, (1.06, 1.11, 1.16, 1.21, 1.26)),
    "snow": (
        _snow,
        (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
    ),
    "frost": (_frost, ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))),
    "fog": (_fog, ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))),
    "brightness": (_brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": (_contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "elastic_transform": (
        _elastic,
        ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    ),
    "pixelate": (_pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
    "jpeg_compression": (_jpeg, (80, 65, 58, 50, 40)),
}


def corruption_names() -> tuple[str, ...]:
    """Return the names of the 15 corruptions, in the order of the CIFAR-10-C data set.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.ensembles.corruption_names()[:3]
    ('gaussian_noise', 'shot_noise', 'impulse_noise')
    """
    return tuple(OPERATORS)


def corrupt(images: NDArray[Any], corruption: str, severity: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Corrupt images as CIFAR-10-C does.

    Parameters
    ----------
    images : ndarray [images, channels, height, width]
        uint8, or floating point from 0 to 1; one or three channels.
    corruption : str
        One of `corruption_names`.
    severity : int
        1 to 5.
    seed : int
        Seed of the draws. The result depends on it, on the corruption and the severity, and on the images' order.

    Returns
    -------
    ndarray of uint8
        Of the same shape.

    Raises
    ------
    InputError
        Unknown corruption or severity, or no images.

    Notes
    -----
    Zoom blur averages the image with 7, 12, 16, 21 or 26 zooms from 1 in steps of 0.01: the published
    ``np.arange(1, 1.06, 0.01)``, ..., of which the first two reach their end by rounding.

    Made for 32 x 32 pixels; other sizes are corrupted with the same parameters in pixels. Two differ from the published
    data set: frost is drawn instead of taken from photographs, and motion blur is our own after ImageMagick's
    description. Compare methods on these images, not these numbers with published ones.

    References
    ----------
    Hendrycks and Dietterich (2019), arXiv 1903.12261.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> images = np.random.default_rng(0).random((2, 1, 16, 16)).astype("float32")
    >>> rs.methods.ensembles.corrupt(images, "contrast", 3).shape
    (2, 1, 16, 16)
    """
    operator, parameters = OPERATORS[check_choice(corruption, "corruption", OPERATORS)]
    severity = int(check_integers(severity, "severity", 1, 5))
    x = _unit_range(images)
    rng = np.random.default_rng([check_seed(seed), zlib.crc32(corruption.encode()), severity])
    return (np.clip(operator(x, parameters[severity - 1], rng), 0, 1) * 255).astype(np.uint8)


def _unit_range(images: NDArray[Any]) -> Images:
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise InputError(
            f"got images of shape {images.shape}", "[images, 1 or 3 channels, height, width], at least one"
        )
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    if images.dtype.kind != "f" or not (images.min() >= 0 and images.max() <= 1):
        raise InputError(f"got images of dtype {images.dtype}", "uint8, or floating point from 0 to 1")
    return images.astype(np.float32)
