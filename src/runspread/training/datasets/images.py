"""Images with labels in the Hugging Face layout (``image: {bytes, path}``, ``label``), decoded once and cached."""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ..._optional import require
from ...errors import InputError
from .base import Dataset, Split, make_dataset
from .cache import cache_folder, save_array

_CONSTANT = 1e-3  # deviation, in levels of grey, below which a feature is taken for constant
_WHITE = np.full(1, 255, np.float32)
_DECODER_VERSION = "1"  # part of the cache's key: raise it when decoding changes


def load_images(data: str | None, *, pool: int = 1, scale: str = "standard", **options: Any) -> Dataset:
    """Return the images of a folder with ``train*.parquet`` and ``test*.parquet``, or of a hub data set.

    Parameters
    ----------
    data : str
        A folder, or a name that the ``datasets`` library knows.
    pool : int
        Average blocks of pool x pool pixels; 1 leaves the images as they are.
    scale : {"standard", "feature", "unit"}
        Subtract the training images' mean and divide by their deviation, of each channel or of each feature (a channel
        of a pixel); or divide by 255.
    **options
        See `make_dataset`.

    Returns
    -------
    Dataset
        uint8 images [examples, channels, height, width], float32 where pooled.
    """
    check_choice(scale, "scale", ("standard", "feature", "unit"))
    if data is None:
        raise InputError(
            "no data for a recipe that needs images",
            "data=FOLDER with train.parquet and test.parquet, or data=NAME of a hub data set",
        )
    folder = Path(data).expanduser()
    read = _read_folder if folder.exists() else _read_hub
    train, test = read(data, "train", pool), read(data, "test", pool)
    n_classes = int(max(train.labels.max(), test.labels.max())) + 1
    mean, std = (np.zeros(1, np.float32), _WHITE) if scale == "unit" else _statistics(train.inputs, scale)
    return make_dataset(train, test, n_classes, subset=options, mean=mean, std=std)


def _read_folder(data: str, split: str, pool: int) -> Split:
    folder = Path(data).expanduser()
    paths = sorted(folder.glob(f"{split}*.parquet")) if folder.is_dir() else []
    if not paths:
        raise InputError(f"there is no {split}*.parquet in {folder}", "a folder with train*.parquet and test*.parquet")
    key = _content_key(paths)
    cached = [cache_folder(folder) / f"{split}-{key}-{part}.npy" for part in ("images", "labels")]
    if not all(path.is_file() for path in cached):
        parquet: Any = require("pyarrow.parquet", "reading image parquet")
        say(f"decoding {split} images of {folder.name} (once; kept in {cached[0].parent})")
        images, labels = decode_table([parquet.read_table(path) for path in paths])
        for path, array in zip(cached, (images, labels), strict=True):
            save_array(path, array)
    images, labels = (np.load(path, mmap_mode="r", allow_pickle=False) for path in cached)
    pooled = cached[0].with_name(f"{cached[0].stem}-pool{pool}.npy")  # every worker and every study reads them again
    if pool != 1 and not pooled.is_file():
        save_array(pooled, _pooled(images, pool))
    if pool != 1:
        images = np.load(pooled, mmap_mode="r", allow_pickle=False)
    return Split(images, np.asarray(labels))


def _read_hub(data: str, split: str, pool: int) -> Split:
    datasets: Any = require("datasets", f"loading {data!r}, which is no folder here,")
    try:
        table = datasets.load_dataset(data, split=split).with_format("arrow")[:]
    except Exception as error:  # the library raises its own, the hub's and the network's errors
        raise InputError(
            f"data={data!r} is no folder, and the hub gave no split {split!r} ({error})", "a folder or a hub name"
        ) from error
    images, labels = decode_table([table])
    return Split(_pooled(images, pool), labels)


def decode_table(tables: list[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return uint8 images [examples, channels, height, width] and labels from Arrow tables.

    Raises
    ------
    InputError
        A column is missing, an image cannot be decoded (the first is named), or sizes differ.
    """
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for table in tables:
        image_column, label_column = _columns(table)
        labels += table.column(label_column).to_pylist()
        for cell in table.column(image_column).to_pylist():
            images.append(_decode(cell, len(images)))
    shapes = {image.shape for image in images}
    if len(shapes) != 1:
        raise InputError(f"got images of shapes {sorted(shapes)[:3]}", "images of one size and mode")
    return np.stack(images), np.array(labels, np.int64)


def _columns(table: Any) -> tuple[str, str]:
    names = set(table.column_names)
    image = next((name for name in ("image", "img") if name in names), None)
    label = next((name for name in ("label", "labels", "fine_label") if name in names), None)
    if image is None or label is None:
        raise InputError(f"got columns {sorted(names)}", "image (a struct of bytes and path) and label")
    return image, label


def _decode(cell: Any, index: int) -> NDArray[np.uint8]:
    image_module: Any = require("PIL.Image", "decoding images")
    try:
        pixels = np.asarray(image_module.open(io.BytesIO(cell["bytes"])), dtype=np.uint8)
    except (OSError, TypeError, KeyError) as error:
        raise InputError(f"image {index} cannot be decoded ({error})", "PNG or JPEG bytes") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _pooled(images: NDArray[Any], pool: int) -> NDArray[Any]:
    if pool == 1:
        return images
    n, channels, height, width = images.shape
    if pool < 1 or height % pool or width % pool:
        raise InputError(f"got pool={pool} for images of {height} x {width}", "a divisor of height and width")
    blocks = images.reshape(n, channels, height // pool, pool, width // pool, pool)
    return blocks.mean(axis=(3, 5), dtype=np.float32)


def _statistics(images: NDArray[Any], scale: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and deviation of each channel [channels, 1, 1], or feature, over the training images, in float64."""
    axes = (0, 2, 3) if scale == "standard" else (0,)
    mean = images.mean(axis=axes, dtype=np.float64, keepdims=True)[0]
    squares = [
        np.square(block, dtype=np.float64).sum(axis=axes, keepdims=True)[0] for block in np.array_split(images, 16)
    ]
    std = np.sqrt(np.maximum(np.sum(squares, axis=0) * mean.size / images.size - mean**2, 1e-12))
    if scale == "feature":
        std[std < _CONSTANT] = 1  # such as a corner that is black in every image
    return mean.astype(np.float32), std.astype(np.float32)


def _content_key(paths: list[Path]) -> str:
    state = hashlib.sha256(_DECODER_VERSION.encode())
    for path in paths:
        with path.open("rb") as file:
            state.update(hashlib.file_digest(file, "sha256").digest())
    return state.hexdigest()[:16]


def say(text: str) -> None:
    """Tell the user, on the error stream, why nothing happens for a while."""
    sys.stderr.write(f"runspread: {text}\n")
