"""Tensors put side by side, and edges put around one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import as_numeric
from ..errors import ShapeError
from ..tape import Tensor, operation
from .axes import expand_dims
from .indexing import take
from .shaping import reshape

__all__ = ["concatenate", "joined", "pad", "pad_constant", "stack"]


def concatenate(tensors: Sequence[Any], axis: int | None = 0) -> Any:
    """Tensors one after the other along an axis that they have.

    Args:
        tensors: of the same shape but for the axis.
        axis: None puts the entries of all on one axis, in C order.

    Raises:
        ShapeError: no tensors, or shapes that do not fit.

    >>> concatenate([[1.0, 2.0], [3.0]])
    array([1., 2., 3.])
    """
    parts = _parts(tensors)
    if axis is None:
        return joined(0, *[reshape(part, (-1,)) for part in parts])
    return joined(axis, *parts)


def stack(tensors: Sequence[Any], axis: int = 0) -> Any:
    """Tensors one after the other along a new axis, which becomes number `axis` of the result.

    Raises:
        ShapeError: no tensors, or unequal shapes.

    >>> stack([[1.0, 2.0], [3.0, 4.0]], axis=1)
    array([[1., 3.],
           [2., 4.]])
    """
    parts = _parts(tensors)
    shapes = list(dict.fromkeys([part.shape for part in parts]))
    if len(shapes) > 1:
        raise ShapeError(f"stack needs tensors of one shape, not {shapes[0]} and {shapes[1]}")
    return joined(axis, *[expand_dims(part, axis) for part in parts])


def _parts(tensors: Sequence[Any]) -> list[Any]:
    parts = [
        x if type(x) is Tensor else as_numeric(x, f"tensor {k}") for k, x in enumerate(tensors)
    ]
    if not parts:
        raise ShapeError("there are no tensors to join")
    return parts


@operation
def joined(axis: int, *tensors: Any) -> Any:
    """`concatenate` as an operation, whose operands are arguments of their own."""
    try:
        return np.concatenate(tensors, axis)
    except ValueError as error:
        raise ShapeError(str(error)) from None


def pad(tensor: Any, pad_width: Any, mode: str = "constant", constant_values: complex = 0) -> Any:
    """The tensor with entries added before and behind it along its axes.

    Args:
        pad_width: how many: a number for all, a pair ``(before, behind)`` for all axes, or a pair
            per axis.
        mode: "constant", or one of `numpy.pad` that repeats entries of the tensor: "edge",
            "reflect", "symmetric", "wrap".
        constant_values: what is added in the first mode.

    Raises:
        ShapeError: not a pair per axis.
        ValueError: another mode, or a negative width.

    >>> pad([1.0, 2.0], (1, 2))
    array([0., 1., 2., 0., 0.])
    >>> pad([1.0, 2.0, 3.0], 2, mode="reflect")
    array([3., 2., 1., 2., 3., 2., 1.])
    """
    extents = tensor.shape if type(tensor) is Tensor else as_numeric(tensor).shape
    try:
        pairs = np.broadcast_to(np.asarray(pad_width), (len(extents), 2))
    except ValueError:
        raise ShapeError(f"pad_width={pad_width} is no pair per axis of shape {extents}") from None
    widths = tuple([(int(before), int(behind)) for before, behind in pairs])
    if min(map(min, widths), default=0) < 0:
        raise ValueError(f"pad_width={pad_width} is negative")
    if mode == "constant":
        return pad_constant(tensor, widths, constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f"mode {mode!r} is not constant, edge, reflect, symmetric or wrap")
    for axis, (extent, width) in enumerate(zip(extents, widths)):
        if any(width):
            tensor = take(tensor, np.pad(np.arange(extent), width, mode=mode), axis)  # type: ignore[call-overload]
    return tensor


@operation
def pad_constant(tensor: Any, widths: Sequence[tuple[int, int]], value: complex = 0) -> Any:
    """`pad` with a constant, given a pair of whole numbers for every axis."""
    array = as_numeric(tensor)
    shape = [extent + sum(width) for extent, width in zip(array.shape, widths)]
    result = np.full(shape, value, array.dtype)
    result[inside(array.shape, widths)] = array
    return result


def inside(shape: Sequence[int], widths: Sequence[tuple[int, int]]) -> tuple[slice, ...]:
    """Where in the padded tensor the tensor of this shape is."""
    return tuple([slice(before, before + extent) for extent, (before, _) in zip(shape, widths)])
