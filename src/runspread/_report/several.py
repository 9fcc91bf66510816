"""The comparison of several studies on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .._results import Result, Table
from .._words import count
from ..errors import RunspreadError
from .any_study import first_split
from .figures import figure, size_of_rows
from .model import Answer, Chapter, Section

if TYPE_CHECKING:
    from ..studies.study import Study


def names_of(studies: Sequence[Study]) -> list[str]:
    """Return what each study is called: its folder, with those above where two are called the same."""
    paths = [study.path.resolve() for study in studies]
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    seen: Counter[str] = Counter()
    names = []
    for path in paths:  # one folder twice
        seen[path.name] += 1
        names.append(f"{path.name} ({seen[path.name]})")
    return names


def comparison(studies: Sequence[Study], names: Sequence[str]) -> Chapter:
    """Return the chapter that comes first: which study's runs are better, and each beside the others."""
    import runspread as rs

    by_name = dict(zip(names, studies, strict=True))
    asked: list[tuple[str, str, Callable[[], Result]]] = [
        ("best", "Which is the best", lambda: rs.rank(dict(by_name))),
    ]
    if len(studies) == 2:
        asked.insert(0, ("better", f"Is {names[1]} better than {names[0]}", lambda: rs.compare(*studies)))
    found = [_asked(key, title, ask, names) for key, title, ask in asked]
    found.append(_side_by_side(studies, names))
    answers = [Answer(f"{section.title}?", ((section.key, section.title, section.lead),)) for section in found[:-1]]
    return Chapter("", tuple(found), tuple(answers))


def _asked(key: str, title: str, ask: Callable[[], Result], names: Sequence[str]) -> Section:
    try:
        result = ask()
    except RunspreadError as error:
        return Section(title, f"Not available: {error}", error=error, key=key)
    drawn = figure(
        result.plot,
        shows="The runs of each study, and the interval of what is compared.",
        does_not_show="Why they differ: studies may differ in more than one thing.",
        size=size_of_rows(names),
    )
    return Section(title, result.sentence(), (drawn,), (result.table(),), result.warnings, key=key)


def _side_by_side(studies: Sequence[Study], names: Sequence[str]) -> Section:
    columns: dict[str, list[object]] = {"study": [], "runs": [], "completed": [], "split": [], "mean": [], "sd": []}
    for name, study in zip(names, studies, strict=True):
        split = first_split(study)
        values = [run.accuracy[split] for run in study.runs if split in run.accuracy]
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        row = (name, len(study.runs), study.runs.count("completed"), split, np.mean(values) if values else None, sd)
        for column, cell in zip(columns.values(), row, strict=True):
            column.append(cell)
    table = Table(columns, formats={"mean": ".2%", "sd": ".3%"}, title="Accuracy of each study's runs")
    lead = f"{count(len(studies), 'study', 'studies')} of {sum(map(len, (one.runs for one in studies))):,} runs."
    return Section("Side by side", lead, tables=(table,), key="side")
