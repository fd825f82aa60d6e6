"""Where to draw the vertices of a graph, so that joined ones lie near and others apart.

Distances in the plane follow distances in the graph. They start from a few pivots (Brandes & Pich,
"Eigensolver methods for progressive multidimensional scaling of large data", 2007) and, where all
pairs of vertices fit in memory, are improved by stress majorisation (Gansner, Koren & North,
"Graph drawing by stress majorization", 2004). Nothing is random.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import sqrt

import numpy as np

from .checks import Array

__all__ = ["layout"]

_PIVOTS = 50
_ALL_PAIRS = 1000  # vertices of a component, up to which all distances are known
_ITERATIONS = 100
_ENOUGH = 1e-4  # relative change of the stress at which it counts as settled
_GAP = 1.2  # between components


def layout(n: int, pairs: Sequence[tuple[int, int]]) -> Array:
    """Points for `n` vertices, joined ones about 1 apart; components lie side by side.

    Args:
        n: the number of vertices.
        pairs: which are joined; repeated ones count once, loops not at all.

    Returns:
        float64 array of shape (n, 2); the same for the same graph.

    Memory and time are quadratic (and a breadth-first search from each vertex) in components of
    up to 1000 vertices, linear in larger ones.

    >>> layout(3, [(0, 1), (1, 2)]).round(1)[:, 0].tolist()
    [0.0, 1.0, 2.0]
    """
    neighbours: list[dict[int, None]] = [{} for _ in range(n)]
    for a, b in pairs:
        if a != b:
            neighbours[a][b] = neighbours[b][a] = None
    parts = _components(neighbours)
    boxes = [_component(part, neighbours) for part in parts]
    points = np.zeros((n, 2))
    for part, corner, box in zip(parts, _side_by_side(boxes), boxes):
        points[part] = box + corner
    return points


def _components(neighbours: Sequence[dict[int, None]]) -> list[list[int]]:
    """The vertices of each component, in order; the largest components first."""
    seen = [False] * len(neighbours)
    parts = []
    for start in range(len(neighbours)):
        if not seen[start]:
            seen[start] = True
            part = [start]
            for vertex in part:  # which grows meanwhile
                fresh = [other for other in neighbours[vertex] if not seen[other]]
                for other in fresh:
                    seen[other] = True
                part += fresh
            parts.append(sorted(part))
    return sorted(parts, key=len, reverse=True)


def _side_by_side(boxes: Sequence[Array]) -> list[Array]:
    """Where the lower left corner of each box goes: in rows, all about as wide as they are high."""
    extents = [box.max(axis=0) + _GAP for box in boxes]
    width = max([sqrt(1.5 * sum(w * h for w, h in extents)), *[w for w, _ in extents]], default=0)
    corners, x, y, height = [], 0.0, 0.0, 0.0
    for w, h in extents:
        if x + w > width * (1 + 1e-9) and x > 0:
            x, y, height = 0.0, y - height, 0.0
        corners.append(np.array([x, y - h + _GAP]))
        x, height = x + w, max(height, h)
    return corners


def _component(part: list[int], neighbours: Sequence[dict[int, None]]) -> Array:
    """Points of one component, in a box whose lower left corner is the origin."""
    if len(part) == 1:
        return np.zeros((1, 2))
    number = {vertex: k for k, vertex in enumerate(part)}
    graph = [[number[other] for other in neighbours[vertex]] for vertex in part]
    whole = len(part) <= _ALL_PAIRS
    distances = _distances(graph, len(part) if whole else _PIVOTS)
    points = _from_pivots(distances)
    ends = [(k, other) for k, row in enumerate(graph) for other in row if k < other]
    lengths = np.linalg.norm(np.subtract(*points[np.array(ends).T]), axis=1)
    points /= max(lengths.mean(), 1e-6)
    if whole:
        points = _majorised(points + _spiral(len(part)), distances)
    turned = _turned(points, ends)
    turned -= turned.min(axis=0)
    return turned


def _distances(graph: Sequence[Sequence[int]], n_pivots: int) -> Array:
    """Edges on the way from each vertex to each pivot, as an array (vertices, pivots).

    If all vertices are pivots, they are so in order; otherwise each is as far from those before
    it as can be.
    """
    n = len(graph)
    found = np.empty((n, n_pivots))
    nearest = np.full(n, np.inf)
    pivot = 0
    for k in range(n_pivots):
        found[:, k] = _search(graph, k if n_pivots == n else pivot)
        nearest = np.minimum(nearest, found[:, k])
        pivot = int(nearest.argmax())
    return found


def _search(graph: Sequence[Sequence[int]], start: int) -> list[int]:
    distance = [-1] * len(graph)
    distance[start] = 0
    waiting = deque([start])
    while waiting:
        vertex = waiting.popleft()
        for other in graph[vertex]:
            if distance[other] < 0:
                distance[other] = distance[vertex] + 1
                waiting.append(other)
    return distance


def _from_pivots(distances: Array) -> Array:
    """The plane in which the distances to the pivots show best; points of any scale."""
    squares = distances**2
    centred = squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()
    values, vectors = np.linalg.eigh(centred.T @ centred)
    plane: Array = centred @ vectors[:, :-3:-1]
    if plane.shape[1] < 2:
        plane = np.column_stack([plane, np.zeros(len(plane))])
    # the second axis of a chain holds but noise
    weak = sqrt(max(values[-2:][0], 0.0)) < 1e-6 * sqrt(max(values[-1], 1e-300))
    return plane * [1.0, 0.0] if weak else plane


def _spiral(n: int) -> Array:
    """Small steps, all different, that part points which lie on one another."""
    k = np.arange(n)
    radius, angle = 1e-3 * np.sqrt((k + 0.5) / n), 2.399963 * k
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def _majorised(points: Array, distances: Array) -> Array:
    """Points whose distances fit those in the graph better, near ones above all.

    Each round minimises a quadratic function that lies above the stress
    ``sum_ij (|x_i - x_j| - d_ij)^2 / d_ij^2`` and touches it at the points before.
    """
    n = len(points)
    wanted = distances + np.eye(n)
    weights = 1 / wanted**2
    np.fill_diagonal(weights, 0.0)
    # adding a constant makes the Laplacian regular and leaves sums of zero as they are
    inverse = np.linalg.inv(np.diag(weights.sum(axis=1)) - weights + 1 / n)
    before = np.inf
    for _ in range(_ITERATIONS):
        points = points - points.mean(axis=0)
        apart = _lengths(points)
        stress = float((weights * (apart - distances) ** 2).sum())
        if before - stress <= _ENOUGH * before or stress < 1e-9:
            break
        before = stress
        pull = np.divide(weights * wanted, apart, out=np.zeros((n, n)), where=apart > 1e-9)
        points = inverse @ (pull.sum(axis=1)[:, None] * points - pull @ points)
    return points


def _lengths(points: Array) -> Array:
    squares = (points**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * points @ points.T
    np.fill_diagonal(apart, 0.0)
    lengths: Array = np.sqrt(apart.clip(min=0.0))
    return lengths


def _turned(points: Array, ends: Sequence[tuple[int, int]]) -> Array:
    """The points turned so that many lines run level or upright, the first one left and low."""
    plane = points[:, 0] + 1j * points[:, 1]
    ways = np.subtract(*plane[np.array(ends).T])
    # the fourth power has one direction for all four of a cross
    plane = plane * np.exp(-0.25j * np.angle(((ways / np.abs(ways).clip(1e-9)) ** 4).sum()))
    if np.ptp(plane.real) < np.ptp(plane.imag):
        plane = 1j * plane
    turned = np.column_stack([plane.real, plane.imag])
    signs = np.where(turned[0] - turned[-1] > 1e-9, -1.0, 1.0)
    result: Array = turned * signs
    return result
