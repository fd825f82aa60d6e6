"""Networks as plain data: what the JSON and the HDF5 files of nodes have in common.

    {"format": "tensornet-nodes", "version": 1,
     "nodes": [{"id": 0, "type": "Node", "attributes": {"name", "axis_names", "backend", "tensor"}},
               {"id": 1, "type": "CopyNode" (or "HyperEdge"), "attributes":
                   {"name", "axis_names", "backend", "rank", "dimension", "dtype"}}],
     "edges": [{"id": 0, "node_ids": [0, 1], "attributes": {"name": "bond", "axes": [1, 0]}},
               {"id": 1, "node_ids": [0, null], "attributes": {"name": "leg", "axes": [0, null]}}],
     "edge_binding": {"any label": [0, 1]}}

Ids count from 0 in the order of the lists. An edge has an end on `axes[0]` of node `node_ids[0]`
and, unless it is dangling, on `axes[1]` of `node_ids[1]`; every axis has exactly one. Attributes
are those of `to_serial_dict`. A document without "format" is read as one of google/TensorNetwork
0.4.6, which has the same form without types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from ..arrays import check_dtype
from ..errors import FormatError
from .abstract import AbstractNode
from .collection import NodeCollection, active_collection
from .copynode import CopyNode
from .edge import Edge
from .encoding import DTYPES, MAX_EXTENT
from .hyperedge import HyperEdge, with_hyperedges
from .node import Node
from .queries import check_correct

__all__ = ["Binding", "Document", "Fields", "build", "check_unique", "describe"]

Document = dict[str, Any]
Binding = Mapping[str, Edge | Iterable[Edge]]
End = tuple[int, int]  # a node's id and an axis

_FORMAT = "tensornet-nodes"
_VERSION = 1
_THEIRS = 0  # what google/TensorNetwork writes, which has no version
_KINDS: dict[str, type[Node] | type[CopyNode]] = {
    "Node": Node,
    "CopyNode": CopyNode,
    "HyperEdge": HyperEdge,
}
_NAMES: dict[type, str] = {kind: name for name, kind in _KINDS.items()}


def check_unique(nodes: Iterable[AbstractNode]) -> dict[AbstractNode, int]:
    """The place of each node, and behind them those of the hyperedges between them.

    Raises:
        ValueError: a node comes twice, or an edge is not what its nodes take it for.
        TypeError: something that is not a node.
    """
    given = list(nodes)
    places = {node: k for k, node in enumerate(given)}
    check_correct(places, check_connections=False)
    if len(places) < len(given):
        repeated = next(node for k, node in enumerate(given) if places[node] != k)
        raise ValueError(f"node {repeated.name!r} is given more than once; give each node once")
    return {node: k for k, node in enumerate(with_hyperedges(places))}


def describe(
    places: Mapping[AbstractNode, int],
    tensor_of: Callable[[AbstractNode], Any],
    edge_binding: Binding | None = None,
) -> Document:
    """The document of some nodes; of an edge to another node its end here is kept, as dangling.

    Args:
        places: the nodes in order.
        tensor_of: what stands for the array of a node.
        edge_binding: labels of edges; those of other nodes' edges are left out.

    Raises:
        TypeError: labels that are not text, or of something that is no edge; a dtype that cannot
            be saved.
    """
    edges = dict.fromkeys(edge for node in places for edge in node._live_edges())
    ids = {edge: k for k, edge in enumerate(edges)}
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "nodes": [_node_row(k, node, tensor_of) for node, k in places.items()],
        "edges": [_edge_row(k, edge, places) for edge, k in ids.items()],
    }
    bound = {name: _edge_ids(name, bound, ids) for name, bound in (edge_binding or {}).items()}
    if any(bound.values()):
        document["edge_binding"] = {name: found for name, found in bound.items() if found}
    return document


def _node_row(number: int, node: AbstractNode, tensor_of: Callable[[Any], Any]) -> Document:
    try:
        check_dtype(node.dtype)
    except TypeError as error:
        raise TypeError(f"node {node.name!r} cannot be saved: {error}") from None
    if isinstance(node, CopyNode):
        attributes = node.to_serial_dict()
    else:
        attributes = node._described(tensor=tensor_of(node))
    kind = next((_NAMES[each] for each in type(node).__mro__ if each in _NAMES), "Node")
    return {"id": number, "type": kind, "attributes": attributes}


def _edge_row(number: int, edge: Edge, places: Mapping[AbstractNode, int]) -> Document:
    ends = [(edge.node1, edge._axis1), (edge._node2, edge._axis2)]
    inside = [(places[node], axis) for node, axis in ends if node is not None and node in places]
    node_ids, axes = zip(*[*inside, (None, None)][:2])
    attributes = {"name": edge._name, "axes": axes}
    return {"id": number, "node_ids": node_ids, "attributes": attributes}


def _edge_ids(name: object, bound: Edge | Iterable[Edge], ids: Mapping[Edge, int]) -> list[int]:
    if not isinstance(name, str):
        raise TypeError(f"the keys of edge_binding are text, not {type(name).__name__} ({name!r})")
    edges = [bound] if isinstance(bound, Edge) or not isinstance(bound, Iterable) else list(bound)
    for edge in edges:
        if not isinstance(edge, Edge):
            raise TypeError(
                f"edge_binding[{name!r}] holds a {type(edge).__name__}: give an edge or edges"
            )
    return [ids[edge] for edge in edges if edge in ids]


class Fields:
    """Reads the fields of a document from somebody else; its errors name source and field."""

    def __init__(self, source: str) -> None:
        self.source = source

    def fail(self, field: str, reason: str) -> NoReturn:
        """Raise FormatError."""
        raise FormatError(f"{self.source}: {field}: {reason}")

    def get(self, owner: Any, field: str, key: str, kind: type) -> Any:
        """``owner[key]``, of this type; `field` is what `owner` is called."""
        if not isinstance(owner, dict):
            self.fail(field, f"expected an object, not {type(owner).__name__}")
        value = owner.get(key)
        if type(value) is not kind:
            what = "is missing" if key not in owner else f"is of type {type(value).__name__}"
            self.fail(f"{field}.{key}", f"{what}; expected {kind.__name__}")
        return value

    def whole(self, field: str, value: object, most: int) -> int:
        """A whole number from 0 to `most`."""
        if type(value) is not int or not 0 <= value <= most:
            self.fail(field, f"{str(value)[:40]!r} is no whole number from 0 to {most}")
        return value

    def rows(self, document: Any, key: str) -> list[Any]:
        """The list under `key`, whose rows have their own numbers as ids."""
        rows: list[Any] = self.get(document, "document", key, list)
        for k, row in enumerate(rows):
            if self.get(row, f"{key}[{k}]", "id", int) != k:
                self.fail(f"{key}[{k}].id", f"is {str(row['id'])[:40]}, expected {k}")
        return rows


def build(document: Any, fields: Fields) -> tuple[list[AbstractNode], dict[str, tuple[Edge, ...]]]:
    """The nodes and edges that a document describes, and the edges that it has labels of.

    Nothing is made before what it is made from has been checked, and if anything is wrong, no
    `NodeCollection` hears of it. O(length of the document).

    Raises:
        FormatError: whatever is wrong; names source and field.
    """
    version = _version(document, fields)
    rows = fields.rows(document, "nodes")
    edges = [
        (_name(row, f"edges[{k}]", fields), _ends(row, f"edges[{k}]", len(rows), fields))
        for k, row in enumerate(fields.rows(document, "edges"))
    ]
    taken: list[dict[int, int]] = [{} for _ in rows]  # the edge on each axis of each node
    for k, (_, ends) in enumerate(edges):
        for node, axis in ends:
            if axis in taken[node]:
                fields.fail(f"edges[{k}]", f"axis {axis} of node {node} has two edges")
            taken[node][axis] = k
    made: list[AbstractNode] = []
    with NodeCollection(made):
        for k, row in enumerate(rows):
            _add_node(row, k, version, taken[k], fields)
    joined = _join(made, edges, fields)
    for member, places in zip(made, taken):
        if places:
            member._edges = [joined[places[axis]] for axis in range(len(places))]
    binding = _binding(document, joined, fields)
    active = active_collection.get()
    if active is not None:
        for member in made:
            active[0].add(member)
    return made, binding


def _version(document: Any, fields: Fields) -> int:
    if not isinstance(document, dict) or "nodes" not in document or "edges" not in document:
        fields.fail("document", "expected an object with nodes and edges")
    if "format" not in document and "version" not in document:
        return _THEIRS
    if document.get("format") != _FORMAT:
        fields.fail("format", f"is {str(document.get('format'))[:40]!r}, expected {_FORMAT!r}")
    version = document.get("version")
    if type(version) is not int or version != _VERSION:
        fields.fail("version", f"is {str(version)[:40]!r}; this release reads {_VERSION}")
    return version


def _name(row: Any, field: str, fields: Fields) -> str:
    attributes = fields.get(row, field, "attributes", dict)
    name: str = fields.get(attributes, f"{field}.attributes", "name", str)
    return name


def _ends(row: Any, field: str, n_nodes: int, fields: Fields) -> list[End]:
    """The one or two ends of an edge; a node that is None has its axis left out, too."""
    nodes = fields.get(row, field, "node_ids", list)
    axes = fields.get(row["attributes"], f"{field}.attributes", "axes", list)
    if len(nodes) != 2 or len(axes) != 2:
        fields.fail(field, "node_ids and axes must have two entries, null where there is no end")
    ends = []
    for k in range(2):
        if nodes[k] is None and axes[k] is None:
            continue
        node = fields.whole(f"{field}.node_ids[{k}]", nodes[k], n_nodes - 1)
        # whether the node has so many axes is seen when all edges are known
        ends.append((node, fields.whole(f"{field}.attributes.axes[{k}]", axes[k], MAX_EXTENT)))
    if not ends:
        fields.fail(field, "has no end on any node")
    return ends


def _add_node(row: Any, k: int, version: int, taken: dict[int, int], fields: Fields) -> None:
    """Make node `k`, with the edges on the axes `taken` and no others."""
    field = f"nodes[{k}]"
    kind = fields.get(row, field, "type", str) if version != _THEIRS else row.get("type", "Node")
    if not isinstance(kind, str) or kind not in _KINDS:
        fields.fail(f"{field}.type", f"{str(kind)[:40]!r} is none of {', '.join(_KINDS)}")
    _name(row, field, fields)
    attributes, field = row["attributes"], f"{field}.attributes"
    names = attributes.get("axis_names")
    if names is not None and not isinstance(names, list):
        fields.fail(f"{field}.axis_names", "expected a list of names, or null")
    if issubclass(_KINDS[kind], CopyNode):
        _check_copy_node(attributes, field, len(taken), fields)
    elif "tensor" not in attributes:
        fields.fail(f"{field}.tensor", "is missing")
    attributes = {"axis_names": None, **attributes, "backend": "numpy"}
    try:
        node = _KINDS[kind].from_serial_dict(attributes)
    except (ValueError, TypeError) as error:
        fields.fail(field, str(error).partition("\n")[0][:300])
    rank = len(node.shape)
    missing = next((axis for axis in range(rank) if axis not in taken), None)
    if missing is not None:
        fields.fail(f"nodes[{k}]", f"axis {missing} (shape {node.shape}) has no edge")
    if len(taken) > rank:
        edge, axis = next((e, axis) for axis, e in taken.items() if axis >= rank)
        fields.fail(
            f"edges[{edge}].attributes.axes",
            f"node {k} has no axis {axis}: its shape is {node.shape}",
        )


def _check_copy_node(attributes: Document, field: str, n_edges: int, fields: Fields) -> None:
    """Copy nodes take no data, so that their ranks are held against the edges in the document."""
    rank = fields.whole(f"{field}.rank", attributes.get("rank"), MAX_EXTENT)
    fields.whole(f"{field}.dimension", attributes.get("dimension"), MAX_EXTENT)
    if rank != n_edges:
        fields.fail(f"{field}.rank", f"is {rank}, but {n_edges} axes of the node have edges")
    dtype = attributes.get("dtype")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        fields.fail(f"{field}.dtype", f"{str(dtype)[:40]!r} is none of {', '.join(DTYPES)}")


def _join(
    nodes: list[AbstractNode], edges: list[tuple[str, list[End]]], fields: Fields
) -> list[Edge]:
    joined = []
    for k, (name, ends) in enumerate(edges):
        extents = [nodes[node].shape[axis] for node, axis in ends]
        if extents[0] != extents[-1]:
            (a, i), (b, j) = ends
            fields.fail(
                f"edges[{k}]",
                f"joins axis {i} of node {a} (extent {extents[0]}) and axis {j} of node {b} "
                f"(extent {extents[1]})",
            )
        node1, axis1 = nodes[ends[0][0]], ends[0][1]
        if len(ends) == 1:
            joined.append(Edge(node1, axis1, name))
        else:
            joined.append(Edge(node1, axis1, name, nodes[ends[1][0]], ends[1][1]))
    return joined


def _binding(document: Document, edges: list[Edge], fields: Fields) -> dict[str, tuple[Edge, ...]]:
    if "edge_binding" not in document:
        return {}
    saved = fields.get(document, "document", "edge_binding", dict)
    found = {}
    for name in saved:
        field = f"edge_binding.{name[:40]}"
        if not isinstance(saved[name], list):
            fields.fail(field, "expected a list of edge ids")
        ids = [fields.whole(field, number, len(edges) - 1) for number in saved[name]]
        found[name] = tuple([edges[number] for number in ids])
    return found
