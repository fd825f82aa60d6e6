"""Convolution with windows of 3 x 3 and 5 x 5 in Winograd's form, with fewer multiplications.

The minimal filtering F(2x2, 3x3) and F(2x2, 5x5), see Lavin & Gray, "Fast algorithms for
convolutional neural networks" (2016): 2 x 2 pixels of the result are computed from 4 x 4 or 6 x 6
of the operand, transformed, multiplied with transformed weights and summed over the channels, and
transformed back: 16 multiplications in place of 36, and 36 in place of 100.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _kernels, config
from ..arrays import Array
from ..errors import ShapeError
from .windows import Windows, with_channels

__all__ = ["winograd", "winograd_suits", "winograd_to_data", "winograd_to_weights"]

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))

# What the transforms cost for windows of each kind, in multiply-adds of a product: for each tile
# and channel, each tile and output, and each channel and output, fitted to a grid of shapes.
# Channels and outputs go by lines of memory.
_COSTS: dict[tuple[int, ...], tuple[int, int, int]] = {(3, 3): (10, 80, 50), (5, 5): (55, 250, 280)}
_LINE = 64


def winograd_suits(windows: Windows, channels: int, outputs: int, dtype: Any) -> bool:
    """Whether a convolution in Winograd's form is allowed and faster than as one matrix product.

    Args:
        windows: where the windows lie.
        channels: of the operand, in one group.
        outputs: channels of the result, in one group.
        dtype: of the operands.

    The same holds for the gradient to weights, and with channels and outputs exchanged for that to
    data.

    >>> from tensornet.ops.windows import place_windows
    >>> winograd_suits(place_windows("conv", (8, 28, 28, 64), 3), 64, 64, "float32")
    True
    >>> winograd_suits(place_windows("conv", (8, 28, 28, 3), 3), 3, 64, "float32")
    False
    """
    dtype = np.dtype(dtype)
    if dtype not in _DTYPES or not _fits(windows) or not config.winograd_allowed():
        return False
    line = _LINE // dtype.itemsize
    whole_channels, whole_outputs = (-(-n // line) * line for n in (channels, outputs))
    tiles = windows.batch * -(-windows.counts[0] // 2) * -(-windows.counts[1] // 2)
    taps, (tile_channel, tile_output, weight) = windows.kernel[0], _COSTS[windows.kernel]
    products = tiles * (taps + 1) ** 2 * channels * whole_outputs
    transforms = tiles * (tile_channel * whole_channels + tile_output * whole_outputs)
    weights = weight * channels * whole_outputs
    direct = windows.batch * _rows_seen(windows) * windows.counts[1] * taps * channels * outputs
    suits: bool = products + transforms + weights < direct
    return suits


def winograd(x: Array, w: Array, windows: Windows, out: Array | None = None) -> Array:
    """The convolution of `x` with weights `w` of 3 x 3 or 5 x 5 taps, stride 1.

    Args:
        x: (batch, height, width, channels), or (batch, channels, height, width) where the channels
            of `windows` are not last; float32 or float64, any strides.
        w: (3, 3, channels, outputs), or (outputs, channels, 3, 3), or with 5 in place of 3; of the
            same dtype.
        windows: where the windows lie on `x`.
        out: the array that is written to and returned, instead of a new one; it shares no memory
            with `x` and `w`.

    The error of 3 x 3 is about that of the direct form: fewer products are summed, of sums and
    differences of neighbours. That of 5 x 5 is two to three times as large, or with entries of one
    sign as large; no more than 32 products are summed at a time. An entry of `x` that is not finite
    may reach all results of the tiles of 2 x 2 that see it; one of `w`, all results of its output.
    Takes 4 multiply-adds in place of 9, or 9 in place of 25, for each pixel of the result, channel
    and output; workspace of 16 or 36 times `w` of one tap, and of some hundred KB to a few MB a
    thread. The bits do not depend on the number of threads.

    Raises:
        ShapeError: other windows, or shapes that do not fit.
        TypeError: another dtype.
        MemoryLimitError: no memory for the workspace.

    >>> from tensornet.ops.windows import place_windows
    >>> x, w = np.ones((1, 4, 5, 2), "f4"), np.ones((3, 3, 2, 7), "f4")
    >>> winograd(x, w, place_windows("conv", x.shape, 3)).shape
    (1, 2, 3, 7)
    """
    outputs = w.shape[-1 if windows.channels_last else 0] if w.ndim == 4 else 0
    if out is None:
        out = _kernels.empty(windows.shape(outputs), x.dtype)
    _check(windows, x, w, out)
    return _run(x, w, out, windows.before, windows.channels_last, to_weights=False)


def winograd_to_weights(x: Array, y: Array, windows: Windows, out: Array | None = None) -> Array:
    """The gradient of ``(winograd(x, w, windows) * y).sum()`` to `w`, which it does not depend on.

    Args:
        x: as for `winograd`.
        y: of the shape and dtype of its result.
        windows: where the windows lie on `x`.
        out: the array that is written to and returned, instead of a new one.

    Takes 16 multiply-adds in place of 36, or 42 in place of 100, for each tile of 2 x 2 pixels,
    channel and output, and workspace of as many times the gradient of one tap for each of up to 16
    parts that the tiles are summed in. The bits do not depend on the number of threads.

    Raises:
        ShapeError, TypeError, MemoryLimitError: as `winograd`.

    >>> from tensornet.ops.windows import place_windows
    >>> x, y = np.ones((1, 4, 5, 2), "f4"), np.ones((1, 2, 3, 7), "f4")
    >>> winograd_to_weights(x, y, place_windows("conv", x.shape, 3)).shape
    (3, 3, 2, 7)
    """
    last = windows.channels_last
    outputs = y.shape[-1 if last else 1] if y.ndim == 4 else 0
    if out is None:
        out = _kernels.empty(_weights_shape(windows, outputs), x.dtype)
    _check(windows, x, out, y)
    return _run(x, out, y, windows.before, last, to_weights=True)


def winograd_to_data(y: Array, w: Array, windows: Windows, out: Array | None = None) -> Array:
    """The gradient of ``(winograd(x, w, windows) * y).sum()`` to `x`, which it does not depend on.

    The convolution of `y` with `w`, turned and its channels and outputs exchanged, in windows that
    see what `y` depends on; `winograd_suits` tells of it if channels and outputs are exchanged.

    Args:
        y: of the shape and dtype of the result of `winograd`.
        w: as for `winograd`.
        windows: where the windows lie on `x`.
        out: the array that is written to and returned, instead of a new one.

    Raises:
        ShapeError, TypeError, MemoryLimitError: as `winograd`.

    >>> from tensornet.ops.windows import place_windows
    >>> y, w = np.ones((1, 2, 3, 7), "f4"), np.ones((3, 3, 2, 7), "f4")
    >>> winograd_to_data(y, w, place_windows("conv", (1, 4, 5, 2), 3)).shape
    (1, 4, 5, 2)
    """
    last, channels = windows.channels_last, windows.channels
    if out is None:
        out = _kernels.empty(with_channels(windows.batch, channels, windows.extents, last), y.dtype)
    _check(windows, out, w, y)
    turned = w[::-1, ::-1].swapaxes(2, 3) if last else w[:, :, ::-1, ::-1].swapaxes(0, 1)
    before = tuple([windows.kernel[0] - 1 - front for front in windows.before])
    return _run(y, turned, out, before, last, to_weights=False)


def _run(
    x: Array, w: Array, y: Array, before: tuple[int, ...], last: bool, to_weights: bool
) -> Array:
    """Write to w, or to y; return it."""
    made = w if to_weights else y
    if not (x.size and w.size and y.size):
        made.fill(0)
        return made
    if not last:
        x, y = x.transpose(0, 2, 3, 1), y.transpose(0, 2, 3, 1)
        w = w.transpose(2, 3, 1, 0)
    _kernels.winograd(x, w, y, before, to_weights, config.get_num_threads())
    return made


def _check(windows: Windows, x: Array, w: Array, y: Array) -> None:
    """Raise unless the operand, the weights and the result fit the windows and each other."""
    if not _fits(windows):
        raise ShapeError(
            "winograd takes windows of 3 x 3 or 5 x 5 with stride and dilation 1, not "
            f"{windows.kernel}, {windows.stride}, {windows.dilation}"
        )
    last, channels = windows.channels_last, windows.channels
    outputs = y.shape[-1 if last else 1]
    operand = with_channels(windows.batch, channels, windows.extents, last)
    weights = _weights_shape(windows, outputs)
    for name, array, shape in (
        ("x", x, operand),
        ("w", w, weights),
        ("the result", y, windows.shape(outputs)),
    ):
        if array.shape != shape:
            raise ShapeError(f"winograd: {name} has shape {array.shape}, not {shape}")
    if not x.dtype == w.dtype == y.dtype or x.dtype not in _DTYPES:
        raise TypeError(
            "winograd takes arrays of float32, or of float64, not of "
            f"{x.dtype}, {w.dtype} and {y.dtype}"
        )


def _fits(windows: Windows) -> bool:
    """Whether windows are those that this form is for."""
    return windows.kernel in _COSTS and windows.stride == windows.dilation == (1, 1)


def _rows_seen(windows: Windows) -> int:
    """How many rows of an image all windows of a column see: the direct form skips the others."""
    before, rows, counts = windows.before[0], windows.extents[0], windows.counts[0]
    return sum(
        max(min(counts, rows + before - tap) - max(before - tap, 0), 0)
        for tap in range(windows.kernel[0])
    )


def _weights_shape(windows: Windows, outputs: int) -> tuple[int, ...]:
    channels, kernel = windows.channels, windows.kernel
    return (*kernel, channels, outputs) if windows.channels_last else (outputs, channels, *kernel)
