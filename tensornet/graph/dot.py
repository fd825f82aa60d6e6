"""Networks as graphs of Graphviz, with the package graphviz (the extra `graphviz`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .abstract import AbstractNode
from .copynode import CopyNode
from .edge import Edge
from .hyperedge import with_hyperedges
from .queries import unique_nodes

if TYPE_CHECKING:
    Graph = Any  # graphviz.Graph, which must not be needed here

__all__ = ["to_graphviz"]


def to_graphviz(
    nodes: Iterable[AbstractNode],
    graph: Graph | None = None,
    include_all_names: bool = False,
    engine: str = "neato",
) -> Graph:
    """A `graphviz.Graph` of nodes and their edges, labelled with names and dimensions.

    Graphviz itself is needed only to draw it: ``to_graphviz(nodes).render("network")``. Axis names
    stand at the ends of edges, copy nodes are dots, dangling edges (and those to nodes that are not
    drawn) end in the open.

    Args:
        nodes: the nodes.
        graph: a graph to add them to; a new one if left out.
        include_all_names: also names that begin with "__", which nobody chose.
        engine: the layout program of a new graph, such as "neato" or "dot".

    Raises:
        TypeError: not nodes.
        ValueError: a disabled node, or an engine that graphviz does not know.
        ImportError: the package graphviz is not installed.
    """
    try:
        import graphviz
    except ImportError as error:
        raise ImportError(
            "to_graphviz needs the package graphviz: pip install 'tensornet[graphviz]'"
        ) from error
    members = dict.fromkeys(with_hyperedges(unique_nodes(nodes)))
    edges = dict.fromkeys(edge for node in members for edge in node._live_edges())
    if graph is None:
        graph = graphviz.Graph("G", engine=engine)

    def shown(name: str) -> str:
        return name if include_all_names or not name.startswith("__") else ""

    def escaped(words: str) -> Any:
        return graphviz.escape(words)  # backslashes and angle brackets are graphviz's own

    for node in members:
        name = escaped(shown(node.name))
        if isinstance(node, CopyNode):
            graph.node(_key(node), xlabel=name, shape="point", width="0.1")
        else:
            graph.node(_key(node), label=name)
    for edge in edges:
        ends = [(node, axis) for node, axis in _ends(edge) if node in members]
        name, size = shown(edge.name), str(edge.dimension)
        keys = [_key(node) for node, _ in ends]
        if len(ends) == 1:
            keys.append(f"{keys[0]}_{ends[0][1]}")
            graph.node(keys[1], label="", style="invis")
        attributes = {
            side: escaped(shown(node.axis_names[axis]))
            for side, (node, axis) in zip(("taillabel", "headlabel"), ends)
            if node.axis_names[axis] not in (str(axis), edge.name)
        }
        label = f"{name}: {size}" if name else size
        graph.edge(*keys, label=escaped(label), **attributes)
    return graph


def _key(node: AbstractNode) -> str:
    """A name that no other node of this process has."""
    return f"node{node._serial}"


def _ends(edge: Edge) -> list[tuple[Any, Any]]:
    both = [(edge._node1, edge._axis1), (edge._node2, edge._axis2)]
    return [(node, axis) for node, axis in both if node is not None]
