"""Labels: the axes of some nodes as integer ids, the first step of every contraction.

An edge is one id on both of its axes. Hyperedges on the nodes take part although nobody names
them: `join_hyperedges` gives all their axes one id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from ..errors import ShapeError
from .abstract import AbstractNode
from .checks import join_limited
from .edge import Edge, check_in_use
from .hyperedge import HyperEdge, cluster, outer_ends

__all__ = ["End", "Labels", "join_hyperedges", "label", "label_all", "ordered", "reorder_ends"]

# The axis of a node that an edge ends on, as (edge, node, axis).
End = tuple[Edge, AbstractNode, int]


class Labels(NamedTuple):
    """The axes of some nodes, numbered.

    Attributes:
        terms: the ids of each node, then of each hyperedge in `hubs`.
        sizes: the extent of each id.
        ends: the axes that are not summed over.
        ids: their ids.
        contracted: the edges that go away.
        hubs: the hyperedge of each further term.
        gone: hyperedges that go away.
        kept: hyperedges that stay, without those of their edges that go.
        same: the end's edge that stands for another one, which leads to the same hyperedge.
    """

    terms: list[tuple[int, ...]]
    sizes: list[int]
    ends: list[End]
    ids: list[int]
    contracted: Collection[Edge]
    hubs: Sequence[HyperEdge] = ()
    gone: Collection[HyperEdge] = ()
    kept: Collection[HyperEdge] = ()
    same: Mapping[Edge, Edge] = {}


def label(nodes: Collection[AbstractNode], contracted: Collection[Edge]) -> Labels:
    """Number the axes of `nodes` when the edges `contracted` (both ends on them) are summed.

    Every other axis gets its own id, the two ends of an uncontracted edge included. O(axes).

    Raises:
        ShapeError: a contracted edge with unequal extents at its ends.
    """
    numbers = {edge: number for number, edge in enumerate(contracted)}
    sizes = [-1] * len(numbers)
    terms: list[tuple[int, ...]] = []
    ends: list[End] = []
    ids: list[int] = []
    for node in nodes:
        term = []
        shape = node._shape
        for axis, edge in enumerate(node._edges or node._live_edges()):
            size = shape[axis]
            number = numbers.get(edge)
            if number is None:
                number = len(sizes)
                sizes.append(size)
                ends.append((edge, node, axis))
                ids.append(number)
            elif sizes[number] != size:
                if sizes[number] >= 0:
                    raise _unequal(edge)
                sizes[number] = size
            term.append(number)
        terms.append(tuple(term))
    return Labels(terms, sizes, ends, ids, contracted)


def label_all(nodes: Collection[AbstractNode]) -> Labels:
    """Number the axes of `nodes` when all edges with both ends on them are summed.

    `ends` come in the order in which they are met: node by node, axis by axis. O(axes).

    Raises:
        ShapeError: an edge with unequal extents at its ends.
    """
    edges = list(chain.from_iterable([node._edges or node._live_edges() for node in nodes]))
    extents = list(chain.from_iterable([node._shape for node in nodes]))
    times = Counter(edges)
    numbers = dict(zip(times, range(len(times))))
    ids = tuple(map(numbers.__getitem__, edges))
    sizes = dict(zip(ids, extents))
    if list(map(sizes.__getitem__, ids)) != extents:
        raise _unequal(next(e for e, i, x in zip(edges, ids, extents) if sizes[i] != x))
    terms, end = [], 0
    for node in nodes:
        begin, end = end, end + len(node._shape)
        terms.append(ids[begin:end])
    contracted = [edge for edge, held in times.items() if held == 2]
    ends = [_end_on(nodes, edge) for edge, held in times.items() if held == 1]
    if 2 * len(contracted) + len(ends) != len(edges):
        edge, held = times.most_common(1)[0]
        raise ShapeError(f"{edge!r} is held by {held} axes; see check_correct")
    open_ids = [numbers[end[0]] for end in ends]
    labels = Labels(terms, list(sizes.values()), ends, open_ids, contracted)
    return join_hyperedges(labels, nodes) if ends else labels


def join_hyperedges(labels: Labels, nodes: Collection[AbstractNode]) -> Labels:
    """The labels with the hyperedges that open ends lead to: the axes on each become one.

    A hyperedge takes part if it has two ends on `nodes`, or no more than one elsewhere. With none
    elsewhere it is summed. With one, the edge that leads there goes to the result and the
    hyperedge is gone. With more, the edge of its first end does, and the hyperedge stays.
    """
    places: dict[HyperEdge, list[int]] = {}
    for place, (edge, node, _) in enumerate(labels.ends):
        if edge._node2 is not None:
            hub = edge._node1 if edge._node2 is node else edge._node2
            if type(hub) is HyperEdge and hub not in nodes:
                places.setdefault(hub, []).append(place)
    if not places:
        return labels
    joined = _Joined(labels)
    while places:
        hubs = cluster(next(iter(places)), nodes)
        inner = sorted([place for hub in hubs for place in places.pop(hub, ())])
        outer = outer_ends(hubs, nodes)
        if len(inner) > 1 or len(outer) < 2:
            joined.join(hubs, inner, outer)
    return joined.labels()


class _Joined:
    """Labels while hyperedges are taken in."""

    def __init__(self, labels: Labels) -> None:
        self._before = labels
        self._ends: list[End | None] = list(labels.ends)  # None: no longer an end
        self._terms = list(labels.terms)
        self._contracted = list(labels.contracted)
        self._hubs: list[HyperEdge] = []
        self._gone: list[HyperEdge] = []
        self._kept: list[HyperEdge] = []
        self._same: dict[Edge, Edge] = {}

    def join(self, hubs: list[HyperEdge], inner: list[int], outer: Sequence[End]) -> None:
        """Take in hyperedges of one index: places of ends that lead there, and other ends."""
        edges = [self._before.ends[place][0] for place in inner]
        for edge, place in zip(edges, inner):
            if self._before.sizes[self._before.ids[place]] != hubs[0].dimension:
                raise _unequal(edge)
        self._terms.append(tuple([self._before.ids[place] for place in inner]))
        self._hubs.append(hubs[0])
        for place in inner[1:]:
            self._ends[place] = None
        if len(outer) > 1:
            stands: Edge | None = edges.pop(0)
            self._kept += hubs
        else:
            self._ends[inner[0]] = outer[0] if outer else None
            stands = outer[0][0] if outer else None
            between = [edge for hub in hubs for edge in hub._edges if _is_between(edge, hubs)]
            self._contracted += dict.fromkeys(between)
            self._gone += hubs
        if stands is not None:
            self._same.update(dict.fromkeys(edges, stands))
        self._contracted += edges

    def labels(self) -> Labels:
        """The labels with all that was taken in."""
        places = [place for place, end in enumerate(self._ends) if end is not None]
        ends = [end for end in self._ends if end is not None]
        ids = [self._before.ids[place] for place in places]
        sizes, contracted, hubs = self._before.sizes, self._contracted, self._hubs
        gone, kept, same = self._gone, self._kept, self._same
        return Labels(self._terms, sizes, ends, ids, contracted, hubs, gone, kept, same)


def _is_between(edge: Edge, hubs: Collection[HyperEdge]) -> bool:
    return edge._node1 in hubs and edge._node2 in hubs


def reorder_ends(labels: Labels, edge_order: Iterable[Edge]) -> Labels:
    """The labels with the open ends in the order of the edges `edge_order`.

    Raises:
        ValueError: not exactly the open edges, each once; or one of them has both ends open.
        TypeError: something that is not an edge.
    """
    order = list(edge_order)
    if labels.same:
        order = [labels.same.get(edge, edge) for edge in order]
    place = {end[0]: k for k, end in enumerate(labels.ends)}
    if len(place) != len(labels.ends):
        edge = next(end[0] for k, end in enumerate(labels.ends) if place[end[0]] != k)
        raise ValueError(f"cannot order the axes of the result by edges: {edge!r} is a trace edge")
    if len(order) != len(place) or set(order) != place.keys():
        for edge in order:
            check_in_use(edge)
        raise ValueError(
            f"output_edge_order [{join_limited(map(repr, order))}] must be exactly the edges "
            f"that remain: [{join_limited(map(repr, place))}]"
        )
    places = [place[edge] for edge in order]
    ends, ids = [labels.ends[k] for k in places], [labels.ids[k] for k in places]
    return labels._replace(ends=ends, ids=ids)


def ordered(
    labels: Labels, output_edge_order: Iterable[Edge] | None, ignore_edge_order: bool
) -> Labels:
    """The labels with the open ends in the order that a contractor is asked for.

    Raises:
        ValueError: two or more open ends without an order, or as `reorder_ends`.
    """
    if ignore_edge_order:
        return labels
    if output_edge_order is not None:
        return reorder_ends(labels, output_edge_order)
    if len(labels.ends) > 1:
        edges = join_limited(repr(end[0]) for end in labels.ends)
        raise ValueError(
            f"the result has {len(labels.ends)} open edges, [{edges}]: give output_edge_order, "
            "or pass ignore_edge_order=True"
        )
    return labels


def _end_on(nodes: Collection[AbstractNode], edge: Edge) -> End:
    """The one end of `edge` that is on `nodes` (a set or a dict)."""
    node1, node2, axis2 = edge.node1, edge._node2, edge._axis2
    if node2 is None or axis2 is None or node1 in nodes:
        return edge, node1, edge._axis1
    return edge, node2, axis2


def _unequal(edge: Edge) -> ShapeError:
    node1, node2, axis2 = edge.node1, edge._node2, edge._axis2
    if node2 is None or axis2 is None:
        return ShapeError(f"{edge!r} is held by several axes; see check_correct")
    return ShapeError(
        f"edge {edge._name!r} joins axis {edge._axis1} of node {node1._name!r} (shape "
        f"{node1._shape}) and axis {axis2} of node {node2._name!r} (shape {node2._shape}), "
        "whose extents differ; set_tensor must keep connected axes equal"
    )
