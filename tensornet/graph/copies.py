"""Copies of networks, and the density matrices made with them."""

from __future__ import annotations

from collections.abc import Iterable

from .abstract import AbstractNode
from .edge import Edge, check_in_use
from .hyperedge import with_hyperedges
from .queries import get_all_nodes, reachable, unique_nodes

__all__ = ["copy", "reduced_density", "replicate_nodes"]


def copy(
    nodes: Iterable[AbstractNode], conjugate: bool = False
) -> tuple[dict[AbstractNode, AbstractNode], dict[Edge, Edge]]:
    """Copy nodes and the edges among them.

    An edge to a node that is not copied becomes a dangling edge of the copy. Hyperedges by which
    the nodes share an index are copied with them.

    Args:
        nodes: the nodes to copy.
        conjugate: conjugate the tensors (for norms and density matrices).

    Returns:
        Two dictionaries, in the order of `nodes` and their axes: from each node to its copy,
        and from each edge to its copy. Arrays are shared unless they are conjugated. O(axes).

    >>> from tensornet.graph import Node
    >>> a, b = Node([1j, 2], name="a"), Node([3, 4], name="b")
    >>> edge = a[0] ^ b[0]
    >>> node_dict, edge_dict = copy([a, b], conjugate=True)
    >>> node_dict[a].tensor.tolist(), edge_dict[edge].node2 is node_dict[b]
    ([-1j, (2-0j)], True)
    """
    members = unique_nodes(nodes)
    node_dict = {node: node.copy(conjugate) for node in with_hyperedges(members)}
    edge_dict: dict[Edge, Edge] = {}
    for node, twin in node_dict.items():
        edges = node._live_edges()
        twin_edges = twin._live_edges()
        for axis, edge in enumerate(edges):
            node1, node2, axis2 = edge.node1, edge._node2, edge._axis2
            twin1 = node_dict.get(node1)
            twin2 = None if node2 is None else node_dict.get(node2)
            if twin1 is None or twin2 is None or axis2 is None:
                edge_dict[edge] = twin_edges[axis]
            elif edge not in edge_dict:
                joined = Edge(twin1, edge._axis1, edge._name, twin2, axis2)
                twin1._live_edges()[edge._axis1] = joined
                twin2._live_edges()[axis2] = joined
                edge_dict[edge] = joined
    return node_dict, edge_dict


def replicate_nodes(nodes: Iterable[AbstractNode], conjugate: bool = False) -> list[AbstractNode]:
    """The copies of `nodes`, connected like the originals; see `copy`.

    >>> from tensornet.graph import Node
    >>> a, b = Node([1, 2], name="a"), Node([3, 4], name="b")
    >>> edge = a[0] ^ b[0]
    >>> replicate_nodes([a, b])
    [Node('a', [0: 2 -> 'b'[0]], int64), Node('b', [0: 2 -> 'a'[0]], int64)]
    """
    members = list(unique_nodes(nodes))
    node_dict, _ = copy(members, conjugate)
    return [node_dict[node] for node in members]


def reduced_density(
    traced_out_edges: Iterable[Edge],
) -> tuple[dict[AbstractNode, AbstractNode], dict[Edge, Edge]]:
    """Turn the network of a pure state into that of a reduced density matrix.

    A conjugated copy of everything connected to the edges is made, and each edge is connected
    to its own copy.

    Args:
        traced_out_edges: dangling edges of the state.

    Returns:
        Two dictionaries as from `copy`; a traced-out edge leads to the edge that now connects
        it with its copy.

    Raises:
        ValueError: no edges, or one that is not dangling or no longer in use.

    >>> from tensornet.graph import Node
    >>> bell = Node([[1.0, 0.0], [0.0, 1.0]]) / 2**0.5
    >>> nodes, edges = reduced_density([bell[1]])
    >>> (bell @ nodes[bell]).tensor.round(6).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    traced = list(dict.fromkeys(traced_out_edges))
    for edge in traced:
        check_in_use(edge)
        if edge._node2 is not None:
            raise ValueError(f"only dangling edges can be traced out, not {edge!r}")
    node_dict, edge_dict = copy(reachable(get_all_nodes(traced)), conjugate=True)
    for edge in traced:
        edge_dict[edge] = edge_dict[edge] ^ edge
    return node_dict, edge_dict
