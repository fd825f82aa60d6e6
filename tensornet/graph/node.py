"""Node: a node that holds an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .abstract import NEW, UNNAMED_NODE, AbstractNode, next_serial
from .checks import Array, as_array, check_axis_names, check_backend, check_name
from .collection import active_collection
from .edge import Edge
from .encoding import decode_array, encode_array

__all__ = ["Node"]


class Node(AbstractNode):
    """A tensor with one edge per axis, to be connected to other nodes and contracted.

    Args:
        tensor: an array (not copied), nested lists, a number, or another node (whose array is
            shared).
        name: a label for messages and drawings.
        axis_names: one distinct name per axis; edges are named after them.
        backend: None or ``"numpy"``.

    Raises:
        ValueError: repeated axis names, or not one per axis; ragged lists; another backend.
        TypeError: `tensor` is not numeric, or a name is not text.

    >>> a = Node([[1.0, 2.0], [3.0, 4.0]], name="a", axis_names=["row", "column"])
    >>> b = Node([5.0, 6.0], name="b")
    >>> edge = a["column"] ^ b[0]
    >>> a
    Node('a', [row: 2, column: 2 -> 'b'[0]], float64)
    >>> (a @ b).tensor.tolist()
    [17.0, 39.0]
    """

    __slots__ = ()

    _tensor: Array

    # Does what AbstractNode.__init__ does, in one frame: making nodes is a hot path.
    def __init__(
        self,
        tensor: Any,
        name: str | None = None,
        axis_names: Sequence[str] | None = None,
        backend: str | None = None,
    ) -> None:
        if backend is not None:
            check_backend(backend)
        if name is None:
            name = UNNAMED_NODE
        elif type(name) is not str:
            check_name(name, "node")
        if type(tensor) is not ndarray and isinstance(tensor, AbstractNode):
            tensor = tensor.get_tensor()
        array = as_array(tensor)
        shape = array.shape
        self._axis_names = None if axis_names is None else check_axis_names(axis_names, shape)
        self._tensor = array
        self._shape = shape
        self._name = name
        self._edges = NEW
        self._serial = next_serial()
        active = active_collection.get()
        if active is not None:
            active[0].add(self)

    def get_tensor(self) -> Array:
        """The array."""
        return self._tensor

    def set_tensor(self, tensor: Any) -> None:
        """Put another array in place; names and edges stay.

        The extents may change, but connected axes must agree again before contraction.

        Raises:
            ValueError: an array of another rank.
            TypeError: not numeric.
        """
        array = as_array(tensor)
        if array.ndim != len(self._shape):
            raise ValueError(
                f"node {self._name!r} has {len(self._shape)} axes (shape {self._shape}), so it "
                f"cannot hold an array of shape {array.shape}; make a new Node"
            )
        self._tensor = array
        self._shape = array.shape

    def copy(self, conjugate: bool = False) -> Node:
        """A node of the same names (its edges' included) and array with new dangling edges.

        Args:
            conjugate: conjugate the array; a real array is shared, not copied.
        """
        tensor = self._tensor
        if conjugate and tensor.dtype.kind == "c":
            tensor = tensor.conj()
        node = Node(tensor, self._name, self._axis_names)
        node._edges = [Edge(node, axis, edge._name) for axis, edge in enumerate(self._edges)]
        return node

    def _like(self, tensor: Array) -> Node:
        return Node(tensor, self._name)

    def to_serial_dict(self) -> dict[str, Any]:
        """Plain data: names, and the array as dtype, shape and base64.

        >>> Node.from_serial_dict(Node([1, 2], name="a").to_serial_dict())
        Node('a', [0: 2], int64)
        """
        return self._described(tensor=encode_array(self._tensor))

    @classmethod
    def from_serial_dict(cls, serial_dict: dict[str, Any]) -> Node:
        """The node that `to_serial_dict` described, with dangling edges.

        The tensor may also be an array, or text in NumPy's .npy format, as google/TensorNetwork
        writes it. The data may come from an untrusted place: no code in it is run, and no more
        memory is taken than a few times their length.

        Raises:
            ValueError: the tensor is not what its data promise (a FormatError), or bad names.
            KeyError: an entry is missing.
        """
        check_backend(serial_dict.get("backend"))
        saved = serial_dict["tensor"]
        tensor = saved if isinstance(saved, np.ndarray) else decode_array(saved)
        return cls(tensor, serial_dict["name"], serial_dict["axis_names"])

    def __repr__(self) -> str:
        return f"Node({self._name!r}, {self._describe_axes()}, {self._tensor.dtype})"
