"""Pictures of a contraction tree, with matplotlib (the extra `plot`)."""

from __future__ import annotations

from collections.abc import Callable
from math import log2, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from .planner import Tree
from .tables import steps_of

if TYPE_CHECKING:
    Axes = Any  # matplotlib.axes.Axes, which must not be needed here

__all__ = ["blank_axes", "draw"]

_CURVE = np.linspace(0.0, 1.0, 16)  # where a chord of the ring is sampled


def draw(tree: Tree, kind: str = "tree", ax: Axes | None = None) -> Axes:
    """Draw a tree on matplotlib axes, new ones if none are given; nothing is shown.

    Args:
        kind: "tree": operands at the bottom, steps above, joined by lines that are as thick as
            the tensor is large. "ring": operands on a circle in the order of the tree, each
            index a chord. Colours tell the macs of the step (that sums the index).

    Raises:
        ValueError: no such kind.
        ImportError: matplotlib is not installed.

    Complexity: linear in the number of axes of all operands and steps.
    """
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r}: use one of {', '.join(_KINDS)}")
    ax = blank_axes(ax, (8, 6))
    _KINDS[kind](tree, ax)
    ax.margins(0.03)
    return ax


def blank_axes(ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """Axes without a frame: those given, or those of a new figure of so many inches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install 'tensornet[plot]'") from error
    if ax is None:
        ax = pyplot.subplots(figsize=figsize)[1]
    ax.set_axis_off()
    return ax


def _draw_tree(tree: Tree, ax: Axes) -> None:
    n = len(tree.expr.inputs)
    x, y = np.zeros(n + len(tree.steps)), np.zeros(n + len(tree.steps))
    for place, leaf in enumerate(_leaves(tree)):
        x[leaf] = place
    for t, (a, b) in enumerate(tree.steps):
        x[n + t] = (x[a] + x[b]) / 2
        y[n + t] = max(y[a], y[b]) + 1
    steps = steps_of(tree)
    cost = [_log10(step.macs) for step in steps]
    size = [log2(max(1, _entries(tree, term))) for step in steps for term in step[1:3]]
    ends = np.array([(child, n + t) for t, pair in enumerate(tree.steps) for child in pair])
    if steps:
        segments = np.stack([x[ends], y[ends]], axis=-1)
        widths = 0.5 + 3.5 * np.array(size) / max(1.0, *size)
        order = np.argsort(np.repeat(cost, 2), kind="stable")  # what costs most lies on top
        _lines(ax, segments[order], np.repeat(cost, 2)[order], widths[order])
        ax.scatter(x[n:], y[n:], c=cost, s=14, zorder=3)
    ax.scatter(x[:n], y[:n], color="0.35", s=6, zorder=3)
    ax.set_title(_title(tree))


def _draw_ring(tree: Tree, ax: Axes) -> None:
    n = len(tree.expr.inputs)
    at = np.zeros((n, 2))
    for place, leaf in enumerate(_leaves(tree)):
        angle = 2 * np.pi * place / n
        at[leaf] = np.cos(angle), np.sin(angle)
    holders: list[list[int]] = [[] for _ in tree.expr.sizes]
    for k, term in enumerate(tree.expr.inputs):
        for i in dict.fromkeys(term):
            holders[i].append(k)
    cost = _costs_of_indices(tree)
    chords, colours, sliced = [], [], []
    for i, held in enumerate(holders):
        hub = at[held].mean(axis=0) * 0.5 if held else None
        pairs = [(at[held[0]], at[held[1]])] if len(held) == 2 else [(at[k], hub) for k in held]
        if i not in tree.sliced and len(held) < 2:
            continue  # an open or a summed leg of one operand joins nothing
        for start, end in pairs:
            chord = _chord(start, end)
            if i in tree.sliced:
                sliced.append(chord)
            else:
                chords.append(chord)
                colours.append(cost[i])
    order = np.argsort(colours, kind="stable")
    if chords:
        _lines(ax, np.array(chords)[order], np.array(colours)[order], 0.8)
    for chord in sliced:
        ax.plot(*np.transpose(chord), color="crimson", linestyle=":", linewidth=1.2)
    ax.scatter(at[:, 0], at[:, 1], color="0.35", s=8, zorder=3)
    ax.set_aspect("equal")
    ax.set_title(_title(tree))


_KINDS: dict[str, Callable[[Tree, Any], None]] = {"tree": _draw_tree, "ring": _draw_ring}


def _chord(start: Any, end: Any) -> Any:
    """A curve from one point to another that bends towards the centre of the ring."""
    t = _CURVE[:, None]
    middle = (start + end) / 4
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end


def _costs_of_indices(tree: Tree) -> list[float]:
    """log10 macs of the step that sums each index; of the last one that it is on if it stays."""
    cost = [0.0] * len(tree.expr.sizes)
    for step in steps_of(tree):
        for i in (*step.left, *step.right):
            cost[i] = _log10(step.macs)
    return cost


def _leaves(tree: Tree) -> list[int]:
    """The operands in the order in which a walk through the tree meets them."""
    n = len(tree.expr.inputs)
    found = []
    stack = [n + len(tree.steps) - 1] if n else []
    while stack:
        node = stack.pop()
        if node < n:
            found.append(node)
        else:
            stack += reversed(tree.steps[node - n])
    return found


def _lines(ax: Axes, segments: Any, colours: Any, widths: Any) -> None:
    from matplotlib.collections import LineCollection

    lines = LineCollection(segments, array=colours, linewidths=widths, capstyle="round")
    ax.add_collection(lines)
    ax.autoscale_view()
    ax.figure.colorbar(lines, ax=ax, label="log10 macs of a step", shrink=0.7)


def _entries(tree: Tree, term: tuple[int, ...]) -> int:
    entries = 1
    for i in dict.fromkeys(term):
        entries *= tree.expr.sizes[i]
    return entries


def _log10(macs: int) -> float:
    return log10(macs) if macs else 0.0


def _title(tree: Tree) -> str:
    slices = f", 2^{log2(tree.n_slices):.1f} slices" if tree.n_slices > 1 else ""
    return (
        f"{len(tree.expr.inputs):,} tensors, log10 macs {_log10(tree.macs):.2f}, "
        f"width {tree.width:.1f}{slices}"
    )
