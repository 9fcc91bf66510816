"""Weights from safetensors files and folders, tensor by tensor, without a deep-learning framework.

A file is memory-mapped and only its header is read at first. Nothing is unpickled. Names in an index are taken for
names of files beside it, never for paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..._results import Excluded
from ...errors import InputError
from .model_config import knowledge_of
from .model_folders import ModelFiles, model_files
from .safetensors_files import Entry, header_of
from .sorting import sorted_tensors
from .tensors import WeightTensor


def tensors_of_safetensors(
    path: Path, kinds: Mapping[str, str] | None = None
) -> tuple[list[WeightTensor], tuple[Excluded, ...]]:
    """Return the tensors of a safetensors file, of the shards of an index, or of a folder, and what was excluded.

    Parameters
    ----------
    path : Path
        Exists.
    kinds : mapping of str to str, optional
        Kind of a tensor by name.

    Raises
    ------
    InputError
        The folder holds none, or several models; a shard or a tensor is missing, or a file is not whole.
    """
    files = model_files(path)
    folder = path if path.is_dir() else path.resolve().parent
    return sorted_tensors(raw_tensors(files), kinds, knowledge_of(folder)), files.left_out


def raw_tensors(files: ModelFiles) -> list[WeightTensor]:
    """Return the tensors of files as they are stored, kinds not known yet.

    Where the index says which file holds a tensor, copies elsewhere do not count.
    """
    headers = {file: header_of(file) for file in files.files}
    files.check({file: entries for file, (entries, _) in headers.items()})
    found: dict[str, Entry] = {}
    aliases: dict[str, tuple[str, ...]] = {}
    for file, (entries, texts) in headers.items():
        for name, entry in entries.items():
            if files.index.get(name, file.name) != file.name:
                continue
            if name in found:
                raise InputError(
                    f"{name} is in {found[name].file.name} and in {file.name} of {file.parent}",
                    "one model, with each tensor in one file",
                    f"Pass one of them, such as {file}.",
                )
            found[name] = entry
        aliases |= _aliases(entries, texts)
    return [replace(tensor_of(name, entry), aliases=aliases.get(name, ())) for name, entry in found.items()]


def tensor_of(name: str, entry: Entry) -> WeightTensor:
    """Return one tensor of a file, not yet loaded."""
    return WeightTensor(name=name, shape=entry.shape, stored=entry.stored, load=entry.read)


def _aliases(entries: Mapping[str, Entry], texts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the names that the header gives to tied tensors: safetensors' own library notes what it did not store."""
    found: dict[str, tuple[str, ...]] = {}
    for alias, name in texts.items():
        if name in entries and alias not in entries:
            found[name] = (*found.get(name, ()), alias)
    return found
