"""The training map: states from left to right by first visit, roads between them as wide as the runs that take them."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._plotting import BLUE, GREY, ORANGE, new_axes
from ..._words import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

    from .maps import MapEdge, TrainingMap
    from .result import TrainingDynamics

_FORTH = (-0.08, -0.22, -0.34, 0.22, 0.34, -0.5, 0.5)  # bends to try, above the line first
_BACK = (-0.3, 0.3, -0.45, 0.45, -0.6, 0.6)  # below the line first, apart from the way forth
_KEY = (
    "On a road: its probability, the runs that take it, and the metrics that matter most for entering, with how far "
    "their mean moves (in a run's standard deviations)"
)
_ALONG = (0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.78)  # where on a road its label may stand, best first


def plot_training_map(
    result: TrainingDynamics | TrainingMap, ax: Axes | None = None, *, labels: int = 10, features: int = 3
) -> Axes:
    """Draw states and the transitions between them that runs make.

    Parameters
    ----------
    result : TrainingDynamics or TrainingMap
        What `dynamics` returned (detour states are drawn orange, as squares) or `training_map`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    labels : int
        How many transitions to label, those of most runs first; the others are thin.
    features : int
        Metrics to name in a label, most influential first.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. The area of a state grows with the share of time that runs spend in it, the width of an arrow
        with the runs that take it.
    """
    drawn: TrainingMap = getattr(result, "map", result)  # pyright: ignore[reportAssignmentType]
    detours: set[int] = set(getattr(result, "detours", ()))
    places, n = layout(drawn), len(drawn.paths)
    share = drawn.occupancy.mean(axis=0)
    radius = {state: 0.13 + 0.2 * float(np.sqrt(share[state])) for state in places}
    ranked = sorted(drawn.edges, key=lambda edge: -edge.runs)
    curves: list[NDArray[np.float64]] = []
    for edge in ranked:
        curves.append(_curve(edge, places, radius, curves))
    ax = _canvas(ax, places, radius, curves)
    roads = [
        (edge, _road(ax, edge, curve, places, radius, n, bold=rank < labels))
        for rank, (edge, curve) in enumerate(zip(ranked, curves, strict=True))
    ]
    for state, place in places.items():
        visits = f"{drawn.visits[state]}/{count(n, 'run')}\n{share[state]:.0%} of time"
        _station(ax, state, place, radius[state], visits, detour=state in detours)
    _label(ax, roads[:labels], places, radius, n, features)
    ax.set_title(_title(drawn, detours, hidden=max(0, len(roads) - labels)), fontsize="medium", loc="left")
    width = ax.get_window_extent().width / ax.figure.dpi  # inches, of some 15 letters each
    ax.text(0, 0, fill(_KEY, max(40, int(15 * width))), fontsize="x-small", va="top", transform=ax.transAxes)
    return ax


def _canvas(
    ax: Axes | None,
    places: dict[int, NDArray[np.float64]],
    radius: dict[int, float],
    curves: list[NDArray[np.float64]],
) -> Axes:
    """Return axes as large as stations, their captions, roads and a label above the topmost need."""
    boxes = [caption_box(places[s], radius[s]) for s in places]
    points = np.concatenate(
        [
            *curves,
            *(np.stack([low, high + np.array([0.0, radius[s]])]) for s, (low, high) in zip(places, boxes, strict=True)),
        ]
    )
    low, high = points.min(axis=0) - np.array([0.15, 0.35]), points.max(axis=0) + np.array([0.15, 0.65])
    size = (high - low) * min(1.25, 15.0 / (high - low)[0])  # inches
    ax = new_axes(ax, width=max(4.0, float(size[0])), height=float(size[1]) + 0.6)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    ax.axis("off")
    return ax


def _title(drawn: TrainingMap, detours: set[int], hidden: int) -> str:
    shape = f"{count(drawn.n_routes, 'route')}, {drawn.common_share:.0%} of runs on one"
    if drawn.n_routes == 1:
        shape = "one state" if drawn.n_states == 1 else "linear" if drawn.is_linear else "one route"
    marked = f"; square: detour {', '.join(map(str, sorted(detours)))}" if detours else ""
    rare = f"; {count(hidden, 'rarer transition')} unlabelled" if hidden else ""
    return f"{count(len(drawn.paths), 'run')}, {shape}{marked}{rare}"


def layout(drawn: TrainingMap) -> dict[int, NDArray[np.float64]]:
    """Return where to draw each visited state: by first visit from left to right, those off the common route aside."""
    visited = np.flatnonzero(drawn.visited)
    order = visited[np.argsort(drawn.first_visit[visited], kind="stable")]
    on_route, aside, places = set(drawn.common_route), 0, {}
    for column, state in enumerate(order):
        height = 0.0
        if int(state) not in on_route:
            height, aside = (1.0 if aside % 2 == 0 else -1.0), aside + 1
        places[int(state)] = np.array([1.6 * column, 1.25 * height])
    return places


def _curve(
    edge: MapEdge,
    places: dict[int, NDArray[np.float64]],
    radius: dict[int, float],
    earlier: list[NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return 101 points of a road: the first of the bends that keep clear of stations, captions and earlier roads."""
    start, end = places[edge.source], places[edge.target]
    bends = _FORTH if end[0] > start[0] else _BACK
    curves = [_bezier(start, end, bend) for bend in bends]
    others = [s for s in places if s not in (edge.source, edge.target)]
    cost = [
        _run_over(curve, places, radius, others, captions=(edge.source, edge.target)) + _alongside(curve, earlier)
        for curve in curves
    ]
    return curves[int(np.argmin(cost))]


def _alongside(curve: NDArray[np.float64], earlier: list[NDArray[np.float64]]) -> int:
    """Count the points of a road, near its ends aside, that lie next to another road."""
    middle, roads = curve[25:76], np.concatenate(earlier) if earlier else np.empty((0, 2))
    near = np.linalg.norm(middle[:, None] - roads, axis=2) < 0.1
    return int(near.any(axis=1).sum())


def _bezier(start: NDArray[np.float64], end: NDArray[np.float64], bend: float) -> NDArray[np.float64]:
    """Return a quadratic Bézier curve; `bend` is how far it leaves the line, to its left where negative."""
    along = end - start
    control = (start + end) / 2 + bend * np.array([along[1], -along[0]])
    t = np.linspace(0, 1, 101)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def _run_over(
    curve: NDArray[np.float64],
    places: dict[int, NDArray[np.float64]],
    radius: dict[int, float],
    others: list[int],
    captions: tuple[int, ...],
) -> int:
    """Count the points of a road on other stations or on the text under any station."""
    count = sum(int((np.linalg.norm(curve - places[s], axis=1) < radius[s] + 0.08).sum()) for s in others)
    for state in (*others, *captions):
        low, high = caption_box(places[state], radius[state])
        count += int(((curve > low) & (curve < high)).all(axis=1).sum())
    return count


def caption_box(place: NDArray[np.float64], radius: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners of what the text under a station covers."""
    return place - np.array([0.36, radius + 0.42]), place + np.array([0.36, -radius])


def _road(
    ax: Axes,
    edge: MapEdge,
    curve: NDArray[np.float64],
    places: dict[int, Any],
    radius: dict[int, float],
    n_runs: int,
    *,
    bold: bool,
) -> NDArray[np.float64]:
    """Draw a road between the rims of its stations; return the part that can be seen."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    free = (np.linalg.norm(curve - places[edge.source], axis=1) > radius[edge.source] + 0.02) & (
        np.linalg.norm(curve - places[edge.target], axis=1) > radius[edge.target] + 0.04
    )
    visible = curve[free]
    arrow = FancyArrowPatch(
        path=Path(visible),
        arrowstyle="-|>,head_length=5,head_width=2.6",
        linewidth=(0.8 + 3.2 * edge.runs / n_runs) if bold else 0.5,
        color=GREY if bold else "#BBBBBB",
        zorder=1,
    )
    ax.add_patch(arrow)
    return visible


def _station(ax: Axes, state: int, place: Any, radius: float, text: str, *, detour: bool) -> None:
    from matplotlib.patches import Circle, Rectangle

    if detour:
        corner = (place[0] - 0.9 * radius, place[1] - 0.9 * radius)
        shape: Any = Rectangle(corner, 1.8 * radius, 1.8 * radius, facecolor=ORANGE, edgecolor="black", zorder=3)
    else:
        shape = Circle((place[0], place[1]), radius, facecolor=BLUE, edgecolor="black", zorder=3)
    ax.add_patch(shape)
    ax.text(place[0], place[1], str(state), color="white", ha="center", va="center", weight="bold", zorder=4)
    ax.text(
        place[0], place[1] - radius - 0.05, text, fontsize="x-small", ha="center", va="top", zorder=4, color="black"
    )


def _label(
    ax: Axes,
    roads: list[tuple[MapEdge, NDArray[np.float64]]],
    places: dict[int, Any],
    radius: dict[int, float],
    n_runs: int,
    features: int,
) -> None:
    """Write labels where they cover neither a state nor another label, the roads of most runs first."""
    from matplotlib.backends.backend_agg import RendererAgg

    renderer: Any = RendererAgg(*ax.figure.bbox.size, ax.figure.dpi)  # measures text, whatever the canvas is
    ax.figure.draw_without_rendering()  # pyright: ignore[reportAttributeAccessIssue] places the axes, so before boxes
    taken = [_box(ax, places[s] - radius[s], places[s] + radius[s]) for s in places]
    taken += [_box(ax, *caption_box(places[s], radius[s])) for s in places]
    page = ax.get_window_extent()
    for edge, curve in roads:
        described = edge.describe().split(", ")[:features]
        text = ax.text(
            0,
            0,
            f"{edge.source}→{edge.target}: {edge.probability:.2g}, {edge.runs}/{n_runs}\n" + "\n".join(described),
            fontsize=6.5,
            ha="center",
            va="center",
            zorder=5,
            linespacing=1.05,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
        best, least = curve[len(curve) // 2], np.inf
        for spot in _spots(curve):
            text.set_position((float(spot[0]), float(spot[1])))
            box = text.get_window_extent(renderer)
            covered = sum(_overlap(box, other) for other in taken) + 20 * _crossed(ax, box, edge, roads)
            covered += box.width * box.height - _overlap(box, page)  # what lies outside the page
            if covered < least:
                best, least = spot, covered
            if not covered:
                break
        text.set_position((float(best[0]), float(best[1])))
        taken.append(text.get_window_extent(renderer))


def _crossed(ax: Axes, box: Bbox, edge: MapEdge, roads: list[tuple[MapEdge, NDArray[np.float64]]]) -> int:
    """Count the points of other roads under a label, which would seem to be theirs."""
    others = [curve for other, curve in roads if other is not edge]
    points = ax.transData.transform(np.concatenate(others)) if others else np.empty((0, 2))
    inside = (points > [box.x0, box.y0]).all(axis=1) & (points < [box.x1, box.y1]).all(axis=1)
    return int(inside.sum())


def _spots(curve: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield places for a label: on the road, then beside it."""
    for away in (0.0, 0.13, -0.13, 0.26, -0.26, 0.4, -0.4, 0.6, -0.6):
        for share in _ALONG:
            yield curve[int(share * (len(curve) - 1))] + np.array([0.0, away])


def _box(ax: Axes, low: NDArray[np.float64], high: NDArray[np.float64]) -> Bbox:
    from matplotlib.transforms import Bbox

    return Bbox(ax.transData.transform(np.stack([low, high])))


def _overlap(a: Bbox, b: Bbox) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(0.0, width) * max(0.0, height)
