"""Arithmetic: ``+ - * /`` between a node and a number or another node, entry by entry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .abstract import AbstractNode
    from .checks import Array

__all__ = ["Arithmetic"]


class Arithmetic(ABC):
    """The operators of a node; each makes a new node with dangling edges.

    Two nodes combine by NumPy's broadcasting rules. The result keeps the name of the node on
    the left (of the only node, beside a number).

    >>> from tensornet.graph import Node
    >>> (2 * Node([1, 2]) + 1).tensor.tolist()
    [3, 5]
    """

    __slots__ = ()

    # Makes NumPy leave ``number * node`` to the node instead of looping over it.
    __array_ufunc__ = None

    @abstractmethod
    def get_tensor(self) -> Array:
        """The dense array."""

    @abstractmethod
    def _like(self, tensor: Array) -> AbstractNode:
        """A new node of `tensor` with this node's name."""

    def op_protection(self, other: Any) -> Any:
        """The array or number that stands for `other` in arithmetic; TypeError for the rest."""
        if isinstance(other, Arithmetic):
            return other.get_tensor()
        if isinstance(other, (int, float, complex, np.number)):
            return other
        raise TypeError(
            f"arithmetic on a node takes a number or another node, not {type(other).__name__}"
        )

    def __add__(self, other: Any) -> AbstractNode:
        return self._like(self.get_tensor() + self.op_protection(other))

    def __radd__(self, other: Any) -> AbstractNode:
        return self._like(self.op_protection(other) + self.get_tensor())

    def __sub__(self, other: Any) -> AbstractNode:
        return self._like(self.get_tensor() - self.op_protection(other))

    def __rsub__(self, other: Any) -> AbstractNode:
        return self._like(self.op_protection(other) - self.get_tensor())

    def __mul__(self, other: Any) -> AbstractNode:
        return self._like(self.get_tensor() * self.op_protection(other))

    def __rmul__(self, other: Any) -> AbstractNode:
        return self._like(self.op_protection(other) * self.get_tensor())

    def __truediv__(self, other: Any) -> AbstractNode:
        return self._like(self.get_tensor() / self.op_protection(other))

    def __rtruediv__(self, other: Any) -> AbstractNode:
        return self._like(self.op_protection(other) / self.get_tensor())
