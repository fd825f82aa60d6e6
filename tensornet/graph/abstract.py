"""AbstractNode: what every node of a network has, namely a shape, names and edges."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import count
from typing import Any, overload

import numpy as np

from .arithmetic import Arithmetic
from .checks import Array, check_axis_names, check_backend, check_name, join_limited
from .collection import active_collection
from .edge import Edge
from .reordering import check_permutation, permutation_to, permute

__all__ = ["CONSUMED", "UNNAMED_NODE", "AbstractNode", "next_serial"]

UNNAMED_NODE = "__unnamed_node__"

# Edges are made when first asked for. Until then one of these empty lists, told apart by
# identity, stands in their place: never asked for yet, given away to the result of a
# contraction (the next ones are named after the axes), or gone for good.
NEW: list[Edge] = []
CONSUMED: list[Edge] = []
DISABLED: list[Edge] = []

# Nodes are numbered as they are made, so that networks given as sets have a stable order.
next_serial = count().__next__


class AbstractNode(Arithmetic):
    """A tensor of a network, with one `Edge` per axis. Made through `Node` or `CopyNode`.

    Args:
        name: a label for messages and drawings.
        axis_names: one distinct name per axis, usable in place of axis numbers.
        backend: None or ``"numpy"``.
        shape: the shape of the tensor.

    Raises:
        ValueError: repeated axis names, or not one per axis.
        TypeError: a name that is not text.

    Networks may be built and contracted in many threads, but one network in one at a time.
    """

    __slots__ = (
        "__weakref__",
        "_axis_names",
        "_edges",
        "_name",
        "_serial",
        "_shape",
        "_tensor",
    )

    _tensor: Array | None

    def __init__(
        self,
        name: str | None = None,
        axis_names: Sequence[str] | None = None,
        backend: str | None = None,
        shape: Sequence[int] | None = None,
    ) -> None:
        check_backend(backend)
        if name is not None:
            check_name(name, "node")
        self._shape: tuple[int, ...] = () if shape is None else tuple(shape)
        self._axis_names = None if axis_names is None else check_axis_names(axis_names, self._shape)
        self._name: str = UNNAMED_NODE if name is None else name
        self._edges: list[Edge] = NEW
        self._tensor = None
        self._serial = next_serial()
        active = active_collection.get()
        if active is not None:
            active[0].add(self)

    # What each kind of node decides for itself

    @abstractmethod
    def get_tensor(self) -> Array:
        """The dense array."""

    @abstractmethod
    def set_tensor(self, tensor: Any) -> None:
        """Put another array in place."""

    @abstractmethod
    def copy(self, conjugate: bool = False) -> AbstractNode:
        """A node of the same contents and names with new dangling edges."""

    @abstractmethod
    def to_serial_dict(self) -> dict[str, Any]:
        """Plain data that `from_serial_dict` turns back into a node without edges."""

    @classmethod
    @abstractmethod
    def from_serial_dict(cls, serial_dict: dict[str, Any]) -> AbstractNode:
        """The node that `to_serial_dict` described."""

    def _described(self, **fields: Any) -> dict[str, Any]:
        """Plain data: names, and `fields` of the kind of node."""
        return {"name": self._name, "axis_names": self.axis_names, "backend": "numpy", **fields}

    @property
    def tensor(self) -> Array:
        """The dense array; settable, to an array of the same rank."""
        return self.get_tensor()

    @tensor.setter
    def tensor(self, tensor: Any) -> None:
        self.set_tensor(tensor)

    # Names and shape

    @property
    def name(self) -> str:
        """The name; settable."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self.set_name(name)

    def set_name(self, name: str) -> None:
        """Rename the node; TypeError if `name` is not a str."""
        check_name(name, "node")
        self._name = name

    @property
    def axis_names(self) -> list[str]:
        """The names of the axes, ``"0"``, ``"1"``, ... by default; settable."""
        names = self._axis_names
        return list(map(str, range(len(self._shape)))) if names is None else list(names)

    @axis_names.setter
    def axis_names(self, axis_names: Sequence[str]) -> None:
        self.add_axis_names(axis_names)

    def add_axis_names(self, axis_names: Sequence[str]) -> None:
        """Name the axes; edges keep their own names.

        Raises:
            ValueError: repeated names, or not one per axis.
            TypeError: a name that is not text.
        """
        self._axis_names = check_axis_names(axis_names, self._shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of the axes. ValueError once the node is disabled."""
        if self._edges is DISABLED:
            raise self._disabled_error()
        return self._shape

    @property
    def sparse_shape(self) -> tuple[int, ...]:
        """The shape, for code that also handles block-sparse tensors."""
        return self.shape

    @property
    def dtype(self) -> Any:
        """The dtype of the tensor."""
        return self.get_tensor().dtype

    @property
    def backend(self) -> str:
        """Always ``"numpy"``: nodes hold NumPy arrays."""
        return "numpy"

    def get_rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def get_axis_number(self, axis: str | int) -> int:
        """The number of an axis given by name or number.

        Raises:
            ValueError: no axis of that name.

        >>> from tensornet.graph import Node
        >>> Node([[1, 2]], axis_names=["row", "column"]).get_axis_number("column")
        1
        """
        if isinstance(axis, (int, np.integer)):
            return int(axis)
        names = self.axis_names
        if axis not in names:
            raise ValueError(
                f"node {self._name!r} has no axis named {str(axis)!r}; its axes are {names}"
            )
        return names.index(axis)

    def get_dimension(self, axis: str | int) -> int:
        """The extent of one axis; ValueError if there is no such axis (negative ones included)."""
        return self.shape[self._checked_axis(axis)]

    def _checked_axis(self, axis: str | int) -> int:
        number = self.get_axis_number(axis)
        if not 0 <= number < len(self._shape):
            raise ValueError(
                f"node {self._name!r} (shape {self._shape}) has no axis {number}: an axis is "
                f"at least 0 and below the rank {len(self._shape)}"
            )
        return number

    # Edges

    def _live_edges(self) -> list[Edge]:
        """The edges themselves (not a copy), made now if they were not asked for before."""
        edges = self._edges
        if edges or not self._shape:
            if edges is DISABLED:
                raise self._disabled_error()
            return edges
        if edges is NEW and self._axis_names is None:
            self._edges = [Edge(self, axis) for axis in range(len(self._shape))]
        else:
            self.fresh_edges()
        return self._edges

    def _disabled_error(self) -> ValueError:
        return ValueError(f"node {self._name!r} has been disabled: it has no shape and no edges")

    def _holds(self, edge: Edge, axis: int) -> bool:
        """Whether `edge` is the one on `axis`."""
        edges = self._edges
        return 0 <= axis < len(edges) and edges[axis] is edge

    def fresh_edges(self, axis_names: Sequence[str] | None = None) -> None:
        """Give every axis a new dangling edge, named after `axis_names` or the axes' own names.

        Edges that were there are left to whoever holds them; connected neighbours keep theirs,
        so disconnect those first.

        Raises:
            ValueError: repeated names, not one per axis, or the node is disabled.
        """
        if self._edges is DISABLED:
            raise self._disabled_error()
        names = self.axis_names if axis_names is None else check_axis_names(axis_names, self._shape)
        self._edges = [Edge(self, axis, name) for axis, name in enumerate(names)]

    @property
    def edges(self) -> list[Edge]:
        """The edge of each axis, in order. ValueError once the node is disabled."""
        return list(self._live_edges())

    def get_all_edges(self) -> list[Edge]:
        """The edge of each axis, in order; a trace edge appears twice."""
        return list(self._live_edges())

    def get_all_nondangling(self) -> set[Edge]:
        """The edges that have two ends."""
        return {edge for edge in self._live_edges() if edge._node2 is not None}

    def get_all_dangling(self) -> list[Edge]:
        """The dangling edges, in axis order."""
        return [edge for edge in self._live_edges() if edge._node2 is None]

    def has_nondangling_edge(self) -> bool:
        """Whether any edge has two ends."""
        return any(edge._node2 is not None for edge in self._live_edges())

    def has_dangling_edge(self) -> bool:
        """Whether any edge has one end only."""
        return any(edge._node2 is None for edge in self._live_edges())

    def get_edge(self, axis: int | str) -> Edge:
        """The edge of an axis given by name or number (negative ones count from the end).

        Raises:
            IndexError: the number is out of range.
            ValueError: no axis of that name.
        """
        edges = self._edges or self._live_edges()
        try:
            return edges[self.get_axis_number(axis)]
        except IndexError:
            raise IndexError(
                f"axis {axis} is out of range for node {self._name!r} of shape {self._shape}"
            ) from None

    @overload
    def __getitem__(self, key: int | str) -> Edge: ...
    @overload
    def __getitem__(self, key: slice) -> list[Edge]: ...
    def __getitem__(self, key: int | str | slice) -> Edge | list[Edge]:
        """``node[0]``, ``node["axis name"]`` or ``node[1:]``; errors as `get_edge`."""
        if type(key) is int:
            edges = self._edges
            if edges is NEW and self._axis_names is None:  # usual, and a hot path
                edges = self._edges = [Edge(self, axis) for axis in range(len(self._shape))]
            elif not edges:
                edges = self._live_edges()
            if -len(edges) <= key < len(edges):
                return edges[key]
        elif isinstance(key, slice):
            return self._live_edges()[key]
        return self.get_edge(key)

    def add_edge(self, edge: Edge, axis: int | str, override: bool = False) -> None:
        """Put `edge` on an axis; the edge's own ends are not changed (`Edge.update_axis`).

        Args:
            edge: the edge.
            axis: the axis, by name or number.
            override: replace an edge there even if it has two ends.

        Raises:
            ValueError: no such axis, or its edge is not dangling and `override` is False.
        """
        number = self._checked_axis(axis)
        edges = self._live_edges()
        if not override and edges[number]._node2 is not None:
            raise ValueError(
                f"axis {number} of node {self._name!r} already holds {edges[number]!r}; "
                "disconnect it first, or pass override=True"
            )
        edges[number] = edge

    def disable(self) -> None:
        """Make the node unusable: its shape and edges are no longer available."""
        self._edges = DISABLED

    # Reordering

    def reorder_edges(self, edge_order: Sequence[Edge]) -> AbstractNode:
        """Transpose the tensor so that its edges stand in `edge_order`; returns the node.

        Raises:
            ValueError: not exactly the edges of this node, or one of them is a trace edge.
        """
        permute(self, permutation_to(self, edge_order))
        return self

    def reorder_axes(self, perm: Sequence[int]) -> AbstractNode:
        """Transpose the tensor: axis ``perm[i]`` becomes axis ``i``; returns the node.

        Edges and axis names move with their axes.

        Raises:
            ValueError: `perm` is not a permutation of the axis numbers.

        >>> from tensornet.graph import Node
        >>> Node([[1, 2], [3, 4]]).reorder_axes([1, 0]).tensor.tolist()
        [[1, 3], [2, 4]]
        """
        permute(self, check_permutation(self, perm))
        return self

    def tensor_from_edge_order(self, perm: Sequence[Edge]) -> Array:
        """The array with its axes in the order of the edges `perm`; the node stays as it is.

        Raises:
            ValueError: not exactly the edges of this node, or one of them is a trace edge.
        """
        tensor: Array = self.get_tensor().transpose(permutation_to(self, perm))
        return tensor

    # Contraction, order, text, pickling

    def __matmul__(self, other: AbstractNode) -> AbstractNode:
        """``a @ b`` contracts all edges between the two nodes; see `contract_between`."""
        if not isinstance(other, AbstractNode):
            raise TypeError(f"@ contracts two nodes, not a node and a {type(other).__name__}")
        from .contraction import contract_between

        return contract_between(self, other)

    def __lt__(self, other: object) -> bool:
        """Whether this node was made before `other`; ValueError if that is no node."""
        if not isinstance(other, AbstractNode):
            raise ValueError(f"cannot order a node and a {type(other).__name__}")
        return self._serial < other._serial

    def __str__(self) -> str:
        return self._name

    def _describe_axes(self) -> str:
        """The axes for `repr`: name, extent and what each is connected to."""
        if self._edges is DISABLED:
            return "disabled"
        words = [f"{name}: {size}" for name, size in zip(self.axis_names, self._shape)]
        for axis, edge in enumerate(self._edges):
            if edge._node1 is self and edge._axis1 == axis:
                node, at = edge._node2, edge._axis2
            else:
                node, at = edge._node1, edge._axis1
            if node is not None:
                words[axis] += f" -> {node._name!r}[{at}]"
        return f"[{join_limited(words)}]"

    def _repr_html_(self) -> str:
        from .html import node_table

        return node_table(self)

    def __reduce__(self) -> tuple[Any, ...]:
        from .pickling import reduce_node

        return reduce_node(self)

    def __copy__(self) -> AbstractNode:
        return self.copy()
