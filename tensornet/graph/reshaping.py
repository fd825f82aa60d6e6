"""Edges that stand for several: flatten them into one, split one up, keep a part of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from .abstract import AbstractNode
from .checks import Array, check_name, join_limited
from .contraction import shared_edges
from .copynode import CopyNode
from .edge import Edge, check_in_use
from .hyperedge import cluster, hyperedge_at
from .queries import unique_nodes
from .reordering import move_ends

__all__ = [
    "flatten_all_edges",
    "flatten_edges",
    "flatten_edges_between",
    "slice_edge",
    "split_edge",
]


def flatten_edges(edges: Sequence[Edge], new_edge_name: str | None = None) -> Edge:
    """Make one edge of several parallel ones, by reshaping the tensors at their ends.

    At each end the edges' axes move behind the other axes and become one axis, the first edge
    running slowest. Axis names are dropped. A single edge is returned as it is.

    Args:
        edges: standard edges between the same two nodes, trace edges of one node, or dangling
            edges of one node. They are disabled.
        new_edge_name: the name of the new edge.

    Returns:
        The new edge.

    Raises:
        ValueError: no edges, a repeated edge, edges that are not parallel, no longer in use, or
            on a copy node (whose tensor is fixed).

    >>> from tensornet.graph import Node
    >>> a = Node([[[1, 2], [3, 4]]], name="a")
    >>> flatten_edges([a[2], a[1]])
    Edge('a'[1] -- dangling, dimension=4)
    >>> a.tensor.tolist()
    [[1, 3, 2, 4]]
    """
    group = list(edges)
    if not group:
        raise ValueError("flatten_edges needs at least one edge")
    for edge in group:
        check_in_use(edge)
    if len(group) == 1:
        return group[0]
    if new_edge_name is not None:
        check_name(new_edge_name, "edge")
    node1, node2 = group[0].node1, group[0]._node2
    axes1, axes2 = [], []
    for edge in group:
        if (edge._node1, edge._node2) not in ((node1, node2), (node2, node1)):
            raise ValueError(f"cannot flatten {group[0]!r} and {edge!r}: they are not parallel")
        forward = edge._node1 is node1
        axes1.append(edge._axis1 if forward else edge._axis2)
        axes2.append(edge._axis2 if forward else edge._axis1)
    if len(set(group)) != len(group):
        raise ValueError(f"an edge is repeated in [{join_limited(map(repr, group))}]")
    ends = [(node1, _known(axes1))] + ([] if node2 is None else [(node2, _known(axes2))])
    size = prod([node1._shape[axis] for axis in ends[0][1]])
    return _replace(group, ends, [size], [new_edge_name])[0]


def flatten_edges_between(node1: AbstractNode, node2: AbstractNode) -> Edge | None:
    """Flatten all edges between two nodes (all trace edges, if they are one node).

    Returns:
        The one edge that is then between them; None if there is none.

    Raises:
        ValueError: several edges, one of the nodes being a copy node.
    """
    shared = shared_edges(node1, node2)
    return flatten_edges(shared) if shared else None


def flatten_all_edges(nodes: Iterable[AbstractNode]) -> list[Edge]:
    """Flatten the edges between every two of `nodes`, and the trace edges of each.

    Dangling edges and edges to other nodes stay as they are.

    Returns:
        The edges that are then between or on the nodes.

    Raises:
        ValueError: parallel edges at a copy node; nothing is flattened then.
    """
    members = unique_nodes(nodes)
    groups: dict[tuple[AbstractNode, AbstractNode], dict[Edge, None]] = {}
    for node in members:
        for edge in node._live_edges():
            node1, node2 = edge.node1, edge._node2
            if node2 is not None and node1 in members and node2 in members:
                pair = (node1, node2) if node1 < node2 else (node2, node1)
                groups.setdefault(pair, {})[edge] = None
    for pair, group in groups.items():
        if len(group) > 1:
            _check_dense(*pair)
    return [flatten_edges(list(group)) for group in groups.values()]


def split_edge(
    edge: Edge, shape: Sequence[int], new_edge_names: Sequence[str] | None = None
) -> list[Edge]:
    """Make several edges of one, by reshaping the tensors at its ends; undoes `flatten_edges`.

    At each end the axis moves behind the other axes and becomes ``len(shape)`` axes, named like
    the new edges. If that is one, the edge is returned as it is.

    Args:
        edge: any edge. It is disabled.
        shape: the dimensions of the new edges; their product is that of `edge`.
        new_edge_names: names of the new edges.

    Returns:
        The new edges.

    Raises:
        ValueError: a `shape` of another product, not one name per new edge, an edge no longer
            in use or on a copy node.

    >>> from tensornet.graph import Node
    >>> a = Node([1, 2, 3, 4, 5, 6], name="a")
    >>> split_edge(a[0], (2, 3))
    [Edge('a'[0] -- dangling, dimension=2), Edge('a'[1] -- dangling, dimension=3)]
    """
    check_in_use(edge)
    sizes = [int(size) for size in shape]
    if prod(sizes) != edge.dimension or min(sizes, default=0) < 0:
        raise ValueError(
            f"{edge!r} cannot be split into {tuple(sizes)}: the product must be {edge.dimension}"
        )
    if len(sizes) == 1:
        return [edge]
    names: list[str | None] = [None] * len(sizes)
    if new_edge_names is not None:
        names = list(new_edge_names)
        if len(names) != len(sizes):
            raise ValueError(f"{len(names)} names {names} were given for {len(sizes)} new edges")
        for name in names:
            check_name(name, "edge")
    ends = [(edge.node1, [edge._axis1])]
    if edge._node2 is not None and edge._axis2 is not None:
        ends.append((edge._node2, [edge._axis2]))
    return _replace([edge], ends, sizes, names)


def slice_edge(edge: Edge, start_index: int, length: int) -> Edge:
    """Keep `length` entries from `start_index` on along an edge, at both of its ends.

    The tensors become views of the old ones. Of an edge that leads to a hyperedge, all nodes on
    it are sliced. Returns the same edge, now of that dimension.

    Raises:
        ValueError: a `length` below 1, a range outside the edge's dimension, an edge no longer
            in use or on a copy node.

    >>> from tensornet.graph import Node
    >>> a = Node([1, 2, 3, 4])
    >>> slice_edge(a[0], 1, 2).dimension, a.tensor.tolist()
    (2, [2, 3])
    """
    check_in_use(edge)
    if length < 1:
        raise ValueError(f"the length of a slice must be positive, not {length}")
    if start_index < 0 or start_index + length > edge.dimension:
        raise ValueError(
            f"entries {start_index} to {start_index + length - 1} are not all there on {edge!r}"
        )
    hub = hyperedge_at(edge)
    hubs = [] if hub is None else cluster(hub)
    edges = dict.fromkeys([edge, *[each for one in hubs for each in one._live_edges()]])
    ends = [(each.node1, each._axis1) for each in edges]
    ends += [(e._node2, e._axis2) for e in edges if e._node2 is not None and e._axis2 is not None]
    ends = [(node, axis) for node, axis in ends if node not in hubs]
    _check_dense(*[node for node, _ in ends])
    for each in hubs:
        each._resize(length)
    for node, axis in ends:
        kept = (slice(None),) * axis + (slice(start_index, start_index + length),)
        node.set_tensor(node.get_tensor()[kept])
    return edge


def _known(axes: Iterable[int | None]) -> list[int]:
    return [axis for axis in axes if axis is not None]


def _check_dense(*nodes: AbstractNode) -> None:
    for node in nodes:
        if isinstance(node, CopyNode):
            raise ValueError(
                f"copy node {node.name!r} cannot be reshaped: its tensor is fixed by its rank "
                "and dimension; put Node(copy_node) in its place"
            )


def _replace(
    old_edges: Sequence[Edge],
    ends: Sequence[tuple[AbstractNode, list[int]]],
    sizes: Sequence[int],
    names: Sequence[str | None],
) -> list[Edge]:
    """Replace the axes at `ends` by axes of `sizes` behind the others, with new edges on them.

    `ends` holds each node with its axes of `old_edges`; a node of trace edges comes twice.
    """
    _check_dense(*[node for node, _ in ends])
    gone: dict[AbstractNode, list[int]] = {}
    for node, axes in ends:
        gone.setdefault(node, []).extend(axes)
    tensors = {node: _regrouped(node, axes, sizes, ends) for node, axes in gone.items()}
    for edge in old_edges:
        edge.disable("flattened" if len(old_edges) > 1 else "split")
    for node, axes in gone.items():
        edges, old_names = node._live_edges(), node.axis_names
        kept = [axis for axis in range(len(edges)) if axis not in axes]
        move_ends(node, [(edges[old], old, new) for new, old in enumerate(kept)])
        node._edges = [edges[axis] for axis in kept]
        node._tensor, node._shape = tensors[node], tensors[node].shape
        node._axis_names = _axis_names([old_names[axis] for axis in kept], node._shape, names)
    new_edges: list[Edge] = []
    # The ends of a trace edge are two groups of axes on one node, filled one after the other.
    for node, _ in ends:
        for number, name in enumerate(names):
            axis = len(node._edges)
            if len(new_edges) <= number:
                new_edges.append(Edge(node, axis, name))
            else:
                new_edges[number]._node2, new_edges[number]._axis2 = node, axis
            node._edges.append(new_edges[number])
    return new_edges


def _regrouped(
    node: AbstractNode,
    axes: Sequence[int],
    sizes: Sequence[int],
    ends: Sequence[tuple[AbstractNode, list[int]]],
) -> Array:
    """The array of `node` with `axes` moved to the back and regrouped into `sizes`."""
    kept = [axis for axis in range(len(node._shape)) if axis not in axes]
    groups = sum(end is node for end, _ in ends)
    shape = [node._shape[axis] for axis in kept] + list(sizes) * groups
    tensor: Array = node.get_tensor().transpose(kept + list(axes)).reshape(shape)
    return tensor


def _axis_names(
    kept: list[str], shape: Sequence[int], new: Sequence[str | None]
) -> list[str] | None:
    """Names after `_replace`: kept ones, then those of the new edges or else axis numbers.

    None (the default names) after flattening, and where names would repeat.
    """
    if len(new) == 1:
        return None
    added = list(new) * ((len(shape) - len(kept)) // max(len(new), 1))
    names = kept + [str(len(kept) + k) if name is None else name for k, name in enumerate(added)]
    return names if len(set(names)) == len(names) else None
