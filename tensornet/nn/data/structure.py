"""Elements of a dataset: a value, or values in tuples and dicts, nested as one likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...arrays import as_array
from ...errors import ShapeError

__all__ = ["call", "leaves", "map_leaves", "read_only", "stack"]


def call(function: Callable[..., Any], element: Any, **options: Any) -> Any:
    """``function(*element)`` for a tuple, as tf.data does, else ``function(element)``."""
    if isinstance(element, tuple):
        return function(*element, **options)
    return function(element, **options)


def map_leaves(function: Callable[[Any], Any], element: Any) -> Any:
    """The same tuples and dicts around the function of each value."""
    if isinstance(element, tuple):
        return _tuple_like(element, [map_leaves(function, part) for part in element])
    if isinstance(element, dict):
        return {key: map_leaves(function, part) for key, part in element.items()}
    return function(element)


def _tuple_like(model: tuple[Any, ...], parts: Sequence[Any]) -> tuple[Any, ...]:
    """A tuple of the parts; a named one if the model is."""
    return type(model)(*parts) if hasattr(model, "_fields") else tuple(parts)


def leaves(element: Any) -> list[Any]:
    """The values, in order.

    >>> leaves((1, {"a": 2, "b": (3, 4)}))
    [1, 2, 3, 4]
    """
    found: list[Any] = []
    map_leaves(found.append, element)
    return found


def read_only(element: Any) -> Any:
    """The element with views that cannot be written to for its arrays."""

    def view(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        return value

    return map_leaves(view, element)


def stack(elements: Sequence[Any]) -> Any:
    """One element whose arrays have the given ones along a new first axis.

    Args:
        elements: at least one; all of one structure, their arrays of one shape.

    Raises:
        ShapeError: elements of different structures or shapes.
        TypeError: values that no array holds, such as None.

    >>> stack([(1, {"a": 2}), (3, {"a": 4})])
    (array([1, 3]), {'a': array([2, 4])})
    """
    first = elements[0]
    if isinstance(first, tuple):
        _check_alike(elements, lambda e: len(e) if isinstance(e, tuple) else None, "parts")
        return _tuple_like(first, [stack(parts) for parts in zip(*elements)])
    if isinstance(first, dict):
        _check_alike(elements, lambda e: sorted(e) if isinstance(e, dict) else None, "keys")
        return {key: stack([element[key] for element in elements]) for key in first}
    arrays = [as_array(element) for element in elements]
    if arrays[0].dtype == object:
        raise TypeError(f"elements of type {type(first).__name__} cannot be put into a batch")
    _check_alike(arrays, np.shape, "extents")
    return np.stack(arrays)


def _check_alike(elements: Sequence[Any], trait: Callable[[Any], Any], what: str) -> None:
    expected = trait(elements[0])
    for place, element in enumerate(elements):
        if (found := trait(element)) != expected:
            raise ShapeError(
                f"element {place} of a batch has {what} {found}, but the first has {expected}; "
                "map them to one shape before batch()"
            )
