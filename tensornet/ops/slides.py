"""What pooling and depthwise convolution share: checked operands in a dtype that kernels have."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import _kernels
from ..arrays import Array, as_numeric
from ..config import get_num_threads
from ..errors import ShapeError
from .windows import Windows, with_channels

__all__ = ["array_shape", "check_shape", "check_volume", "floating", "real_slide"]

_COMPUTED = {"float16": "float32", "float32": "float32", "float64": "float64"}
_MOST_TAPS = 2**31 - 1


def array_shape(windows: Windows) -> tuple[int, ...]:
    """The shape of the array that the windows slide over."""
    return with_channels(windows.batch, windows.channels, windows.extents, windows.channels_last)


def check_shape(name: str, what: str, array: Array, wanted: tuple[int, ...]) -> None:
    """Raise ShapeError unless the array has this shape."""
    if array.shape != wanted:
        raise ShapeError(f"{name}: {what} has shape {array.shape}, its windows take {wanted}")


def check_volume(name: str, windows: Windows) -> None:
    """Raise ShapeError if positions within a window cannot be numbered by int32."""
    if prod(windows.kernel) > _MOST_TAPS:
        raise ShapeError(f"{name}: a window of {windows.kernel} has more than 2**31 positions")


def floating(name: str, given: Any, what: str, *, complex_too: bool = False) -> Array:
    """The operand as an aligned array in native byte order, if it has one of the dtypes.

    Raises:
        TypeError: not one of them.
    """
    array = as_numeric(given, what)
    kinds = "fc" if complex_too else "f"
    dtype = array.dtype.newbyteorder("=")
    if dtype.kind not in kinds or dtype.itemsize > (16 if dtype.kind == "c" else 8):
        takes = "float16, float32, float64" + (", complex64, complex128" if complex_too else "")
        raise TypeError(f"{name} takes {takes}, and {what} is {array.dtype}: convert it")
    return np.require(array, dtype, "A")


def real_slide(kind: str, windows: Windows, source: Array, **options: Any) -> Array:
    """`_kernels.slide` of a real array in its own dtype; float16 is computed in float32."""
    computed = _COMPUTED[source.dtype.name]
    given = source.astype(computed, copy=False)
    result = _kernels.slide(kind, windows, given, get_num_threads(), **options)
    return result.astype(source.dtype, copy=False)
