"""Questions about a network: what is connected to what, and is it well formed."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from .abstract import AbstractNode
from .contraction import shared_edges
from .edge import Edge, check_in_use
from .node import Node

__all__ = [
    "check_connected",
    "check_correct",
    "get_all_dangling",
    "get_all_edges",
    "get_all_nodes",
    "get_all_nondangling",
    "get_neighbors",
    "get_parallel_edges",
    "get_shared_edges",
    "get_subgraph_dangling",
    "reachable",
    "unique_nodes",
]


def reachable(
    inputs: AbstractNode | Edge | Iterable[AbstractNode | Edge],
) -> set[AbstractNode]:
    """All nodes connected to the given nodes or edges, directly or through other nodes.

    Args:
        inputs: a node, an edge, or some of them.

    Returns:
        The connected nodes, those given included. O(nodes + edges), without recursion.

    Raises:
        TypeError: `inputs` holds something that is neither a node nor an edge.
        ValueError: `inputs` is empty, or an edge in it is no longer in use.

    >>> from tensornet.graph import Node
    >>> a, b, c = Node([1, 2], name="a"), Node([3, 4], name="b"), Node([5], name="c")
    >>> edge = a[0] ^ b[0]
    >>> sorted(node.name for node in reachable(a))
    ['a', 'b']
    """
    waiting: list[AbstractNode] = []
    if isinstance(inputs, (AbstractNode, Edge)):
        inputs = [inputs]
    for item in inputs:
        if isinstance(item, Edge):
            check_in_use(item)
            item = item.node1
        elif not isinstance(item, AbstractNode):
            raise TypeError(f"reachable takes nodes and edges, not {type(item).__name__}")
        waiting.append(item)
    if not waiting:
        raise ValueError("reachable needs at least one node or edge")
    found = set(waiting)
    while waiting:
        for edge in waiting.pop()._edges:
            for node in (edge._node1, edge._node2):
                if node is not None and node not in found:
                    found.add(node)
                    waiting.append(node)
    return found


def check_correct(nodes: Iterable[AbstractNode], check_connections: bool | None = True) -> None:
    """Check that nodes and edges agree about who is connected to whom.

    Args:
        nodes: the nodes of a network.
        check_connections: also check that they are all connected.

    Raises:
        ValueError: an edge that its nodes do not hold or that joins unequal extents, or (if
            asked for) an unconnected network.
    """
    members = unique_nodes(nodes)
    for node in members:
        for axis, edge in enumerate(node._live_edges()):
            ends = [(edge._node1, edge._axis1), (edge._node2, edge._axis2)]
            if not any(end is node and at == axis for end, at in ends):
                raise ValueError(
                    f"axis {axis} of node {node.name!r} holds {edge!r}, which does not end there"
                )
            for end, at in ends:
                if end is not None and at is not None and not end._holds(edge, at):
                    raise ValueError(f"{edge!r} is not the edge on axis {at} of node {end.name!r}")
            if len({end.shape[at] for end, at in ends if end is not None and at is not None}) > 1:
                raise ValueError(f"{edge!r} joins axes of unequal dimension")
    if check_connections:
        check_connected(members)


def check_connected(nodes: Iterable[AbstractNode]) -> None:
    """Raise ValueError unless all nodes are connected, perhaps through other nodes."""
    members = list(unique_nodes(nodes))
    if members:
        found = reachable(members[0])
        apart = [node for node in members if node not in found]
        if apart:
            raise ValueError(
                f"the network is not connected: {len(apart)} of {len(members)} nodes, such as "
                f"{apart[0].name!r}, cannot be reached from {members[0].name!r}"
            )


def get_all_nodes(edges: Iterable[Edge]) -> set[AbstractNode]:
    """The nodes at the ends of `edges`."""
    return {node for edge in edges for node in edge.get_nodes() if node is not None}


def get_all_edges(nodes: Iterable[AbstractNode]) -> set[Edge]:
    """All edges on `nodes`."""
    return {edge for node in unique_nodes(nodes) for edge in node._live_edges()}


def get_all_nondangling(nodes: Iterable[AbstractNode]) -> set[Edge]:
    """All edges on `nodes` that have two ends."""
    return {edge for edge in get_all_edges(nodes) if edge._node2 is not None}


def get_all_dangling(nodes: Iterable[AbstractNode]) -> list[Edge]:
    """All dangling edges on `nodes`, node by node in axis order."""
    members = unique_nodes(nodes)
    return [edge for node in members for edge in node._live_edges() if edge._node2 is None]


def get_shared_edges(node1: AbstractNode, node2: AbstractNode) -> set[Edge]:
    """The edges between two nodes; of one node given twice, its trace edges.

    >>> from tensornet.graph import Node
    >>> a, b = Node([1, 2], name="a"), Node([3, 4], name="b")
    >>> get_shared_edges(a, b), {a[0] ^ b[0]} == get_shared_edges(b, a)
    (set(), True)
    """
    return set(shared_edges(node1, node2))


def get_parallel_edges(edge: Edge) -> set[Edge]:
    """The edges between the nodes of `edge`, itself included.

    Of a dangling edge, all dangling edges of its node; of a trace edge, all trace edges.
    """
    check_in_use(edge)
    if edge._node2 is None:
        return set(edge.node1.get_all_dangling())
    return get_shared_edges(edge.node1, edge._node2)


def get_neighbors(node: AbstractNode) -> list[AbstractNode]:
    """The other nodes that `node` is directly connected to, each once, in axis order."""
    ends = [end for edge in node._live_edges() for end in (edge._node1, edge._node2)]
    return [end for end in dict.fromkeys(ends) if end is not None and end is not node]


def get_subgraph_dangling(nodes: Iterable[AbstractNode]) -> set[Edge]:
    """The edges that leave the collection `nodes`: dangling, or to a node outside.

    >>> from tensornet.graph import Node
    >>> a, b = Node([[1, 2]], axis_names=["x", "y"]), Node([3, 4])
    >>> edge = a[1] ^ b[0]
    >>> sorted(edge.name for edge in get_subgraph_dangling([a]))
    ['x', 'y']
    """
    members = unique_nodes(nodes)
    return {
        edge
        for edge in get_all_edges(members)
        if edge._node2 is None or edge._node1 not in members or edge._node2 not in members
    }


def unique_nodes(nodes: Iterable[AbstractNode]) -> dict[AbstractNode, None]:
    """The nodes, each once, in the order given; those of a set in the order they were made.

    Raises:
        TypeError: something that is not a node.
    """
    members = dict.fromkeys(nodes)
    for node in members:
        if type(node) is not Node and not isinstance(node, AbstractNode):
            raise TypeError(f"expected nodes, not {type(node).__name__}")
    if isinstance(nodes, (set, frozenset)):
        members = dict.fromkeys(sorted(members, key=attrgetter("_serial")))
    return members
