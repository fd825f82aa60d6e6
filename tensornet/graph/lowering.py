"""From labelled nodes to an `Expr` and a Program: the way of every contraction of the node graph.

A copy node becomes no operand at all: the ids on its axes are merged into one. What the graph
looks like is changed only after the numbers are there, by `Pending.commit`, so a call that fails
changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..expr import Expr, from_shapes
from ..records import Rule, set_rule
from ..road import contract_expr, recalled
from ..tape import operation
from .abstract import CONSUMED, AbstractNode
from .checks import Array, check_axis_names, check_name, zeros
from .copynode import CopyNode
from .edge import Edge, bury
from .labels import End, Labels
from .node import Node

__all__ = ["Lowered", "MemoryLimit", "Pending", "limits_of", "lower", "run", "settle", "spread"]

MemoryLimit = int | str | None

_SMALL = 1000  # nodes up to which a contraction is recalled by its ids and options alone


class Lowered(NamedTuple):
    """What to compute, in the terms of an `Expr`.

    `positions` says which node each operand is. `axes` are the ids of the result's axes; one that
    comes twice there (but once in `output`) means a diagonal of the result.
    """

    terms: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    sizes: tuple[int, ...]
    arrays: tuple[Array, ...]
    positions: Sequence[int]
    axes: tuple[int, ...]

    @property
    def expr(self) -> Expr:
        """The network."""
        return Expr(self.terms, self.output, self.sizes)


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
        tensor, nodes, labels, name, axis_names = self
        result = settle(tensor, nodes, labels.ends, labels.contracted, name, axis_names)
        for hub in labels.gone:
            hub._edges = CONSUMED
        for hub in labels.kept:
            hub._shed()
        return result


def settle(
    tensor: Array,
    nodes: Iterable[AbstractNode],
    ends: Iterable[End],
    contracted: Iterable[Edge],
    name: str | None,
    axis_names: list[str] | None = None,
) -> Node:
    """The node of a result: gets the edges at `ends` from `nodes`; `contracted` ones are gone."""
    result = Node(tensor, name, axis_names)
    edges = []
    for axis, (edge, node, old_axis) in enumerate(ends):
        if edge._node1 is node and edge._axis1 == old_axis:
            edge._node1, edge._axis1 = result, axis
        else:
            edge._node2, edge._axis2 = result, axis
        edges.append(edge)
    if edges:
        result._edges = edges
    bury(contracted)
    for node in nodes:
        node._edges = CONSUMED
    return result


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
    lowered = lower(nodes, labels)
    tensor = _contract(lowered, options)
    if len(lowered.axes) != len(lowered.output):
        tensor = spread(tensor, lowered)
    return Pending(tensor, nodes, labels, name, axis_names)


def _contract(lowered: Lowered, options: dict[str, Any]) -> Array:
    """The array of the result."""
    key = _key(lowered, **options)
    result = None if key is None else recalled(key, lowered.arrays)
    if result is None:
        result = contract_expr(lowered.expr, lowered.arrays, key=key, **options)
    return result


def _key(
    lowered: Lowered,
    optimize: Any = "auto",
    max_entries: int | None = None,
    memory_limit: str | None = None,
) -> Any:
    """What the contraction is recalled by; None for one that must not be.

    Limits in bytes depend on strides, and optimizers may find something else in every call.
    """
    if len(lowered.terms) > _SMALL or memory_limit is not None or type(optimize) is not str:
        return None
    return lowered.terms, lowered.output, lowered.sizes, optimize, max_entries


def limits_of(memory_limit: MemoryLimit) -> dict[str, Any]:
    """A contractor's `memory_limit` as options of `plan_expr`: text is bytes, a number entries."""
    return {"memory_limit" if isinstance(memory_limit, str) else "max_entries": memory_limit}


def lower(nodes: Collection[AbstractNode], labels: Labels) -> Lowered:
    """The network and operands for labelled nodes; copy nodes have become merged ids."""
    arrays: list[Array] = []
    copies = bool(labels.hubs)
    for node in nodes:
        if type(node) is Node:
            arrays.append(node._tensor)
        elif isinstance(node, CopyNode):
            copies = True
        else:
            arrays.append(node.get_tensor())
    if copies:
        return _merge_copies([*nodes, *labels.hubs], labels)
    output, sizes = tuple(labels.ids), tuple(labels.sizes)
    return Lowered(tuple(labels.terms), output, sizes, tuple(arrays), range(len(arrays)), output)


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
    axes = tuple([numbers[root(number)] for number in labels.ids])
    sizes = tuple([labels.sizes[number] for number in numbers])
    return Lowered(tuple(terms), tuple(dict.fromkeys(axes)), sizes, tuple(arrays), positions, axes)


@operation
def spread(tensor: Array, lowered: Lowered, out: Array | None = None) -> Array:
    """Put `tensor` on the diagonal that repeated ids in `axes` stand for; zeros elsewhere.

    Axes of `tensor` before those of `output` stay in front. `out` takes the result.

    Raises:
        ShapeError, TypeError: an `out` of another shape, or of a dtype that cannot take it.
    """
    lead = tensor.shape[: tensor.ndim - len(lowered.output)]
    shape = (*lead, *[lowered.sizes[number] for number in lowered.axes])
    full = zeros(shape, tensor.dtype) if out is None else out
    if full.shape != shape:
        raise ShapeError(f"out has shape {full.shape} but the result has {shape}")
    if out is not None:
        out.fill(0)
    strides = dict.fromkeys(lowered.output, 0)
    for number, stride in zip(lowered.axes, full.strides[len(lead) :]):
        strides[number] += stride
    steps = (*full.strides[: len(lead)], *strides.values())
    diagonal = np.lib.stride_tricks.as_strided(full, tensor.shape, steps)
    np.copyto(diagonal, tensor, casting="same_kind")
    return full


def _gather(
    g: Any, _: Any, __: list[bool], args: Sequence[Any], ___: Mapping[str, Any]
) -> Sequence[Any]:
    """The cotangent of what `spread` put on a diagonal: what is on that of the result's."""
    lowered = args[1]
    lead = list(range(len(lowered.sizes), len(lowered.sizes) + len(g.shape) - len(lowered.axes)))
    terms = [[*lead, *lowered.axes]]
    return [contract_expr(from_shapes(terms, [*lead, *lowered.output], [g.shape]), [g])]


set_rule(spread, Rule(_gather, keeps=()))
