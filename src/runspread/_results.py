"""What every method returns: a frozen record that can show itself."""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_type_hints

import numpy as np

from ._words import count, percent, visible
from .errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table as RichTable


class Table:
    """Named columns of equal length; prints itself in a terminal, a notebook and a report.

    Parameters
    ----------
    columns : mapping of str to sequence
        Column name to values (numbers, strings, booleans or None), all of one length.
    formats : mapping of str to str, optional
        Column name to format specification, for example ``{"accuracy": ".2%"}``. Default for floats is ``.4g``.
    title : str, optional
        Shown above the table.
    """

    def __init__(
        self,
        columns: Mapping[str, Sequence[Any] | np.ndarray],
        *,
        formats: Mapping[str, str] | None = None,
        title: str = "",
    ) -> None:
        self.columns = {name: plain_list(values) for name, values in columns.items()}
        self.formats = dict(formats or {})
        self.title = title
        lengths = {name: len(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"the columns have different lengths: {lengths}", "one length")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.columns:
            raise InputError(f"the table has no column {name!r}", f"one of {', '.join(self.columns)}")
        return self.columns[name]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rows as tuples in column order."""
        return zip(*self.columns.values(), strict=True)

    def head(self, n: int) -> Table:
        """Return the first `n` rows as a table."""
        return self.take(range(len(self))[:n])

    def take(self, rows: Iterable[int]) -> Table:
        """Return some rows, by position, as a table."""
        chosen = list(rows)
        columns = {name: [values[row] for row in chosen] for name, values in self.columns.items()}
        return Table(columns, formats=self.formats, title=self.title)

    def format_cell(self, column: str, value: Any) -> str:
        """Return `value` as the text that is shown in `column`."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return "–"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return visible(str(value))
        return format(value, self.formats.get(column, "" if isinstance(value, int) else ".4g"))

    def is_numeric(self, column: str) -> bool:
        """Whether all values of `column` are numbers or missing."""
        values = self.columns[column]
        return all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in values)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return column name to list of plain values."""
        return {name: list(values) for name, values in self.columns.items()}

    def to_csv(self) -> str:
        """Return the table as text with commas between the values; missing ones are empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows())
        return text.getvalue()

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame`` (needs pandas)."""
        from ._optional import require

        return require("pandas", "Table.to_pandas").DataFrame(self.columns)

    def to_markdown(self) -> str:
        """Return the table in Markdown, numbers as they are shown everywhere."""
        names = list(self.columns)
        rule = ["---:" if self.is_numeric(name) else "---" for name in names]
        cells = [[self.format_cell(name, value) for name, value in zip(names, row, strict=True)] for row in self.rows()]
        lines = [[text.replace("|", r"\|") for text in line] for line in (names, rule, *cells)]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def to_latex(self, *, caption: str | None = None, label: str | None = None) -> str:
        r"""Return the table in LaTeX, for the package booktabs.

        A number with its interval, in the columns ``low`` and ``high``, is one column: ``$0.21 \pm 0.05$`` where the
        interval reaches as far to either side, and else ``0.21 [0.15, 0.30]``.

        Parameters
        ----------
        caption, label : str, optional
            LaTeX as it stands. By default the caption is the title, and what stands beside the numbers.

        Examples
        --------
        >>> from runspread._results import Table
        >>> table = Table({"arm": ["a_1"], "mean": [0.5], "low": [0.4], "high": [0.6]}, title="Scores")
        >>> print(table.to_latex().splitlines()[7])
        a\_1 & $0.5 \pm 0.1$ \\
        """
        from ._latex import latex_table

        return latex_table(self, caption, label)

    def __rich__(self) -> RichTable:
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=visible(self.title) or None, box=box.SIMPLE_HEAD, title_justify="left")
        for name in self.columns:
            if self.is_numeric(name):
                table.add_column(Text(visible(name)), justify="right")
            else:  # what a row is known by is folded, not cut, where there is no room
                table.add_column(Text(visible(name)), overflow="fold")
        for row in self.rows():
            cells = (self.format_cell(name, value) for name, value in zip(self.columns, row, strict=True))
            table.add_row(*(Text(cell) for cell in cells))
        return table

    def __str__(self) -> str:
        from rich.console import Console
        from rich.measure import Measurement

        console, drawn = Console(width=200, color_system=None, force_terminal=False), self.__rich__()
        console.width = max(200, Measurement.get(console, console.options.update(max_width=10_000), drawn).maximum)
        with console.capture() as capture:
            console.print(drawn)
        return "\n".join(line.rstrip() for line in capture.get().splitlines())

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>"
            + "".join(
                f"<td>{escape(self.format_cell(name, value))}</td>"
                for name, value in zip(self.columns, row, strict=True)
            )
            + "</tr>"
            for row in self.rows()
        )
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclasses.dataclass(frozen=True)
class Excluded:
    """A run that a result excludes.

    Attributes
    ----------
    run : str
        Id of the run.
    reason : str
        Why: its status, or what it lacks.
    """

    run: str
    reason: str


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """Base of a named group of a result's fields, such as its intervals: ``result.intervals.sd_dist_low``.

    `Result.to_dict` has the fields of a group beside those of the result, each under its own name or the one that
    `keys` gives it.
    """

    keys: ClassVar[Mapping[str, str]] = {}  # field to its key in `to_dict`, where that is another


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """Base of every method's result: a frozen dataclass with ``table``, ``sentence``, ``plot`` and ``to_json``.

    A subclass adds its numbers as fields (arrays with their axes named in the docstring; groups of many as a `Part`),
    writes ``table`` and ``sentence``, and names in ``picture`` the function that draws it, or says in ``no_picture``
    what to draw instead.

    Attributes
    ----------
    excluded : tuple of Excluded
        Runs that were excluded, each with its reason.
    warnings : tuple of str
        Caveats that the reader should know.
    """

    picture: ClassVar[str] = ""  # "module:function", relative to the class's own package: ".plots:plot_comparison"
    no_picture: ClassVar[str] = ""  # of a result without a picture: what to do instead, after "Instead, "
    says_excluded: ClassVar[bool] = False  # whether `sentence` itself says what `excluded` holds
    excluded_noun: ClassVar[str] = "run"  # what `excluded` counts
    keys: ClassVar[Mapping[str, str]] = {}  # field to its key in `to_dict`, where that is another
    replicate_fields: ClassVar[tuple[str, ...]] = ()  # keys of single resamplings' values: JSON has them on request

    excluded: tuple[Excluded, ...] = ()
    warnings: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "sentence" in vars(cls):  # no method can forget what it excluded
            counting: Any = _counting_excluded(cls.sentence)
            cls.sentence = counting

    @classmethod
    def from_numbers(cls, numbers: Mapping[str, Any], **others: Any) -> Self:
        """Return the result whose fields, and those of its groups, are `numbers` by their keys in `to_dict`.

        `others` are fields by their own names.
        """
        unknown = numbers.keys() - set(keys_of(cls))
        if unknown:
            raise TypeError(f"{cls.__name__} has no field for {', '.join(sorted(unknown))}")
        return cls(**(_fields_from(cls, numbers) | others))

    def table(self) -> Table:
        """Return the result's numbers as a table."""
        raise NotImplementedError

    def sentence(self) -> str:
        """Return one quotable sentence: n, estimate, interval, and what it does not show."""
        raise NotImplementedError

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the result's main picture.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure when None.

        Returns
        -------
        matplotlib.axes.Axes
            The axes drawn on.
        """
        if not self.picture:
            instead = f"Instead, {self.no_picture}." if self.no_picture else ""
            raise InputError(f"{type(self).__name__} has no picture", hint=instead)
        module, _, function = self.picture.partition(":")
        from ._plotting import plain_texts

        drawn_by = importlib.import_module(module, type(self).__module__.rpartition(".")[0])
        drawn = getattr(drawn_by, function)(self, ax)
        plain_texts(drawn.figure)
        return drawn

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values (arrays become nested lists), those of groups beside the others."""
        return {key: to_plain(value) for key, value in flat_fields(self)}

    def to_json(self, *, indent: int | None = None, replicates: bool = False) -> str:
        """Return the fields as strict JSON; NaN becomes ``null``, infinities become strings.

        Parameters
        ----------
        indent : int, optional
            Spaces a level of nesting; one line if None.
        replicates : bool
            Whether to include the values of single resamplings, which can be megabytes.
        """
        facts = self.to_dict() if replicates else self.summary_dict()
        return json.dumps(json_safe(facts), indent=indent, allow_nan=False)

    def to_markdown(self) -> str:
        """Return the table in Markdown, numbers as they are shown everywhere."""
        return self.table().to_markdown()

    def to_pandas(self) -> Any:
        """Return the table as a ``pandas.DataFrame`` (needs pandas)."""
        return self.table().to_pandas()

    def to_latex(self, *, caption: str | None = None, label: str | None = None) -> str:
        r"""Return the table in LaTeX, for the package booktabs.

        Parameters
        ----------
        caption, label : str, optional
            LaTeX as it stands. By default the caption is the title, what stands beside the numbers, and at which
            confidence level.
        """
        level = getattr(self, "confidence_level", None)
        text = self.table().to_latex(caption=caption, label=label)
        if caption is not None or level is None:
            return text
        return text.replace("the interval of ", rf"the {percent(level)[:-1]}\% confidence interval of ", 1)

    def bibtex(self) -> str:
        """Return the BibTeX entries of the papers that the result rests on, and of runspread."""
        from ._papers import METHODS, bibtex, papers_of

        named = [part for part in type(self).__module__.split(".") if part in METHODS]
        return bibtex(papers_of(named[0]) if named else ())

    def summary_dict(self) -> dict[str, Any]:
        """Return `to_dict` without the values of single resamplings, of results inside this one too."""
        facts = {name: value for name, value in self.to_dict().items() if name not in self.replicate_fields}
        return facts | {key: value.summary_dict() for key, value in flat_fields(self) if isinstance(value, Result)}

    def __str__(self) -> str:
        return visible(f"{self.sentence()}\n\n{self.table()}")

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.warnings)
        return f"<p>{escape(self.sentence())}</p>{f'<ul>{notes}</ul>' if notes else ''}{self.table()._repr_html_()}"


@functools.cache
def _parts_of(cls: type[Result | Part]) -> Mapping[str, type[Part] | None]:
    """Return each field's name, with the group that it is, if it is one."""
    hints = {field.name: get_type_hints(cls)[field.name] for field in dataclasses.fields(cls)}
    return {name: hint if isinstance(hint, type) and issubclass(hint, Part) else None for name, hint in hints.items()}


def keys_of(cls: type[Result | Part]) -> Iterator[str]:
    """Yield the keys of a class's fields and of those of its groups, as in `Result.to_dict`."""
    for name, part in _parts_of(cls).items():
        yield from (cls.keys.get(name, name),) if part is None else keys_of(part)


def _fields_from(cls: type[Result | Part], numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a class that `numbers` hold; groups always, as their fields may have defaults."""
    found: dict[str, Any] = {}
    for name, part in _parts_of(cls).items():
        if part is not None:
            found[name] = part(**_fields_from(part, numbers))
        elif (key := cls.keys.get(name, name)) in numbers:
            found[name] = numbers[key]
    return found


def flat_fields(record: Result | Part) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a record by their keys in `Result.to_dict`; those of a `Part` inside follow one by one."""
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Part):
            yield from flat_fields(value)
        else:
            yield record.keys.get(field.name, field.name), value


def _counting_excluded(sentence: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return a sentence that ends with how many runs were excluded, and why."""

    @functools.wraps(sentence)
    def counting(self: Result) -> str:
        text = sentence(self)
        if self.says_excluded or not self.excluded:
            return text
        return f"{text} {excluded_words(self.excluded, self.excluded_noun)}"

    return counting


def excluded_words(excluded: Sequence[Excluded], noun: str = "run") -> str:
    """Return how many were excluded, and for which reasons."""
    shards = sum(item.run.startswith("shard ") for item in excluded)
    counted = {noun: len(excluded) - shards, "shard": shards}
    what = " and ".join(count(number, name) for name, number in counted.items() if number)
    times = Counter(item.reason.partition(" on ")[0] for item in excluded)
    reasons = ", ".join(f"{number} {reason}" if len(times) > 1 else reason for reason, number in times.most_common(3))
    more = f", and {len(times) - 3} more reasons" if len(times) > 3 else ""
    return f"Excluded: {what} ({reasons}{more})."


def to_plain(value: Any) -> Any:
    """Return `value` with arrays, records and mappings turned into plain lists, dicts and scalars."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, Table):
        return value.to_dict()
    if isinstance(value, Part):
        return {key: to_plain(item) for key, item in flat_fields(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in value]
    return value


_PLAIN = {bool, int, float, str, type(None)}


def plain_list(values: Iterable[Any]) -> list[Any]:
    """Return values as plain ones, each as `to_plain` does."""
    listed = list(values)
    return listed if set(map(type, listed)) <= _PLAIN else [to_plain(value) for value in listed]


def json_safe(value: Any) -> Any:
    """Return plain data with NaN as None and infinities as ``"inf"`` or ``"-inf"``, which strict JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {key: json_safe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_safe(item) for item in value]
    return value
