"""Plain text logs: a file is a run, and a regular expression with named groups finds its points."""

from __future__ import annotations

import math
import re

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
    groups = list(pattern.groupindex)
    axis = options.step if options.step in groups else next((name for name in _STEPS if name in groups), None)
    metrics = [name for name in groups if name != axis]
    if not metrics:
        metrics = groups
    add, count = run.log.add, 0
    for found in pattern.finditer(text):
        count += 1
        if count % 4096 == 0:
            clock.check()
        step = NO_STEP if axis is None else _step(found[axis])
        if step is None:
            continue
        for name in metrics:
            cell = found[name]
            if cell is None:
                continue
            number = _number(cell)
            if number is None:
                run.left_out[f"values of {name} that are no numbers"] += 1
            else:
                add(name, step, number)


def _step(cell: str | None) -> int | None:
    if cell is not None and cell.isdigit() and len(cell) < 19:
        return int(cell)
    number = number_of_text(cell) if cell is not None else None
    return int(number) if number is not None and math.isfinite(number) and number == int(number) else None


def _number(cell: str) -> float | None:
    try:
        return float(cell.rstrip(".,;:"))
    except ValueError:
        return number_of_text(cell)


FORMAT = Format("text", "plain text, read with --pattern", find, read)
