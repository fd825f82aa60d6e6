"""What is differentiated with respect to: Tensors at the beginning of a tape; and what is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .._tape import begin
from ..arrays import Array, as_numeric
from ..records import Origin, Record, Rule, set_rule, state
from ..tape import Tensor, tensor_of

__all__ = ["aliases", "array_of", "no_grad", "recording", "stop_gradient", "track", "tracked"]


def track(tensor: Tensor, what: str = "the tensor") -> Origin:
    """Make a Tensor a variable for good, unless it is on a tape already; returns its origin.

    Raises:
        TypeError: its entries are not floating point numbers.
    """
    if tensor._origin is None:
        _check_floating(tensor._array, what)
        tensor._origin = Record(None, (), {}, (), [tensor._array]), 0
    return tensor._origin


def aliases(given: Sequence[Any], whats: Sequence[str]) -> tuple[list[Tensor], list[Origin]]:
    """Variables with the entries of arrays or Tensors, on whose tape they depend; their origins.

    Raises:
        TypeError: the entries of one, which `whats` names, are not floating point numbers.
    """
    arrays = [array_of(each, what) for each, what in zip(given, whats)]
    for array, what in zip(arrays, whats):
        _check_floating(array, what)
    parents = tuple([tracked(each) if state.depth else None for each in given])
    if parents.count(None) == len(parents):
        return begin(arrays)
    return begin(arrays, _same, parents)


def array_of(given: Any, what: str = "the tensor") -> Array:
    """The entries, as constants, of an array, Tensor or number."""
    return given._array if type(given) is Tensor else as_numeric(given, what)


def _check_floating(array: Any, what: str) -> None:
    if array.dtype.kind not in "fc":
        raise TypeError(
            f"{what} has dtype {array.dtype}, and only floating point numbers have gradients: "
            "convert it, for example with .astype(float)"
        )


def _same(*tensors: Any) -> Any:
    return tensors


set_rule(_same, Rule(lambda g, *_: g, ()))


def tracked(given: Any) -> Origin | None:
    """The origin of a Tensor that is on a tape, else None."""
    return given._origin if type(given) is Tensor else None


def stop_gradient(tensor: Any) -> Any:
    """The same entries as a constant: nothing is differentiated through it.

    Args:
        tensor: a Tensor, or an array, which is returned as it is.

    >>> import tensornet as tn
    >>> float(tn.grad(lambda x: x * stop_gradient(x))(3.0))
    3.0
    """
    return tensor_of(tensor._array) if type(tensor) is Tensor else tensor


class recording:
    """Record operations on tracked Tensors in this thread."""

    __slots__ = ()

    def __enter__(self) -> None:
        state.depth += 1

    def __exit__(self, *_: object) -> None:
        state.depth -= 1


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing in this thread, as a context or as a decorator: results are constants.

    >>> import tensornet as tn
    >>> @no_grad()
    ... def scale(x):
    ...     return 2 * x
    >>> float(tn.grad(lambda x: x * scale(x))(3.0))
    6.0
    """
    before, state.depth = state.depth, 0
    try:
        yield
    finally:
        state.depth = before
