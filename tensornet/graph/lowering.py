"""From nodes and edges to an `Expr`: the way of every contraction of the node graph.

Edges become integer ids. A copy node becomes no operand at all: the ids on its axes are merged
into one, a hyperedge. What the graph looks like is changed only after the numbers are there, by
`Pending.commit`, so a call that fails changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..api import contract_expr
from ..errors import ShapeError
from ..expr import Expr
from .abstract import CONSUMED, AbstractNode
from .checks import Array, check_axis_names, check_name, zeros
from .copynode import CopyNode
from .edge import Edge
from .node import Node

__all__ = ["Labels", "Lowered", "Pending", "label", "label_all", "lower", "run"]

# The axis of a node that an edge ends on, as (edge, node, axis).
End = tuple[Edge, AbstractNode, int]


class Labels(NamedTuple):
    """The axes of some nodes, numbered.

    `terms` holds the ids of each node, `sizes` the extent of each id, `ends` the axes that are
    not summed over, `ids` their ids, and `contracted` the edges that are.
    """

    terms: list[tuple[int, ...]]
    sizes: list[int]
    ends: list[End]
    ids: list[int]
    contracted: Collection[Edge]


class Lowered(NamedTuple):
    """What to compute.

    `positions` says which node each operand is. `output` are the ids of the result's axes; one
    that comes twice there (but once in ``expr.output``) means a diagonal of the result.
    """

    expr: Expr
    arrays: list[Array]
    positions: Sequence[int]
    output: tuple[int, ...]


class Pending(NamedTuple):
    """A contraction that is computed and not yet visible in the graph."""

    tensor: Array
    nodes: Collection[AbstractNode]
    labels: Labels
    name: str | None
    axis_names: list[str] | None

    def commit(self) -> Node:
        """Make the node of the result, move the open edges to it, and retire the rest.

        The contracted edges are disabled; the nodes that were contracted keep their arrays and
        get fresh dangling edges.
        """
        result = Node(self.tensor, self.name, self.axis_names)
        edges = []
        for axis, (edge, node, old_axis) in enumerate(self.labels.ends):
            if edge._node1 is node and edge._axis1 == old_axis:
                edge._node1, edge._axis1 = result, axis
            else:
                edge._node2, edge._axis2 = result, axis
            edges.append(edge)
        if edges:
            result._edges = edges
        for edge in self.labels.contracted:
            edge.disable("contracted")
        for node in self.nodes:
            node._edges = CONSUMED
        return result


def label(nodes: Iterable[AbstractNode], contracted: Collection[Edge]) -> Labels:
    """Number the axes of `nodes` when the edges `contracted` (both ends on them) are summed.

    Every other axis gets its own id, the two ends of an uncontracted edge included. O(axes).

    Raises:
        ShapeError: a contracted edge with unequal extents at its ends.
    """
    numbers = {edge: number for number, edge in enumerate(contracted)}
    sizes = [-1] * len(numbers)
    terms, ends, ids = [], [], []
    for node in nodes:
        shape, term = node._shape, []
        for axis, edge in enumerate(node._edges or node._live_edges()):
            number = numbers.get(edge)
            if number is None:
                number = len(sizes)
                sizes.append(shape[axis])
                ends.append((edge, node, axis))
                ids.append(number)
            elif sizes[number] != shape[axis]:
                if sizes[number] >= 0:
                    raise _unequal(edge)
                sizes[number] = shape[axis]
            term.append(number)
        terms.append(tuple(term))
    return Labels(terms, sizes, ends, ids, contracted)


def label_all(nodes: Collection[AbstractNode]) -> Labels:
    """Number the axes of `nodes` when all edges with both ends on them are summed.

    `ends` come in the order in which they are met: node by node, axis by axis. O(axes).

    Raises:
        ShapeError: an edge with unequal extents at its ends.
    """
    open_ids: dict[Edge, int] = {}
    contracted: list[Edge] = []
    sizes: list[int] = []
    terms = []
    for node in nodes:
        term = []
        for edge, size in zip(node._edges or node._live_edges(), node._shape):
            number = open_ids.pop(edge, None)
            if number is None:
                number = open_ids[edge] = len(sizes)
                sizes.append(size)
            else:
                if sizes[number] != size:
                    raise _unequal(edge)
                contracted.append(edge)
            term.append(number)
        terms.append(tuple(term))
    ends = [_end_on(nodes, edge) for edge in open_ids]
    return Labels(terms, sizes, ends, list(open_ids.values()), contracted)


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


def run(
    nodes: Collection[AbstractNode],
    labels: Labels,
    name: str | None = None,
    axis_names: Sequence[str] | None = None,
    **options: Any,
) -> Pending:
    """Check the names of the result, then compute it; `options` go to `contract_expr`."""
    if name is not None:
        check_name(name, "node")
    if axis_names is not None:
        axis_names = check_axis_names(axis_names, [labels.sizes[number] for number in labels.ids])
    expr, arrays, _, output = lower(nodes, labels)
    tensor = contract_expr(expr, arrays, **options)
    if len(output) != len(expr.output):
        tensor = _spread(tensor, expr, output)
    return Pending(tensor, nodes, labels, name, axis_names)


def lower(nodes: Collection[AbstractNode], labels: Labels) -> Lowered:
    """The Expr and operands for labelled nodes; copy nodes have become merged ids."""
    arrays: list[Array] = []
    copies = False
    for node in nodes:
        if type(node) is Node:
            arrays.append(node._tensor)
        elif isinstance(node, CopyNode):
            copies = True
        else:
            arrays.append(node.get_tensor())
    if copies:
        return _merge_copies(list(nodes), labels)
    output = tuple(labels.ids)
    expr = Expr(tuple(labels.terms), output, tuple(labels.sizes))
    return Lowered(expr, arrays, range(len(arrays)), output)


def _merge_copies(nodes: Sequence[AbstractNode], labels: Labels) -> Lowered:
    """Give all axes of each copy node one id, and leave the copy nodes out of the operands.

    Only where no other node has that id (a copy node with nothing but dangling or trace edges)
    does a vector of ones take the place of the copy node.
    """
    parent = list(range(len(labels.sizes)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    copies = {k: node for k, node in enumerate(nodes) if isinstance(node, CopyNode)}
    for position in copies:
        term = labels.terms[position]
        for number in term[1:]:
            parent[root(number)] = root(term[0])
    term_roots = [[root(number) for number in term] for term in labels.terms]
    has_operand = {
        number for k, roots in enumerate(term_roots) if k not in copies for number in roots
    }
    numbers: dict[int, int] = {}
    terms, arrays, positions = [], [], []
    for position, (node, roots) in enumerate(zip(nodes, term_roots)):
        copy = copies.get(position)
        if copy is None:
            arrays.append(node.get_tensor())
        elif has_operand.issuperset(roots):
            continue
        else:
            has_operand.update(roots)
            roots = roots[:1]
            arrays.append(np.ones(copy.dimension, copy.dtype))
        terms.append(tuple([numbers.setdefault(number, len(numbers)) for number in roots]))
        positions.append(position)
    if not terms:
        # Nothing but copy nodes of rank 0, each of which is the number 1.
        terms, arrays, positions = [()], [np.ones((), nodes[0].dtype)], [0]
    output = tuple([numbers[root(number)] for number in labels.ids])
    sizes = tuple([labels.sizes[number] for number in numbers])
    expr = Expr(tuple(terms), tuple(dict.fromkeys(output)), sizes)
    return Lowered(expr, arrays, positions, output)


def _spread(tensor: Array, expr: Expr, output: Sequence[int]) -> Array:
    """Put `tensor` on the diagonal that repeated ids in `output` stand for; zeros elsewhere."""
    full = zeros([expr.sizes[number] for number in output], tensor.dtype)
    strides = dict.fromkeys(expr.output, 0)
    for number, stride in zip(output, full.strides):
        strides[number] += stride
    diagonal = np.lib.stride_tricks.as_strided(full, tensor.shape, tuple(strides.values()))
    diagonal[...] = tensor
    return full
