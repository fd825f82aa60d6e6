"""Building and changing networks: redirecting edges, removing nodes, whole topologies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .abstract import AbstractNode
from .checks import as_array, check_backend
from .edge import Edge, check_in_use, connect
from .node import Node

__all__ = ["from_topology", "redirect_edge", "remove_node"]


def redirect_edge(edge: Edge, new_node: AbstractNode, old_node: AbstractNode) -> None:
    """Move the end of `edge` at `old_node` to the same axis of `new_node`.

    `old_node` gets a new dangling edge there. Both ends of a trace edge move.

    Args:
        edge: the edge.
        new_node: takes the edge in place of a dangling one.
        old_node: the node the edge leaves.

    Raises:
        ValueError: `edge` does not end at `old_node`, or `new_node` has no such axis, another
            extent there, or an edge there that is not dangling.

    >>> a, b, c = Node([1, 2], name="a"), Node([3, 4], name="b"), Node([5, 6], name="c")
    >>> edge = a[0] ^ b[0]
    >>> redirect_edge(edge, c, b)
    >>> edge
    Edge('a'[0] -- 'c'[0], dimension=2)
    """
    check_in_use(edge)
    ends = [(edge._node1, edge._axis1), (edge._node2, edge._axis2)]
    axes = [axis for node, axis in ends if node is old_node and axis is not None]
    if not axes:
        raise ValueError(f"{edge!r} does not end at node {old_node.name!r}")
    if new_node is old_node:
        return
    edges, old_edges = new_node._live_edges(), old_node._live_edges()
    for axis in axes:
        if axis >= len(edges) or new_node.shape[axis] != old_node.shape[axis]:
            raise ValueError(
                f"axis {axis} of node {new_node.name!r} (shape {new_node.shape}) cannot take "
                f"{edge!r}: it needs the dimension {old_node.shape[axis]}"
            )
        if edges[axis]._node2 is not None:
            raise ValueError(
                f"axis {axis} of node {new_node.name!r} already holds {edges[axis]!r}; "
                "disconnect it first"
            )
    for axis in axes:
        edge.update_axis(axis, old_node, axis, new_node)
        edges[axis] = edge
        old_edges[axis] = Edge(old_node, axis)


def remove_node(node: AbstractNode) -> tuple[dict[str, Edge], dict[int, Edge]]:
    """Disconnect a node from all its neighbours.

    Args:
        node: the node; it stays usable, with dangling edges (its trace edges stay, too).

    Returns:
        Two dictionaries, by axis name and by axis number of `node`, of the new dangling edges
        of the neighbours.

    >>> a, b = Node([1, 2], name="a"), Node([3, 4], name="b", axis_names=["x"])
    >>> edge = a[0] ^ b[0]
    >>> remove_node(b)[0]
    {'x': Edge('__disconnected_edge1_of___unnamed_edge____': 'a'[0] -- dangling, dimension=2)}
    """
    by_name: dict[str, Edge] = {}
    by_axis: dict[int, Edge] = {}
    names = node.axis_names
    for axis, edge in enumerate(node.edges):
        if edge._node2 is not None and not edge.is_trace():
            end1, end2 = edge.disconnect()
            by_axis[axis] = by_name[names[axis]] = end2 if end1.node1 is node else end1
    return by_name, by_axis


def from_topology(topology: str, tensors: Sequence[Any], backend: str | None = None) -> list[Node]:
    """Make nodes and connect them as in the left side of an einsum expression.

    Args:
        topology: one term of letters per tensor, separated by commas. A letter in two terms
            is an edge, a letter in one term a dangling edge.
        tensors: one array per term.
        backend: None or ``"numpy"``.

    Returns:
        The nodes; axes and edges are named after their letters.

    Raises:
        ValueError: a wrong number of terms or letters, a letter twice in one term or in more
            than two, or unequal extents.

    >>> a, b = from_topology("xy,yz", [[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    >>> (a @ b).tensor.tolist()
    [[19, 22], [43, 50]]
    """
    check_backend(backend)
    terms = [term.strip() for term in topology.split(",")]
    arrays = [as_array(tensor) for tensor in tensors]
    if len(terms) != len(arrays):
        raise ValueError(f"topology {topology!r} has {len(terms)} terms for {len(arrays)} tensors")
    seen: dict[str, tuple[int, int]] = {}
    pairs: list[tuple[str, tuple[int, int], tuple[int, int]]] = []
    for position, (term, array) in enumerate(zip(terms, arrays)):
        if len(term) != array.ndim:
            raise ValueError(
                f"term {term!r} of topology {topology!r} has {len(term)} letters for tensor "
                f"{position} of shape {array.shape}"
            )
        for axis, letter in enumerate(term):
            pair = seen.get(letter)
            if pair is None:
                seen[letter] = (position, axis)
            else:
                pairs.append((letter, pair, (position, axis)))
    _check_pairs(topology, pairs, [array.shape for array in arrays])
    nodes = [Node(array, axis_names=list(term)) for term, array in zip(terms, arrays)]
    for letter, (node1, axis1), (node2, axis2) in pairs:
        connect(nodes[node1][axis1], nodes[node2][axis2], letter)
    return nodes


def _check_pairs(
    topology: str,
    pairs: Sequence[tuple[str, tuple[int, int], tuple[int, int]]],
    shapes: Sequence[tuple[int, ...]],
) -> None:
    """Raise ValueError for letters that are no edge, before any node is made."""
    letters = [letter for letter, _, _ in pairs]
    for letter, (node1, axis1), (node2, axis2) in pairs:
        if letters.count(letter) > 1:
            raise ValueError(
                f"letter {letter!r} is more than twice in topology {topology!r}; join three or "
                "more tensors with a CopyNode"
            )
        if node1 == node2:
            raise ValueError(f"letter {letter!r} is twice in term {node1} of {topology!r}")
        if shapes[node1][axis1] != shapes[node2][axis2]:
            raise ValueError(
                f"letter {letter!r} of {topology!r} has extent {shapes[node1][axis1]} on tensor "
                f"{node1} (shape {shapes[node1]}) but {shapes[node2][axis2]} on tensor {node2} "
                f"(shape {shapes[node2]})"
            )
