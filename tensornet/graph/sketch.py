"""The geometry of a drawn network: which curve each edge is, and in which step it is summed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heapreplace
from math import atan2, cos, pi, sin
from typing import Any, NamedTuple

import numpy as np

from ..planner import Tree, unwrapped
from ..planner.paths import read_groups, ssa_from_linear
from .abstract import AbstractNode
from .checks import Array
from .copynode import CopyNode
from .edge import Edge
from .layout import layout

__all__ = ["Curve", "Sketch", "sketch", "steps_of_edges"]

_STUB = 0.45  # how far a dangling edge reaches, where joined nodes are about 1 apart
_LOOP = 0.9
_BEND = 0.22  # between parallel edges
_SAMPLES = np.linspace(0.0, 1.0, 17)


class Curve(NamedTuple):
    """One edge: its points (17, 2), and its ends among the nodes drawn, with the node and axis.

    An end at a node that is not drawn is left out, as that of a dangling edge.
    """

    edge: Edge
    points: Array
    ends: list[tuple[int, int]]


class Sketch(NamedTuple):
    """Nodes, a point (n, 2) for each of them, and a curve for each edge."""

    nodes: list[AbstractNode]
    points: Array
    curves: list[Curve]


def sketch(nodes: Sequence[AbstractNode]) -> Sketch:
    """Lay out distinct nodes and the edges on them; time and memory as for `layout`."""
    place = {node: k for k, node in enumerate(nodes)}
    ends = _ends(nodes, place)
    between: dict[tuple[int, int], list[Edge]] = {}
    outward: list[list[Edge]] = [[] for _ in nodes]  # stubs and loops of each node
    for edge, held in ends.items():
        a, b = held[0][0], held[-1][0]
        if a == b:
            outward[a].append(edge)
        else:
            between.setdefault((min(a, b), max(a, b)), []).append(edge)
    points = layout(len(nodes), list(between))
    curves = {}
    for (a, b), edges in between.items():
        for k, edge in enumerate(edges):
            bend = (k - (len(edges) - 1) / 2) * _BEND
            line = _arc(points[a], points[b], bend)
            curves[edge] = line if ends[edge][0][0] == a else line[::-1]
    towards: list[list[int]] = [[] for _ in nodes]
    for a, b in between:
        towards[a].append(b)
        towards[b].append(a)
    for k, edges in enumerate(outward):
        taken = [_angle(points[other] - points[k]) for other in towards[k]]
        for edge, angle in zip(edges, _free_angles(taken, len(edges))):
            curves[edge] = (_stub if len(ends[edge]) == 1 else _loop)(points[k], angle)
    found = [Curve(edge, curves[edge], held) for edge, held in ends.items()]
    return Sketch(list(nodes), points, found)


def _ends(
    nodes: Sequence[AbstractNode], place: dict[AbstractNode, int]
) -> dict[Edge, list[tuple[int, int]]]:
    """Where each edge ends on the nodes, its first end first."""
    ends: dict[Edge, list[tuple[int, int]]] = {}
    for node in nodes:
        for edge in node._live_edges():
            both = [(edge._node1, edge._axis1), (edge._node2, edge._axis2)]
            ends[edge] = [
                (place[end], axis)
                for end, axis in both
                if end is not None and axis is not None and end in place
            ]
    return ends


def _arc(start: Array, end: Array, bend: float) -> Array:
    """A line that keeps `bend` away from the straight one in its middle."""
    along = end - start
    across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9)
    t = _SAMPLES[:, None]
    points: Array = start + t * along + 4 * t * (1 - t) * bend * across
    return points


def _stub(start: Array, angle: float) -> Array:
    points: Array = start + _SAMPLES[:, None] * _STUB * np.array([cos(angle), sin(angle)])
    return points


def _loop(start: Array, angle: float) -> Array:
    """A cubic curve that leaves to one side of `angle` and comes back on the other."""
    t = _SAMPLES[:, None]
    out = start + _LOOP * np.array([cos(angle + 0.5), sin(angle + 0.5)])
    back = start + _LOOP * np.array([cos(angle - 0.5), sin(angle - 0.5)])
    points: Array = (
        ((1 - t) ** 3 + t**3) * start + 3 * t * (1 - t) ** 2 * out + 3 * t**2 * (1 - t) * back
    )
    return points


def _angle(way: Array) -> float:
    return atan2(way[1], way[0])


def _free_angles(taken: Iterable[float], count: int) -> list[float]:
    """Directions for `count` stubs, in the widest gaps between those that are taken.

    Of gaps that are about as wide, the one that looks down comes first, so that the open legs of
    a chain point the same way.
    """
    angles = sorted(taken)
    if not angles:
        return [-pi / 2 + 2 * pi * k / max(count, 1) for k in range(count)]
    gaps = [
        ((b - a) % (2 * pi) or 2 * pi, a) for a, b in zip(angles, [*angles[1:], angles[0] + 2 * pi])
    ]
    stubs = [0] * len(gaps)
    widest = [
        (-round(width, 1), sin(start + width / 2), gap) for gap, (width, start) in enumerate(gaps)
    ]
    heapify(widest)
    for _ in range(count):
        _, height, gap = widest[0]
        stubs[gap] += 1
        heapreplace(widest, (-round(gaps[gap][0] / (stubs[gap] + 1), 1), height, gap))
    return [
        start + width * (k + 1) / (n + 1)
        for (width, start), n in zip(gaps, stubs)
        for k in range(n)
    ]


def steps_of_edges(drawn: Sketch, order: Any) -> list[int | None]:
    """The step, from 0, in which each edge is summed; None for open and for trace edges.

    Args:
        order: a Plan or Tree, or an opt_einsum path, whose operands are the nodes in order, with
            or without the copy nodes. An edge of a copy node that is no operand is summed when
            all that the copy node touches have met.

    Raises:
        ValueError: another number of operands, or a path that does not fit them.
    """
    operands, groups = _operands(drawn.nodes, order)
    n = len(operands)
    parent: dict[int, int] = {}
    for t, group in enumerate(groups):
        parent.update(dict.fromkeys(group, n + t))
    number = {node: k for k, node in enumerate(operands)}
    steps: list[int | None] = []
    for held in _holders(drawn, number):
        met = _meeting(held, parent)
        steps.append(None if met is None or met < n else met - n)
    return steps


def _operands(
    nodes: Sequence[AbstractNode], order: Any
) -> tuple[list[int], Sequence[tuple[int, ...]]]:
    """Which nodes the operands of `order` are, and its steps as SSA numbers."""
    dense = [k for k, node in enumerate(nodes) if not isinstance(node, CopyNode)]
    tree = unwrapped(order)
    groups = [] if isinstance(tree, Tree) else read_groups(order)
    count = (
        len(tree.expr.inputs)
        if isinstance(tree, Tree)
        else 1 + sum([len(group) - 1 for group in groups])
    )
    if count not in (len(nodes), len(dense)):
        raise ValueError(
            f"order contracts {count} operands, but {len(nodes)} nodes are drawn, of which "
            f"{len(nodes) - len(dense)} are copy nodes; give the nodes that it is for"
        )
    operands = list(range(len(nodes))) if count == len(nodes) else dense
    if isinstance(tree, Tree):
        return operands, tree.steps
    return operands, ssa_from_linear(groups, count)


def _holders(drawn: Sketch, number: dict[int, int]) -> Iterable[set[int]]:
    """The operands that hold the index of each edge; an open edge keeps its index for good."""
    copies: dict[int, list[Curve]] = {k: [] for k in range(len(drawn.nodes)) if k not in number}
    for curve in drawn.curves:
        for node, _ in curve.ends:
            if node in copies:
                copies[node].append(curve)
    hubs: dict[int, set[int]] = {}
    for start in copies:
        if start in hubs:
            continue
        touched: set[int] = set()
        cluster, stays = [start], False
        for hub in cluster:  # which grows meanwhile
            hubs[hub] = touched
            stays = stays or any(len(curve.ends) == 1 for curve in copies[hub])
            ends = [node for curve in copies[hub] for node, _ in curve.ends]
            touched.update([number[node] for node in ends if node in number])
            cluster += {node for node in ends if node not in number and node not in hubs}
        if stays:
            touched.clear()
    for curve in drawn.curves:
        held = next((hubs[node] for node, _ in curve.ends if node in hubs), None)
        if held is not None:
            yield held
        else:
            yield {number[node] for node, _ in curve.ends} if len(curve.ends) == 2 else set()


def _meeting(held: set[int], parent: dict[int, int]) -> int | None:
    """The tensor in which all of `held` have been contracted; None if there is none."""
    waiting = set(held)
    while len(waiting) > 1:
        first = min(waiting)
        if first not in parent:
            return None
        waiting.remove(first)
        waiting.add(parent[first])
    return waiting.pop() if waiting else None
