"""Pooling, channels last: the largest or the average of what each window sees."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

from ...errors import ShapeError
from ...ops import max as largest
from ...ops import multiply
from ...ops.pooling import avg_pool, max_pool, max_pool_with_argmax
from ...records import state
from ...tape import Tensor, as_operands
from ..module import Module
from ..sums import sum_over
from .windows import WORDS, Windowed

__all__ = [
    "AveragePool1D",
    "AveragePool2D",
    "AveragePool3D",
    "GlobalAveragePool1D",
    "GlobalAveragePool2D",
    "GlobalAveragePool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
]


class _Pool(Windowed):
    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str | int | Sequence[Any] = "valid",
        **options: Any,
    ) -> None:
        steps = pool_size if strides is None else strides
        super().__init__(pool_size, steps, padding, **options)


class _MaxPool(_Pool):
    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        windows = self.windows_over(x)
        if state.depth and type(x) is Tensor and x._origin is not None:
            return max_pool_with_argmax(x, windows=windows)[0]
        return max_pool(x, windows=windows)


class _AveragePool(_Pool):
    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        return avg_pool(x, windows=self.windows_over(x))


class MaxPool1D(_MaxPool):
    """The largest entry of each window along one axis; see `MaxPool2D`.

    Shapes: x (batch, width, channels), result (batch, new width, channels).
    """

    spatial = 1


class MaxPool2D(_MaxPool):
    """The largest entry of each window, channel by channel.

    Args:
        pool_size: extents of a window; a number, or one per axis. PyTorch calls it kernel_size.
        strides: from one window to the next; by default pool_size, so that they do not overlap.
        padding: "valid" or "same" in any case, or numbers as in PyTorch. Padding is never the
            largest.

    Shapes: x (batch, height, width, channels), result (batch, new height, new width, channels).

    Raises, when called:
        ShapeError, TypeError: inputs that the windows do not fit; they name the layer.

    Complexity: one pass over x; for the gradient it keeps a byte per window.

    >>> import numpy as np
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    >>> MaxPool2D()(x).ravel()
    array([ 5.,  7., 13., 15.], dtype=float32)
    """

    spatial = 2


class MaxPool3D(_MaxPool):
    """The largest entry of each window over three axes; see `MaxPool2D`.

    Shapes: x (batch, depth, height, width, channels), result the same with new extents.
    """

    spatial = 3


class AveragePool1D(_AveragePool):
    """The average of each window along one axis; see `AveragePool2D`.

    Shapes: x (batch, width, channels), result (batch, new width, channels).
    """

    spatial = 1


class AveragePool2D(_AveragePool):
    """The average of each window, channel by channel.

    Arguments, shapes and errors are those of `MaxPool2D`. Padding does not count, as in Keras
    (PyTorch: count_include_pad=False).

    >>> import numpy as np
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    >>> AveragePool2D()(x).ravel()
    array([ 2.5,  4.5, 10.5, 12.5], dtype=float32)
    """

    spatial = 2


class AveragePool3D(_AveragePool):
    """The average of each window over three axes; see `AveragePool2D`.

    Shapes: x (batch, depth, height, width, channels), result the same with new extents.
    """

    spatial = 3


class _GlobalPool(Module):
    spatial: ClassVar[int]

    def __init__(self, keep_dims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.keep_dims = keep_dims

    def pool(self, x: Any, axes: tuple[int, ...]) -> Any:
        raise TypeError(f"{self.label} has no method pool")

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        self.check_input(x, "batch", *WORDS[-self.spatial :], "channels")
        axes = tuple(range(1, self.spatial + 1))
        if not prod(x.shape[1:-1]):
            raise ShapeError(f"{self.label} has nothing to pool in inputs of shape {x.shape}")
        return self.pool(x, axes)


class _GlobalMaxPool(_GlobalPool):
    def pool(self, x: Any, axes: tuple[int, ...]) -> Any:
        return largest(x, axes, self.keep_dims)


class _GlobalAveragePool(_GlobalPool):
    def pool(self, x: Any, axes: tuple[int, ...]) -> Any:
        total = sum_over(x, None, axes=axes)
        average = multiply(total, 1 / prod(x.shape[1:-1]))
        if not self.keep_dims:
            return average
        return average.reshape((x.shape[0], *[1] * self.spatial, x.shape[-1]))


class GlobalMaxPool1D(_GlobalMaxPool):
    """The largest entry along the width: (batch, width, channels) to (batch, channels)."""

    spatial = 1


class GlobalMaxPool2D(_GlobalMaxPool):
    """The largest entry of height and width: (batch, height, width, channels) to (batch, channels).

    Args:
        keep_dims: keep the spatial axes with extent 1.

    >>> import numpy as np
    >>> GlobalMaxPool2D()(np.ones((2, 4, 4, 3), np.float32)).shape
    (2, 3)
    """

    spatial = 2


class GlobalMaxPool3D(_GlobalMaxPool):
    """The largest entry of all three spatial axes; see `GlobalMaxPool2D`."""

    spatial = 3


class GlobalAveragePool1D(_GlobalAveragePool):
    """The average along the width: (batch, width, channels) to (batch, channels)."""

    spatial = 1


class GlobalAveragePool2D(_GlobalAveragePool):
    """The average of height and width: (batch, height, width, channels) to (batch, channels).

    Args:
        keep_dims: keep the spatial axes with extent 1.

    >>> import numpy as np
    >>> GlobalAveragePool2D(keep_dims=True)(np.ones((2, 4, 4, 3), np.float32)).shape
    (2, 1, 1, 3)
    """

    spatial = 2


class GlobalAveragePool3D(_GlobalAveragePool):
    """The average of all three spatial axes; see `GlobalAveragePool2D`."""

    spatial = 3
