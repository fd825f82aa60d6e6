"""Edge: what joins two axes; and how edges are connected and broken apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ShapeError
from .checks import check_name

if TYPE_CHECKING:
    from .abstract import AbstractNode

__all__ = ["UNNAMED_EDGE", "Edge", "bury", "check_in_use", "connect", "disconnect"]

UNNAMED_EDGE = "__unnamed_edge__"


class Grave(NamedTuple):
    """What a disabled edge was; names and shapes only, so that no tensor is kept alive.

    Edges keep it as a plain tuple, which is made in half of the time.
    """

    how: str
    name1: str
    axis1: int
    shape1: tuple[int, ...]
    name2: str | None
    axis2: int | None
    shape2: tuple[int, ...] | None


class Edge:
    """An axis of a tensor, or two axes of equal dimension to be summed over together.

    * A dangling edge has one end: an open axis of `node1`.
    * A standard edge joins an axis of `node1` and an axis of `node2`.
    * A trace edge joins two axes of one node.

    Nodes make their own edges; ``a[0] ^ b[1]`` connects two of them. Making an `Edge` by hand
    does not put it on its nodes (see `AbstractNode.add_edge`).

    Args:
        node1: the node of the first end.
        axis1: the axis of the first end.
        name: a label for messages and drawings.
        node2: the node of the second end; None for a dangling edge.
        axis2: the axis of the second end; None for a dangling edge.

    Raises:
        ValueError: only one of `node2` and `axis2` is given.
        TypeError: `name` is not a str.

    An edge that was contracted, flattened or split is disabled: reading its ends or using it
    again raises a ValueError that says what it joined.

    >>> from tensornet.graph import Node
    >>> a, b = Node([[1, 2], [3, 4]], name="a"), Node([5, 6], name="b")
    >>> edge = a[1] ^ b[0]
    >>> edge, edge.dimension, edge.is_dangling()
    (Edge('a'[1] -- 'b'[0], dimension=2), 2, False)
    """

    __slots__ = ("__weakref__", "_axis1", "_axis2", "_grave", "_name", "_node1", "_node2")

    def __init__(
        self,
        node1: AbstractNode,
        axis1: int,
        name: str | None = None,
        node2: AbstractNode | None = None,
        axis2: int | None = None,
    ) -> None:
        if (node2 is None) is not (axis2 is None):
            raise ValueError("an edge needs both node2 and axis2, or neither (dangling)")
        if name is None:
            name = UNNAMED_EDGE
        elif type(name) is not str:
            check_name(name, "edge")
        self._name = name
        self._node1: AbstractNode | None = node1
        self._axis1: int = axis1
        self._node2 = node2
        self._axis2 = axis2
        self._grave: tuple[Any, ...] | None = None

    @property
    def name(self) -> str:
        """The name; settable. ValueError once the edge is disabled."""
        if self._grave is not None:
            raise gone(self)
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self.set_name(name)

    def set_name(self, name: str) -> None:
        """Rename the edge; TypeError if `name` is not a str, ValueError if it is disabled."""
        check_name(name, "edge")
        if self._grave is not None:
            raise gone(self)
        self._name = name

    @property
    def node1(self) -> AbstractNode:
        """The node of the first end. ValueError once the edge is disabled."""
        node = self._node1
        if node is None:
            raise gone(self)
        return node

    @property
    def node2(self) -> AbstractNode | None:
        """The node of the second end; None if dangling. ValueError once disabled."""
        if self._grave is not None:
            raise gone(self)
        return self._node2

    @property
    def axis1(self) -> int:
        """The axis of `node1`. ValueError once the edge is disabled."""
        if self._grave is not None:
            raise gone(self)
        return self._axis1

    @property
    def axis2(self) -> int | None:
        """The axis of `node2`; None if dangling. ValueError once the edge is disabled."""
        if self._grave is not None:
            raise gone(self)
        return self._axis2

    @property
    def dimension(self) -> int:
        """The extent of the axes at its ends. ValueError once the edge is disabled."""
        return self.node1.shape[self._axis1]

    def get_nodes(self) -> list[AbstractNode | None]:
        """``[node1, node2]``, with None for what is not there."""
        return [self._node1, self._node2]

    def is_dangling(self) -> bool:
        """Whether the edge has one end only (False once it is disabled)."""
        return self._node2 is None and self._grave is None

    def is_trace(self) -> bool:
        """Whether both ends are on one node. ValueError once the edge is disabled."""
        return self.node1 is self._node2

    def is_being_used(self) -> bool:
        """Whether the nodes at its ends still hold this edge on those axes."""
        node1, node2 = self._node1, self._node2
        if node1 is None or not node1._holds(self, self._axis1):
            return False
        return node2 is None or (self._axis2 is not None and node2._holds(self, self._axis2))

    def update_axis(
        self, old_axis: int, old_node: AbstractNode, new_axis: int, new_node: AbstractNode
    ) -> None:
        """Move the end that is on `old_axis` of `old_node` to `new_axis` of `new_node`.

        Only the edge changes, not the nodes (see `redirect_edge`).

        Raises:
            ValueError: the edge has no end there.
        """
        if self._node1 is old_node and self._axis1 == old_axis:
            self._node1, self._axis1 = new_node, new_axis
        elif self._node2 is old_node and self._axis2 == old_axis:
            self._node2, self._axis2 = new_node, new_axis
        else:
            raise ValueError(f"{self!r} has no end on axis {old_axis} of node {old_node.name!r}")

    def disable(self, how: str = "disabled") -> None:
        """Make the edge unusable; `how` tells later error messages what became of it."""
        bury((self,), how)

    def disconnect(
        self, edge1_name: str | None = None, edge2_name: str | None = None
    ) -> tuple[Edge, Edge]:
        """Break the edge into two dangling ones; see `tensornet.disconnect`."""
        return disconnect(self, edge1_name, edge2_name)

    def __xor__(self, other: Edge) -> Edge:
        """``edge1 ^ edge2`` connects two dangling edges; the name of `edge1` is kept."""
        if not isinstance(other, Edge):
            return NotImplemented
        return connect(self, other, self._name)

    def __or__(self, other: Edge) -> tuple[Edge, Edge]:
        """``a[0] | b[1]`` breaks the edge that joins these two axes.

        Raises:
            ValueError: the two are not one edge.
        """
        if not isinstance(other, Edge):
            return NotImplemented
        if self is not other:
            raise ValueError(f"cannot break apart {self!r} and {other!r}: they are not one edge")
        return disconnect(self)

    def to_serial_dict(self) -> dict[str, Any]:
        """Plain data: the name and the axes of both ends (None where there is no end).

        >>> from tensornet.graph import Node
        >>> Node([1, 2], axis_names=["x"])[0].to_serial_dict()
        {'name': 'x', 'axes': [0, None]}
        """
        return {"name": self.name, "axes": [self._axis1, self._axis2]}

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        grave, label = self._grave, "" if self._name == UNNAMED_EDGE else f"{self._name!r}: "
        if grave is not None:
            grave = Grave._make(grave)
            end2 = "" if grave.name2 is None else f" -- {grave.name2!r}[{grave.axis2}]"
            return f"Edge({label}{grave.name1!r}[{grave.axis1}]{end2}, {grave.how})"
        end1 = f"{self.node1._name!r}[{self._axis1}]"
        end2 = "dangling" if self._node2 is None else f"{self._node2._name!r}[{self._axis2}]"
        shape = self.node1._shape
        size = shape[self._axis1] if -len(shape) <= self._axis1 < len(shape) else None
        return f"Edge({label}{end1} -- {end2}, dimension={size})"

    def __reduce__(self) -> tuple[Any, ...]:
        from .pickling import reduce_edge

        return reduce_edge(self)


def gone(edge: Edge) -> ValueError:
    """The error for using an edge that is disabled; says what it joined."""
    if edge._grave is None:
        return ValueError(f"{edge!r} cannot be used")
    grave = Grave._make(edge._grave)
    ends = f"axis {grave.axis1} of node {grave.name1!r} (shape {grave.shape1})"
    if grave.name2 is not None:
        ends += f" and axis {grave.axis2} of node {grave.name2!r} (shape {grave.shape2})"
    return ValueError(
        f"edge {edge._name!r} has already been {grave.how}: it was on {ends}; "
        "take an edge from a node that is still in the network"
    )


def bury(edges: Iterable[Edge], how: str = "contracted") -> None:
    """Disable edges; see `Edge.disable`."""
    for edge in edges:
        node1, node2 = edge._node1, edge._node2
        if node1 is None:
            continue
        name1, axis1, shape1 = node1._name, edge._axis1, node1._shape
        if node2 is None:
            edge._grave = how, name1, axis1, shape1, None, None, None
        else:
            edge._grave = how, name1, axis1, shape1, node2._name, edge._axis2, node2._shape
        edge._node1 = edge._node2 = None


def check_in_use(edge: Edge) -> None:
    """Raise unless `edge` is an edge that its first node holds.

    Raises:
        TypeError: not an `Edge`.
        ValueError: the edge is disabled, or another edge has taken its place; names both.
    """
    if not isinstance(edge, Edge):
        raise TypeError(f"expected an Edge, such as node[0], not {type(edge).__name__}")
    node, axis = edge._node1, edge._axis1
    if node is None:
        raise gone(edge)
    edges = node._edges
    if axis >= len(edges) or edges[axis] is not edge:
        raise ValueError(
            f"edge {edge._name!r} is no longer on axis {axis} of node {node._name!r} "
            f"(shape {node._shape}): it was replaced when that axis was connected, disconnected "
            f"or contracted; take node[{axis}] afresh"
        )


def connect(edge1: Edge, edge2: Edge, name: str | None = None) -> Edge:
    """Join two dangling edges into one; ``a[0] ^ b[1]`` is the short form.

    Args:
        edge1: a dangling edge; its node becomes `node1` of the result.
        edge2: another dangling edge of the same dimension, perhaps of the same node (a trace).
        name: the name of the new edge.

    Returns:
        The new edge, which takes the place of both. O(1).

    Raises:
        ValueError: an edge that is not dangling, no longer in use or contracted; the same edge
            twice; different dimensions (names the nodes, axes and shapes).
        TypeError: not edges.

    >>> from tensornet.graph import Node
    >>> a, b = Node([[1, 2], [3, 4]], name="a"), Node([5, 6], name="b")
    >>> connect(a[0], b[0], name="bond")
    Edge('bond': 'a'[0] -- 'b'[0], dimension=2)
    """
    try:
        node1, axis1, node2, axis2 = edge1._node1, edge1._axis1, edge2._node1, edge2._axis1
        fits = (
            node1._edges[axis1] is edge1  # type: ignore[union-attr]
            and node2._edges[axis2] is edge2  # type: ignore[union-attr]
            and edge1._node2 is edge2._node2 is None
            and edge1 is not edge2
            and node1._shape[axis1] == node2._shape[axis2]  # type: ignore[union-attr]
        )
    except (AttributeError, IndexError):
        fits = False
    if not fits or node1 is None or node2 is None:
        raise _why_not(edge1, edge2)
    edge = Edge(node1, axis1, name, node2, axis2)
    node1._edges[axis1] = edge
    node2._edges[axis2] = edge
    return edge


def _why_not(edge1: Edge, edge2: Edge) -> ValueError:
    """The error for two edges that cannot be connected; raises it where the edge is at fault."""
    check_in_use(edge1)
    check_in_use(edge2)
    if edge1._node2 is not None or edge2._node2 is not None:
        taken = edge1 if edge1._node2 is not None else edge2
        return ValueError(f"cannot connect {taken!r}: it is not dangling; disconnect it first")
    if edge1 is edge2:
        return ValueError(f"cannot connect {edge1!r} to itself")
    node1, axis1, node2, axis2 = edge1.node1, edge1._axis1, edge2.node1, edge2._axis1
    return ShapeError(
        f"cannot connect axes of unequal dimension: axis {axis1} of node {node1._name!r} "
        f"(shape {node1._shape}) has {node1._shape[axis1]}, axis {axis2} of node "
        f"{node2._name!r} (shape {node2._shape}) has {node2._shape[axis2]}"
    )


def disconnect(
    edge: Edge, edge1_name: str | None = None, edge2_name: str | None = None
) -> tuple[Edge, Edge]:
    """Break an edge into two dangling ones, the inverse of `connect`.

    Args:
        edge: a standard or trace edge.
        edge1_name: the name of the new edge at ``edge.node1``.
        edge2_name: the name of the new edge at ``edge.node2``.

    Returns:
        The new edges at ``edge.node1`` and ``edge.node2``. O(1).

    Raises:
        ValueError: a dangling, contracted or replaced edge.
        TypeError: not an edge, or names that are not text.

    >>> from tensornet.graph import Node
    >>> a, b = Node([[1, 2], [3, 4]], name="a"), Node([5, 6], name="b")
    >>> left, right = disconnect(a[0] ^ b[0], "left", "right")
    >>> right
    Edge('right': 'b'[0] -- dangling, dimension=2)
    """
    check_in_use(edge)
    node1, node2, axis1, axis2 = edge.node1, edge._node2, edge._axis1, edge._axis2
    if node2 is None or axis2 is None:
        raise ValueError(f"cannot break the dangling {edge!r}")
    if edge1_name is None:
        edge1_name = f"__disconnected_edge1_of_{edge._name}__"
    if edge2_name is None:
        edge2_name = f"__disconnected_edge2_of_{edge._name}__"
    new1 = Edge(node1, axis1, edge1_name)
    new2 = Edge(node2, axis2, edge2_name)
    node1._edges[axis1] = new1
    node2._edges[axis2] = new2
    return new1, new2
