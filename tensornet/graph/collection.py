"""NodeCollection: a block that gathers the nodes made inside it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from .abstract import AbstractNode

__all__ = ["NodeCollection", "active_collection"]

# The innermost open collection and the ones around it, as a linked list. A context variable
# belongs to one thread or task, and leaving a block restores the rest of its own list, so
# neither threads nor exceptions can mix collections up.
_Frame = tuple["NodeCollection", Optional["_Frame"]]  # type of one list cell

active_collection: ContextVar[_Frame | None] = ContextVar("active_collection", default=None)


class NodeCollection:
    """Gathers every node made inside a ``with`` block into a set or a list.

    Nodes go to the innermost open block of the thread (or task) that makes them; results of
    contractions and copies count.

    Args:
        container: the set or list to fill.

    Raises:
        ValueError: `container` is neither a set nor a list.

    >>> from tensornet.graph import Node
    >>> nodes = []
    >>> with NodeCollection(nodes):
    ...     a, b = Node([1, 2], name="a"), Node([3, 4], name="b")
    >>> [node.name for node in nodes]
    ['a', 'b']
    """

    __slots__ = ("_container",)

    def __init__(self, container: set[AbstractNode] | list[AbstractNode]) -> None:
        if not isinstance(container, (set, list)):
            raise ValueError(
                f"NodeCollection fills a set or a list, not a {type(container).__name__}"
            )
        self._container = container

    def add(self, node: AbstractNode) -> None:
        """Put `node` into the container."""
        if isinstance(self._container, set):
            self._container.add(node)
        else:
            self._container.append(node)

    def __repr__(self) -> str:
        kind = "set" if isinstance(self._container, set) else "list"
        return f"NodeCollection(a {kind} of {len(self._container)} nodes)"

    def __enter__(self) -> NodeCollection:
        active_collection.set((self, active_collection.get()))
        return self

    def __exit__(self, *exc_info: object) -> None:
        frame = active_collection.get()
        active_collection.set(frame[1] if frame is not None else None)
