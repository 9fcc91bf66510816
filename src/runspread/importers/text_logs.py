"""Plain text logs: a file is a run, and a regular expression with named groups finds its points."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .formats import Claim, Format, Taken
from .limits import Clock, SourceProblem, decoded, opened, refuse_pointer
from .options import Options
from .records import NO_STEP, RawRun, relative
from .values import number_of_text
from .walking import Tree

_STEPS = ("step", "global_step", "iteration", "iter", "epoch")
_SUFFIXES = (".txt", ".log", ".out", ".err", ".stdout", "")
_LARGEST = 256 * 2**20


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each text file; without a pattern there is none."""
    if options.pattern is None:
        return []
    return [
        Claim(folder, [folder.path / name], whole=False)
        for folder in taken.free(tree.top)
        for name in sorted(folder.files)
        if name == tree.only or name.lower().endswith(_SUFFIXES[:-1]) or "." not in name
    ]


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the run of one file, or nothing where no line matches."""
    path, pattern = claim.files[0], options.pattern
    assert pattern is not None
    with opened(path) as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise SourceProblem(f"{path.name} has more than {_LARGEST:,} bytes (a limit)")
    refuse_pointer(data, path)
    clock.take(2 * len(data))
    name = relative(path, claim.folder.root)
    run = RawRun(name, "text", name, files=[path], seeds_in_name=True)
    run.evidence = "a text log does not say how a run ended"
    _add_matches(run, pattern, _whole_lines(data), options, clock)
    return [run] if run.log.names else []


def _whole_lines(data: bytes) -> str:
    """Return the text up to its last line that is whole, as a log that is being written may end anywhere."""
    text = decoded(data)
    return text if text.endswith("\n") or "\n" not in text else text[: text.rindex("\n") + 1]


def _add_matches(run: RawRun, pattern: re.Pattern[str], text: str, options: Options, clock: Clock) -> None:
    """Add the points of all matches; a match without a whole step gives none."""
    groups = dict(pattern.groupindex)
    axis = options.step if options.step in groups else next((name for name in _STEPS if name in groups), None)
    metrics = [name for name in groups if name != axis] or list(groups)
    found: list[Any] = pattern.findall(text)
    clock.check()
    if not found:
        return
    rows = found if pattern.groups > 1 else [(cell,) for cell in found]
    columns = list(zip(*rows, strict=True))
    steps = np.full(len(rows), NO_STEP) if axis is None else _steps(columns[groups[axis] - 1])
    values = np.stack([_numbers(columns[groups[name] - 1], name, run) for name in metrics])
    there = ~np.isnan(values.imag) & (steps >= NO_STEP)
    numbers = np.array([run.log.number(name) for name in metrics], np.int32)
    at_row, at_metric = np.nonzero(there.T)
    run.log.extend(numbers[at_metric], steps[at_row], values.real[at_metric, at_row])


def _steps(cells: tuple[str, ...]) -> NDArray[np.int64]:
    """Return whole steps; what is none is below all steps."""
    try:
        return np.array([int(cell) for cell in cells], np.int64)
    except (ValueError, OverflowError):
        found = [number_of_text(cell) for cell in cells]
        whole = [number is not None and number.is_integer() and abs(number) < 2**62 for number in found]
        pairs = zip(found, whole, strict=True)
        return np.array([int(number or 0) if fine else NO_STEP - 1 for number, fine in pairs], np.int64)


def _numbers(cells: tuple[str, ...], name: str, run: RawRun) -> NDArray[np.complex128]:
    """Return values; the imaginary part is NaN where a cell holds none."""
    try:
        return np.array([float(cell) for cell in cells]).astype(np.complex128)
    except ValueError:
        pass
    found = np.zeros(len(cells), np.complex128)
    for row, cell in enumerate(cells):
        number = number_of_text(cell.rstrip(".,;:"))
        found[row] = complex(0, np.nan) if number is None else complex(number, 0)
        if number is None and cell:
            run.left_out[f"values of {name} that are no numbers"] += 1
    return found


FORMAT = Format("text", "text logs", "lines of plain text, read with --pattern", find, read)
