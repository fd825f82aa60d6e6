"""Networks as JSON text; see `document` for the format."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ..formats.text import Text, parse_json
from .abstract import AbstractNode
from .document import Binding, Fields, build, check_unique, describe
from .edge import Edge
from .encoding import encode_array

__all__ = ["nodes_from_json", "nodes_to_json"]

_SOURCE = "JSON of nodes"


def nodes_to_json(nodes: Iterable[AbstractNode], edge_binding: Binding | None = None) -> str:
    """The nodes, their tensors and the edges on them as JSON text.

    An edge to a node that is not among `nodes` keeps its name and is dangling in the text.
    Hyperedges between the nodes follow them, given or not. Copy nodes stay copy nodes; nodes of a
    class of your own become plain ones. Arrays are exact to the bit, an array that two nodes share
    is written twice.

    Args:
        nodes: the nodes, each once, connected to each other or not.
        edge_binding: edges by labels of your choice, one or several each, that `nodes_from_json`
            gives back. Edges that are not on `nodes` are left out.

    Raises:
        ValueError: a node that comes twice or is disabled, or an edge that two nodes disagree on.
        TypeError: not nodes, labels that are not text or not of edges, or a dtype without kernels.

    >>> from tensornet.graph import Node
    >>> a, b = Node([[1, 2], [3, 4]], name="a"), Node([5, 6], name="b")
    >>> edge = a[1] ^ b[0]
    >>> (twin, _), bound = nodes_from_json(nodes_to_json([a, b], {"leg": a[0]}))
    >>> twin, bound
    (Node('a', [0: 2, 1: 2 -> 'b'[0]], int64), {'leg': (Edge('a'[0] -- dangling, dimension=2),)})
    """

    def encoded(node: AbstractNode) -> object:
        return encode_array(node.get_tensor())

    return json.dumps(describe(check_unique(nodes), encoded, edge_binding))


def nodes_from_json(json_str: str) -> tuple[list[AbstractNode], dict[str, tuple[Edge, ...]]]:
    """The nodes that `nodes_to_json` wrote, here or in google/TensorNetwork 0.4.6.

    The text may come from an untrusted place: no code in it is run, everything is checked before
    it is used, and no more memory is taken than some tens of times the length of the text.

    Returns:
        The nodes in their order, and the edges of each label of `edge_binding`.

    Raises:
        FormatError: text that is not such a network; names the field, and what is wrong with it.
    """
    return build(parse_json(Text(_SOURCE, json_str)), Fields(_SOURCE))
