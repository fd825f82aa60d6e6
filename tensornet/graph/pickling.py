"""Pickling nodes and edges, flat however large the network.

Nodes point to edges and edges to nodes, so pickle's own way of following references would go
as deep as the network is long. Instead every node and edge pickles as a `Snapshot` of all it is
connected to, plus its place in there. What one dump (or deepcopy) meets of one network shares
one snapshot, so loading gives back one network, with identities as they were.
"""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakValueDictionary

from .abstract import CONSUMED, DISABLED, NEW, AbstractNode, next_serial
from .edge import Edge
from .queries import reachable

__all__ = ["reduce_edge", "reduce_node"]

_MARKS = (NEW, CONSUMED, DISABLED)
_NOT_SAVED = {"__weakref__", "_edges", "_serial"}


class Snapshot:
    """A connected network as plain rows: fields and edges of each node, ends of each edge.

    It lives as long as a pickler remembers it. `nodes` and `edges` are the objects that the
    rows were taken from or, after loading, made from.
    """

    __slots__ = ("__weakref__", "edge_rows", "edges", "given", "node_rows", "nodes", "place")

    place: dict[Any, int]
    node_rows: list[tuple[type[AbstractNode], dict[str, Any], int, list[int]]]
    edge_rows: list[tuple[str, int, int, int | None, int | None]]

    def __init__(self, nodes: list[AbstractNode], edges: list[Edge]) -> None:
        self.nodes = nodes
        self.edges = edges
        self.given: set[int] = set()

    @classmethod
    def take(cls, start: AbstractNode) -> Snapshot:
        """The snapshot of all that `start` is connected to."""
        nodes = sorted(reachable(start))
        snapshot = cls(nodes, list(dict.fromkeys(edge for node in nodes for edge in node._edges)))
        place: dict[Any, int] = {node: k for k, node in enumerate(nodes)}
        place.update((edge, k) for k, edge in enumerate(snapshot.edges))
        snapshot.place = place
        snapshot.node_rows = [
            (type(node), _fields(node), _mark(node), [place[edge] for edge in node._edges])
            for node in nodes
        ]
        snapshot.edge_rows = [
            (
                edge._name,
                place[edge._node1],
                edge._axis1,
                None if edge._node2 is None else place[edge._node2],
                edge._axis2,
            )
            for edge in snapshot.edges
        ]
        return snapshot

    def is_current(self, node: AbstractNode) -> bool:
        """Whether `node` still is as it was when the rows were taken."""
        _, fields, _, places = self.node_rows[self.place[node]]
        return fields["_tensor"] is node._tensor and node._edges == [self.edges[k] for k in places]

    def __reduce__(self) -> tuple[Any, ...]:
        return _load_snapshot, (self.node_rows, self.edge_rows)


class _Live(threading.local):
    """The snapshots that dumps in this thread are using, by the id of each of their nodes."""

    def __init__(self) -> None:
        self.by_id: WeakValueDictionary[int, Snapshot] = WeakValueDictionary()


_live = _Live()


def _fields(node: AbstractNode) -> dict[str, Any]:
    """The values in the slots of `node` (and in its ``__dict__``, if a subclass gives it one)."""
    slots = {name for kind in type(node).__mro__ for name in getattr(kind, "__slots__", ())}
    names = sorted(slots - _NOT_SAVED) + sorted(getattr(node, "__dict__", ()))
    return {name: getattr(node, name) for name in names if hasattr(node, name)}


def _mark(node: AbstractNode) -> int:
    """Which of the stand-ins for edges `node` has; -1 if it has edges."""
    return next((k for k, mark in enumerate(_MARKS) if node._edges is mark), -1)


def _snapshot_for(node: AbstractNode, item: AbstractNode | Edge) -> Snapshot:
    """The snapshot that the dump going on uses for the network of `node`, or a new one.

    A dump asks for each item once; if `item` was given out already, another dump begins.
    """
    snapshot = _live.by_id.get(id(node))
    if snapshot is None or id(item) in snapshot.given or not snapshot.is_current(node):
        snapshot = Snapshot.take(node)
        for member in snapshot.nodes:
            _live.by_id[id(member)] = snapshot
    snapshot.given.add(id(item))
    return snapshot


def reduce_node(node: AbstractNode) -> tuple[Any, ...]:
    """What ``node.__reduce__`` returns."""
    snapshot = _snapshot_for(node, node)
    return _load_node, (snapshot, snapshot.place[node])


def reduce_edge(edge: Edge) -> tuple[Any, ...]:
    """What ``edge.__reduce__`` returns."""
    node = edge._node1
    if node is not None and edge.is_being_used():
        snapshot = _snapshot_for(node, edge)
        return _load_edge, (snapshot, snapshot.place[edge])
    ends = (edge._node1, edge._axis1, edge._node2, edge._axis2)
    return _load_lone_edge, (edge._name, *ends, edge._grave)


def _load_snapshot(node_rows: list[Any], edge_rows: list[Any]) -> Snapshot:
    nodes: list[AbstractNode] = []
    for kind, fields, _, _ in node_rows:
        node = kind.__new__(kind)
        for name, value in fields.items():
            setattr(node, name, value)
        node._serial = next_serial()
        nodes.append(node)
    edges = [
        Edge(nodes[node1], axis1, name, None if node2 is None else nodes[node2], axis2)
        for name, node1, axis1, node2, axis2 in edge_rows
    ]
    for node, (_, _, mark, places) in zip(nodes, node_rows):
        node._edges = [edges[k] for k in places] if mark < 0 else _MARKS[mark]
    return Snapshot(nodes, edges)


def _load_node(snapshot: Snapshot, place: int) -> AbstractNode:
    return snapshot.nodes[place]


def _load_edge(snapshot: Snapshot, place: int) -> Edge:
    return snapshot.edges[place]


def _load_lone_edge(
    name: str,
    node1: AbstractNode | None,
    axis1: int,
    node2: AbstractNode | None,
    axis2: int | None,
    grave: tuple[Any, ...] | None,
) -> Edge:
    edge = Edge.__new__(Edge)
    edge._name, edge._grave = name, grave
    edge._node1, edge._axis1, edge._node2, edge._axis2 = node1, axis1, node2, axis2
    return edge
