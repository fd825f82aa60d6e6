"""Hyperedges: edges between any number of axes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..errors import ShapeError
from .abstract import AbstractNode
from .checks import check_name
from .copynode import CopyNode
from .edge import Edge, check_in_use, connect, disconnect
from .reordering import move_ends

__all__ = [
    "HyperEdge",
    "cluster",
    "hyperedge",
    "hyperedge_at",
    "outer_ends",
    "with_hyperedges",
]


class HyperEdge(CopyNode):
    """One index shared by any number of axes; made by `hyperedge`.

    It is kept as a small node in the middle, joined to each axis by an edge, and never as an
    array. To questions about the graph (`reachable`, `get_neighbors`, `get_all_nodes`) it is
    such a node. To contractions it is an edge, that nobody needs to name among the nodes:

    * it is summed as soon as all its ends are on the nodes that are contracted;
    * while other nodes hold it, the result has one axis for it, and those nodes share that;
    * a dangling end (its last axis) keeps the index open: one axis of the result, last of all.

    `copy` takes it along when it joins two axes that are copied, directly or by other hyperedges.
    `contract` of any of its edges contracts all nodes on it.
    """

    __slots__ = ()

    def _resize(self, dimension: int) -> None:
        """Have another dimension."""
        self._dimension = dimension
        self._shape = (dimension,) * len(self._shape)

    def _shed(self) -> None:
        """Drop the axes whose edges were disabled."""
        kept = [axis for axis, edge in enumerate(self._edges) if edge._grave is None]
        move_ends(self, [(self._edges[old], old, new) for new, old in enumerate(kept)])
        self._edges = [self._edges[axis] for axis in kept]
        self._shape = (self._dimension,) * len(kept)
        if self._axis_names is not None:
            self._axis_names = [self._axis_names[axis] for axis in kept]


def hyperedge(edges: Iterable[Edge], name: str | None = None, dangling: bool = False) -> HyperEdge:
    """Join any number of axes by one index.

    Args:
        edges: dangling edges of one dimension, such as ``[a[0], b[1], c[2]]``. Edges between
            two nodes may be among them: both their ends are joined.
        name: a label for messages and drawings.
        dangling: give it a dangling end, ``result[-1]``: the index is then not summed but kept,
            as one axis of the result of a contraction (a batch index, a diagonal).

    Returns:
        The hyperedge, which the new edges of the axes lead to. O(axes), whatever the dimension.

    Raises:
        ValueError: fewer than two ends; the same edge twice; an edge no longer in use; different
            dimensions (names nodes, axes and shapes).
        TypeError: not edges, or a name that is not text.

    >>> from tensornet.graph import Node, contractors
    >>> a, b, c = Node([1, 2], name="a"), Node([3, 4], name="b"), Node([5, 6], name="c")
    >>> edge = hyperedge([a[0], b[0], c[0]], name="i")
    >>> int(contractors.auto([a, b, c]).tensor)  # 1*3*5 + 2*4*6
    63
    """
    given = list(edges)
    for edge in given:
        check_in_use(edge)
    if name is not None:
        check_name(name, "node")
    if len(set(given)) != len(given):
        repeated = next(edge for edge in given if given.count(edge) > 1)
        raise ValueError(f"a hyperedge cannot join {repeated!r} to itself")
    count = len(given) + sum([edge._node2 is not None for edge in given]) + dangling
    if not given or count < 2:
        raise ValueError(f"a hyperedge needs at least two ends, not {count}")
    for edge in given[1:]:
        if edge.dimension != given[0].dimension:
            raise ShapeError(
                "cannot join axes of unequal dimension: "
                + " and ".join(map(_end, (given[0], edge)))
            )
    hub = HyperEdge(count, given[0].dimension, name)
    joined: list[Edge] = []
    for edge in given:
        joined += (edge,) if edge._node2 is None else disconnect(edge)
    for axis, edge in enumerate(joined):
        connect(edge, hub[axis], name)
    return hub


def _end(edge: Edge) -> str:
    node, axis = edge.node1, edge.axis1
    return f"axis {axis} of node {node.name!r} (shape {node.shape}) has {edge.dimension}"


def hyperedge_at(edge: Edge) -> HyperEdge | None:
    """The hyperedge that `edge` leads to, if it leads to one."""
    for node in (edge._node2, edge._node1):
        if type(node) is HyperEdge:
            return node
    return None


def cluster(hub: HyperEdge, without: Collection[AbstractNode] = ()) -> list[HyperEdge]:
    """The hyperedges joined to `hub` directly, or by others in between: all of one index.

    Those in `without` are left out.
    """
    found = {hub: None}
    waiting = [hub]
    while waiting:
        for edge in waiting.pop()._live_edges():
            for node in (edge._node1, edge._node2):
                if type(node) is HyperEdge and node not in found and node not in without:
                    found[node] = None
                    waiting.append(node)
    return list(found)


def outer_ends(
    hubs: Collection[HyperEdge], nodes: Collection[AbstractNode]
) -> list[tuple[Edge, HyperEdge, int]]:
    """The axes of `hubs` whose edges lead neither to one another nor to `nodes`."""
    found = []
    for hub in hubs:
        for axis, edge in enumerate(hub._live_edges()):
            other = edge._node2 if edge._node1 is hub else edge._node1
            if other is None or (other not in nodes and other not in hubs):
                found.append((edge, hub, axis))
    return found


def with_hyperedges(nodes: Iterable[AbstractNode]) -> list[AbstractNode]:
    """The nodes, and behind them the hyperedges by which they share an index.

    These are joined to two or more of the nodes' axes, directly or by others in between, which are
    among them, too; those that lead nowhere else are not. O(axes).
    """
    members = dict.fromkeys(nodes)
    ends: dict[AbstractNode, int] = {}  # of hyperedges, on the nodes
    for node in members:
        for other in _others(node):
            if type(other) is HyperEdge and other not in members:
                ends[other] = ends.get(other, 0) + 1
    found: list[AbstractNode] = []
    for hub in list(ends):
        if type(hub) is HyperEdge and hub in ends:
            joined = cluster(hub, members)
            if sum([ends.pop(each, 0) for each in joined]) > 1:
                found += _between(joined, members)
    return [*members, *found]


def _between(hubs: Iterable[HyperEdge], nodes: Collection[AbstractNode]) -> Iterable[AbstractNode]:
    """The hyperedges of a cluster that lie between `nodes`, not on ways that lead nowhere."""
    held: dict[AbstractNode, int] = dict.fromkeys(hubs, 0)
    for hub in held:
        held[hub] = sum([other in nodes or other in held for other in _others(hub)])
    aside = [hub for hub, ends in held.items() if ends < 2]
    for hub in aside:  # which grows meanwhile
        del held[hub]
        for other in _others(hub):
            if other in held:
                held[other] -= 1
                if held[other] == 1:
                    aside.append(other)
    return held


def _others(node: AbstractNode) -> list[AbstractNode | None]:
    """What the edges of a node lead to, None for those that dangle."""
    return [edge._node2 if edge._node1 is node else edge._node1 for edge in node._live_edges()]
