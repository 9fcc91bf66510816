"""A saved ensemble as a folder holds it: its facts, its checksums, and what is refused when they are read."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._reading.plain_files import UnfitJsonError, parse_json, read_whole, seal_holds
from ..._reading.safetensors import map_tensors
from ...errors import CorruptShardError, InputError, NotAStudyError, RunspreadError
from ...studies.files import sha256_of_sound
from ...studies.layout import refuse_newer
from .conversion import Conversion

FORMAT, VERSION = "runspread-ensemble", 2
FACTS, TENSORS, LOG = "ensemble.json", "weights.safetensors", "training.safetensors"


class EnsembleMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``ensemble.json``.

    Attributes
    ----------
    members : tuple of dict
        For each member its ``id``, ``weight`` and, where known, ``seeds`` and ``hyperparameters``.
    conversion : Conversion
        How the members lie in the network.
    recipe : dict or None
        The recipe of the members, which also builds the network; None for a network of the user's own.
    shape : tuple of int or None
        Shape of one input.
    n_classes : int or None
        Number of classes.
    selection : dict
        How the members were chosen: objective, scores, over-fitting.
    training : dict
        How a batch or hyper-batch ensemble was trained: seed, split that tuned, settings, conversion, what its alarms
        said, and the checksum of the log beside it.
    cost : dict
        Parameters of the ensemble and of a single network; once `Ensemble.cost` measured it, also the times of a
        prediction.
    sha256 : str
        Checksum of the weights.
    """

    format: str = FORMAT
    version: int = VERSION
    members: tuple[dict[str, Any], ...]
    conversion: Conversion = Conversion()
    recipe: dict[str, Any] | None = None
    shape: tuple[int, ...] | None = None
    n_classes: int | None = None
    selection: dict[str, Any] = {}
    training: dict[str, Any] = {}
    cost: dict[str, Any] = {}
    sha256: str = ""


@contextmanager
def as_saved(file: Path) -> Generator[None]:
    """Turn what goes wrong with facts that nobody saved so into an error that names the file."""
    try:
        yield
    except RunspreadError:
        raise
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise CorruptShardError(
            f"{file} describes an ensemble that cannot be built ({type(error).__name__}: {error})", "the file as saved"
        ) from error


def checked_tensors(file: Path, checksum: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file that is as it was saved."""
    try:
        intact = sha256_of_sound(file) == checksum
    except OSError:
        intact = False
    if not intact:
        raise CorruptShardError(f"{file} is missing or differs from its checksum", "the file as saved")
    return map_tensors(file)


def read_facts(path: Path) -> EnsembleMetadata:
    """Return the content of ``ensemble.json``."""
    if not (path / FACTS).is_file():
        raise NotAStudyError(f"{path} holds no {FACTS}", "a folder that Ensemble.save wrote")
    try:
        data = read_whole(path / FACTS)
        head: Any = parse_json(data)
        if head.get("format") == FORMAT and isinstance(head.get("version"), int):
            refuse_newer(head["version"], VERSION, path / FACTS)
        holds = seal_holds(data)
        if holds is False or (holds is None and head.get("version") != 1) or head.get("format") != FORMAT:
            raise UnfitJsonError("it differs from the sum that it holds of itself")
        return msgspec.convert(head, EnsembleMetadata)
    except (OSError, UnfitJsonError, msgspec.MsgspecError, AttributeError) as error:
        raise CorruptShardError(f"{path / FACTS} cannot be read ({error})", "the file as saved") from error


def saved_weights(members: Sequence[Mapping[str, Any]], file: Path) -> NDArray[np.float64]:
    """Return the weights of members as a file gives them."""
    try:
        return check_weights([member["weight"] for member in members], len(members))
    except InputError as error:
        raise CorruptShardError(f"{file}: {error.found}", error.expected) from error


def check_weights(weights: ArrayLike | None, members: int) -> NDArray[np.float64]:
    """Return weights of members, equal ones where none are given; those that are no distribution are refused."""
    array = np.full(members, 1 / members) if weights is None else np.asarray(weights, dtype=np.float64)
    if array.shape != (members,) or not ((array >= 0) & (array <= 1)).all() or not abs(array.sum() - 1) <= 1e-9:
        raise InputError(f"got weights {array.tolist()} for {members} members", "one each, non-negative, sum 1")
    return array
