"""Contracting edges, pairs of nodes and copy nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .abstract import AbstractNode
from .checks import check_name
from .copynode import CopyNode
from .edge import Edge, check_in_use
from .hyperedge import HyperEdge, cluster, hyperedge_at
from .labels import Labels, join_hyperedges, label, label_all, reorder_ends
from .lowering import Pending, run
from .node import Node
from .pairs import contract_pair

__all__ = [
    "contract",
    "contract_between",
    "contract_copy_node",
    "contract_parallel",
    "contract_trace_edges",
    "copy_node_contraction",
    "outer_product",
    "outer_product_final_nodes",
    "shared_edges",
]


def contract(
    edge: Edge, name: str | None = None, axis_names: Sequence[str] | None = None
) -> AbstractNode:
    """Sum over one edge between two nodes, over one trace edge, or over a hyperedge.

    Other edges between the two nodes become trace edges of the result; `contract_between`
    sums over all of them at once, which is faster.

    Args:
        edge: a standard or trace edge, which is disabled; or one that leads to a hyperedge, on
            which all nodes are then contracted (a dangling end of it stays).
        name: the name of the result (by default that of the node if `edge` is a trace edge).
        axis_names: names of the axes of the result.

    Returns:
        A new node with the remaining edges of ``edge.node1``, then of ``edge.node2``. Those
        nodes keep their arrays and get fresh dangling edges.

    Raises:
        ValueError: a dangling edge, one already contracted, or bad axis names.
        TypeError: not an edge, or names that are not text.

    >>> a, b = Node([[1, 2], [3, 4]]), Node([[5, 6], [7, 8]])
    >>> contract(a[1] ^ b[0]).tensor.tolist()
    [[19, 22], [43, 50]]
    """
    check_in_use(edge)
    node1, node2 = edge.node1, edge._node2
    if node2 is None:
        raise ValueError(f"cannot contract the dangling {edge!r}; connect it first")
    hub = hyperedge_at(edge)
    if hub is not None:
        return copy_node_contraction(hub, name, axis_names).commit()
    if node1 is node2 and name is None:
        name = node1._name
    nodes = (node1,) if node1 is node2 else (node1, node2)
    return run(nodes, label(nodes, (edge,)), name, axis_names).commit()


def contract_between(
    node1: AbstractNode,
    node2: AbstractNode,
    name: str | None = None,
    allow_outer_product: bool = False,
    output_edge_order: Sequence[Edge] | None = None,
    axis_names: Sequence[str] | None = None,
) -> AbstractNode:
    """Sum over all edges between two nodes (over all trace edges if they are one node).

    Hyperedges that both are on become one axis of the result while other nodes are on them, and
    are summed when there are none.

    Args:
        node1: the first node.
        node2: the second node.
        name: the name of the result.
        allow_outer_product: without an edge between them, return the outer product instead
            of raising.
        output_edge_order: all remaining edges of both nodes, in the order wanted.
        axis_names: names of the axes of the result, in the order of the result.

    Returns:
        A new node with the remaining edges of `node1`, then of `node2`, or in the order asked
        for. Both nodes keep their arrays and get fresh dangling edges.

    Raises:
        ValueError: no edge between the nodes (unless allowed), an `output_edge_order` that is
            not exactly the remaining edges, or bad axis names.
        TypeError: not nodes, or names that are not text.

    >>> a, b = Node([[1, 2], [3, 4]]), Node([[5, 6], [7, 8]])
    >>> edges = a[0] ^ b[0], a[1] ^ b[1]
    >>> int(contract_between(a, b).tensor)
    70
    """
    if (
        type(node1) is type(node2) is Node
        and node1 is not node2
        and output_edge_order is None
        and axis_names is None
    ):
        if name is not None:
            check_name(name, "node")
        result = contract_pair(node1, node2, name)
        if result is not None:
            return result
    _check_nodes(node1, node2)
    shared = shared_edges(node1, node2)
    if node1 is node2:
        nodes: tuple[AbstractNode, ...] = (node1,)
        if not shared:
            raise ValueError(f"node {node1._name!r} has no trace edges to contract: {node1!r}")
        if name is None:
            name = node1._name
    else:
        nodes = (node1, node2)
    labels = join_hyperedges(label(nodes, shared), nodes)
    if not shared and not allow_outer_product and not _meet(labels):
        raise ValueError(
            f"no edges between nodes {node1._name!r} (shape {node1._shape}) and "
            f"{node2._name!r} (shape {node2._shape}); connect them, or pass "
            "allow_outer_product=True"
        )
    if output_edge_order is not None:
        labels = reorder_ends(labels, output_edge_order)
    return run(nodes, labels, name, axis_names).commit()


def _meet(labels: Labels) -> bool:
    """Whether a hyperedge joins the first two nodes."""
    one, other, *hubs = map(set, labels.terms)
    return any(hub & one and hub & other for hub in hubs)


def shared_edges(node1: AbstractNode, node2: AbstractNode) -> list[Edge]:
    """The edges between two nodes in axis order of `node1`; of one node, its trace edges."""
    shared = [
        edge
        for edge in node1._edges or node1._live_edges()
        if (edge._node2 is node2 and edge._node1 is node1)
        or (edge._node1 is node2 and edge._node2 is node1)
    ]
    return list(dict.fromkeys(shared)) if node1 is node2 else shared


def contract_parallel(edge: Edge) -> AbstractNode:
    """Sum over `edge` and all edges parallel to it; see `contract_between`.

    Raises:
        ValueError: a dangling edge, or one already contracted.

    >>> a, b = Node([[1, 2], [3, 4]]), Node([[5, 6], [7, 8]])
    >>> edges = a[0] ^ b[0], a[1] ^ b[1]
    >>> int(contract_parallel(edges[0]).tensor)
    70
    """
    check_in_use(edge)
    if edge._node2 is None:
        raise ValueError(f"cannot contract the dangling {edge!r}; connect it first")
    if hyperedge_at(edge) is not None:
        return contract(edge)
    return contract_between(edge.node1, edge._node2)


def contract_trace_edges(node: AbstractNode) -> AbstractNode:
    """Sum over all trace edges of `node`; a node without any is returned as it is.

    >>> node = Node([[1, 2], [3, 4]])
    >>> edge = node[0] ^ node[1]
    >>> int(contract_trace_edges(node).tensor)
    5
    """
    _check_nodes(node)
    return contract_between(node, node) if shared_edges(node, node) else node


def contract_copy_node(copy_node: CopyNode, name: str | None = None) -> AbstractNode:
    """Contract a copy node with all nodes it is connected to, in one contraction.

    Args:
        copy_node: a copy node without dangling edges, or a hyperedge.
        name: the name of the result.

    Returns:
        A new node with the other edges of the partners, partner by partner in the order of
        the copy node's edges. Edges among partners become trace edges. The partners keep
        their arrays and get fresh dangling edges.

    Raises:
        ValueError: the copy node has dangling edges.
        TypeError: not a copy node.

    >>> a, b, hub = Node([1, 2]), Node([[3, 4], [5, 6]]), CopyNode(2, 2)
    >>> edges = hub[0] ^ a[0], hub[1] ^ b[0]
    >>> contract_copy_node(hub).tensor.tolist()
    [13, 16]
    """
    return copy_node_contraction(copy_node, name).commit()


def copy_node_contraction(
    copy_node: CopyNode, name: str | None = None, axis_names: Sequence[str] | None = None
) -> Pending:
    """The contraction that `contract_copy_node` commits; a hyperedge may have dangling edges."""
    if not isinstance(copy_node, CopyNode):
        raise TypeError(f"expected a CopyNode, not {type(copy_node).__name__}")
    if type(copy_node) is HyperEdge:
        hubs: list[CopyNode] = [*cluster(copy_node)]
        edges = [edge for hub in hubs for edge in hub._live_edges()]
        ends = [node for edge in edges for node in (edge._node1, edge._node2)]
        partners = [node for node in ends if node is not None]
    else:
        hubs, edges = [copy_node], copy_node._live_edges()
        partners = list(copy_node.get_partners())
    nodes = dict.fromkeys([*hubs, *partners])
    contracted = dict.fromkeys([edge for edge in edges if edge._node2 is not None])
    return run(nodes, label(nodes, contracted), name, axis_names)


def outer_product(
    node1: AbstractNode,
    node2: AbstractNode,
    name: str | None = None,
    axis_names: Sequence[str] | None = None,
) -> AbstractNode:
    """Multiply two nodes without summing over anything.

    Edges between them become trace edges of the result.

    Args:
        node1: gives the first axes of the result.
        node2: gives the last axes of the result.
        name: the name of the result.
        axis_names: names of the axes of the result.

    Returns:
        A new node of shape ``node1.shape + node2.shape`` with all their edges. Both nodes keep
        their arrays and get fresh dangling edges.

    Raises:
        TypeError: not nodes, or names that are not text.
        ValueError: the same node twice, or bad axis names.

    >>> outer_product(Node([1, 2]), Node([3, 4, 5])).tensor.tolist()
    [[3, 4, 5], [6, 8, 10]]
    """
    _check_nodes(node1, node2)
    if node1 is node2:
        raise ValueError(f"cannot take the outer product of {node1!r} with itself; copy it first")
    nodes = (node1, node2)
    return run(nodes, label(nodes, ()), name, axis_names).commit()


def outer_product_final_nodes(
    nodes: Iterable[AbstractNode], edge_order: Sequence[Edge]
) -> AbstractNode:
    """Multiply nodes that have only dangling edges left into one.

    Args:
        nodes: one or more nodes.
        edge_order: all their edges, in the order wanted.

    Returns:
        A new node (the node itself, reordered, if there is only one).

    Raises:
        ValueError: no nodes, an edge that is not dangling, or an `edge_order` that is not
            exactly the edges of `nodes`.

    >>> a, b = Node([1, 2]), Node([3, 4, 5])
    >>> outer_product_final_nodes([a, b], [b[0], a[0]]).tensor.tolist()
    [[3, 6], [4, 8], [5, 10]]
    """
    final = dict.fromkeys(nodes)
    if not final:
        raise ValueError("outer_product_final_nodes needs at least one node")
    _check_nodes(*final)
    for node in final:
        if node.has_nondangling_edge():
            raise ValueError(f"node {node._name!r} has an edge that is not dangling: {node!r}")
    if len(final) == 1:
        return next(iter(final)).reorder_edges(edge_order)
    labels = reorder_ends(label_all(final), edge_order)
    return run(final, labels).commit()


def _check_nodes(*nodes: AbstractNode) -> None:
    for node in nodes:
        if type(node) is not Node and not isinstance(node, AbstractNode):
            raise TypeError(f"expected a node, not {type(node).__name__}")
