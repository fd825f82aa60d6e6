"""Checks of what a caller passes in: tensors, names, axis names and the backend argument."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from ..arrays import Array, as_numeric, check_backend
from ..config import available_memory
from ..errors import MemoryLimitError
from ..tape import Tensor

__all__ = [
    "Array",
    "as_array",
    "check_axis_names",
    "check_backend",
    "check_name",
    "join_limited",
    "zeros",
]

_SURELY_THERE = 2**26  # bytes of memory not worth asking the system about


def as_array(given: Any) -> Array:
    """The array of a node: NumPy's, or a Tensor on a tape, so that nodes can be differentiated.

    Raises:
        TypeError, ValueError: as `as_numeric`.
    """
    if type(given) is np.ndarray or type(given) is not Tensor or given._origin is None:
        return as_numeric(given)
    return given  # type: ignore[return-value]  # it has all that nodes use of an array


def check_name(name: object, what: str) -> None:
    """Raise TypeError unless `name` is text; `what` says whose name it is."""
    if not isinstance(name, str):
        raise TypeError(f"{what} name must be a str, not {type(name).__name__} ({name!r})")


def check_axis_names(axis_names: Sequence[str], shape: Sequence[int]) -> list[str]:
    """A list of one distinct name per axis of `shape`.

    Raises:
        TypeError: a name that is not text.
        ValueError: a repeated name, or a count that differs from the rank.
    """
    names = list(axis_names)
    if len(names) != len(shape):
        raise ValueError(
            f"{len(names)} axis names {names} were given for {len(shape)} axes "
            f"(shape {tuple(shape)}); give one name per axis"
        )
    for name in names:
        check_name(name, "axis")
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"axis name {repeated!r} is repeated in {names}; names must differ")
    return names


def join_limited(words: Iterable[str], limit: int = 8) -> str:
    """The words with commas between; those after the first `limit` are only counted."""
    listed = list(words)
    hidden = len(listed) - limit
    if hidden > 0:
        listed[limit:] = [f"... {hidden} more"]
    return ", ".join(listed)


def zeros(shape: Sequence[int], dtype: Any) -> Array:
    """``np.zeros``, for arrays that may turn out large without the caller noticing.

    Raises:
        MemoryLimitError: more bytes than there are, before anything is allocated.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size > _SURELY_THERE and size > (there := available_memory()):
        raise MemoryLimitError(
            f"a dense array of {len(shape)} axes and {prod(shape)} entries takes {size} bytes, but "
            f"{there} are available; contract the copy node together with its neighbours"
        )
    return np.zeros(shape, dtype)
