"""Contracting two nodes, the usual case of `contract_between`, with little done per call."""

from __future__ import annotations

from ..road import contract_expr, recalled
from .edge import Edge
from .labels import End, label
from .lowering import lower, settle
from .node import Node

__all__ = ["contract_pair"]


def contract_pair(node1: Node, node2: Node, name: str | None) -> Node | None:
    """Sum over all edges between two nodes; None, and nothing done, where that is not all.

    That is, where no edge is between them, or one leads to another kind of node.
    """
    joined: list[int] = []  # the axes that meet, of either node in turn
    contracted: list[Edge] = []
    ends: list[End] = []
    for axis, edge in enumerate(node1._edges):
        one, other = edge._node1, edge._node2
        if other is None or (one is node1 and other is node1):
            ends.append((edge, node1, axis))
        elif one is node1 and other is node2:
            joined += (axis, edge._axis2)  # type: ignore[arg-type]  # it has a second node
            contracted.append(edge)
        elif one is node2 and other is node1:
            joined += (axis, edge._axis1)
            contracted.append(edge)
        elif type(one) is Node and type(other) is Node:
            ends.append((edge, node1, axis))
        else:
            return None
    if not contracted:
        return None
    for axis, edge in enumerate(node2._edges):
        if edge._node2 is None or edge not in contracted:
            if edge._node2 is not None and not (type(edge._node1) is type(edge._node2) is Node):
                return None
            ends.append((edge, node2, axis))
    arrays = node1._tensor, node2._tensor
    key = "pair", node1._shape, node2._shape, tuple(joined)
    tensor = recalled(key, arrays)
    nodes = node1, node2
    if tensor is None:
        expr = lower(nodes, label(nodes, contracted)).expr
        tensor = contract_expr(expr, arrays, key=key)
    return settle(tensor, nodes, ends, contracted, name)
