"""What a study is on disk: names of files and arrays, what the JSON files hold, and which versions are read.

`docs/reference/format.md` is the page of it, and `tests/studies/test_format.py` holds the two together. A new version
of the format is made in three files: here (a name, or a field with a default; `FORMAT_VERSION`; `version_of`; a step in
`MIGRATIONS` where the default of a new field would say something wrong of an old study), in `shards.py`, which writes
and reads the arrays, and on that page. Then `python -m tests.studies.keeping` keeps a study of it for the tests. Where
a run brings what it did not bring before, `RunRecord` has a field more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from numpy.typing import NDArray

from .._reading.plain_files import UnfitJsonError, check_depth, decode_json, lies_at, parse_json, seal_holds
from ..errors import FormatVersionError
from .records import Seeds, Status

STUDY, LABELS = "study.json", "labels.safetensors"
SHARDS = "shards"  # a folder, with a folder for each shard
SHARD, PROVENANCE, CHECKSUMS = "shard.json", "provenance.json", "SHA256SUMS"
METRICS, PREDICTIONS, DIGEST, WEIGHTS = (
    "metrics.safetensors",
    "predictions.safetensors",
    "digest.safetensors",
    "weights.safetensors",
)
CACHE, PLAN_OF_LOOKS, REPORT = ".cache", "until.json", "report.html"
DAMAGED = "damaged"  # a folder, to which `repair` moves what cannot be used
DIGESTS = "digests"  # a folder, with a folder for each shard whose columns were made later
DIGEST_FACTS = "digest.json"
PARTS = {  # what readers ask for, and the files that hold it: the first that is there
    "predictions": (DIGEST, PREDICTIONS),
    "metrics": (METRICS,),
    "weights": (WEIGHTS,),
}

FORMAT_VERSION = 2  # the newest that is read, of studies and shards
# Of marks in stores, which are counted on their own. They lie where a folder has `shard.json`, and began above the
# versions that know no marks, so that these refuse them. A mark holds the text of `shard.json`, which says its own.
MARK_VERSION = 3
STUDY_FORMAT = "runspread-study"


class StudyMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``study.json``."""

    format: str = STUDY_FORMAT
    version: int = 2
    recipe: dict[str, Any] | None = None
    splits: tuple[str, ...] = ()
    example_ids: dict[str, str] = {}
    labels: dict[str, str] = {}
    crc32: str = ""


class Imported(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a shard keeps of an imported run beside what all runs have (version 2)."""

    source_status: str | None = None
    source: dict[str, Any] | None = None
    supersedes: str | None = None


class RunMetadata(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a study knows of a run without opening its arrays.

    Attributes
    ----------
    id : str
        Unique in the study.
    seeds : Seeds
        Seeds by role.
    hyperparameters : dict
        As recorded.
    status : {"completed", "diverged", "failed"}
        How the run ended.
    error : str or None
        Why it diverged or failed.
    accuracy : dict of str to float
        Share of examples whose largest logit is the label, for each split with final predictions that can be used:
        without NaN, positive infinities, or rows that have no finite entry.
    predictions : tuple of (split, step or None)
        Which predictions were recorded; None is the end of training.
    weights : tuple of (step or None)
        At which steps weights were recorded.
    metrics : tuple of str
        Names of the logged metrics.
    imported : Imported or UNSET
        Of a run that was imported: what its source said, and where it came from.

    Notes
    -----
    Plain content has no cycles, so the collector need not look at it (``gc=False``): a study has 100,000 of them.
    """

    id: str
    seeds: Seeds
    hyperparameters: dict[str, Any]
    status: Status
    error: str | None = None
    accuracy: dict[str, float] = {}
    predictions: tuple[tuple[str, int | None], ...] = ()
    weights: tuple[int | None, ...] = ()
    metrics: tuple[str, ...] = ()
    imported: Imported | msgspec.UnsetType = msgspec.UNSET

    @property
    def source_status(self) -> str | None:
        """How the source of an imported run says that it ended; None for other runs."""
        return self.imported.source_status if self.imported else None

    @property
    def source(self) -> dict[str, Any] | None:
        """Where an imported run came from: format, path, digest of what was read; None for other runs."""
        return self.imported.source if self.imported else None

    @property
    def supersedes(self) -> str | None:
        """Id of the shard whose record of this run this one replaces."""
        return self.imported.supersedes if self.imported else None


class ShardMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The content of ``shard.json``; `position` orders shards in a study, `runs` follow the arrays' first axis.

    `labels` and `example_ids` hold a digest for each split; the latter only where the examples' ids were given. `kinds`
    says what the predictions ``<split>[@<step>]`` are, where it has to be said: ``"log-probabilities"``,
    ``"log-odds"``, ``"logits"``, or ``"classes"``, which lie in the digest (version 2). `sums` holds for each file of
    arrays the quick sums of its header and of its arrays, in their order there, which are compared when these are read.
    """

    version: int
    position: int
    runs: tuple[RunMetadata, ...]
    labels: dict[str, str]
    example_ids: dict[str, str] = {}
    kinds: dict[str, str] = {}
    sums: dict[str, str] = {}
    crc32: str = ""


class DigestMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``digest.json``, beside columns that were made of a shard when it was there already.

    `definitions` is the version of what the columns are, `of` the SHA-256 of the predictions that they were made from,
    `sums` as in ``shard.json``.
    """

    definitions: int
    of: str
    sums: str
    crc32: str = ""


# ---------------------------------------------------------------------- versions

# For a kind of metadata and a version: what makes its plain content that of the next version. Without a step, the
# content of an old version is content of the next one as it is.
MIGRATIONS: dict[tuple[type, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}


def version_of(kinds: Mapping[Any, str], *, imported: bool = False) -> int:
    """Return the version that a shard says: the oldest one that has all that the shard uses."""
    return 2 if kinds or imported else 1


class _Head(msgspec.Struct):
    version: int
    format: str = STUDY_FORMAT


_Metadata = TypeVar("_Metadata", StudyMetadata, ShardMetadata)


def decoded(data: bytes, kind: type[_Metadata], path: Path | str) -> _Metadata:
    """Return the content of a JSON file of any version, as it would be in the newest.

    Raises
    ------
    FormatVersionError
        A newer runspread wrote it.
    UnfitJsonError
        It is not what was written: no JSON of this kind, or another sum than it says of itself.
    """
    head = decode_json(data, _Head)
    refuse_newer(head.version, FORMAT_VERSION, path)
    if head.version < 1 or head.format != STUDY_FORMAT:
        raise UnfitJsonError(f"format {head.format!r} of version {head.version}")
    holds = seal_holds(data)
    if holds is False or (holds is None and kind is StudyMetadata and head.version > 1):
        raise UnfitJsonError("it differs from the sum that it holds of itself")
    steps = [step for old in range(head.version, FORMAT_VERSION) if (step := MIGRATIONS.get((kind, old)))]
    if steps or kind is StudyMetadata:  # a single file, where no name may be there twice
        content: dict[str, Any] = parse_json(data)
        for step in steps:
            content = step(content)
        return converted(content, kind)
    facts = decode_json(data, kind)
    if isinstance(facts, ShardMetadata):
        for run in facts.runs:
            check_depth(run.hyperparameters)
    return facts


def converted(content: Mapping[str, Any], kind: type[_Metadata]) -> _Metadata:
    """Return plain values as a kind of metadata."""
    try:
        return msgspec.convert(content, kind)
    except (ValueError, msgspec.MsgspecError) as error:
        raise UnfitJsonError(str(error)) from error


def refuse_newer(version: int, newest: int, path: Path | str) -> None:
    """Raise for a file of a version that is not known yet."""
    if version > newest:
        raise FormatVersionError(f"{path} has format version {version}", f"at most {newest}", "Upgrade runspread.")


# ---------------------------------------------------------------------- places


def holds_study(folder: Path) -> bool:
    """Whether a folder is that of a study."""
    return lies_at(folder / STUDY)


def study_around(path: Path) -> Path | None:
    """Return the study that a path is inside of: its shards, one of them, or a file of one."""
    folder = path if path.is_dir() else path.resolve().parent
    shards = folder if folder.name == SHARDS else folder.parent
    inside = folder == shards or (folder / SHARD).is_file()
    return shards.parent if inside and holds_study(shards.parent) else None


def shard_folder(study: Path, name: str) -> Path:
    """Return where a shard lies."""
    return study / SHARDS / name


def digest_folder(study: Path, name: str) -> Path:
    """Return where the columns lie that were made of a shard when it was there already."""
    return study / DIGESTS / name


# ---------------------------------------------------------------------- names of arrays


def place_of(split: str, step: int | None) -> str:
    """Return how predictions are called in `ShardMetadata.kinds`, and after the slash in the names of arrays."""
    return split if step is None else f"{split}@{step}"


def prediction_key(split: str, step: int | None, kind: str | None = None) -> str:
    """Return the name of an array of predictions."""
    return f"{'class' if kind == 'classes' else 'logits'}/{place_of(split, step)}"


def prediction_file(kind: str | None) -> str:
    """Return the name of the file that predictions of a kind lie in."""
    return DIGEST if kind == "classes" else PREDICTIONS


def column_key(column: str, split: str, step: int | None = None) -> str:
    """Return the name of a column of the digest, such as the bits that say which predicted classes are the labels."""
    return f"{column}/{place_of(split, step)}"


def labels_key(split: str) -> str:
    """Return the name of a split's labels, beside predictions."""
    return f"labels/{split}"


def metric_keys(name: str) -> tuple[str, str, str]:
    """Return the names of a metric's values, numbers of points, and steps."""
    return f"values/{name}", f"lengths/{name}", f"steps/{name}"


def weight_key(step: int | None, parameter: str) -> str:
    """Return the name of an array of weights."""
    return f"final/{parameter}" if step is None else f"step-{step}/{parameter}"


# Of an array, by the start of its name: kinds of numbers, how many axes, and the least length of one.
_LIKE: dict[str, tuple[str, tuple[int, ...], int]] = {
    "logits": ("f", (3,), 1),
    "class": ("iu", (2,), 1),
    "labels": ("iu", (1,), 1),
    "values": ("f", (2,), 0),
    "lengths": ("iu", (1,), 0),
    "steps": ("iu", (1, 2), 0),
}


def fits_name(key: str, array: NDArray[Any]) -> bool:
    """Whether an array is of the kind and shape that its name stands for."""
    kinds, axes, least = _LIKE.get(key.partition("/")[0], (array.dtype.kind, (array.ndim,), 0))
    return array.dtype.kind in kinds and array.ndim in axes and min(array.shape, default=0) >= least
