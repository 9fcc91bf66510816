"""Baselines of tests of training code: outcomes of some runs with where they come from, as a small JSON file."""

from __future__ import annotations

import base64
import json
import math
import os
import platform
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._reading.plain_files import read_json
from ..errors import InputError
from ..studies.publishing import publish_file

FORMAT, RUNS = 1, 10
LARGEST, LARGEST_PREDICTIONS = 4096, 200_000  # bytes of the file without predictions, and of those
DIGITS = 9


@dataclass(frozen=True)
class Baseline:
    """Runs that new ones are compared with.

    Attributes
    ----------
    name, metric : str
        What was run, and what its outcome is.
    higher : bool
        Whether larger is better.
    values : tuple of float
        Outcomes, one per run.
    seeds : tuple of int
        Seeds of the runs.
    config : str
        Digest of the configuration that was given, which must be that of the new runs; or empty.
    revision, date : str
        Of the code, and when it was run.
    environment : dict
        Versions, the processor's kind and the device.
    seconds : float
        Time of a run.
    predictions : str
        Predicted classes of each run and example, compressed; or empty.
    false_red, max_runs : float, int
        How tests that use it err, and how many runs they take.
    first_seed : int
        Where seeds of new runs come from.
    path : Path or None
        Its file.
    update : bool
        Whether the next assertion is to write it anew.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.testing.Baseline("small_mlp", metric="loss", values=(0.31, 0.29, 0.30, 0.32, 0.28)).sentence()
    'baseline 0.3, sd 0.016, 5 runs'
    """

    name: str
    metric: str = "outcome"
    higher: bool = False
    values: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    config: str = ""
    revision: str = ""
    date: str = ""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    seconds: float = 0.0
    predictions: str = ""
    shape: tuple[int, ...] = ()
    false_red: float = 0.01
    max_runs: int = 4
    first_seed: int = 0
    path: Path | None = None
    update: bool = False

    def new_seeds(self, stream: str = "new") -> Any:
        """Yield seeds for new runs, none of which a run of the baseline had."""
        at = 0
        while True:
            digest = blake2b(f"{self.first_seed}/{self.name}/{stream}/{at}".encode(), digest_size=8).digest()
            seed, at = int.from_bytes(digest, "big") >> 33, at + 1
            if seed not in self.seeds:
                yield seed

    def answers(self) -> NDArray[np.uint8] | None:
        """Return the stored predictions [runs, examples]."""
        if not self.predictions:
            return None
        size = math.prod(self.shape)
        if len(self.shape) != 2 or min(self.shape) < 1 or size > 2**40:
            raise InputError(f"the predictions of {self.name} do not have the shape {self.shape} that they state")
        try:
            data = zlib.decompressobj().decompress(base64.b64decode(self.predictions), size + 1)
        except (ValueError, zlib.error) as error:
            raise InputError(
                f"the predictions of {self.name} are damaged: {error}", hint="Restore the file."
            ) from error
        if len(data) != size:
            raise InputError(f"the predictions of {self.name} do not have the shape {self.shape} that they state")
        return np.frombuffer(data, dtype=np.uint8).reshape(self.shape)

    def sentence(self) -> str:
        """Return what it is, in a few words."""
        where = f" of {self.revision}" if self.revision else ""
        mean, sd = float(np.mean(self.values)), float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan
        return f"baseline {mean:.4g}, sd {sd:.2g}, {len(self.values)} runs{where}"


_STORED = (
    "name", "metric", "higher", "values", "seeds", "config", "revision", "date", "environment", "seconds",
    "predictions", "shape",
)  # fmt: skip


def read_baseline(path: str | os.PathLike[str], **expected: Any) -> Baseline:
    """Read a baseline, and check that it is the one that is meant.

    Parameters
    ----------
    path : path
        Its file.
    **expected
        metric, higher and config, where they are to be checked.

    Raises
    ------
    InputError
        There is no such file, it is damaged, or it is of another metric, direction or configuration.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import runspread as rs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "loss.json"
    ...     made = rs.testing.write_baseline(file, [0.31, 0.29, 0.30, 0.32, 0.28], range(5), metric="loss")
    ...     rs.testing.read_baseline(file, metric="loss").values
    ...     rs.testing.read_baseline(file, metric="accuracy")
    Traceback (most recent call last):
        ...
    runspread.errors.InputError: ... is a baseline with metric 'loss', the test has 'accuracy'. ...
    """
    file = Path(path)
    try:
        facts = read_json(file, dict[str, Any], limit=LARGEST + LARGEST_PREDICTIONS)
        known = {name: facts[name] for name in _STORED if name in facts} | {"values": facts["values"]}
        version, found = int(facts["version"]), replace(msgspec.convert(known, Baseline), path=file)
    except FileNotFoundError as error:
        raise InputError(
            f"there is no baseline {file}", hint="Make it on code that is known to be right: pytest --update-baselines"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
        raise InputError(f"{file} is no baseline: {error!r}", hint="Restore it, or make it anew.") from error
    if version > FORMAT:
        raise InputError(f"{file} has version {version}", f"{FORMAT} or less", "Update runspread.")
    for name, value in expected.items():
        if value not in (None, "") and getattr(found, name) != value:
            raise InputError(
                f"{file} is a baseline with {name} {getattr(found, name)!r}, the test has {value!r}",
                hint="If the change is meant, make it anew: pytest --update-baselines",
            )
    return found


def write_baseline(
    path: str | os.PathLike[str],
    values: Sequence[float],
    seeds: Sequence[int],
    *,
    predictions: ArrayLike | None = None,
    **facts: Any,
) -> Baseline:
    """Write a baseline with its provenance.

    Parameters
    ----------
    path : path
        Its file; folders are made.
    values, seeds : sequence [runs]
        Outcomes and seeds.
    predictions : array_like of int [runs, examples], optional
        Predicted classes from 0 to 255.
    **facts
        metric, higher, config, seconds: see `Baseline`.

    Raises
    ------
    InputError
        It is too large for a repository.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import runspread as rs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "loss.json"
    ...     losses = [0.31, 0.29, 0.30, 0.32, 0.28]
    ...     made = rs.testing.write_baseline(file, losses, range(5), metric="loss", higher=False)
    ...     rs.testing.read_baseline(file, metric="loss").values == made.values
    True
    """
    from ..methods.gate.regression import check_values

    check_values(values)
    file, packed = Path(path), _packed(predictions)
    made = Baseline(
        name=facts.pop("name", file.stem),
        values=tuple(float(f"{value:.{DIGITS}g}") for value in values),
        seeds=tuple(int(seed) for seed in seeds),
        revision=revision(),
        date=datetime.now(UTC).date().isoformat(),
        environment=environment(),
        path=file,
        **packed,
        **facts,
    )
    stored = {name: value for name, value in asdict(made).items() if name in _STORED}
    text = json.dumps({"version": FORMAT, **stored}, indent=1) + "\n"
    if len(text) - len(made.predictions) > LARGEST or len(made.predictions) > LARGEST_PREDICTIONS:
        raise InputError(f"the baseline takes {len(text)} bytes", "4 kB, and 200 kB of predictions", "Use fewer runs.")
    file.parent.mkdir(parents=True, exist_ok=True)
    publish_file(file, text.encode())
    return made


def _packed(predictions: ArrayLike | None) -> dict[str, Any]:
    if predictions is None:
        return {}
    array = check_classes(predictions)
    data = base64.b64encode(zlib.compress(array.astype(np.uint8).tobytes(), 9)).decode()
    return {"predictions": data, "shape": array.shape}


def check_classes(predictions: ArrayLike) -> NDArray[Any]:
    """Return predicted classes [runs, examples].

    Raises
    ------
    InputError
        They are of another shape, or no classes: of probabilities cut to whole numbers nothing would be left.
    """
    array = np.asarray(predictions)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iub" or array.min() < 0 or array.max() > 255:
        raise InputError(
            f"predictions have shape {array.shape} and type {array.dtype}",
            "classes from 0 to 255 as whole numbers [runs, examples]",
        )
    return array


def config_digest(config: Mapping[str, Any] | str | None) -> str:
    """Return a digest of a configuration; of none, nothing."""
    if not config:
        return ""
    text = config if isinstance(config, str) else json.dumps(config, sort_keys=True, default=repr)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def revision() -> str:
    """Return the revision of the code in the current folder."""
    from ..campaigns.states import code_state

    return code_state()


def environment() -> dict[str, str]:
    """Return versions, the processor's kind, and the device that torch would take; none where it is not loaded."""
    from ..campaigns.states import environment as versions

    return versions() | {"system": platform.system(), "device": _device()}


def _device() -> str:
    import sys

    torch = sys.modules.get("torch")
    return "" if torch is None else "cuda" if torch.cuda.is_available() else "cpu"


def check_processor(baseline: Baseline) -> None:
    """Raise where a baseline was made on another kind of processor or device: its runs are not those of this one."""
    known, here = baseline.environment, environment()
    pairs = {name: (known.get(name), here[name]) for name in ("machine", "device")}
    other = [f"{name} {there}, not {this}" for name, (there, this) in pairs.items() if there and this and there != this]
    if other:
        raise InputError(
            f"the baseline {baseline.name} was made elsewhere: {', '.join(other)}",
            "a baseline of this kind of processor",
            "Make one here, under a name of its own: pytest --update-baselines. CUDA_VISIBLE_DEVICES= hides a GPU.",
        )
