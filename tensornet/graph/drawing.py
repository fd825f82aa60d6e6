"""Pictures of a network of nodes, with matplotlib (the extra `plot`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..drawing import blank_axes
from .abstract import AbstractNode
from .copynode import CopyNode
from .hyperedge import with_hyperedges
from .queries import unique_nodes
from .sketch import Curve, Sketch, sketch, steps_of_edges

if TYPE_CHECKING:
    Axes = Any  # matplotlib.axes.Axes, which must not be needed here

__all__ = ["draw"]

_LABELS = ("all", "names", "none")
_MANY = (60, 200)  # nodes, above which fewer labels are shown
_FILL = "#cfe2f3"
_LONG = 24  # letters of a name, above which it is shortened


def draw(
    nodes: Iterable[AbstractNode],
    ax: Axes | None = None,
    *,
    order: Any = None,
    labels: str | None = None,
) -> Axes:
    """Draw nodes and their edges with matplotlib (the extra `plot`); nothing is shown.

    Dangling edges are stubs (dotted if they lead to a node that is not drawn), trace edges loops,
    parallel edges arcs side by side, copy nodes and hyperedges (which need not be given) dots. The
    same network is always drawn alike.

    Args:
        nodes: the nodes, connected to each other or not.
        ax: matplotlib axes to draw on; new ones if left out.
        order: a Plan, Tree or opt_einsum path whose operands are these nodes in order, with or
            without the copy nodes: edges are coloured and numbered by the step that sums them.
        labels: "all" for names of nodes and axes, dimensions and steps, "names" for those of nodes
            alone, "none"; by default as many as can be read.

    Returns:
        The axes.

    Raises:
        TypeError: not nodes.
        ValueError: a disabled node, no such `labels`, or an `order` of other operands.
        ImportError: matplotlib is not installed.

    Complexity: that of a layout: quadratic in up to 1000 connected nodes, linear in more.
    """
    if labels is not None and labels not in _LABELS:
        raise ValueError(f"labels={labels!r}: use one of {', '.join(_LABELS)}")
    drawn = sketch(with_hyperedges(unique_nodes(nodes)))
    steps: list[int | None] = [None] * len(drawn.curves)
    if order is not None:
        steps = steps_of_edges(drawn, order)
    if labels is None:
        labels = _LABELS[sum(len(drawn.nodes) > most for most in _MANY)]
    ax = blank_axes(ax, _figure_size(drawn, 1.4 if labels == "all" else 0.8))
    _draw_edges(ax, drawn, steps, labels == "all")
    _draw_nodes(ax, drawn, labels != "none")
    ax.set_aspect("equal")
    ax.margins(0.08)
    return ax


def _figure_size(drawn: Sketch, inches: float) -> tuple[float, float]:
    """So many inches for an edge, within bounds."""
    if not drawn.nodes:
        return 3.0, 3.0
    width, height = (inches * np.ptp(drawn.points, axis=0) + 2).clip(3, 14)
    return float(width), float(height)


def _draw_edges(ax: Axes, drawn: Sketch, steps: list[int | None], labelled: bool) -> None:
    from matplotlib.collections import LineCollection

    curves = drawn.curves
    plain = [k for k, step in enumerate(steps) if step is None]
    for style in ("solid", "dotted"):
        lines = [curves[k].points for k in plain if _is_cut(curves[k]) is (style == "dotted")]
        if lines:
            ax.add_collection(LineCollection(lines, colors="0.55", linestyles=style, zorder=1))
    numbered = [k for k, step in enumerate(steps) if step is not None]
    if numbered:
        found = LineCollection(
            [curves[k].points for k in numbered],
            array=np.array([steps[k] for k in numbered], float),
            linewidths=2.2,
            zorder=1,
        )
        ax.add_collection(found)
        ax.figure.colorbar(found, ax=ax, label="step that sums the edge", shrink=0.7)
    ax.autoscale_view()
    if labelled:
        for curve, step in zip(curves, steps):
            _label_edge(ax, drawn.nodes, curve, step)


def _is_cut(curve: Curve) -> bool:
    """Does the edge lead to a node that is not drawn?"""
    return len(curve.ends) == 1 and curve.edge._node2 is not None


def _label_edge(ax: Axes, nodes: list[AbstractNode], curve: Curve, step: int | None) -> None:
    """The dimension and the step in the middle (at the tip of a stub), axis names at the ends."""
    points, size = curve.points, str(curve.edge.dimension)
    names = [_axis_name(nodes[place], axis) for place, axis in curve.ends]
    if len(names) == 1:
        _text(ax, points[-1], f"{names[0]}: {size}" if names[0] else size, 7, "0.15")
        return
    _text(ax, points[len(points) // 2], size if step is None else f"{size} #{step}", 7, "0.15")
    for name, place in zip(names, (4, len(points) - 5)):
        if name:
            _text(ax, points[place], name, 6, "0.4")


def _axis_name(node: AbstractNode, axis: int) -> str:
    """The name that somebody gave to an axis."""
    name = node.axis_names[axis]
    return "" if name == str(axis) or name.startswith("__") else _short(name)


def _draw_nodes(ax: Axes, drawn: Sketch, labelled: bool) -> None:
    is_copy = np.array([isinstance(node, CopyNode) for node in drawn.nodes], bool)
    named = np.array([labelled and not node.name.startswith("__") for node in drawn.nodes], bool)
    ax.scatter(*drawn.points[is_copy].T, color="black", s=22, zorder=3)
    plain = drawn.points[~is_copy & ~named]
    ax.scatter(*plain.T, s=60, color=_FILL, edgecolors="0.3", linewidths=0.8, zorder=4)
    box = {"boxstyle": "round,pad=0.25", "facecolor": _FILL, "edgecolor": "0.3", "lw": 0.8}
    for k in np.flatnonzero(named):
        name, point = _short(drawn.nodes[k].name), drawn.points[k]
        if is_copy[k]:
            _text(ax, point + np.array([0.08, 0.1]), name, 7, "black", ha="left")
        else:
            _text(ax, point, name, 8, "black", zorder=4, bbox=box)


def _text(ax: Axes, point: Any, words: str, size: int, colour: str, **options: Any) -> None:
    paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    options = {"ha": "center", "va": "center", "zorder": 3, "bbox": paper, **options}
    # names are names, whatever matplotlib's mathematics would make of a dollar
    ax.text(*point, words, fontsize=size, color=colour, parse_math=False, **options)


def _short(name: str) -> str:
    return name if len(name) <= _LONG else f"{name[: _LONG - 1]}…"
