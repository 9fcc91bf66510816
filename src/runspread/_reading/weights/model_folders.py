"""Which files of a folder are the model: by an index, by numbered shards, or by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from ..._results import Excluded
from ...errors import InputError
from ..plain_files import read_json
from ..study_folders import study_around
from .file_kinds import kind_of

SAFETENSORS = "safetensors"
_PICKLED = ("bin", "pt", "pth", "ckpt", "tar")
_INDEX = ".index.json"
_INDEX_LIMIT = 2**26  # bytes
_SHARD = re.compile(r"(?P<before>.*?)-(?P<number>\d+)-of-(?P<total>\d+)(?P<after>\..*)?")
_SLICE = re.compile(r"(?P<before>consolidated\.|mp_rank_)(?P<number>\d+)(?P<after>.*\.\w+)")
_TRAINING = re.compile(
    r"(.*[._-])?(optim(izer)?s?|optimi[sz]er[._-].*|training|trainer|scheduler|scaler|rng|random)([._-]?(states?|args))?(_\d+)?",
    re.IGNORECASE,
)
_AVERAGE = re.compile(r"(.*[._-])?(ema|swa|averaged?|avg)([._-].*)?", re.IGNORECASE)
_WHOLE = ("model", "pytorch_model", "diffusion_pytorch_model")  # the name of a file that holds a model alone


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model.

    Attributes
    ----------
    files : tuple of Path
        To be read, in order.
    index : mapping of str to str
        Tensor to name of file; empty where there is no index.
    left_out : tuple of Excluded
        Files beside them that are not the model, with the reason.
    """

    files: tuple[Path, ...]
    index: Mapping[str, str] = field(default_factory=dict[str, str])
    left_out: tuple[Excluded, ...] = ()

    def check(self, found: Mapping[Path, Any]) -> None:
        """Raise where the index names a tensor that its file lacks.

        Parameters
        ----------
        found : mapping of Path to container of str
            Names of the tensors in each file.
        """
        names = {file.name: tensors for file, tensors in found.items()}
        missing = [(name, file) for name, file in self.index.items() if name not in names[file]]
        if missing:
            name, file = missing[0]
            more = f", and {len(missing) - 1} more like it" if len(missing) > 1 else ""
            raise InputError(
                f"{file} lacks the tensor {name}, which the index puts there{more}",
                "every tensor that the index names",
                f"Copy {file} again, together with the index.",
            )


def model_files(path: Path, endings: Sequence[str] = (SAFETENSORS,)) -> ModelFiles:
    """Return the files of a model that is a file, an index, or a folder of either.

    Parameters
    ----------
    path : Path
        Exists.
    endings : sequence of str
        Endings of weight files: "safetensors", or those of pickled checkpoints.

    Raises
    ------
    InputError
        The folder holds none, or several models; a shard is missing.
    """
    _refuse_study(path)
    if path.name.endswith(_INDEX):
        return _of_index(path, endings)
    if path.is_file():
        _refuse_part(path)
        return ModelFiles((path,))
    if not path.is_dir():
        raise InputError(f"{path} is no file and no folder", "a file of weights, or a folder of them")
    indexes = sorted(one for ending in endings for one in path.glob(f"*.{ending}{_INDEX}"))
    if len(indexes) > 1:
        raise InputError(
            f"{path} holds {len(indexes)} indexes: {', '.join(index.name for index in indexes)}",
            "one model",
            f"Pass one of them, such as {indexes[-1]}.",
        )
    if indexes:
        found = _of_index(indexes[0], endings)
        others = [one for ending in endings for one in sorted(path.glob(f"*.{ending}")) if one not in found.files]
        return replace(found, left_out=tuple(Excluded(one.name, f"not in {indexes[0].name}") for one in others))
    files = sorted(one for ending in endings for one in path.glob(f"*.{ending}") if one.is_file())
    if not files:
        raise _nothing(path, endings)
    _check_numbers(files)
    return _of_folder(files)


def pickled_files(path: Path) -> ModelFiles:
    """Return the files of a PyTorch checkpoint that is a file, an index, or a folder."""
    found = model_files(path, _PICKLED)
    if path.is_dir() and not found.index and len(found.files) > 1 and not _SHARD.fullmatch(found.files[0].name):
        raise InputError(
            f"{path} holds {len(found.files)} checkpoints: {', '.join(file.name for file in found.files[:5])}",
            "one model",
            f"Pass one of them, such as {found.files[-1]}.",
        )
    return found


def _refuse_study(path: Path) -> None:
    """Raise for a part of a study, whose tensors are those of several runs."""
    study = study_around(path)
    if study is None:
        return
    raise InputError(
        f"{path} is part of the study {study}: its tensors hold several runs",
        "a model, or the study",
        f"Pass the study: {study}. In Python: rs.spectra(rs.open_study({str(study)!r}))",
    )


def _of_index(index: Path, endings: Sequence[str]) -> ModelFiles:
    mapping = _weight_map(index)
    if SAFETENSORS in endings and all(name.endswith(tuple(f".{one}" for one in _PICKLED)) for name in mapping.values()):
        raise InputError(
            f"{index} is the index of a PyTorch checkpoint, which has to be unpickled",
            "safetensors files",
            _unpickle(index),
        )
    files = tuple(_shard(index.parent, name) for name in sorted(set(mapping.values())))
    missing = _missing_numbers(files)
    if missing:
        raise InputError(
            f"{index} names no tensor of shard {missing[0]} of {missing[1]}",
            f"all {missing[1]} shards",
            "Copy the index again, as it was written with the shards.",
        )
    return ModelFiles(files, mapping)


def _weight_map(index: Path) -> dict[str, str]:
    try:
        decoded: dict[str, Any] = read_json(index, dict[str, Any], limit=_INDEX_LIMIT)
        mapping = msgspec.convert(decoded["weight_map"], dict[str, str])
        mapping = {name: file.removeprefix("./") for name, file in mapping.items()}
    except (OSError, KeyError, ValueError, msgspec.MsgspecError) as error:
        raise InputError(f"{index} cannot be read ({error})", "JSON with a weight_map of tensor to file") from error
    if not mapping:
        raise InputError(f"{index} names no tensor", "JSON with a weight_map of tensor to file")
    return mapping


def _shard(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise InputError(f"the index names {name!r}, which lies elsewhere", "files in the same folder")
    if not (folder / name).is_file():
        raise InputError(f"shard {name} is missing from {folder}", "every file that the index names", "Copy it there.")
    return folder / name


# ---- without an index


def _refuse_part(file: Path) -> None:
    """Raise where a file is one of several that make a model."""
    found = _SHARD.fullmatch(file.name)
    if found is not None and int(found["total"]) > 1:
        raise InputError(
            f"{file.name} is one of {int(found['total'])} shards of a model",
            "all of them",
            f"Pass the folder with the shards: {file.resolve().parent}",
        )
    found = _SLICE.fullmatch(file.name)
    if found is None:
        return
    others = [one.name for one in file.resolve().parent.iterdir() if one.name != file.name and _beside(found, one.name)]
    if others:
        raise InputError(
            f"{file.name} is one of {len(others) + 1} slices of a model that was split over devices ({others[0]}, ...)",
            "whole tensors",
            "Join the slices with the tool that wrote them, or give a Hugging Face checkpoint of the model.",
        )


def _beside(found: re.Match[str], name: str) -> bool:
    other = _SLICE.fullmatch(name)
    return other is not None and (other["before"], other["after"]) == (found["before"], found["after"])


def _check_numbers(files: Sequence[Path]) -> None:
    """Raise where a numbered shard is missing."""
    missing = _missing_numbers(files)
    if missing:
        number, total, name = missing
        raise InputError(
            f"shard {number} of {total} of {name} is missing from {files[0].parent}",
            f"all {total} shards",
            "Copy the missing shards there.",
        )


def _missing_numbers(files: Sequence[Path]) -> tuple[int, int, str] | None:
    """Return the first shard that is missing, of how many, and of what; they are numbered from 1, or from 0."""
    sets: defaultdict[tuple[str, str, int], set[int]] = defaultdict(set)
    for file in files:
        found = _SHARD.fullmatch(file.name)
        if found is not None:
            sets[found["before"], found["after"] or "", int(found["total"])].add(int(found["number"]))
    for (before, after, total), numbers in sets.items():
        first = 0 if 0 in numbers else 1
        missing = sorted(set(range(first, total + first)) - numbers) if total <= 10**5 else [total]
        if missing:
            return missing[0], total, f"{before}{after}"
    return None


def _of_folder(files: Sequence[Path]) -> ModelFiles:
    """Return the files of a folder, not those called after a training or an average, or beside a whole model."""
    whole = [file for file in files if file.stem in _WHOLE]
    reasons: dict[Path, str] = {}
    for pattern, reason in ((_TRAINING, "the state of a training"), (_AVERAGE, "an average of weights")):
        named = {file: reason for file in files if file not in reasons and pattern.fullmatch(file.stem)}
        if len(named) + len(reasons) < len(files):
            reasons |= named
    if whole:
        reasons |= {
            file: f"beside {whole[0].name}, which is a model of its own" for file in files
            if file != whole[0] and file not in reasons
        }  # fmt: skip
    kept = tuple(file for file in files if file not in reasons)
    return ModelFiles(kept, left_out=tuple(Excluded(file.name, reason) for file, reason in reasons.items()))


def _unpickle(path: Path) -> str:
    return (
        "Pickles can run code: ask for it with --torch on the command line. In Python: "
        f"rs.spectra(rs.methods.spectra.from_torch_checkpoint({str(path)!r}))"
    )


def _nothing(path: Path, endings: Sequence[str]) -> InputError:
    """Return the error for a folder without weights: what it holds instead, and what to do."""
    pickles = SAFETENSORS not in endings
    wanted = "a checkpoint that torch.save wrote" if pickles else "model.safetensors, or shards with their index"
    missing = f"{path} holds no {'PyTorch checkpoint' if pickles else 'safetensors file'}"
    if pickles and any(path.glob("*.safetensors")):
        return InputError(
            missing, wanted, f"It holds safetensors files: drop --torch. In Python: rs.spectra({str(path)!r})"
        )
    folders = [one.name for one in sorted(path.iterdir()) if one.is_dir() and any(one.glob("*.safetensors"))]
    if folders:
        return InputError(
            f"{missing}; its subfolders {', '.join(folders)} do", wanted, f"Pass one of them: {path / folders[0]}"
        )
    for file in sorted(path.iterdir()):
        kind = kind_of(file) if file.is_file() else None
        if kind is not None and kind.pickled and not pickles:
            return InputError(f"{missing}, but {file.name}: {kind.what}", wanted, _unpickle(path))
        if kind is not None and kind.what not in ("JSON text", "an empty file"):
            return InputError(f"{missing}, but {file.name}: {kind.what}", wanted, kind.hint)
    return InputError(missing, wanted)
