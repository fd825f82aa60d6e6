"""Convolution over one, two or three spatial axes, and the two operations that are its gradients.

The three are closed under differentiation: each is linear in both of its operands, and the gradient
of any of them is made of the other two.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import index
from typing import Any

import numpy as np

from .._kernels import empty
from ..api import einsum
from ..arrays import Array, as_numeric, check_dtype
from ..errors import ShapeError
from ..tape import as_operands, operation
from .depthwise import depthwise, depthwise_data_gradient, depthwise_weight_gradient
from .lattices import slide_back, slide_for_weights, slide_forward
from .slides import array_shape
from .windows import DATA_FORMATS, Windows, place_windows
from .winograd import winograd, winograd_suits, winograd_to_data, winograd_to_weights

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "convolve",
    "convolve_data_gradient",
    "convolve_weight_gradient",
]

_CHANNELS_LAST = {n: (0, *range(2, n), 1) for n in (3, 4, 5)}

_placed = lru_cache(maxsize=256, typed=True)(place_windows)


def conv1d(
    x: Any,
    w: Any,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[Any] = "VALID",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    data_format: str = "NWC",
) -> Any:
    """Convolution over one spatial axis; see `conv2d`, whose arguments it has.

    Args:
        x: (batch, width, channels), or with data_format "NCW" (batch, channels, width).
        w: (kernel, channels / groups, outputs), or with "NCW" (outputs, channels / groups, kernel).

    >>> conv1d(np.ones((1, 5, 1)), np.ones((3, 1, 1)), padding="SAME").ravel()
    array([2., 3., 3., 3., 2.])
    """
    return _convolve("conv1d", 1, x, w, stride, padding, dilation, groups, data_format)


def conv2d(
    x: Any,
    w: Any,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[Any] = "VALID",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    data_format: str = "NHWC",
) -> Any:
    """Convolution over two spatial axes, as neural networks have it: windows are not reversed.

    Args:
        x: (batch, height, width, channels), or with data_format "NCHW" (batch, channels, height,
            width).
        w: (kernel height, kernel width, channels / groups, outputs), or with "NCHW" (outputs,
            channels / groups, kernel height, kernel width).
        stride: from one window to the next; a number, or one per spatial axis.
        padding: zeros around x. "VALID" for none; "SAME" for ``ceil(extent / stride)`` windows, the
            odd zero behind; a number for all axes, in front and behind; or one entry per spatial
            axis, such a number or a pair (in front, behind).
        dilation: from one position in a window to the next.
        groups: into so many parts are channels and outputs divided; each part of the outputs sees
            its part of the channels.

    Returns:
        (batch, height', width', outputs) or (batch, outputs, height', width'), contiguous, where
        ``extent' = (extent + padding - dilation * (kernel - 1) - 1) // stride + 1``; a Tensor if x
        or w is one. Its dtype is NumPy's result type of x and w; any dtype that contractions have.

    Raises:
        ShapeError: shapes, groups or arguments that do not fit.
        TypeError: an operand that is not numeric.
        MemoryLimitError: out of memory.

    Complexity: result entries * kernel * channels / groups multiply-adds; workspace of some 400 KB
    a thread and the size of w. There is no matrix of windows.

    Infinity and NaN in x reach all results whose windows see them. Fast forms multiply them by
    zeros, too, so that some results near these may be NaN: where a pixel of the result has up to 32
    bytes in all channels, those less than 64 bytes further along the last spatial axis; in
    Winograd's form those in the same tile of 2 x 2 pixels, see `tensornet.config.set_winograd`.
    Likewise in the gradient to x, where a stride may be further than 64 bytes.

    >>> conv2d(np.ones((1, 4, 4, 2)), np.ones((3, 3, 2, 5))).shape
    (1, 2, 2, 5)
    >>> conv2d(np.ones((1, 2, 4, 4)), np.ones((5, 2, 3, 3)), 2, "SAME", data_format="NCHW").shape
    (1, 5, 2, 2)
    """
    return _convolve("conv2d", 2, x, w, stride, padding, dilation, groups, data_format)


def conv3d(
    x: Any,
    w: Any,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[Any] = "VALID",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    data_format: str = "NDHWC",
) -> Any:
    """Convolution over three spatial axes; see `conv2d`, whose arguments it has.

    Args:
        x: (batch, depth, height, width, channels), or with data_format "NCDHW" channels second.
        w: (three kernel extents, channels / groups, outputs), or with "NCDHW" (outputs, channels /
            groups, three kernel extents).

    >>> conv3d(np.ones((2, 4, 5, 6, 3)), np.ones((2, 2, 2, 3, 7))).shape
    (2, 3, 4, 5, 7)
    """
    return _convolve("conv3d", 3, x, w, stride, padding, dilation, groups, data_format)


def _convolve(
    name: str,
    spatial: int,
    x: Any,
    w: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    data_format: str,
) -> Any:
    x, w = as_operands((x, w))
    shape: tuple[int, ...] = w.shape
    if len(shape) != spatial + 2:
        raise ShapeError(f"{name} takes weights of {spatial + 2} axes, not of shape {shape}")
    first = data_format == DATA_FORMATS[spatial][1]
    kernel = shape[2:] if first else shape[:-2]
    arguments = (name, x.shape, kernel, stride, padding, dilation, data_format, spatial)
    try:
        windows = _placed(*arguments)
    except TypeError:  # lists
        windows = place_windows(*arguments)
    return convolve(x, w, windows, groups)


@operation
def convolve(x: Any, w: Any, windows: Windows, groups: int = 1) -> Any:
    """The convolution of x with w over these windows; see `conv2d`.

    Raises:
        ShapeError: x is not what the windows slide over, or w does not fit.
    """
    x, w, dtype = _operands(x, w)
    _check("x", x.shape, array_shape(windows))
    outputs = _outputs(w.shape, windows, groups)
    road = _road(windows, groups, windows.channels, outputs, x.dtype)
    if road == "pointwise":
        y = _pointwise(x, w, windows, "x", "w", "y")
    elif road == "depthwise":
        y = depthwise(x, w, windows)
    elif road == "winograd":
        y = winograd(x, w, windows)
    else:
        y = empty(windows.shape(outputs), x.dtype)
        last = windows.channels_last
        slide_forward(_pixels(x, last), _grouped(w, groups, last), _pixels(y, last), windows)
    return y if y.dtype is dtype else y.astype(dtype, copy=False)


@operation
def convolve_data_gradient(y: Any, w: Any, windows: Windows, groups: int = 1) -> Any:
    """What `convolve` with w does, transposed: to each entry of x, the sum of y times w over all
    windows that see it. The gradient of ``sum(y * convolve(x, w))`` with respect to x.

    Args:
        y: in the shape of the result of `convolve`.
        w: its weights.

    Raises:
        ShapeError: y or w does not fit.

    Complexity: that of `convolve`, as convolutions of y for each phase of the stride.

    >>> windows = place_windows("conv1d", (1, 4, 1), 2, data_format="NWC", spatial=1)
    >>> convolve_data_gradient(np.ones((1, 3, 1)), np.ones((2, 1, 1)), windows).ravel()
    array([1., 2., 2., 1.])
    """
    y, w, dtype = _operands(y, w)
    outputs = _outputs(w.shape, windows, groups)
    _check("y", y.shape, windows.shape(outputs))
    road = _road(windows, groups, outputs, windows.channels, y.dtype)
    if road == "pointwise":
        x = _pointwise(y, w, windows, "y", "w", "x")
    elif road == "depthwise":
        x = depthwise_data_gradient(y, w, windows)
    elif road == "winograd":
        x = winograd_to_data(y, w, windows)
    else:
        x = empty(array_shape(windows), y.dtype)
        last = windows.channels_last
        slide_back(_pixels(y, last), _grouped(w, groups, last), _pixels(x, last), windows)
    return x if x.dtype is dtype else x.astype(dtype, copy=False)


@operation
def convolve_weight_gradient(x: Any, y: Any, windows: Windows, groups: int = 1) -> Any:
    """The gradient of ``sum(y * convolve(x, w))`` with respect to w, which it is linear in: the sum
    over all windows of what they see in x, times y there.

    Args:
        x: what the windows slide over.
        y: in the shape of the result of `convolve`, with any number of channels that `groups`
            divides.

    Raises:
        ShapeError: x or y does not fit.

    Complexity: that of `convolve`; workspace of some 400 KB a thread, and up to 4 MB or the size of
    w for sums. The bits of the result do not depend on the number of threads.

    >>> windows = place_windows("conv1d", (1, 4, 1), 2, data_format="NWC", spatial=1)
    >>> x, y = np.arange(4.0).reshape(1, 4, 1), np.ones((1, 3, 1))
    >>> convolve_weight_gradient(x, y, windows).ravel()
    array([3., 6.])
    """
    x, y, dtype = _operands(x, y)
    _check("x", x.shape, array_shape(windows))
    last = windows.channels_last
    outputs = y.shape[-1 if last else 1] if y.ndim > 1 else 0
    _check("y", y.shape, windows.shape(outputs))
    shape = _weight_shape(windows, outputs, groups)
    road = _road(windows, groups, windows.channels, outputs, x.dtype, to_weights=True)
    if road == "pointwise":
        w = _pointwise(x, y, windows, "x", "y", "w").reshape(shape)
    elif road == "depthwise":
        w = depthwise_weight_gradient(x, y, windows)
    elif road == "winograd":
        w = winograd_to_weights(x, y, windows)
    else:
        w = empty(shape, x.dtype)
        slide_for_weights(_pixels(x, last), _pixels(y, last), _grouped(w, groups, last), windows)
    return w if w.dtype is dtype else w.astype(dtype, copy=False)


def _operands(a: Any, b: Any) -> tuple[Array, Array, np.dtype[Any]]:
    """Both in the dtype that is computed in, and the dtype of the result."""
    a, b = as_numeric(a, "the first operand"), as_numeric(b, "the second operand")
    if a.dtype is b.dtype and a.dtype.char in "fdFD":
        return a, b, a.dtype
    dtype = check_dtype(np.result_type(a, b))
    within = np.dtype(np.float32) if dtype == np.float16 else dtype
    return a.astype(within, copy=False), b.astype(within, copy=False), dtype


def _check(what: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if shape != wanted:
        raise ShapeError(f"convolution: {what} has shape {shape}, but the windows are of {wanted}")


def _weight_shape(windows: Windows, outputs: int, groups: int) -> tuple[int, ...]:
    """The shape of weights for so many outputs; checks the groups."""
    channels = windows.channels
    if index(groups) < 1 or channels % groups or outputs % groups:
        raise ShapeError(
            f"convolution: {groups} groups do not divide {channels} channels and {outputs} outputs"
        )
    if windows.channels_last:
        return (*windows.kernel, channels // groups, outputs)
    return (outputs, channels // groups, *windows.kernel)


def _outputs(shape: tuple[int, ...], windows: Windows, groups: int) -> int:
    """How many outputs weights of this shape make, which is checked."""
    outputs = shape[-1 if windows.channels_last else 0] if shape else 0
    wanted = _weight_shape(windows, outputs, groups)
    if shape != wanted:
        raise ShapeError(
            f"convolution of {windows.channels} channels in {groups} groups with windows of "
            f"{windows.kernel} takes weights of shape {wanted}, not {shape}"
        )
    return outputs


def _pixels(array: Array, last: bool) -> Array:
    """A view with the channels last."""
    order = _CHANNELS_LAST[array.ndim]
    view: Array = array if last else array.transpose(order)
    return view


def _grouped(w: Array, groups: int, last: bool) -> Array:
    """A view [groups, spatial axes, channels, outputs] of weights."""
    n = w.ndim
    view: Array
    if groups == 1:
        view = (w if last else w.transpose(*range(2, n), 1, 0))[np.newaxis]
    elif last:
        view = w.reshape(*w.shape[:-1], groups, w.shape[-1] // groups)
        view = view.transpose(n - 1, *range(n - 1), n)
    else:
        view = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
        view = view.transpose(0, *range(3, n + 1), 2, 1)
    return view


def _road(
    windows: Windows,
    groups: int,
    channels: int,
    outputs: int,
    dtype: Any,
    *,
    to_weights: bool = False,
) -> str:
    """The kernels that make `outputs` channels of `channels`, of x or of y, soonest."""
    # with channels last, only gradients to weights are quicker as products
    if (to_weights or not windows.channels_last) and _is_pointwise(windows, groups):
        return "pointwise"
    if groups == windows.channels > 1 and dtype.kind in "fc":
        return "depthwise"
    if groups == 1 and winograd_suits(windows, channels, outputs, dtype):
        return "winograd"
    return "sliding"


def _is_pointwise(windows: Windows, groups: int) -> bool:
    """Is it a product of matrices: windows of one position, as many as there are of these?"""
    single = {*windows.kernel, *windows.stride} == {1}
    return single and groups == 1 and windows.counts == windows.extents


def _pointwise(a: Array, b: Array, windows: Windows, first: str, second: str, result: str) -> Array:
    """One of x, w and y from the other two; w without its spatial axes."""
    last, spatial = windows.channels_last, range(3, 3 + len(windows.kernel))
    terms = {
        "x": [0, *spatial, 1] if last else [0, 1, *spatial],
        "y": [0, *spatial, 2] if last else [0, 2, *spatial],
        "w": [1, 2] if last else [2, 1],
    }
    if second == "w":
        b = b.reshape(b.shape[-2:] if last else b.shape[:2])
    product: Array = einsum(a, terms[first], b, terms[second], terms[result], order="C")
    return product
