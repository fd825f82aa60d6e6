"""CopyNode: a node that makes all its axes equal, kept as one hyperedge and never as an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .abstract import AbstractNode
from .checks import Array, as_array, check_backend, zeros
from .edge import Edge
from .node import Node

__all__ = ["CopyNode"]


class CopyNode(AbstractNode):
    """The tensor that is 1 where all indices are equal and 0 elsewhere.

    Contractions treat it as one index shared by all that it touches: it costs no memory, no
    matter its rank, and does not influence the dtype of results.

    Args:
        rank: the number of axes.
        dimension: the extent of each axis.
        name: a label for messages and drawings.
        axis_names: one distinct name per axis.
        backend: None or ``"numpy"``.
        dtype: the dtype of `tensor`, if that is ever asked for.

    Raises:
        ValueError: a negative rank or dimension, bad axis names, another backend.
        TypeError: a rank or dimension that is not an integer, or a name that is not text.

    >>> a, b, c = Node([1, 2], name="a"), Node([3, 4], name="b"), Node([5, 6], name="c")
    >>> hub = CopyNode(rank=3, dimension=2, name="hub")
    >>> edges = [hub[i] ^ node[0] for i, node in enumerate([a, b, c])]
    >>> from tensornet.graph import contract_copy_node
    >>> int(contract_copy_node(hub).tensor)  # 1*3*5 + 2*4*6
    63
    """

    __slots__ = ("_dimension", "_dtype")

    def __init__(
        self,
        rank: int,
        dimension: int,
        name: str | None = None,
        axis_names: Sequence[str] | None = None,
        backend: str | None = None,
        dtype: Any = np.float64,
    ) -> None:
        if not isinstance(rank, (int, np.integer)) or not isinstance(dimension, (int, np.integer)):
            raise TypeError(f"rank and dimension must be integers, not {rank!r} and {dimension!r}")
        if rank < 0 or dimension < 0:
            raise ValueError(f"rank {rank} and dimension {dimension} must not be negative")
        super().__init__(name, axis_names, backend, (int(dimension),) * int(rank))
        self._dtype = np.dtype(dtype)
        self._dimension = int(dimension)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self._shape)

    @property
    def dimension(self) -> int:
        """The extent of each axis."""
        return self._dimension

    @property
    def dtype(self) -> Any:
        """The dtype of `tensor`."""
        return self._dtype

    @property
    def copy_node_dtype(self) -> Any:
        """The same as `dtype`."""
        return self._dtype

    def get_tensor(self) -> Array:
        """The dense array of ``dimension ** rank`` entries, made at every call."""
        return self.make_copy_tensor(len(self._shape), self._dimension, self._dtype)

    def set_tensor(self, tensor: Any) -> None:
        """Accepts only what the node is already.

        Raises:
            ValueError: any array but the copy tensor of this rank and dimension.
        """
        array = as_array(tensor)
        if array.shape != self._shape or not np.array_equal(array, self.get_tensor()):
            raise ValueError(
                f"the tensor of CopyNode {self._name!r} is fixed by its rank and dimension; "
                "make a Node for another tensor"
            )

    @staticmethod
    def make_copy_tensor(rank: int, dimension: int, dtype: Any) -> Array:
        """The dense copy tensor: ones on the diagonal of ``(dimension,) * rank``.

        Raises:
            MemoryLimitError: it takes more bytes than there are.

        >>> CopyNode.make_copy_tensor(2, 2, int).tolist()
        [[1, 0], [0, 1]]
        """
        tensor = zeros((dimension,) * rank, dtype)
        tensor[(np.arange(dimension),) * rank] = 1
        return tensor

    def copy(self, conjugate: bool = False) -> CopyNode:
        """A copy node of the same rank, dimension and names with new dangling edges."""
        rank, name, names = len(self._shape), self._name, self._axis_names
        node = type(self)(rank, self._dimension, name, names, dtype=self._dtype)
        node._edges = [Edge(node, axis, edge._name) for axis, edge in enumerate(self._edges)]
        return node

    def get_partners(self) -> dict[AbstractNode, set[int]]:
        """The nodes this one is connected to, each with its axes at the shared edges.

        Trace edges of the node itself are left out.

        Raises:
            ValueError: the node has dangling edges.

        >>> a, b = Node([1, 2], name="a"), Node([[1, 2], [3, 4]], name="b")
        >>> hub = CopyNode(3, 2)
        >>> edges = hub[0] ^ a[0], hub[1] ^ b[0], hub[2] ^ b[1]
        >>> {node.name: sorted(axes) for node, axes in hub.get_partners().items()}
        {'a': [0], 'b': [0, 1]}
        """
        partners: dict[AbstractNode, set[int]] = {}
        for edge in self._live_edges():
            node, axis = edge.node1, edge._axis1
            if node is self:
                if edge._node2 is None or edge._axis2 is None:
                    raise ValueError(
                        f"copy node {self._name!r} has the dangling {edge!r}; connect it first"
                    )
                node, axis = edge._node2, edge._axis2
            if node is not self:
                partners.setdefault(node, set()).add(axis)
        return partners

    def compute_contracted_tensor(self) -> Array:
        """The array that contracting this node with all its partners would give.

        The network stays as it is. Axes are the other axes of the partners, partner by partner
        in the order of this node's edges.

        Raises:
            ValueError: the node has dangling edges.
        """
        from .contraction import copy_node_contraction

        return copy_node_contraction(self).tensor

    def _like(self, tensor: Array) -> Node:
        return Node(tensor, self._name)

    def to_serial_dict(self) -> dict[str, Any]:
        """Plain data: names, rank, dimension and dtype."""
        rank, dimension = len(self._shape), self._dimension
        return self._described(rank=rank, dimension=dimension, dtype=self._dtype.name)

    @classmethod
    def from_serial_dict(cls, serial_dict: dict[str, Any]) -> CopyNode:
        """The node that `to_serial_dict` described, with dangling edges.

        Raises:
            KeyError: an entry is missing.
        """
        check_backend(serial_dict.get("backend"))
        return cls(
            serial_dict["rank"],
            serial_dict["dimension"],
            serial_dict["name"],
            serial_dict["axis_names"],
            dtype=serial_dict["dtype"],
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, {self._describe_axes()}, {self._dtype})"
