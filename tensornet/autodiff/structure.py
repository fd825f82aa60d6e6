"""Arrays in nested lists, tuples and dicts: taken out in order, and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["leaves_of", "rebuilt"]


def leaves_of(structure: Any) -> list[Any]:
    """The leaves of nested lists, tuples and dicts, in the order in which they stand.

    >>> leaves_of({"w": [1, 2], "b": (3,)})
    [1, 2, 3]
    """
    if not isinstance(structure, (dict, list, tuple)):
        return [structure]
    leaves: list[Any] = []
    _map(structure, leaves.append)
    return leaves


def rebuilt(structure: Any, leaves: Iterator[Any]) -> Any:
    """The same lists, tuples and dicts around other leaves.

    >>> rebuilt({"w": [1, 2], "b": (3,)}, iter("xyz"))
    {'w': ['x', 'y'], 'b': ('z',)}
    """
    if not isinstance(structure, (dict, list, tuple)):
        return next(leaves)
    return _map(structure, lambda _: next(leaves))


def _map(structure: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(structure, dict):
        return {key: _map(each, leaf) for key, each in structure.items()}
    if isinstance(structure, (list, tuple)):
        mapped = [_map(each, leaf) for each in structure]
        if hasattr(structure, "_fields"):  # a named tuple
            return type(structure)(*mapped)
        return type(structure)(mapped)
    return leaf(structure)
