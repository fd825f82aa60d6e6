"""Nodes as tables for notebooks: names, sizes and connections, never the entries of an array."""

from __future__ import annotations

from html import escape

from .abstract import DISABLED, AbstractNode

__all__ = ["node_table"]

_MOST = 12  # axes shown
_LONG = 60  # letters of a name, above which it is shortened
_HEADS = ("axis", "name", "dimension", "edge", "connected to")


def node_table(node: AbstractNode) -> str:
    """HTML of a node: what it is, and a row for each of its first axes; it stays as it is."""
    shape = "disabled" if node._edges is DISABLED else f"shape {_short(str(node._shape))}"
    about = f"{_short(repr(node.name))}, {shape}, {node.dtype}"
    title = f"<b>{escape(type(node).__name__)}</b> {escape(about)}"
    rows = [f"<tr>{''.join(f'<th>{head}</th>' for head in _HEADS)}</tr>"]
    for axis, (name, size) in enumerate(zip(node.axis_names[:_MOST], node._shape)):
        words = (str(axis), name, str(size), *_connection(node, axis))
        rows.append(f"<tr>{''.join(f'<td>{escape(_short(word))}</td>' for word in words)}</tr>")
    hidden = len(node._shape) - _MOST
    if hidden > 0:
        rows.append(f"<tr><td colspan='{len(_HEADS)}'>and {hidden:,} more axes</td></tr>")
    return f"<table><caption>{title}</caption>{''.join(rows)}</table>"


def _connection(node: AbstractNode, axis: int) -> tuple[str, str]:
    """The name of the edge on an axis, and what is at its other end."""
    if axis >= len(node._edges):  # not asked for yet: edges are made then, not here
        return "", "" if node._edges is DISABLED else "dangling"
    edge = node._edges[axis]
    name = "" if edge._name.startswith("__") else edge._name
    here = edge._node1 is node and edge._axis1 == axis
    other, at = (edge._node2, edge._axis2) if here else (edge._node1, edge._axis1)
    if other is None or at is None:
        return name, "dangling"
    return name, f"{_short(other.name)}[{other.axis_names[at]}]"


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
