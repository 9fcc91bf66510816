"""What a page is made of: sections with an answer, figures with what they show and do not, tables, notes."""

from __future__ import annotations

from dataclasses import dataclass

from .._papers import Paper
from .._results import Table
from ..errors import RunspreadError


@dataclass(frozen=True)
class Figure:
    """A drawing with what it shows and what it does not.

    Attributes
    ----------
    svg : str
        The drawing, as markup.
    shows, does_not_show : str
        One sentence each.
    paper : Paper or None
        What it rests on.
    wide : bool
        Whether it takes the width of the page.
    """

    svg: str
    shows: str
    does_not_show: str
    paper: Paper | None = None
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes
    ----------
    title : str
        Heading.
    lead : str
        The answer in a sentence.
    figures : tuple of Figure
        Drawings.
    tables : tuple of Table
        Tables; they can be sorted by column.
    notes : tuple of str
        Warnings, and excluded runs.
    error : RunspreadError or None
        Why the section could not be made.
    short : str
        The answer in the user's words, for the summary; empty for none.
    papers : tuple of Paper
        What it rests on.
    needs : str
        What the study lacks for this section; then there is nothing else.
    folded : bool
        Whether it is closed until a reader opens it.
    key : str
        Its address on the page.
    """

    title: str
    lead: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    error: RunspreadError | None = None
    short: str = ""
    papers: tuple[Paper, ...] = ()
    needs: str = ""
    folded: bool = False
    key: str = ""


@dataclass(frozen=True)
class Answer:
    """One line of a summary: a question, and the answers of the sections that have one.

    Attributes
    ----------
    question : str
        In the user's words.
    parts : tuple of (key, title, text)
        Section, and what it answers.
    """

    question: str
    parts: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Chapter:
    """The sections of one study, after their summary.

    Attributes
    ----------
    name : str
        Heading; empty on a page of one study.
    sections : tuple of Section
        In order.
    summary : tuple of Answer
        At most six.
    prefix : str
        What the addresses of its sections begin with.
    """

    name: str
    sections: tuple[Section, ...]
    summary: tuple[Answer, ...] = ()
    prefix: str = ""
