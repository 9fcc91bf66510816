"""Blurs and distortions of batches of images [images, channels, height, width], each image with its own draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[Any]  # float32 from 0 to 1


def gaussian_blur(x: Images, sigma: float) -> Images:
    """Blur with a Gaussian of `sigma` pixels, edges repeated."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(x, (0, 0, sigma, sigma), mode="nearest"), dtype=np.float32)


def disk_blur(x: Images, radius: float, alias: float) -> Images:
    """Blur with a disk of `radius` pixels, itself smoothed by a 3x3 Gaussian of `alias` pixels; edges mirrored."""
    from scipy.ndimage import convolve

    steps = np.arange(-8, 9)
    disk = (steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.float32)
    weights = np.exp(-(np.arange(-1, 2) ** 2) / (2 * alias**2))
    smooth = np.outer(weights, weights) / weights.sum() ** 2
    kernel = convolve(disk / disk.sum(), smooth.astype(np.float32), mode="mirror")
    return np.asarray(convolve(x, kernel[None, None], mode="mirror"), dtype=np.float32)


def motion_blur(x: Images, radius: int, sigma: float, angles: NDArray[np.float64]) -> Images:
    """Blur along a line: one-sided Gaussian weights at whole-pixel offsets, as ImageMagick's, edges repeated.

    Parameters
    ----------
    x : ndarray [images, channels, height, width]
        Images.
    radius, sigma : int, float
        Taps are ``2 * radius + 1``, weighted by a Gaussian of `sigma`.
    angles : ndarray [images]
        Direction in radians.
    """
    taps = np.arange(2 * radius + 1)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    weights /= weights.sum()
    result = np.zeros_like(x)
    for tap, weight in zip(taps, weights, strict=True):
        if weight > 1e-4:
            right, down = (np.ceil(tap * f(angles) - 0.5).astype(np.int64) for f in (np.cos, np.sin))
            result += np.float32(weight) * _shifted(x, down, right)
    return result


def _shifted(x: Images, down: NDArray[np.int64], right: NDArray[np.int64]) -> Images:
    height, width = x.shape[2:]
    rows = np.clip(np.arange(height) + down[:, None], 0, height - 1)
    columns = np.clip(np.arange(width) + right[:, None], 0, width - 1)
    return np.take_along_axis(np.take_along_axis(x, rows[:, None, :, None], 2), columns[:, None, None, :], 3)


def zoom_in(x: Images, factor: float) -> Images:
    """Magnify the middle of every image, keeping its size."""
    height, width = x.shape[2:]
    across = np.ascontiguousarray(_magnify(width, factor).T)
    return _magnify(height, factor) @ x @ across


def _magnify(n: int, factor: float) -> NDArray[np.float32]:
    """Return the matrix [n, n] that crops the middle, magnifies it linearly and trims it to the size it had."""
    crop = int(np.ceil(n / factor))
    larger = round(crop * factor)
    places = np.arange(larger) * ((crop - 1) / max(larger - 1, 1))
    left = np.minimum(places.astype(np.int64), max(crop - 2, 0))
    matrix = np.zeros((larger, n), np.float32)
    start, rows = (n - crop) // 2, np.arange(larger)
    matrix[rows, start + left] = 1 - (places - left)
    matrix[rows, np.minimum(start + left + 1, n - 1)] += places - left
    trim = (larger - n) // 2
    return matrix[trim : trim + n]


def sample(x: Images, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Images:
    """Read images at places between pixels [images, height, width], bilinearly, mirrored beyond the edges."""
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = ((a - b)[:, None].astype(np.float32) for a, b in ((rows, top), (columns, left)))
    upper = _at(x, top, left) * (1 - right) + _at(x, top, left + 1) * right
    lower = _at(x, top + 1, left) * (1 - right) + _at(x, top + 1, left + 1) * right
    return upper * (1 - down) + lower * down


def _at(x: Images, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Images:
    height, width = x.shape[2:]
    places = _mirror(rows, height) * width + _mirror(columns, width)
    flat = x.reshape(*x.shape[:2], -1)
    return np.take_along_axis(flat, places.reshape(len(x), 1, -1), 2).reshape(x.shape)


def _mirror(index: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return indices folded into ``0..n-1`` without repeating the edge."""
    period = max(2 * (n - 1), 1)
    folded = np.abs(index) % period
    return np.minimum(folded, period - folded) if n > 1 else np.zeros_like(index)


def elastic(x: Images, strength: float, smoothness: float, affine: float, rng: np.random.Generator) -> Images:
    """Apply a random affine map and a smooth random displacement.

    Parameters
    ----------
    x : ndarray [images, channels, height, width]
        Images.
    strength, smoothness : float
        Factor and Gaussian width of the displacement, in pixels.
    affine : float
        How far the three points that define the affine map move at most, in pixels.
    rng : numpy.random.Generator
        Source of the draws.
    """
    from scipy.ndimage import gaussian_filter

    n, _, height, width = x.shape
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    maps = _inverse_affine(n, height, width, affine, rng)
    grid = np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
    places = (maps @ grid).reshape(n, 2, height, width)
    moved = sample(x, places[:, 1], places[:, 0])
    if strength == 0:
        return moved
    noise = rng.uniform(-1, 1, (2, n, height, width))
    shift = strength * gaussian_filter(noise, (0, 0, smoothness, smoothness), mode="reflect", truncate=3)
    return sample(moved, rows + shift[0], columns + shift[1])


def _inverse_affine(n: int, height: int, width: int, reach: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return maps [n, 2, 3] from places in the result to places in the image, as (column, row)."""
    centre, size = np.array([height, width]) // 2, min(height, width) // 3
    corners = np.array([centre + size, [centre[0] + size, centre[1] - size], centre - size], dtype=float)
    moved = corners + rng.uniform(-reach, reach, (n, 3, 2))
    ones = np.ones((n, 3, 1))
    maps = np.linalg.solve(np.concatenate([moved, ones], 2), np.broadcast_to(corners, (n, 3, 2)))
    return np.asarray(maps, dtype=np.float64).transpose(0, 2, 1)


def shuffle_locally(x: Images, reach: int, rounds: int, rng: np.random.Generator) -> Images:
    """Replace pixels by near ones, one place after the other.

    The published code means to swap, but assigns views of one array, so that pixels are copied; its data sets are like
    that, and so is this.
    """
    result = x.copy()
    images = np.arange(len(x))
    height, width = x.shape[2:]
    for _ in range(rounds):
        for row in range(height - reach, reach, -1):
            for column in range(width - reach, reach, -1):
                down, right = rng.integers(-reach, reach, (2, len(x)))
                result[images, :, row, column] = result[images, :, row + down, column + right]
    return result


def box_resize(x: Images, height: int, width: int) -> Images:
    """Resize by averaging the pixels whose centres lie in each new pixel's box, as Pillow's ``BOX``."""
    return _boxes(x.shape[2], height) @ x @ _boxes(x.shape[3], width).T


def _boxes(old: int, new: int) -> NDArray[np.float32]:
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale
    offset = (np.arange(old) + 0.5 - centres[:, None]) / max(scale, 1.0)
    inside = ((offset > -0.5) & (offset <= 0.5)).astype(np.float32)
    return inside / inside.sum(axis=1, keepdims=True)


def plasma(n: int, size: int, decay: float, rng: np.random.Generator) -> Images:
    """Return fractal clouds [n, size, size] from 0 to 1 by the diamond-square method on a torus.

    Parameters
    ----------
    n, size : int
        Number and side of the clouds; the side is a power of two.
    decay : float
        How fast roughness falls with scale.
    rng : numpy.random.Generator
        Source of the draws.
    """
    clouds = np.zeros((n, size, size))
    step, wobble = size, 100.0
    while step >= 2:
        half = step // 2

        def mean(total: NDArray[np.float64], spread: float = wobble) -> NDArray[np.float64]:
            return total / 4 + spread * rng.uniform(-spread, spread, total.shape)

        corners = clouds[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, 1)
        clouds[:, half::step, half::step] = mean(pairs + np.roll(pairs, -1, 2))
        middles = clouds[:, half::step, half::step]
        across, along = middles + np.roll(middles, 1, 1), middles + np.roll(middles, 1, 2)
        clouds[:, ::step, half::step] = mean(across + corners + np.roll(corners, -1, 2))
        clouds[:, half::step, ::step] = mean(along + corners + np.roll(corners, -1, 1))
        step, wobble = half, wobble / decay
    clouds -= clouds.min((1, 2), keepdims=True)
    return (clouds / np.maximum(clouds.max((1, 2), keepdims=True), 1e-12)).astype(np.float32)
