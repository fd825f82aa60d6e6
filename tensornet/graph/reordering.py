"""Transposing the axes of a node with everything that hangs on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .checks import join_limited
from .edge import Edge, check_in_use

if TYPE_CHECKING:
    from .abstract import AbstractNode

__all__ = ["check_permutation", "move_ends", "permutation_to", "permute"]


def check_permutation(node: AbstractNode, perm: Sequence[int]) -> list[int]:
    """`perm` as a list; ValueError unless it holds each axis number of `node` once."""
    order = list(perm)
    if sorted(order) != list(range(len(node.shape))):
        raise ValueError(
            f"{order} is not a permutation of the {len(node.shape)} axes of node {node.name!r}"
        )
    return order


def permutation_to(node: AbstractNode, edge_order: Sequence[Edge]) -> list[int]:
    """The axes of `node` in the order of its edges `edge_order`.

    Raises:
        ValueError: not exactly the edges of `node`, or one of them is a trace edge.
        TypeError: something that is not an edge.
    """
    order, edges = list(edge_order), node._live_edges()
    for edge in edges:
        if edge._node2 is edge._node1:
            raise ValueError(f"cannot reorder axes by edges: {edge!r} is a trace edge")
    for edge in order:
        check_in_use(edge)
    if len(order) != len(edges) or set(order) != set(edges):
        raise ValueError(
            f"the edges [{join_limited(map(repr, order))}] are not the edges of node "
            f"{node.name!r}: [{join_limited(map(repr, edges))}]"
        )
    axis_of = {edge: axis for axis, edge in enumerate(edges)}
    return [axis_of[edge] for edge in order]


def permute(node: AbstractNode, perm: Sequence[int]) -> None:
    """Make axis ``perm[i]`` of `node` its axis ``i``; the array becomes a transposed view."""
    edges, shape, names = node._live_edges(), node._shape, node._axis_names
    if node._tensor is not None:
        node._tensor = node._tensor.transpose(perm)
    node._shape = tuple([shape[axis] for axis in perm])
    if names is not None:
        node._axis_names = [names[axis] for axis in perm]
    node._edges = [edges[axis] for axis in perm]
    move_ends(node, [(edges[old], old, new) for new, old in enumerate(perm)])


def move_ends(node: AbstractNode, moves: Sequence[tuple[Edge, int, int]]) -> None:
    """Renumber ends at `node`: ``(edge, old axis, new axis)`` for each; trace edges have two.

    Which end of an edge is meant is settled for all before any changes, since the new number
    of one end of a trace edge may be the old number of the other.
    """
    first = [edge._node1 is node and edge._axis1 == old for edge, old, _ in moves]
    for is_first, (edge, _, new) in zip(first, moves):
        if is_first:
            edge._axis1 = new
        else:
            edge._axis2 = new
