"""Drawings of a page: one family, in the colours of the page, with text that stays text."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from html import escape
from textwrap import fill
from typing import TYPE_CHECKING, Any

from .._papers import Paper
from .._words import visible
from .model import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FONT_SIZE = 10.5  # in points of the drawing: 11 pixels where a phone shows it, 15 on a desk
WIDTH_AND_HEIGHT = (4.8, 2.9)
MOST_POINTS = 2000  # of lines, dots or cells that are drawn one by one; more become an image
_ENLARGED = 1.42
_LABEL, _NAME, _WORD = 44, 34, 12  # letters of a label's line, of a name, and of one that is no long one
_ON_COLOURS = {"#000000": "#000001", "#ffffff": "#fffffe"}  # which have no name below
_LINE = 0.19  # inches of a line of a legend
_MARGIN, _KEY = 50, 40  # points beside the axes, and before the text of a legend's entry
# Colours of the plots, and the page's own names for them, which are others on a dark page.
_COLOURS = {
    "#000000": "ink",
    "#ffffff": "page",
    "#0072b2": "blue",
    "#d55e00": "orange",
    "#666666": "grey",
    "#bbbbbb": "light",
    "#009e73": "green",
    "#cc79a7": "pink",
    "#a07800": "ochre",
    "#56b4e9": "sky",
}
_COLOUR = re.compile(rf"((?:fill|stroke): )({'|'.join(_COLOURS)})", re.IGNORECASE)
_FONT = re.compile(r"(font: [^;\"]*?px) [^;\"]*")
_PLACE = re.compile(r" (?:d|x|y|width|height)=\"[^\"]*\"")  # never the text, whose numbers stay as they are
_LONG = re.compile(r"(\.\d\d)\d+")
_UNUSED = re.compile(
    r"<metadata>.*?</metadata>\s*|<style type=\"text/css\">.*?</style>\s*|(?<=<g) id=\"[^\"]*\"", re.DOTALL
)


def figure(
    draw: Callable[[Axes], Any],
    *,
    shows: str,
    does_not_show: str,
    paper: Paper | None = None,
    size: tuple[float, float] = WIDTH_AND_HEIGHT,
    own_sizes: bool = False,
) -> Figure:
    """Return a drawing as inline SVG.

    Parameters
    ----------
    draw : callable
        Draws on the Axes that it is given.
    shows, does_not_show : str
        One sentence each.
    paper : Paper, optional
        What it rests on.
    size : tuple of float
        Width and height in inches; what is wider than 4.8 takes the page's width, and is scrolled on a phone.
    own_sizes : bool
        Whether text keeps the sizes that it was drawn in, as where it was placed by them; it is then shown larger.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure as Drawing

    from .._plotting import plain_texts

    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": shows, "font.size": FONT_SIZE}
    with mpl.rc_context(style):  # the salt keeps ids of one page apart and the same every time
        drawing = Drawing(figsize=size, layout="constrained", dpi=144)
        draw(drawing.subplots())
        plain_texts(drawing)
        _as_one_family(drawing, own_sizes=own_sizes)
        text = _drawn_once(drawing)
    shown = size[0] * (_ENLARGED if own_sizes else 1.0)
    svg = _for_page(text, shows, shown)
    return Figure(svg, shows, does_not_show, paper, wide=shown > WIDTH_AND_HEIGHT[0])


def _drawn_once(drawing: Any) -> str:
    """Return a drawing as transparent SVG, as `savefig` writes it, which draws everything a first time for the layout.

    Drawing lays out by itself; the first time is for what is cut to its contents.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    drawing.patch.set(facecolor="none", edgecolor="none")
    for ax in drawing.axes:
        ax.patch.set(facecolor="none", edgecolor="none")
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a drawing without room for its labels is still a drawing
        FigureCanvasSVG(drawing).print_svg(buffer, metadata={"Date": None})
    return buffer.getvalue()


def size_of_rows(names: Sequence[str]) -> tuple[float, float]:
    """Return width and height in inches of a drawing with a row for each name."""
    longest = min(_NAME, max(map(len, names), default=0))
    return (WIDTH_AND_HEIGHT[0] if longest <= _WORD else 8.0, min(8.0, 1.4 + 0.42 * len(names)))


def _as_one_family(drawing: Any, *, own_sizes: bool) -> None:
    """Give all text one size, put legends on top, and let what has very many points be an image."""
    from matplotlib.colors import to_hex
    from matplotlib.text import Text

    if not own_sizes:
        for text in drawing.findobj(Text):
            text.set_fontsize(FONT_SIZE)
    for ax in drawing.axes:
        _shorten(ax)
        if ax.get_legend() is not None:
            _place_legend(ax, drawing.get_figwidth() * 72 - _MARGIN)
        if sum(len(line.get_xdata()) for line in ax.lines) > MOST_POINTS:
            for line in ax.lines:
                line.set_rasterized(line.get_linewidth() < 1)
        for drawn in ax.collections:
            drawn.set_rasterized(_points_of(drawn) > MOST_POINTS)
        if ax.images or any(hasattr(drawn, "get_coordinates") for drawn in ax.collections):
            for text in ax.texts:  # on colours that are the same on every page
                text.set_color(_ON_COLOURS.get(to_hex(text.get_color()), text.get_color()))


def _shorten(ax: Axes) -> None:
    """Let no name, whatever it is, take the room of the axes."""
    from matplotlib.ticker import FixedFormatter

    for axis in (ax.xaxis, ax.yaxis):
        axis.set_label_text(fill(shortened(axis.get_label_text(), 2 * _LABEL), _LABEL))
        formatter = axis.get_major_formatter()
        if isinstance(formatter, FixedFormatter):
            formatter.seq = [shortened(name, _NAME) for name in formatter.seq]


def shortened(name: str, most: int) -> str:
    """Return a name that is too long without its middle."""
    return name if len(name) <= most else f"{name[: most - 12]}…{name[-11:]}"


def _place_legend(ax: Axes, room: float) -> None:
    """Put a legend above the axes, unless a title is there, in as many columns as there is room for, in points."""
    old: Any = ax.get_legend()
    texts = [text.get_text() for text in old.get_texts()]
    handles, labels = ax.get_legend_handles_labels()
    titled = any(ax.get_title(loc) for loc in ("left", "center", "right"))  # pyright: ignore[reportArgumentType]
    place: dict[str, Any] = {"loc": "best"} if titled else {"loc": "lower left", "bbox_to_anchor": (0, 1)}
    shown = [fill(shortened(text, 2 * _LABEL), _LABEL) for text in texts]
    columns = 1 if titled else _columns(shown, room)
    if not titled:  # the axes keep their height
        lines = -(-sum(text.count("\n") + 1 for text in shown) // columns)
        old.figure.set_figheight(old.figure.get_figheight() + _LINE * (lines - 1))
    ax.legend(
        handles if labels == texts else old.legend_handles,
        shown,
        title=old.get_title().get_text() or None,
        ncols=columns,
        frameon=False,
        fontsize=FONT_SIZE,
        title_fontsize=FONT_SIZE,
        borderaxespad=0.2,
        **place,
    )


def _columns(texts: Sequence[str], room: float) -> int:
    """Return the most columns that have room; a letter takes about 0.6 of the font's size."""
    widths = [_KEY + 0.6 * FONT_SIZE * len(text) for text in texts]
    for columns in range(min(3, len(widths)), 1, -1):
        rows = -(-len(widths) // columns)
        if sum(max(widths[at : at + rows]) for at in range(0, len(widths), rows)) <= room:
            return columns
    return 1


def _points_of(drawn: Any) -> int:
    array = drawn.get_array()
    paths = sum(len(path.vertices) for path in drawn.get_paths())
    return max(len(drawn.get_offsets()), paths, 0 if array is None else array.size)


def _for_page(svg: str, label: str, width: float) -> str:
    """Return a drawing as it stands in a page: its colours are the page's, and its numbers have two decimals."""
    svg = visible(_UNUSED.sub("", svg[svg.index("<svg") :]))
    head, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    rest = _COLOUR.sub(lambda found: f"{found[1]}var(--{_COLOURS[found[2].lower()]})", rest)
    rest = _PLACE.sub(lambda found: _LONG.sub(r"\1", found[0]), _FONT.sub(r"\1 system-ui, sans-serif", rest))
    return f'<svg {box[0]} style="--w: {width:g}" role="img" aria-label="{escape(visible(label))}">{rest}'
